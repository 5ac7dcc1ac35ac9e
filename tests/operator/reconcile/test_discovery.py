"""Discovery against real MCP servers on loopback: pages, headers, and words for what goes wrong."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
import uvicorn
from mcp.server import Server
from mcp.server.context import ServerRequestContext
from mcp_types import ListToolsResult, PaginatedRequestParams, Tool, ToolAnnotations
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from kagent_operator.errors import DiscoveryFailed
from kagent_operator.reconcile.discovery import Target, discover


class _QuietServer(uvicorn.Server):
    def install_signal_handlers(self) -> None:
        """Leave the test runner's handlers alone."""


@asynccontextmanager
async def _serving(app: ASGIApp) -> AsyncGenerator[str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        server = _QuietServer(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        async with asyncio.timeout(10):
            while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
                await asyncio.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            await task


def _paged_app(seen: list[str]) -> Starlette:
    async def list_tools(
        context: ServerRequestContext[Any, Any], params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        page = int((params.cursor if params else None) or 0)
        schema = {"type": "object", "properties": {"city": {"type": "string"}}}
        tool = Tool(
            name=f"tool-{page}",
            description=f"number {page}",
            input_schema=schema,
            annotations=ToolAnnotations(read_only_hint=True),
        )
        return ListToolsResult(tools=[tool], next_cursor=str(page + 1) if page < 4 else None)

    server: Server[Any] = Server("paged", on_list_tools=list_tools)
    inner = server.streamable_http_app()

    async def remember(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = dict(cast("list[tuple[bytes, bytes]]", scope["headers"]))
            seen.append(headers.get(b"authorization", b"").decode())
        await inner(scope, receive, send)

    return cast(Starlette, remember)


async def test_every_page_is_read_with_headers_schemas_and_annotations() -> None:
    seen: list[str] = []
    async with _serving(_paged_app(seen)) as base:
        tools = await discover(Target(url=f"{base}/mcp", headers={"Authorization": "Bearer x"}, timeout=10))
    assert [tool.name for tool in tools] == [f"tool-{page}" for page in range(5)]
    assert tools[0].description == "number 0"
    assert tools[0].definition["inputSchema"]["properties"] == {"city": {"type": "string"}}
    assert tools[0].definition["annotations"] == {"readOnlyHint": True}
    assert tools[0].hash != tools[1].hash
    assert set(seen) == {"Bearer x"}


async def test_a_refused_connection_is_told_with_its_address() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/mcp"
    with pytest.raises(DiscoveryFailed) as caught:
        await discover(Target(url=url, timeout=5))
    assert url in str(caught.value)
    assert "onnect" in str(caught.value)


async def test_a_server_that_never_answers_is_given_up_after_its_timeout() -> None:
    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await asyncio.Event().wait()

    async with _serving(silent) as base:
        with pytest.raises(DiscoveryFailed, match=r"no answer within 0\.3 s \(spec\.timeout\)"):
            await discover(Target(url=f"{base}/mcp", timeout=0.3))


@pytest.mark.parametrize("status", [401, 404, 500])
async def test_a_server_that_is_no_mcp_server_is_told(status: int) -> None:
    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": status, "headers": []})
            await send({"type": "http.response.body", "body": b"nope"})

    async with _serving(refuse) as base:
        with pytest.raises(DiscoveryFailed) as caught:
            await discover(Target(url=f"{base}/mcp", headers={"Authorization": "Bearer secret"}, timeout=5))
    assert f"{base}/mcp" in str(caught.value)
    assert "secret" not in str(caught.value)
