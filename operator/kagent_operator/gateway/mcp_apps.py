"""MCP Apps: what an app that a tool brought along may ask of its server, through this gateway.

Upstream's web UI shows such apps. A server is asked with the credentials of its own resource, so where callers are
known by tokens of the cluster, calling a tool needs the right to change that resource; seeing them, to read it.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol, cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kagent_api.kube.resources import MCPSERVERS, REMOTEMCPSERVERS, JsonObject, Resource
from kagent_operator.gateway.context import allowed, body_of, gateway_of, json_object
from kagent_operator.gateway.errors import BadRequest, Forbidden, Missing, NotServed, Unusable
from kagent_operator.gateway.replies import ok
from kagent_operator.gateway.rights import Right

__all__ = ["ROUTES", "ToolServerAccess", "ToolSession"]

_TYPE: Final = "text/html;profile=mcp-app"


class ToolSession(Protocol):
    """An open session with a tool server, in MCP's own JSON."""

    async def tools(self) -> list[JsonObject]: ...

    async def call(self, tool: str, arguments: JsonObject) -> JsonObject: ...

    async def read(self, uri: str) -> JsonObject: ...


class ToolServerAccess(Protocol):
    """Opens sessions with the tool servers of the cluster."""

    def open(self, kind: str, namespace: str, name: str) -> AbstractAsyncContextManager[ToolSession]: ...


async def list_tools(request: Request) -> Response:
    async with await _session(request, "get") as session:
        found = [_tool(tool) for tool in await session.tools()]
    return ok(found, "Successfully listed MCP app tools")


async def call_tool(request: Request) -> Response:
    name = str(request.path_params["tool"])
    arguments = _arguments(await body_of(request))
    async with await _session(request, "update") as session:
        found = next((tool for tool in await session.tools() if tool.get("name") == name), None)
        if found is None:
            raise Missing(f"MCP tool {name!r} not found")
        if not _callable_by_apps(found):
            raise Forbidden(f"MCP tool {name!r} is not callable by apps (its visibility does not include app)")
        result = await session.call(name, arguments)
    return ok(result, "Successfully called MCP tool")


async def read_resource(request: Request) -> Response:
    uri = request.query_params.get("uri", "")
    if not uri.startswith("ui://"):
        raise BadRequest("uri must name a resource of an MCP App: ui://...")
    async with await _session(request, "get") as session:
        result = await session.read(uri)
    contents = cast("list[JsonObject]", result.get("contents") or [])
    wrong = [content.get("mimeType") for content in contents if content.get("mimeType") != _TYPE]
    if wrong or not contents:
        said = f"has the type {wrong[0]!r}" if wrong else "is empty"
        raise Unusable(f"resource {uri} {said}; an MCP App is {_TYPE}")
    return ok(result, "Successfully read MCP app resource")


async def _session(request: Request, verb: str) -> AbstractAsyncContextManager[ToolSession]:
    gateway = gateway_of(request)
    namespace, name = str(request.path_params["namespace"]), str(request.path_params["name"])
    resource = _resource(request, namespace, name)
    await allowed(request, Right.to(verb, resource or REMOTEMCPSERVERS, namespace, name))
    if resource is None:
        raise Missing(f"no RemoteMCPServer or MCPServer {namespace}/{name} found")
    if gateway.tool_servers is None:
        raise NotServed("this server does not reach tool servers", remedy="ask the operator's own")
    return gateway.tool_servers.open(resource.kind, namespace, name)


def _resource(request: Request, namespace: str, name: str) -> Resource | None:
    for resource in (REMOTEMCPSERVERS, MCPSERVERS):
        for server in gateway_of(request).agents.resources(resource.kind):
            metadata = server["metadata"]
            if (metadata.get("namespace"), metadata.get("name")) == (namespace, name):
                return resource
    return None


def _arguments(body: bytes) -> JsonObject:
    given: Any = json_object(body).get("arguments") if body.strip() else None
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise BadRequest("arguments must be a JSON object")
    return cast("JsonObject", given)


def _tool(tool: JsonObject) -> JsonObject:
    shown = {key: tool[key] for key in ("name", "description", "inputSchema", "_meta") if tool.get(key)}
    meta = _meta(tool)
    uri = _ui(meta).get("resourceUri") or meta.get("ui/resourceUri")
    return {**shown, **({"uiResourceUri": uri} if isinstance(uri, str) else {})}


def _callable_by_apps(tool: JsonObject) -> bool:
    """Tell whether an app may call a tool; without a word about it both app and model may (MCP Apps, visibility)."""
    said: Any = _ui(_meta(tool)).get("visibility")
    visibility: list[Any] = [said] if isinstance(said, str) else said if isinstance(said, list) else []  # pyright: ignore[reportUnknownVariableType]: JSON
    return not visibility or "app" in visibility


def _meta(tool: JsonObject) -> JsonObject:
    meta = tool.get("_meta")
    return cast("JsonObject", meta) if isinstance(meta, dict) else {}


def _ui(meta: JsonObject) -> JsonObject:
    ui = meta.get("ui")
    return cast("JsonObject", ui) if isinstance(ui, dict) else {}


_SERVER = "/api/mcp-apps/{namespace}/{name}"

ROUTES = (
    Route(_SERVER + "/tools", list_tools, methods=["GET"]),
    Route(_SERVER + "/tools/{tool}/call", call_tool, methods=["POST"]),
    Route(_SERVER + "/resources", read_resource, methods=["GET"]),
)
