"""Which of an agent's tools may run without a person: those whose servers say that they only read.

A hint is a server's own word, so it counts only for ``--approve safe``, where the person chose to believe it. A tool
that nobody described, an agent as a tool, and a name that two servers describe differently are not safe.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from kagent_api.errors import ObjectRef
from kagent_tui.chat.jsonvalue import JsonObject, object_of, objects_in, text_of
from kagent_tui.chat.rules import Verdict
from kagent_tui.cluster.kinds import MCP_SERVER, REMOTE_MCP_SERVER
from kagent_tui.cluster.references import references

if TYPE_CHECKING:
    from kagent_api.kube import KubeClient

__all__ = ["inventory_of", "read_safe_tools", "safe_names", "servers_of", "verdicts_in"]


async def read_safe_tools(client: KubeClient, agent: JsonObject) -> frozenset[str]:
    """Return the names of the safe tools of an agent, from the inventories of its servers."""
    from kagent_api.kube import Forbidden, NotFound
    from kagent_api.kube.resources import CONFIGMAPS

    inventories: list[JsonObject] = []
    for server in servers_of(agent):
        where = inventory_of(server)
        try:
            inventories.append(await client.get(CONFIGMAPS, where.name, where.namespace))
        except (NotFound, Forbidden):
            continue
    return safe_names(inventories)


def inventory_of(server: ObjectRef) -> ObjectRef:
    """Return the ConfigMap in which our operator describes a server's tools."""
    return ObjectRef("ConfigMap", server.namespace, f"{server.name}-{server.kind.lower()}-tools")


def servers_of(agent: JsonObject) -> list[ObjectRef]:
    """Return the MCP servers an agent uses."""
    targets = [each.target for each in references(agent) if each.target.kind in (MCP_SERVER, REMOTE_MCP_SERVER)]
    return list(dict.fromkeys(targets))


def safe_names(inventories: list[JsonObject]) -> frozenset[str]:
    """Return the tools that every inventory naming them calls read-only and none calls destructive."""
    return frozenset(name for name, verdict in verdicts_in(inventories).items() if verdict == "reads" and name)


def verdicts_in(inventories: list[JsonObject]) -> dict[str, Verdict]:
    """Return what servers say of their tools, by name; of two that differ the more careful word counts."""
    verdicts: dict[str, Verdict] = {}
    for inventory in inventories:
        raw = text_of(object_of(inventory.get("data")).get("tools.json"))
        try:
            content = object_of(json.loads(raw or "{}"))
        except ValueError:
            continue
        for tool in objects_in(content.get("tools")):
            name, verdict = text_of(tool.get("name")), _verdict(object_of(tool.get("annotations")))
            known = verdicts.get(name, verdict)
            verdicts[name] = known if _CAREFUL.index(known) > _CAREFUL.index(verdict) else verdict
    return verdicts


_CAREFUL: Final[tuple[Verdict, ...]] = ("reads", "unknown", "writes", "destructive")


def _verdict(hints: JsonObject) -> Verdict:
    if hints.get("destructiveHint") is True:
        return "destructive"
    if hints.get("readOnlyHint") is True:
        return "reads"
    return "writes" if "readOnlyHint" in hints or "destructiveHint" in hints else "unknown"
