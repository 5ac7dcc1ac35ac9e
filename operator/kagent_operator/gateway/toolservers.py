"""Where tools come from, and which: RemoteMCPServers, MCPServers and Services that say they serve MCP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kagent_api.kube.resources import JsonObject
from kagent_operator.gateway.context import caller, gateway_of
from kagent_operator.gateway.directory import AgentDirectory, field, meta, published_tools, ref_of, rows
from kagent_operator.gateway.replies import ok

__all__ = ["ROUTES", "ToolServer", "tool_servers"]

_SERVICE_LABEL = "kagent.dev/mcp-service"  # upstream: opts a Service into discovery


class ToolServer(NamedTuple):
    """``group_kind`` is upstream's word for the kind (`MCPServer.kagent.dev`, `Service`)."""

    ref: str
    group_kind: str
    tools: list[JsonObject]
    changed: str


def tool_servers(agents: AgentDirectory) -> Iterator[ToolServer]:
    """Yield every tool server that can be seen, by kind and name."""
    published = published_tools(agents)
    for kind, group in (("RemoteMCPServer", ".kagent.dev"), ("MCPServer", ".kagent.dev"), ("Service", "")):
        for server in sorted(agents.resources(kind), key=ref_of):
            about = meta(server)
            if kind == "Service" and field(about, "labels", _SERVICE_LABEL) != "true":
                continue
            written = published.get(f"{ref_of(server)}-{kind.lower()}-tools", [])
            found = rows(server, "status", "discoveredTools") or written
            tools = [{"name": tool.get("name", ""), "description": tool.get("description") or ""} for tool in found]
            yield ToolServer(ref_of(server), kind + group, tools, str(about.get("creationTimestamp") or ""))


async def list_tool_servers(request: Request) -> Response:
    gateway = gateway_of(request)
    caller(request)
    servers = [
        {"ref": server.ref, "groupKind": server.group_kind, "discoveredTools": server.tools}
        for server in tool_servers(gateway.agents)
    ]
    return ok(servers, "Successfully listed ToolServers")


async def list_tools(request: Request) -> Response:
    gateway = gateway_of(request)
    caller(request)
    tools = [
        {
            "id": tool["name"],
            "server_name": server.ref,
            "group_kind": server.group_kind,
            "description": tool["description"],
            "created_at": server.changed,
            "updated_at": server.changed,
        }
        for server in tool_servers(gateway.agents)
        for tool in server.tools
    ]
    return ok(tools, "Successfully listed tools")


async def list_types(request: Request) -> Response:
    caller(request)
    return ok(["RemoteMCPServer", "MCPServer"], "Successfully listed tool server types")


ROUTES = (
    Route("/api/toolservers", list_tool_servers, methods=["GET"]),
    Route("/api/tools", list_tools, methods=["GET"]),
    Route("/api/toolservertypes", list_types, methods=["GET"]),
)
