"""The MCP project's own server of everything, over each transport and through our bridge.

Skipped, with the reason, where there is no Node or npm cannot fetch ``@modelcontextprotocol/server-everything``.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import mcp_types as types
import pytest

from kagent_api.engine_config import McpTools, StdioTools
from kagent_engine.models.base import ToolCall
from kagent_engine.settings import PathMap
from kagent_engine.tools.base import CallContext, ToolResult, ToolSource
from kagent_engine.tools.mcp import McpServer
from kagent_engine.tools.mcp_stdio import StdioServer

_PACKAGE = "@modelcontextprotocol/server-everything"
_FETCH_SECONDS = 120.0
_PATIENCE = 60.0


@pytest.fixture(scope="session")
def script(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the server's script, from beside MCP_CONFORMANCE or fetched once for these tests."""
    inside = Path("node_modules") / _PACKAGE / "dist" / "index.js"
    if kit := os.environ.get("MCP_CONFORMANCE"):
        beside = Path(kit).parents[2] / "server-everything" / "dist" / "index.js"
        if beside.exists():
            return str(beside)
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("there is no Node")
    folder = tmp_path_factory.mktemp("everything")
    command = [npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", _PACKAGE]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=_FETCH_SECONDS)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"npm cannot fetch {_PACKAGE}: {error}")
    return str(folder / inside)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@asynccontextmanager
async def listening(command: Sequence[str], port: int) -> AsyncGenerator[None]:
    """Run a server until the context ends; enter once its port is open."""
    process = await asyncio.create_subprocess_exec(
        *command, env=os.environ | {"PORT": str(port)}, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(_PATIENCE):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    assert process.returncode is None
                    await asyncio.sleep(0.05)
                    continue
                writer.close()
                break
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@asynccontextmanager
async def reached(script: str, way: str) -> AsyncGenerator[ToolSource]:
    """Yield the server's tools over one way to it."""
    node = shutil.which("node") or "node"
    paths = PathMap()
    if way == "stdio":
        program = StdioServer(StdioTools(command=node, args=(script, "stdio")), paths=paths)
        try:
            yield program
        finally:
            await program.aclose()
        return
    port = free_port()
    if way == "bridge":
        main = "import sys; from kagent_engine.cli import main; sys.exit(main())"
        command = [sys.executable, "-c", main, "mcp-bridge", "--port", str(port), "--", node, script, "stdio"]
    else:
        command = [node, script, way]
    async with listening(command, port):
        config = McpTools.model_validate(
            {"params": {"url": f"http://127.0.0.1:{port}/{'sse' if way == 'sse' else 'mcp'}"}}
        )
        server = McpServer(config, sse=way == "sse", paths=paths)
        try:
            yield server
        finally:
            await server.aclose()


@asynccontextmanager
async def bridge_to(script: str) -> AsyncGenerator[str]:
    """Serve the server, which speaks stdio, through our bridge; yield its address."""
    port = free_port()
    main = "import sys; from kagent_engine.cli import main; sys.exit(main())"
    node = shutil.which("node") or "node"
    command = [sys.executable, "-c", main, "mcp-bridge", "--port", str(port), "--", node, script, "stdio"]
    async with listening(command, port):
        yield f"http://127.0.0.1:{port}/mcp"


@pytest.mark.parametrize("way", ["stdio", "sse", "streamableHttp", "bridge"])
async def test_every_kind_of_answer_arrives(script: str, way: str) -> None:
    steps: list[tuple[float, float | None]] = []

    async def progress(done: float, total: float | None, message: str) -> None:
        steps.append((done, total))

    context = CallContext("ada", "s", progress=progress)

    async with reached(script, way) as source:
        offered, warnings = await source.tools(context)
        assert not warnings
        tools = {tool.spec.name: tool for tool in offered}

        async def call(name: str, **arguments: Any) -> ToolResult:
            result = await tools[name].call(ToolCall("c", name, arguments), context)
            assert isinstance(result, ToolResult)
            return result

        assert (await call("echo", message="hi")).content == "Echo: hi"
        assert (await call("get-sum", a=2, b=3)).content == "The sum of 2 and 3 is 5."
        structured = await call("get-structured-content", location="New York")
        assert "temperature" in structured.response["structuredContent"]
        image = await call("get-tiny-image")
        assert "[image: image/png, " in image.content
        assert [block["type"] for block in image.response["content"]] == ["text", "image", "text"]
        assert "[resource_link: text/plain, demo://resource/" in (await call("get-resource-links")).content
        embedded = await call("get-resource-reference", resourceType="Text", resourceId=1)
        assert "This is a plaintext resource" in embedded.content
        assert (await call("get-sum", a="two", b=3)).is_error
        await call("trigger-long-running-operation", duration=0.1, steps=2)
    assert steps == [(1.0, 2.0), (2.0, 2.0)]


async def test_sampling_and_elicitation_reach_the_caller_through_the_bridge(script: str) -> None:
    from mcp import Client

    async def sample(context: object, params: types.CreateMessageRequestParams) -> types.CreateMessageResult:
        del context, params
        answer = types.TextContent(type="text", text="forty-two")
        return types.CreateMessageResult(role="assistant", content=answer, model="m")

    async def elicit(context: object, params: types.ElicitRequestParams) -> types.ElicitResult:
        del context, params
        return types.ElicitResult(action="accept", content={"name": "Ada", "check": True})

    async with (
        bridge_to(script) as url,
        Client(url, mode="legacy", sampling_callback=sample, elicitation_callback=elicit) as client,
    ):
        tools = {tool.name for tool in (await client.list_tools()).tools}
        assert {"trigger-sampling-request", "trigger-elicitation-request"} <= tools
        said = await client.call_tool("trigger-sampling-request", {"prompt": "How much?", "maxTokens": 5})
        assert "forty-two" in said.content[0].model_dump_json()
        said = await client.call_tool("trigger-elicitation-request", {})
        assert "Ada" in "".join(block.model_dump_json() for block in said.content)
