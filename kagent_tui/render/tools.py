"""Which tools a server offers, and which of an agent's tools can be called now.

Tools of RemoteMCPServers stand in their status; those of both kinds also in the ConfigMap that our operator keeps
(`<server>-<kind in lower case>-tools`). Beside an upstream controller it is absent: then an MCPServer's tools
are unknown here, and that is not an error.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from kagent_api.errors import ObjectRef
from kagent_tui.cluster.kinds import AGENT, CONFIGMAP, MCP_SERVER, REMOTE_MCP_SERVER, JsonObject, ref_of
from kagent_tui.cluster.references import items, mapping, references, text
from kagent_tui.render.conditions import condition
from kagent_tui.render.row import World
from kagent_tui.render.text import Tone

__all__ = ["Tool", "ToolCount", "agent_tools", "server_tools", "works"]


class Tool(NamedTuple):
    """One tool as its server describes it; the text is raw."""

    name: str
    description: str


class ToolCount(NamedTuple):
    """How many of an agent's tools can be called now; ``exact`` is false while a server's list is unknown."""

    ready: int
    total: int
    exact: bool

    @property
    def tone(self) -> Tone:
        if self.ready < self.total:
            return Tone.BAD if self.ready == 0 else Tone.WARN
        return Tone.PLAIN if self.total else Tone.DIM


def works(obj: JsonObject) -> bool:
    """Tell whether an object says of itself that it works: Ready where it has that condition, else Accepted."""
    found = condition(obj, "Ready") or condition(obj, "Accepted")
    return found is not None and found.status == "True"


def server_tools(obj: JsonObject, world: World) -> list[Tool] | None:
    """Return the tools of a server, or None while nobody has listed them."""
    ref = ref_of(obj)
    listed = mapping(obj.get("status")).get("discoveredTools")
    if listed is not None:
        return [Tool(text(mapping(one).get("name")), text(mapping(one).get("description"))) for one in items(listed)]
    found = world.find(ObjectRef(CONFIGMAP, ref.namespace, f"{ref.name}-{ref.kind.lower()}-tools"))
    if found is None:
        return None
    try:
        content: object = json.loads(text(mapping(found.get("data")).get("tools.json")) or "[]")
    except ValueError:
        return None
    entries = items(content) or items(mapping(content).get("tools"))
    return [Tool(text(mapping(one).get("name")), text(mapping(one).get("description"))) for one in entries]


def agent_tools(obj: JsonObject, world: World) -> ToolCount:
    """Count an agent's tools: named tools that their server lists (all where none is named), and sub-agents."""
    ready = total = 0
    exact = True
    for reference in references(obj):
        target = world.find(reference.target)
        if reference.target.kind == AGENT:
            total += 1
            ready += 1 if target is not None and works(target) else 0
        elif reference.target.kind in (REMOTE_MCP_SERVER, MCP_SERVER) or reference.path.endswith(".mcpServer"):
            offered = None if target is None else server_tools(target, world)
            up = target is not None and works(target)
            if offered is None:
                exact = exact and target is not None
                total += len(reference.tools) or 1
                ready += (len(reference.tools) or 1) if up else 0
            else:
                names = {tool.name for tool in offered}
                wanted = set(reference.tools) or names
                total += len(wanted)
                ready += len(wanted & names) if up else 0
    return ToolCount(ready, total, exact)
