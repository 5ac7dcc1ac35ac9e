"""How the gateway sees the cluster's resources: copies that somebody else keeps current. Never does I/O."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Protocol, cast

from kagent_api.kube.resources import JsonObject
from kagent_api.names import TOOLS_LABEL, agent_id

__all__ = ["AgentDirectory", "agent_by_id", "field", "meta", "published_tools", "ref_of", "rows"]


class AgentDirectory(Protocol):
    """The operator's live copies. Objects are shared: callers must not change them."""

    def get(self, namespace: str, name: str) -> JsonObject | None:
        """Return an Agent."""
        ...

    def list(self) -> list[JsonObject]:
        """Return all Agents."""
        ...

    def resources(self, kind: str) -> list[JsonObject]:
        """Return the objects of another kind (ModelConfig, RemoteMCPServer, MCPServer, Service, ConfigMap, ...).

        A kind that is not watched has none.
        """
        ...


def meta(obj: JsonObject) -> JsonObject:
    """Return an object's metadata."""
    return cast("JsonObject", obj.get("metadata") or {})


def ref_of(obj: JsonObject) -> str:
    """Return ``namespace/name``."""
    return f"{meta(obj).get('namespace', '')}/{meta(obj).get('name', '')}"


def field(obj: JsonObject, *path: str) -> Any:
    """Return what stands at a path, None where any step is missing."""
    value: Any = obj
    for step in path:
        if not isinstance(value, dict):
            return None
        value = cast("JsonObject", value).get(step)
    return value


def rows(obj: JsonObject, *path: str) -> list[JsonObject]:
    """Return the list of objects that stands at a path, empty where there is none."""
    value = field(obj, *path)
    if not isinstance(value, list):
        return []
    return [cast("JsonObject", item) for item in cast("list[object]", value) if isinstance(item, dict)]


def agent_by_id(agents: AgentDirectory, wanted: str) -> JsonObject | None:
    """Find an agent by ``ns/name`` or by its id ``ns__NS__name``."""
    namespace, slash, name = wanted.partition("/")
    if slash:
        return agents.get(namespace, name)
    for agent in agents.list():
        if agent_id(str(meta(agent).get("namespace", "")), str(meta(agent).get("name", ""))) == wanted:
            return agent
    return None


def published_tools(agents: AgentDirectory) -> dict[str, list[JsonObject]]:
    """Return what the operator wrote down about servers' tools, by the ``namespace/name`` of its ConfigMap."""
    return {
        ref_of(config_map): list(_tools(field(config_map, "data", "tools.json")))
        for config_map in agents.resources("ConfigMap")
        if field(config_map, "metadata", "labels", TOOLS_LABEL) == "true"
    }


def _tools(text: Any) -> Iterator[JsonObject]:
    try:
        written: Any = json.loads(text)
    except (TypeError, ValueError):
        return  # half-written by hand: the server is then shown without tools
    yield from rows(cast("JsonObject", written) if isinstance(written, dict) else {"tools": written}, "tools")
