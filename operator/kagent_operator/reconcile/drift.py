"""Has a tool that an agent uses changed since the agent was last edited?

A tool's description and schema are part of what the author relied on, and a server may change them at any time. An edit
of the agent (a new generation) says that its author has seen the change.
"""

from __future__ import annotations

from typing import Final

from kagent_api.names import OWN_GROUP
from kagent_operator.reconcile.cache import View
from kagent_operator.reconcile.inventory import inventory_key, known_tools
from kagent_operator.translate.fields import JsonObject, section, strings, text
from kagent_operator.translate.tools import tool_servers

__all__ = ["APPLIED_AT", "drifted_tools"]

# On the Deployment: since when its agent's generation is applied.
APPLIED_AT: Final = f"{OWN_GROUP}/applied-at"


def drifted_tools(agent: JsonObject, deployment: JsonObject | None, view: View) -> list[str]:
    """Return one line per used tool that changed after this generation of the agent was first applied."""
    since = text(deployment, "metadata", "annotations", APPLIED_AT)
    if not since:
        return []
    found: list[str] = []
    for kind, namespace, name, tool in tool_servers(agent):
        if kind not in {"RemoteMCPServer", "MCPServer", "Service"}:
            continue
        used = strings(tool, "mcpServer", "toolNames")
        for entry in known_tools(view.get(*inventory_key(kind, namespace, name))) or []:
            change = section(entry, "changed")
            # Both are UTC in one format, so that text compares as time does.
            if change is None or text(change, "at") <= since or (used and text(entry, "name") not in used):
                continue
            what = ", ".join(strings(change, "fields"))
            found.append(f"{kind} '{name}': tool '{text(entry, 'name')}' changed its {what} at {text(change, 'at')}")
    return found
