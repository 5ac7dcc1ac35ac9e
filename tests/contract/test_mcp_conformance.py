"""The public MCP conformance kit on our client and on our bridge.

Skipped where MCP_CONFORMANCE does not name the ``dist/index.js`` of an installed ``@modelcontextprotocol/conformance``
(it needs Node 22), with ``@modelcontextprotocol/server-everything`` beside it. Left out are the scenarios of what our
client does not offer (elicitation, OAuth) and those that ask for tools that server-everything does not have.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import socket
import sys
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import httpx
import pytest

CLIENT = """
import asyncio, sys
from kagent_api.engine_config import McpTools
from kagent_engine.models.base import ToolCall
from kagent_engine.settings import PathMap
from kagent_engine.tools.base import CallContext
from kagent_engine.tools.mcp import McpServer

async def main():
    config = McpTools.model_validate({"params": {"url": sys.argv[-1], "timeout": 20}})
    server = McpServer(config, sse=False, paths=PathMap())
    tools, _ = await server.tools(CallContext("u", "s"))
    for tool in tools:
        await tool.call(ToolCall("c", tool.spec.name, {"a": 2, "b": 3}), CallContext("u", "s"))
    await server.aclose()

asyncio.run(main())
"""
_PATIENCE = 100.0
_PYTHON = str(sys.executable)


@pytest.fixture
def kit() -> str:
    kit = os.environ.get("MCP_CONFORMANCE", "")
    if not kit:
        pytest.skip("MCP_CONFORMANCE names no conformance kit")
    return kit


async def run(kit: str, *arguments: str) -> tuple[int, str]:
    env = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    process = await asyncio.create_subprocess_exec(
        shutil.which("node") or "node", kit, *arguments, env=env,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, stdin=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    async with asyncio.timeout(_PATIENCE):
        out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


@pytest.mark.parametrize("scenario", ["initialize", "tools_call", "sse-retry"])
async def test_our_client_passes(kit: str, tmp_path: Path, scenario: str) -> None:
    program = tmp_path / "client.py"
    program.write_text(CLIENT)
    code, out = await run(kit, "client", "--command", shlex.join([_PYTHON, str(program)]), "--scenario", scenario)
    assert code == 0, out
    assert "0 failed" in out


@pytest.fixture
async def bridge(kit: str) -> AsyncGenerator[str]:
    """Serve server-everything, which speaks stdio, through our bridge; yield its address."""
    server = Path(kit).parents[2] / "server-everything" / "dist" / "index.js"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    command: Sequence[str] = (
        _PYTHON, "-c", "import sys; from kagent_engine.cli import main; sys.exit(main())", "mcp-bridge",
        "--port", str(port), "--", shutil.which("node") or "node", str(server), "stdio",
    )  # fmt: skip
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    try:
        async with asyncio.timeout(_PATIENCE), httpx.AsyncClient(trust_env=False) as client:
            while True:
                try:
                    await client.get(f"http://127.0.0.1:{port}/health")
                    break
                except httpx.TransportError:
                    assert process.returncode is None
                    await asyncio.sleep(0.1)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def test_our_bridge_passes_what_the_server_behind_it_passes(kit: str, bridge: str) -> None:
    scenarios = (
        "server-initialize", "ping", "tools-list", "tools-call-error", "server-sse-multiple-streams", "resources-list",
        "prompts-list", "dns-rebinding-protection",
    )  # fmt: skip
    for scenario in scenarios:
        code, out = await run(kit, "server", "--url", bridge, "--scenario", scenario)
        assert code == 0, f"{scenario}: {out}"
