"""Tools of real MCP servers that run as processes of the engine's: started, called, killed and started again."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from kagent_api.engine_config import StdioTools
from kagent_engine.errors import ToolFailed
from kagent_engine.models.base import ToolCall
from kagent_engine.settings import PathMap
from kagent_engine.tools.base import CallContext, ToolResult
from kagent_engine.tools.mcp_stdio import StdioServer

CONTEXT = CallContext("alice", "s")
SERVER = '''
import json, os, sys
from mcp.server.mcpserver import Context, MCPServer

server = MCPServer("tiny")

@server.tool()
def surroundings() -> str:
    """Tell the environment and the folder."""
    return json.dumps({"env": dict(os.environ), "folder": os.getcwd(), "pid": os.getpid()})

@server.tool()
def die() -> str:
    """End the process."""
    os._exit(3)

@server.tool()
async def grow(ctx: Context) -> str:
    """Get a new tool."""
    @server.tool()
    def grown() -> str:
        """Be new."""
        return "new"
    await ctx.notify_tools_changed()
    return "grown"

print("hello\\x1b[2J from below", file=sys.stderr, flush=True)
print("this is no message", flush=True)
server.run("stdio")
'''


@asynccontextmanager
async def opened(folder: Path, environ: dict[str, str] | None = None, **more: Any) -> AsyncGenerator[StdioServer]:
    script = folder / "server.py"
    script.write_text(SERVER)
    config = {"command": sys.executable, "args": [str(script)]} | more
    server = StdioServer(StdioTools.model_validate(config), paths=PathMap(), environ=environ)
    try:
        yield server
    finally:
        await server.aclose()


async def call(server: StdioServer, name: str) -> ToolResult:
    tools, warnings = await server.tools(CONTEXT)
    assert not warnings
    tool = next(tool for tool in tools if tool.spec.name == name)
    result = await tool.call(ToolCall("c", name, {}), CONTEXT)
    assert isinstance(result, ToolResult)
    return result


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_server_gets_its_own_variables_and_folder_and_no_secret_of_the_agent(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    environ = {"PATH": os.environ["PATH"], "OPENAI_API_KEY": "sk-secret", "KAGENT_URL": "http://c"}
    place = tmp_path / "place"
    place.mkdir()
    with caplog.at_level("INFO"):
        async with opened(tmp_path, environ, env={"REGION": "eu"}, dir=str(place)) as server:
            told = json.loads((await call(server, "surroundings")).content)
            again = json.loads((await call(server, "surroundings")).content)
    assert (told["env"]["REGION"], told["env"]["PATH"]) == ("eu", os.environ["PATH"])
    assert not {"OPENAI_API_KEY", "KAGENT_URL"} & set(told["env"])
    assert told["folder"] == str(place)
    assert told["pid"] == again["pid"]
    assert not lives(told["pid"])
    assert "hello\N{REPLACEMENT CHARACTER}[2J from below" in caplog.text
    assert "this is no message" in caplog.text


async def test_a_server_that_dies_is_started_again_and_its_last_call_is_not_repeated(tmp_path: Path) -> None:
    async with opened(tmp_path) as server:
        before = json.loads((await call(server, "surroundings")).content)["pid"]
        with pytest.raises(ToolFailed, match="may or may not have taken effect"):
            await call(server, "die")
        after = json.loads((await call(server, "surroundings")).content)["pid"]
    assert before != after


async def test_a_server_that_is_killed_between_two_calls_costs_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(tmp_path) as server:
        before = json.loads((await call(server, "surroundings")).content)["pid"]
        os.kill(before, 9)
        async with asyncio.timeout(20):
            while "the program has ended" not in caplog.text:  # noqa: ASYNC110 - the log has no event
                await asyncio.sleep(0)
        after = json.loads((await call(server, "surroundings")).content)["pid"]
    assert before != after


async def test_a_server_that_says_its_tools_changed_is_asked_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as server:
        await call(server, "grow")
        async with asyncio.timeout(20):
            while "grown" not in {tool.spec.name for tool in (await server.tools(CONTEXT))[0]}:  # noqa: ASYNC110
                await asyncio.sleep(0)
        assert (await call(server, "grown")).content == "new"


@pytest.mark.parametrize(
    ("command", "args", "says"),
    [
        ("/no/such/program", [], "No such file"),
        (sys.executable, ["-c", "import sys; sys.exit('no licence')"], "exit code 1: no licence"),
    ],
)
async def test_a_program_that_cannot_run_is_a_warning_with_its_last_words(
    tmp_path: Path, command: str, args: list[str], says: str
) -> None:
    async with opened(tmp_path, command=command, args=args) as server:
        tools, (warning,) = await server.tools(CONTEXT)
    assert not tools
    assert (warning.code, says in warning.message) == ("mcp_unavailable", True)


def test_warnings_name_what_a_launcher_runs_and_no_other_argument() -> None:
    def label(command: str, *args: str) -> str:
        return StdioServer(StdioTools(command=command, args=args), paths=PathMap()).label

    assert label("npx", "-y", "@scope/server", "--key=secret") == "npx @scope/server"
    assert label("/usr/bin/serve", "secret") == "serve"
    assert label("python", "-c", "import this") == "python"
