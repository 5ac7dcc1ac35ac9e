"""Which of an agent's tools may run without a person: those whose servers say that they only read.

A hint is a server's own word, so it counts only for ``--approve safe``, where the person chose to believe it. A tool
that nobody described, an agent as a tool, and a name that two servers describe differently are not safe.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from kagent_api.errors import ObjectRef
from kagent_tui.chat.jsonvalue import JsonObject, object_of, objects_in, text_of
from kagent_tui.cluster.kinds import MCP_SERVER, REMOTE_MCP_SERVER
from kagent_tui.cluster.references import references

if TYPE_CHECKING:
    from kagent_api.kube import KubeClient

__all__ = ["read_safe_tools", "safe_names"]


async def read_safe_tools(client: KubeClient, agent: JsonObject) -> frozenset[str]:
    """Return the names of the safe tools of an agent, from the inventories of its servers."""
    from kagent_api.kube import Forbidden, NotFound
    from kagent_api.kube.resources import CONFIGMAPS

    inventories: list[JsonObject] = []
    for server in servers_of(agent):
        name = f"{server.name}-{server.kind.lower()}-tools"
        try:
            inventories.append(await client.get(CONFIGMAPS, name, server.namespace))
        except (NotFound, Forbidden):
            continue
    return safe_names(inventories)


def servers_of(agent: JsonObject) -> list[ObjectRef]:
    """Return the MCP servers an agent uses."""
    targets = [each.target for each in references(agent) if each.target.kind in (MCP_SERVER, REMOTE_MCP_SERVER)]
    return list(dict.fromkeys(targets))


def safe_names(inventories: list[JsonObject]) -> frozenset[str]:
    """Return the tools that every inventory naming them calls read-only and none calls destructive."""
    verdicts: dict[str, bool] = {}
    for inventory in inventories:
        raw = text_of(object_of(inventory.get("data")).get("tools.json"))
        try:
            content = object_of(json.loads(raw or "{}"))
        except ValueError:
            continue
        for tool in objects_in(content.get("tools")):
            hints = object_of(tool.get("annotations"))
            safe = hints.get("readOnlyHint") is True and hints.get("destructiveHint") is not True
            name = text_of(tool.get("name"))
            verdicts[name] = safe and verdicts.get(name, True)
    return frozenset(name for name, safe in verdicts.items() if safe and name)
