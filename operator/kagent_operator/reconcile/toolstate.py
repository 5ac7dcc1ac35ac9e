"""Do an agent's tools answer? Read from what their servers' own status says; nobody is asked here."""

from __future__ import annotations

from kagent_operator.reconcile.cache import View
from kagent_operator.reconcile.inventory import inventory_error, inventory_key, known_tools
from kagent_operator.translate.fields import JsonObject, quoted, rows, strings, text
from kagent_operator.translate.tools import tool_servers

__all__ = ["tool_problems"]


def tool_problems(agent: JsonObject, view: View) -> list[str]:
    """Return one line per tool that does not answer, naming its server and the reason."""
    problems: list[str] = []
    own = ("Agent", text(agent, "metadata", "namespace"), text(agent, "metadata", "name"))
    for kind, namespace, name, tool in tool_servers(agent):
        if (kind, namespace, name) == own:
            continue  # refused in Accepted; what is said of it here would follow its own status around
        where = name if namespace == text(agent, "metadata", "namespace") else f"{namespace}/{name}"
        label = f"{kind} '{where}'"
        server = view.get(kind, namespace, name)
        if server is None:
            problems.append(f"{label} not found")
            continue
        if kind == "Service":
            problem = inventory_error(view.get(*inventory_key(kind, namespace, name)))
        else:
            problem = _server_problem(kind, server)
        if problem:
            problems.append(f"{label}: {problem}")
        elif missing := _missing_tools(kind, namespace, name, server, tool, view):
            problems.append(f"{label} has no tool {quoted(missing)}")
    return problems


def _server_problem(kind: str, server: JsonObject) -> str:
    if kind == "SandboxAgent":
        return ""
    conditions = {text(condition, "type"): condition for condition in rows(server, "status", "conditions")}
    wanted = conditions.get("Accepted" if kind == "RemoteMCPServer" else "Ready")
    if wanted is None:
        return "not checked yet"
    # A server whose Pods are ready may still not list its tools.
    for condition in (wanted, conditions.get("ToolsDiscovered")):
        if condition is not None and text(condition, "status") != "True":
            return text(condition, "message") or text(condition, "reason")
    return ""


def _missing_tools(kind: str, namespace: str, name: str, server: JsonObject, tool: JsonObject, view: View) -> list[str]:
    wanted = strings(tool, "mcpServer", "toolNames")
    if not wanted or kind not in {"RemoteMCPServer", "MCPServer", "Service"}:
        return []
    if kind == "RemoteMCPServer":
        known = {text(entry, "name") for entry in rows(server, "status", "discoveredTools")}
        discovered = "discoveredTools" in (server.get("status") or {})
    else:
        tools = known_tools(view.get(*inventory_key(kind, namespace, name)))
        known, discovered = {text(entry, "name") for entry in tools or []}, tools is not None
    return [entry for entry in wanted if entry not in known] if discovered else []
