"""The built-in schemas as nodes, by definition name and by group-version-kind.

Definitions are shared: the PodSpec of a Deployment and of a Job is one node.
"""

from __future__ import annotations

from functools import cache

from kagent_localcluster.apiserver.builtin import load_data
from kagent_localcluster.apiserver.schema.node import Node
from kagent_localcluster.seams import JsonObject

__all__ = ["OBJECT_META", "definition", "definition_name", "raw_definitions", "schema_of"]

OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"


@cache
def raw_definitions() -> dict[str, JsonObject]:
    """Return every definition without descriptions, by full name."""
    definitions: dict[str, JsonObject] = load_data("schemas")
    return definitions


@cache
def _by_kind() -> dict[tuple[str, str, str], str]:
    return {
        (gvk["group"], gvk["version"], gvk["kind"]): name
        for name, schema in raw_definitions().items()
        for gvk in schema.get("x-kubernetes-group-version-kind", ())
    }


@cache
def definition(name: str) -> Node:
    """Return the shared node of a definition."""
    return Node(raw_definitions()[name], resolve=definition)


def definition_name(group: str, version: str, kind: str) -> str:
    """Return the definition's name, "" when no built-in kind has these."""
    return _by_kind().get((group, version, kind), "")


def schema_of(group: str, version: str, kind: str) -> Node:
    """Return the schema of a built-in kind."""
    return definition(_by_kind()[group, version, kind])
