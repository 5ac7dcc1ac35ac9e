"""Fetches a skill that is shipped as an image: its layers, one over the other, unpacked into the skill's folder."""

from __future__ import annotations

import base64
import json
import platform
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from kagent_engine.shapes import JsonObject, as_object, as_objects, as_text, is_object
from kagent_engine.skills_init.archives import unpack_tar
from kagent_engine.skills_init.plan import OciSource, SkillNotFetched
from kagent_engine.skills_init.registry import Reference, Registry

__all__ = ["docker_credentials", "fetch_oci"]

_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
_DOCKER_HUB: Final = ("https://index.docker.io/v1/", "index.docker.io", "docker.io")


def docker_credentials(files: Sequence[Path]) -> dict[str, str]:
    """Return the sign-ins of Docker configuration files by host; later files win.

    Raises:
        SkillNotFetched: a file cannot be used.
    """
    found: dict[str, str] = {}
    for file in files:
        try:
            parsed: object = json.loads(file.read_bytes())
        except (OSError, ValueError) as error:
            raise SkillNotFetched(f"{file}: {error}") from error
        auths = as_object(parsed.get("auths")) if is_object(parsed) else {}
        for name, entry in auths.items():
            host = "registry-1.docker.io" if name in _DOCKER_HUB else name.removeprefix("https://").split("/", 1)[0]
            if auth := _basic(as_object(entry)):
                found[host] = auth
    return found


async def fetch_oci(source: OciSource, dest: Path, credentials: Mapping[str, str], *, insecure: bool) -> None:
    """Put the image's files into ``dest``.

    Raises:
        SkillNotFetched: the image cannot be had or unpacked.
    """
    async with Registry(Reference.parse(source.image), credentials, insecure=insecure) as registry:
        manifest = await registry.manifest()
        if choices := as_objects(manifest.get("manifests")):
            manifest = await registry.manifest(as_text(_fitting(choices).get("digest")))
        layers = as_objects(manifest.get("layers"))
        if not layers:
            raise SkillNotFetched("the image has no layers")
        with tempfile.TemporaryDirectory(prefix="skill-") as scratch:
            for layer in layers:
                kind = as_text(layer.get("mediaType"))
                if "zstd" in kind:
                    raise SkillNotFetched(f"a layer is {kind}; build the image with gzip layers")
                file = Path(scratch) / "layer"
                await registry.blob(as_text(layer.get("digest")), file)
                unpack_tar(file, dest, layer=True)


def _fitting(choices: Sequence[JsonObject]) -> JsonObject:
    """Return the manifest for this machine; skills are files, so any other one will do as well."""
    machine = _ARCHITECTURES.get(platform.machine(), platform.machine())
    real = [each for each in choices if as_object(each.get("platform")).get("architecture") != "unknown"] or choices
    return next((each for each in real if as_object(each.get("platform")).get("architecture") == machine), real[0])


def _basic(entry: JsonObject) -> str:
    if auth := as_text(entry.get("auth")):
        return auth
    user, password = as_text(entry.get("username")), as_text(entry.get("password"))
    return base64.b64encode(f"{user}:{password}".encode()).decode() if user else ""
