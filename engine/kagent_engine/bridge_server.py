"""The HTTP side of a bridge: an MCP server whose handlers hand every request to the child's session."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import mcp_types as types
from mcp import MCPError
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.sse import SseServerTransport
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.exceptions import MCPDeprecationWarning
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from kagent_engine.bridge_child import Child, ChildFailed

__all__ = ["create_app"]

_Context = ServerRequestContext[Any, Any]
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
# A tool's arguments may hold a whole document; the SDK's 4 MiB would cut where stdio has no limit.
_LARGEST_BODY = 64 * 1024 * 1024


def create_app(child: Child, *, host: str) -> Starlette:
    """Return the app for a child that is running: only what it offers is offered."""
    server = _server(child)
    # A page in somebody's browser must not reach a server on this machine by a name of its own.
    guard = TransportSecuritySettings(
        enable_dns_rebinding_protection=host in _LOOPBACK,
        allowed_hosts=["127.0.0.1:*", "localhost:*", "[::1]:*"],
        allowed_origins=["http://127.0.0.1:*", "http://localhost:*", "http://[::1]:*"],
    )
    messages = SseServerTransport("/messages/", security_settings=guard, max_request_body_size=_LARGEST_BODY)

    async def health(request: Request) -> Response:
        if child.ready.is_set():
            return PlainTextResponse("OK")
        return PlainTextResponse("the MCP server is not running", status_code=503)

    app = server.streamable_http_app(
        transport_security=guard, host=host, max_request_body_size=_LARGEST_BODY,
        custom_starlette_routes=[Route("/health", health), Route("/sse", _Sse(server, messages))],
    )  # fmt: skip
    app.routes.append(Mount("/messages/", app=messages.handle_post_message))
    return app


class _Sse:
    """The older transport: one GET that stays open, messages posted beside it."""

    def __init__(self, server: Server[Any], messages: SseServerTransport) -> None:
        self._server = server
        self._messages = messages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._messages.connect_sse(scope, receive, send) as (read, write):
            await self._server.run(read, write, self._server.create_initialization_options())


def _server(child: Child) -> Server[Any]:
    offered = child.capabilities or types.ServerCapabilities()
    info = child.server_info
    handlers = _Handlers(child)

    def input_schema(name: str) -> Mapping[str, Any] | None:
        tool = child.tools.get(name)
        return tool.input_schema if tool else None

    # The older protocol's log levels are what the SDK calls deprecated; servers of that time still have them.
    warnings.simplefilter("ignore", MCPDeprecationWarning)
    return Server(  # pyright: ignore[reportDeprecated]
        info.name if info else child.command.name,
        version=info.version if info else "",
        title=info.title if info else None,
        instructions=child.instructions,
        get_tool_input_schema=input_schema,
        on_list_tools=handlers.list_tools if offered.tools is not None else None,
        on_call_tool=handlers.call_tool if offered.tools is not None else None,
        on_list_resources=handlers.list_resources if offered.resources is not None else None,
        on_list_resource_templates=handlers.list_resource_templates if offered.resources is not None else None,
        on_read_resource=handlers.read_resource if offered.resources is not None else None,
        on_list_prompts=handlers.list_prompts if offered.prompts is not None else None,
        on_get_prompt=handlers.get_prompt if offered.prompts is not None else None,
        on_completion=handlers.complete if offered.completions is not None else None,
        on_set_logging_level=handlers.set_logging_level if offered.logging is not None else None,
    )


class _Handlers:
    """One method per request; errors of the child pass through as they are."""

    def __init__(self, child: Child) -> None:
        self._child = child

    async def list_tools(self, ctx: _Context, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        session = await self._child.session()
        listed = await session.list_tools(params=_page(params))
        self._child.tools |= {tool.name: tool for tool in listed.tools}
        return listed

    async def call_tool(
        self, ctx: _Context, params: types.CallToolRequestParams
    ) -> types.CallToolResult | types.InputRequiredResult:
        try:
            session = await self._child.session()
            with self._child.callers.during(ctx):
                return await session.call_tool(
                    params.name, params.arguments, input_responses=params.input_responses,
                    request_state=params.request_state, allow_input_required=True,
                    progress_callback=ctx.session.report_progress if _wants_progress(ctx) else None,
                )  # fmt: skip
        except ChildFailed as error:
            return _failed(str(error))
        except MCPError as error:
            if error.code != types.CONNECTION_CLOSED:
                raise
            return _failed(f"the MCP server {self._child.command.name!r} ended during the call; it is started again")

    async def list_resources(
        self, ctx: _Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        return await (await self._child.session()).list_resources(params=_page(params))

    async def list_resource_templates(
        self, ctx: _Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        return await (await self._child.session()).list_resource_templates(params=_page(params))

    async def read_resource(
        self, ctx: _Context, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult | types.InputRequiredResult:
        session = await self._child.session()
        return await session.read_resource(
            params.uri, input_responses=params.input_responses, request_state=params.request_state,
            allow_input_required=True,
        )  # fmt: skip

    async def list_prompts(self, ctx: _Context, params: types.PaginatedRequestParams | None) -> types.ListPromptsResult:
        return await (await self._child.session()).list_prompts(params=_page(params))

    async def get_prompt(
        self, ctx: _Context, params: types.GetPromptRequestParams
    ) -> types.GetPromptResult | types.InputRequiredResult:
        session = await self._child.session()
        return await session.get_prompt(
            params.name, params.arguments, input_responses=params.input_responses, request_state=params.request_state,
            allow_input_required=True,
        )  # fmt: skip

    async def set_logging_level(self, ctx: _Context, params: types.SetLevelRequestParams) -> types.EmptyResult:
        """The server has one level for all its callers: the last one asked for."""
        session = await self._child.session()
        return await session.set_logging_level(params.level)  # pyright: ignore[reportDeprecated] - as above

    async def complete(self, ctx: _Context, params: types.CompleteRequestParams) -> types.CompleteResult:
        session = await self._child.session()
        given = {"name": params.argument.name, "value": params.argument.value}
        context = params.context.arguments if params.context else None
        return await session.complete(params.ref, given, context)


def _page(params: types.PaginatedRequestParams | None) -> types.PaginatedRequestParams | None:
    """Keep the cursor and leave the caller's metadata behind, which belongs to the caller's own connection."""
    return types.PaginatedRequestParams(cursor=params.cursor) if params and params.cursor else None


def _wants_progress(ctx: _Context) -> bool:
    return ctx.meta is not None and ctx.meta.get("progress_token") is not None


def _failed(message: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(type="text", text=message)], is_error=True)
