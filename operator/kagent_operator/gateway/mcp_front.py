"""`/mcp`: every agent as something an MCP client can list and ask. The only door of the gateway to the MCP SDK.

The SDK is imported at the first request (it costs 10-20 MB that most gateways never need). Each request stands for
itself, so that any replica can answer it.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final, cast

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from kagent_api.kube.resources import AGENTS
from kagent_api.names import VERSION
from kagent_operator.gateway.context import person
from kagent_operator.gateway.directory import field, ref_of
from kagent_operator.gateway.errors import Problem
from kagent_operator.gateway.invoking import Invoked, invoke
from kagent_operator.gateway.rights import visible

if TYPE_CHECKING:
    import mcp_types
    from mcp.server.context import ServerRequestContext
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

    from kagent_operator.gateway.context import Gateway

__all__ = ["McpFront"]

_AGENTS: Final = "kagent://agents"
_REFERENCE: Final = {"type": "string", "description": "namespace/name of the agent"}
_INVOKE_INPUT: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "agent": _REFERENCE,
        "task": {"type": "string", "description": "what the agent is to do"},
        "context_id": {"type": "string", "description": "continues an earlier conversation"},
    },
    "required": ["agent", "task"],
}
_INVOKE_OUTPUT: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"agent": _REFERENCE, "text": {"type": "string"}, "context_id": {"type": "string"}},
    "required": ["agent", "text"],
}
_LIST_OUTPUT: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "agents": {
            "type": "array",
            "items": {"type": "object", "properties": {"ref": _REFERENCE, "description": {"type": "string"}}},
        }
    },
    "required": ["agents"],
}


class McpFront:
    """An ASGI application that starts the MCP server when it is first asked."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._task: asyncio.Task[None] | None = None
        self._up: asyncio.Future[StreamableHTTPSessionManager] | None = None
        self._stop = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        await person(request)  # refused by the application's handlers like any other route
        if self._up is None:
            self._up = asyncio.get_running_loop().create_future()
            self._task = asyncio.create_task(self._serve(self._up))
        manager = await asyncio.shield(self._up)
        await manager.handle_request(scope, receive, send)

    async def aclose(self) -> None:
        """End the server, if it ever began."""
        self._stop.set()
        if self._task is not None:
            await self._task

    async def _serve(self, up: asyncio.Future[StreamableHTTPSessionManager]) -> None:
        """Keep the SDK's task group open in one task: it has to be left in the task that entered it."""
        try:
            manager = self._manager()
            async with manager.run():
                up.set_result(manager)
                await self._stop.wait()
        except Exception as error:
            if up.done():
                raise
            up.set_exception(error)

    def _manager(self) -> StreamableHTTPSessionManager:
        from mcp.server.lowlevel import Server
        from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

        server: Server[Any] = Server(
            "kagent-agents",
            version=VERSION,
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
            on_list_resources=self._list_resources,
            on_read_resource=self._read_resource,
        )
        limit = self._gateway.settings.max_body
        return StreamableHTTPSessionManager(server, stateless=True, max_request_body_size=limit)

    async def _agents(self, context: ServerRequestContext[Any]) -> list[dict[str, str]]:
        principal = await person(cast("Request", context.request))
        agents = sorted(self._gateway.agents.list(), key=ref_of)
        agents = await visible(self._gateway.rights, principal, AGENTS, agents)
        return [{"ref": ref_of(agent), "description": field(agent, "spec", "description") or ""} for agent in agents]

    async def _list_tools(self, _: ServerRequestContext[Any], __: object) -> mcp_types.ListToolsResult:
        import mcp_types as types

        return types.ListToolsResult(
            tools=[
                types.Tool(
                    name="list_agents",
                    description="List the agents that can be asked.",
                    input_schema={"type": "object", "properties": {}},
                    output_schema=_LIST_OUTPUT,
                    annotations=types.ToolAnnotations(read_only_hint=True),
                ),
                types.Tool(
                    name="invoke_agent",
                    description="Ask an agent to do something and wait for its answer.",
                    input_schema=_INVOKE_INPUT,
                    output_schema=_INVOKE_OUTPUT,
                ),
            ]
        )

    async def _call_tool(
        self, context: ServerRequestContext[Any], params: mcp_types.CallToolRequestParams
    ) -> mcp_types.CallToolResult:
        arguments = params.arguments or {}
        if params.name == "list_agents":
            return _result({"agents": await self._agents(context)})
        if params.name != "invoke_agent":
            return _failure(f"there is no tool {params.name}; there are list_agents and invoke_agent")
        ref, task = str(arguments.get("agent") or ""), str(arguments.get("task") or "")
        if not ref or not task:
            return _failure("agent and task are required")
        request = cast("Request", context.request)  # what the SDK's HTTP transport attaches
        try:
            invoked = await invoke(
                self._gateway, await person(request), ref, task, str(arguments.get("context_id") or "")
            )
        except Problem as error:
            return _failure(str(error))
        return _answer(ref, invoked)

    async def _list_resources(self, _: ServerRequestContext[Any], __: object) -> mcp_types.ListResourcesResult:
        import mcp_types as types

        about = types.Resource(uri=_AGENTS, name="agents", mime_type="application/json")
        return types.ListResourcesResult(resources=[about])

    async def _read_resource(
        self, context: ServerRequestContext[Any], params: mcp_types.ReadResourceRequestParams
    ) -> mcp_types.ReadResourceResult:
        import mcp_types as types
        from mcp.shared.exceptions import MCPError

        if str(params.uri) != _AGENTS:
            raise MCPError(types.INVALID_PARAMS, f"there is no resource {params.uri}; there is {_AGENTS}")
        text = json.dumps({"agents": await self._agents(context)}, ensure_ascii=False)
        contents = types.TextResourceContents(uri=_AGENTS, text=text, mime_type="application/json")
        return types.ReadResourceResult(contents=[contents])


def _answer(ref: str, invoked: Invoked) -> mcp_types.CallToolResult:
    if invoked.failed:
        return _failure(invoked.text)
    content = {"agent": ref, "text": invoked.text}
    return _result(content | ({"context_id": invoked.context_id} if invoked.context_id else {}))


def _result(content: dict[str, Any]) -> mcp_types.CallToolResult:
    import mcp_types as types

    text = json.dumps(content, ensure_ascii=False)
    return types.CallToolResult(content=[types.TextContent(text=text)], structured_content=content)


def _failure(text: str) -> mcp_types.CallToolResult:
    import mcp_types as types

    return types.CallToolResult(content=[types.TextContent(text=text)], is_error=True)
