"""Tools of real MCP servers over real sockets: found, called, lost and found again."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from starlette.requests import Request

from kagent_api.engine_config import McpTools
from kagent_engine.errors import ToolFailed
from kagent_engine.models.base import ToolCall
from kagent_engine.settings import PathMap
from kagent_engine.tools.base import CallContext, ToolResult
from kagent_engine.tools.mcp import McpServer

CONTEXT = CallContext("alice", "s")


def calculator(seen: list[dict[str, str]] | None = None) -> MCPServer:
    server = MCPServer("calculator")

    @server.tool(annotations=ToolAnnotations(read_only_hint=True))
    async def look() -> str:  # pyright: ignore[reportUnusedFunction]
        """Only look."""
        return "seen"

    @server.tool()
    async def add(a: int, b: int, context: Context) -> int:  # pyright: ignore[reportUnusedFunction]
        """Add two numbers."""
        request = context.request_context.request
        if seen is not None and isinstance(request, Request):
            seen.append(dict(request.headers))
        return a + b

    @server.tool()
    async def slow() -> str:  # pyright: ignore[reportUnusedFunction]
        """Never end."""
        await asyncio.Event().wait()
        return ""

    @server.tool()
    def fail() -> str:  # pyright: ignore[reportUnusedFunction]
        """Fail."""
        raise ToolError("broken inside")

    @server.tool()
    async def steps(context: Context) -> str:  # pyright: ignore[reportUnusedFunction]
        """Report progress."""
        await context.report_progress(1, 2, "half")
        return "done"

    return server


@asynccontextmanager
async def opened(
    config: dict[str, Any], *, sse: bool = False, paths: PathMap | None = None
) -> AsyncGenerator[McpServer]:
    server = McpServer(McpTools.model_validate(config), sse=sse, paths=paths or PathMap())
    try:
        yield server
    finally:
        await server.aclose()


async def call(server: McpServer, name: str, arguments: dict[str, Any], context: CallContext = CONTEXT) -> ToolResult:
    tools, warnings = await server.tools(context)
    assert not warnings
    tool = next(tool for tool in tools if tool.spec.name == name)
    result = await tool.call(ToolCall("c", name, arguments), context)
    assert isinstance(result, ToolResult)
    return result


@pytest.fixture
def http_app() -> Callable[..., Any]:
    def make(server: MCPServer) -> Any:
        return server.streamable_http_app()

    return make


def port_of(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


async def test_tools_are_listed_and_called_over_streamable_http(serve: Any, http_app: Any) -> None:
    async with serve(http_app(calculator())) as url, opened({"params": {"url": f"{url}/mcp"}}) as server:
        tools, warnings = await server.tools(CONTEXT)
        assert (not warnings, {tool.spec.name for tool in tools}) == (True, {"look", "add", "slow", "fail", "steps"})
        add = next(tool for tool in tools if tool.spec.name == "add")
        assert add.spec.description == "Add two numbers."
        assert add.spec.parameters["required"] == ["a", "b"]

        result = await call(server, "add", {"a": 2, "b": 3})

    assert (result.content, result.is_error) == ("5", False)
    assert result.response["content"] == [{"type": "text", "text": "5"}]


async def test_the_same_over_sse(serve: Any) -> None:
    async with serve(calculator().sse_app()) as url, opened({"params": {"url": f"{url}/sse"}}, sse=True) as server:
        assert (await call(server, "add", {"a": 2, "b": 3})).content == "5"


async def test_the_allow_list_holds_and_names_what_the_server_does_not_have(serve: Any, http_app: Any) -> None:
    async with (
        serve(http_app(calculator())) as url,
        opened({"params": {"url": f"{url}/mcp"}, "tools": ["add", "gone"]}) as server,
    ):
        tools, warnings = await server.tools(CONTEXT)

    assert [tool.spec.name for tool in tools] == ["add"]
    assert [(item.code, "gone" in item.message) for item in warnings] == [("mcp_tools_missing", True)]


async def test_a_failing_tool_is_an_error_result_for_the_model(serve: Any, http_app: Any) -> None:
    async with serve(http_app(calculator())) as url, opened({"params": {"url": f"{url}/mcp"}}) as server:
        result = await call(server, "fail", {})

    assert result.is_error
    assert "broken inside" in result.content


async def test_a_call_that_takes_too_long_says_so(serve: Any, http_app: Any) -> None:
    async with (
        serve(http_app(calculator())) as url,
        opened({"params": {"url": f"{url}/mcp", "timeout": 0.3}}) as server,
    ):
        with pytest.raises(ToolFailed, match=r"0\.3 s"):
            await call(server, "slow", {})
        assert (await call(server, "add", {"a": 1, "b": 1})).content == "2"


async def test_progress_reaches_the_turn(serve: Any, http_app: Any) -> None:
    told: list[tuple[float, float | None, str]] = []

    async def progress(done: float, total: float | None, message: str) -> None:
        told.append((done, total, message))

    context = CallContext("alice", "s", progress=progress)
    async with serve(http_app(calculator())) as url, opened({"params": {"url": f"{url}/mcp"}}) as server:
        assert (await call(server, "steps", {}, context)).content == "done"

    assert told == [(1, 2, "half")]


async def test_a_server_that_is_down_is_a_warning_and_comes_back_by_itself(serve: Any, http_app: Any) -> None:
    async with serve(http_app(calculator())) as url:
        port = port_of(url)
    async with opened({"params": {"url": f"{url}/mcp"}}) as server:
        tools, (warning,) = await server.tools(CONTEXT)
        assert (tools, warning.code, warning.source) == ((), "mcp_unavailable", f"127.0.0.1:{port}")
        assert server.settled

        async with serve(http_app(calculator()), port=port):
            assert (await call(server, "add", {"a": 2, "b": 3})).content == "5"


async def test_a_server_that_starts_beside_us_is_waited_for(
    serve: Any, http_app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kagent_engine.tools.connection._YOUNG_SECONDS", 60.0)
    async with serve(http_app(calculator())) as url:
        port = port_of(url)
    async with opened({"params": {"url": f"{url}/mcp"}}) as server, asyncio.timeout(30):
        asking = asyncio.create_task(server.tools(CONTEXT))
        while not server.settled:  # noqa: ASYNC110 - only the moment matters
            await asyncio.sleep(0.01)
        async with serve(http_app(calculator()), port=port):
            tools, warnings = await asking

    assert not warnings
    assert len(tools) == 5


async def test_a_server_that_restarts_between_calls_is_reached_again(serve: Any, http_app: Any) -> None:
    async with serve(http_app(calculator())) as url:
        port = port_of(url)
        server = McpServer(McpTools.model_validate({"params": {"url": f"{url}/mcp"}}), sse=False, paths=PathMap())
        assert (await call(server, "add", {"a": 1, "b": 1})).content == "2"
        tools, _ = await server.tools(CONTEXT)
    try:
        async with serve(http_app(calculator()), port=port):
            add = next(tool for tool in tools if tool.spec.name == "add")
            result = await add.call(ToolCall("c", "add", {"a": 2, "b": 2}), CONTEXT)
            assert isinstance(result, ToolResult)
            assert result.content == "4"
    finally:
        await server.aclose()


@asynccontextmanager
async def sse_process(port: int) -> AsyncGenerator[None]:
    """Serve the same tools over SSE from a process of its own, which dies as processes do."""
    program = (
        "import sys; from mcp.server.mcpserver import MCPServer; from mcp_types import ToolAnnotations\n"
        "server = MCPServer('c')\n"
        "server.tool(name='look', annotations=ToolAnnotations(read_only_hint=True))(lambda: 'seen')\n"
        "server.tool(name='touch')(lambda: 'touched')\n"
        f"server.run('sse', host='127.0.0.1', port={port})\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stderr=asyncio.subprocess.DEVNULL)
    try:
        async with asyncio.timeout(60):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                except ConnectionRefusedError:
                    await asyncio.sleep(0.02)
        yield
    finally:
        process.kill()
        await process.wait()


async def test_a_call_that_may_have_run_is_repeated_only_if_it_changes_nothing() -> None:
    """A lost SSE stream does not say whether the call arrived."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    config = McpTools.model_validate({"params": {"url": f"http://127.0.0.1:{port}/sse"}})
    server = McpServer(config, sse=True, paths=PathMap())
    try:
        async with sse_process(port):
            tools = {tool.spec.name: tool for tool in (await server.tools(CONTEXT))[0]}
        async with sse_process(port):
            looked = await tools["look"].call(ToolCall("c", "look", {}), CONTEXT)
        async with sse_process(port):
            with pytest.raises(ToolFailed, match="may or may not have taken effect"):
                await tools["touch"].call(ToolCall("c", "touch", {}), CONTEXT)
    finally:
        await server.aclose()

    assert isinstance(looked, ToolResult)
    assert looked.content == "seen"


async def test_a_server_that_stays_away_fails_the_call_and_not_the_engine(serve: Any, http_app: Any) -> None:
    async with serve(http_app(calculator())) as url:
        server = McpServer(McpTools.model_validate({"params": {"url": f"{url}/mcp"}}), sse=False, paths=PathMap())
        tools, _ = await server.tools(CONTEXT)
    try:
        with pytest.raises(ToolFailed, match="cannot be reached"):
            await tools[0].call(ToolCall("c", "add", {"a": 2, "b": 2}), CONTEXT)
    finally:
        await server.aclose()


async def test_headers_are_static_from_files_and_from_the_request(serve: Any, http_app: Any, tmp_path: Path) -> None:
    seen: list[dict[str, str]] = []
    (tmp_path / "token").write_text("from-file\n")
    config: dict[str, Any] = {
        "params": {"headers": {"x-plain": "plain", "x-secret": "${file:/etc/kagent/headers/token}"}},
        "allowed_headers": ["X-Tenant"],
    }
    context = CallContext("alice", "s", headers={"x-tenant": "blue", "x-other": "hidden"})
    async with serve(http_app(calculator(seen))) as url:
        config["params"]["url"] = f"{url}/mcp"
        async with opened(config, paths=PathMap((("/etc/kagent/headers", str(tmp_path)),))) as server:
            await call(server, "add", {"a": 1, "b": 1}, context)
            await call(server, "add", {"a": 1, "b": 1})

    personal, common = seen
    assert (personal["x-plain"], personal["x-secret"], personal["x-tenant"]) == ("plain", "from-file", "blue")
    assert "x-other" not in personal
    assert "x-tenant" not in common


async def test_a_header_file_that_is_missing_is_named_in_the_warning(tmp_path: Path) -> None:
    config = {"params": {"url": "http://127.0.0.1:9/mcp", "headers": {"x-secret": "${file:/nowhere/token}"}}}
    async with opened(config) as server:
        _, (warning,) = await server.tools(CONTEXT)

    assert "x-secret" in warning.message
    assert "/nowhere/token" in warning.message


@pytest.mark.parametrize("era", ["2026-07-28", "2025-11-25"])
async def test_a_server_whose_tools_change_is_asked_again_in_both_eras(serve: Any, http_app: Any, era: str) -> None:
    grower = MCPServer("grower")

    @grower.tool()
    async def grow(context: Context) -> str:  # pyright: ignore[reportUnusedFunction]
        @grower.tool()
        def grown() -> str:  # pyright: ignore[reportUnusedFunction]
            return "new"

        if era == "2026-07-28":
            await context.notify_tools_changed()
        else:
            await context.session.send_tool_list_changed()
        return context.request_context.protocol_version

    app = http_app(grower) if era == "2026-07-28" else only_old_era(http_app(grower))
    async with serve(app) as url, opened({"params": {"url": f"{url}/mcp"}}) as server:
        assert (await call(server, "grow", {})).content == era
        async with asyncio.timeout(20):
            while "grown" not in {tool.spec.name for tool in (await server.tools(CONTEXT))[0]}:  # noqa: ASYNC110
                await asyncio.sleep(0)


def only_old_era(app: Any) -> Any:
    """Answer the newer era's probe as a server of the older one does: with 400."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        headers = dict(scope.get("headers", ()))
        if headers.get(b"mcp-protocol-version") == b"2026-07-28":
            await send({"type": "http.response.start", "status": 400, "headers": []})
            await send({"type": "http.response.body", "body": b"Bad Request: Unsupported protocol version"})
            return
        await app(scope, receive, send)

    return wrapped


def answering(status: int, body: bytes, *, endless: bool = False) -> Any:
    """Answer every request with this, and then with the same again for ever where it is ``endless``."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        await send(
            {"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]}
        )
        gone = asyncio.create_task(closed(receive))
        while endless and not gone.done():
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": body})
        gone.cancel()

    async def closed(receive: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    return app


@pytest.mark.parametrize(
    ("app", "says"),
    [
        (answering(401, b"no"), "HTTP 401 Unauthorized"),
        (answering(500, b"boom"), "HTTP 500 Internal Server Error"),
        (answering(200, b"<html>"), "Failed to parse JSON response"),
        (answering(200, b'{"jsonrpc": "2.0", "id": 1, "result": "\xff"}'), "Failed to parse JSON response"),
        (answering(200, b"x" * 65536, endless=True), "longer than 1 MiB"),
    ],
)
async def test_an_answer_that_is_none_is_a_warning_of_one_harmless_line(
    serve: Any, monkeypatch: pytest.MonkeyPatch, app: Any, says: str
) -> None:
    monkeypatch.setattr("kagent_engine.tools.mcp_sdk._LONGEST_ANSWER", 1024 * 1024)
    async with serve(app) as url, opened({"params": {"url": f"{url}/mcp"}}) as server:
        tools, (warning,) = await server.tools(CONTEXT)
    assert not tools
    assert says in warning.message
    assert warning.message.isprintable()


def test_the_words_of_a_fault_are_one_line_without_control_characters() -> None:
    from kagent_engine.tools.mcp_sdk import explain

    assert explain(RuntimeError("\x1b[2Jbad\nsecond")) == "\N{REPLACEMENT CHARACTER}[2Jbad"


@pytest.mark.parametrize("as_json", [False, True])
async def test_a_result_of_several_megabytes_arrives_whole(serve: Any, as_json: bool) -> None:
    server = MCPServer("big")

    @server.tool()
    def big() -> str:  # pyright: ignore[reportUnusedFunction]
        return "x" * 5_000_000

    app = server.streamable_http_app(json_response=as_json)
    async with serve(app) as url, opened({"params": {"url": f"{url}/mcp"}}) as source:
        result = await call(source, "big", {})
    assert len(result.response["content"][0]["text"]) == 5_000_000
    assert result.truncated
