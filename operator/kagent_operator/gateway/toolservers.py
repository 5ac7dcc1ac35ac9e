"""Where tools come from, and which: RemoteMCPServers, MCPServers and Services that say they serve MCP."""

from __future__ import annotations

from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kagent_api.kube.resources import MCPSERVERS, REMOTEMCPSERVERS, SERVICES, JsonObject
from kagent_operator.gateway.context import caller, gateway_of, person
from kagent_operator.gateway.directory import AgentDirectory, field, meta, published_tools, ref_of, rows
from kagent_operator.gateway.principal import Principal
from kagent_operator.gateway.replies import ok
from kagent_operator.gateway.rights import Rights, visible

__all__ = ["ROUTES", "ToolServer", "tool_servers"]

_SERVICE_LABEL = "kagent.dev/mcp-service"  # upstream: opts a Service into discovery


class ToolServer(NamedTuple):
    """``group_kind`` is upstream's word for the kind (`MCPServer.kagent.dev`, `Service`)."""

    ref: str
    group_kind: str
    tools: list[JsonObject]
    changed: str


async def tool_servers(agents: AgentDirectory, rights: Rights, principal: Principal) -> list[ToolServer]:
    """Return every tool server that a caller may see, by kind and name."""
    found: list[ToolServer] = []
    published = published_tools(agents)
    for resource in (REMOTEMCPSERVERS, MCPSERVERS, SERVICES):
        kind, group = resource.kind, f".{resource.group}" if resource.group else ""
        servers = [
            server
            for server in agents.resources(kind)
            if kind != "Service" or field(server, "metadata", "labels", _SERVICE_LABEL) == "true"
        ]
        for server in sorted(await visible(rights, principal, resource, servers), key=ref_of):
            written = published.get(f"{ref_of(server)}-{kind.lower()}-tools", [])
            listed = rows(server, "status", "discoveredTools") or written
            tools = [{"name": tool.get("name", ""), "description": tool.get("description") or ""} for tool in listed]
            created = str(meta(server).get("creationTimestamp") or "")
            found.append(ToolServer(ref_of(server), kind + group, tools, created))
    return found


async def list_tool_servers(request: Request) -> Response:
    gateway = gateway_of(request)
    principal = await person(request)
    servers = [
        {"ref": server.ref, "groupKind": server.group_kind, "discoveredTools": server.tools}
        for server in await tool_servers(gateway.agents, gateway.rights, principal)
    ]
    return ok(servers, "Successfully listed ToolServers")


async def list_tools(request: Request) -> Response:
    gateway = gateway_of(request)
    principal = await person(request)
    tools = [
        {
            "id": tool["name"],
            "server_name": server.ref,
            "group_kind": server.group_kind,
            "description": tool["description"],
            "created_at": server.changed,
            "updated_at": server.changed,
        }
        for server in await tool_servers(gateway.agents, gateway.rights, principal)
        for tool in server.tools
    ]
    return ok(tools, "Successfully listed tools")


async def list_types(request: Request) -> Response:
    await caller(request)
    return ok(["RemoteMCPServer", "MCPServer"], "Successfully listed tool server types")


ROUTES = (
    Route("/api/toolservers", list_tool_servers, methods=["GET"]),
    Route("/api/tools", list_tools, methods=["GET"]),
    Route("/api/toolservertypes", list_types, methods=["GET"]),
)
