"""The Go types behind the built-in kinds: their fields, as ``builtin/data/protobuf`` lists them."""

from __future__ import annotations

from functools import cache
from typing import Any

from kagent_localcluster.apiserver.builtin import load_data
from kagent_localcluster.errors import BadRequest

__all__ = ["META", "package_of", "packages", "resolve"]

CORE, META = "k8s.io.api.core.v1", "k8s.io.apimachinery.pkg.apis.meta.v1"
EXTENSIONS = "k8s.io.apiextensions-apiserver.pkg.apis.apiextensions.v1"


@cache
def packages() -> dict[str, dict[str, Any]]:
    """Return {package: {type: [[number, JSON name, Go type, omitempty], ...] or the Go type it is another name of}}."""
    found: dict[str, dict[str, Any]] = load_data("protobuf")
    return found


def package_of(api_version: str, kind: str) -> str:
    """Return the package of a kind.

    Raises:
        BadRequest: there is no such kind.
    """
    group, _, version = api_version.rpartition("/")
    if group == "apiextensions.k8s.io":
        package = EXTENSIONS
    elif not group:
        package = CORE
    else:
        package = f"k8s.io.api.{group.partition('.')[0]}.{version}"
    for candidate in (package, META):
        if kind in packages().get(candidate, {}):
            return candidate
    raise BadRequest(f'no kind "{kind}" is registered for version "{api_version}"')


@cache
def resolve(package: str, go_type: str) -> tuple[str, str]:
    """Return (package, name) of a Go type that is a message or alias, ("", "") for scalars."""
    name = go_type.rpartition(".")[2]
    for candidate in (package, CORE, META, *packages()):
        if name in packages().get(candidate, {}):
            return candidate, name
    return "", ""
