"""The bridge in front of real stdio servers, in this process: only the servers are processes of their own."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.sse import sse_client
from mcp_types import TextContent

from kagent_engine.bridge import run_bridge, serve_bridge
from kagent_engine.bridge_child import ChildFailed
from kagent_engine.bridge_command import BridgeCommand

SERVER = """
import asyncio, os, pathlib
from mcp.server.mcpserver import Context, MCPServer

server = MCPServer("tiny", instructions="Be kind.")
notes = pathlib.Path(os.environ["NOTES"])

@server.tool()
async def echo(text: str) -> str:
    return f"{text} from {os.getpid()} with {os.environ.get('GIVEN', '')}"

@server.tool()
async def steps(ctx: Context, count: int) -> str:
    for step in range(count):
        await ctx.report_progress(step + 1, count, f"step {step + 1}")
    return "done"

@server.tool()
async def forever() -> str:
    notes.write_text("started")
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        notes.write_text("cancelled")
        raise
    return "never"

@server.tool()
async def die() -> str:
    os._exit(3)

@server.resource("note://one")
def one() -> str:
    return "the note"

@server.prompt()
def greet(name: str) -> str:
    return f"Greet {name}"

server.run("stdio")
"""


class Bridge:
    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    async def health(self) -> int:
        async with httpx2.AsyncClient(trust_env=False) as http:
            return (await http.get(self.url + "/health")).status_code

    async def until_healthy(self, status: int) -> None:
        async with asyncio.timeout(60):
            while await self.health() != status:  # noqa: ASYNC110 - another process changes it
                await asyncio.sleep(0.02)


def bound() -> socket.socket:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.setblocking(False)
    return listener


@asynccontextmanager
async def bridged(command: BridgeCommand) -> AsyncGenerator[Bridge]:
    listener, stop, ready = bound(), asyncio.Event(), asyncio.Event()
    port: int = listener.getsockname()[1]
    task = asyncio.create_task(serve_bridge(command, listener, stop, ready=ready))
    waiting = asyncio.create_task(ready.wait())
    try:
        await asyncio.wait((task, waiting), timeout=60, return_when=asyncio.FIRST_COMPLETED)
        assert ready.is_set(), task
        bridge = Bridge(port)
        async with asyncio.timeout(10):
            while True:
                try:
                    await bridge.health()
                    break
                except httpx2.ConnectError:
                    await asyncio.sleep(0.01)
        yield bridge
    finally:
        waiting.cancel()
        stop.set()
        async with asyncio.timeout(20):
            await task


@pytest.fixture
def tiny(tmp_path: Path) -> BridgeCommand:
    script = tmp_path / "tiny.py"
    script.write_text(SERVER)
    env = {"NOTES": str(tmp_path / "notes"), "GIVEN": "env"}
    return BridgeCommand((sys.executable, str(script)), env, "tiny")


def text(result: object) -> str:
    content = getattr(result, "content", [])
    assert isinstance(content[0], TextContent)
    return content[0].text


async def test_both_eras_and_both_transports_reach_the_server(tiny: BridgeCommand) -> None:
    async with bridged(tiny) as bridge:
        for mode, version in (("auto", "2026-07-28"), ("legacy", "2025-11-25")):
            async with Client(bridge.url + "/mcp", mode=mode) as client:
                assert client.protocol_version == version
                assert client.server_info is not None
                assert client.server_info.name == "tiny"
                assert client.instructions == "Be kind."
                assert {tool.name for tool in (await client.list_tools()).tools} >= {"echo", "steps", "die"}
                answer = text(await client.call_tool("echo", {"text": "hallo"}))
                assert answer.startswith("hallo from ")
                assert answer.endswith("with env"), "the server has the environment of the MCPServer"
                resource = await client.read_resource("note://one")
                assert getattr(resource.contents[0], "text", "") == "the note"
                prompt = await client.get_prompt("greet", {"name": "Ada"})
                assert getattr(prompt.messages[0].content, "text", "") == "Greet Ada"
        async with Client(sse_client(bridge.url + "/sse")) as client:
            assert text(await client.call_tool("echo", {"text": "sse"})).startswith("sse from")


async def test_an_unknown_tool_and_bad_arguments_are_the_servers_own_errors(tiny: BridgeCommand) -> None:
    async with bridged(tiny) as bridge, Client(bridge.url + "/mcp", mode="legacy") as client:
        wrong = await client.call_tool("echo", {"nothing": 1})
        assert wrong.is_error
        assert "text" in text(wrong)


async def test_progress_passes_through(tiny: BridgeCommand) -> None:
    async with bridged(tiny) as bridge:
        for mode in ("auto", "legacy"):
            seen: list[tuple[float, str | None]] = []

            async def told(
                progress: float, total: float | None, message: str | None, seen: list[tuple[float, str | None]] = seen
            ) -> None:
                seen.append((progress, message))

            async with Client(bridge.url + "/mcp", mode=mode) as client:
                await client.call_tool("steps", {"count": 3}, progress_callback=told)
            assert seen == [(1, "step 1"), (2, "step 2"), (3, "step 3")], mode


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_call_that_its_caller_gives_up_is_cancelled_in_the_server(
    tiny: BridgeCommand, tmp_path: Path, mode: str
) -> None:
    notes = tmp_path / "notes"

    async def until(expected: str) -> None:
        with anyio.fail_after(20):
            while not notes.exists() or notes.read_text() != expected:  # noqa: ASYNC110 - another process writes it
                await anyio.sleep(0.02)

    async with bridged(tiny) as bridge, Client(bridge.url + "/mcp", mode=mode) as client:
        async with anyio.create_task_group() as group:
            group.start_soon(client.call_tool, "forever")
            await until("started")
            group.cancel_scope.cancel()
        await until("cancelled")


async def test_a_server_that_dies_is_started_again_and_the_call_says_so(tiny: BridgeCommand) -> None:
    async with bridged(tiny) as bridge, Client(bridge.url + "/mcp") as client:
        before = text(await client.call_tool("echo", {"text": "x"}))
        died = await client.call_tool("die")
        assert died.is_error
        assert "'tiny' ended during the call" in text(died)
        await bridge.until_healthy(200)
        after = text(await client.call_tool("echo", {"text": "x"}))
        assert after != before, "another process answers"


async def test_health_is_false_while_the_server_is_gone(tiny: BridgeCommand, tmp_path: Path) -> None:
    async with bridged(tiny) as bridge, Client(bridge.url + "/mcp") as client:
        assert await bridge.health() == 200
        pid = int(text(await client.call_tool("echo", {"text": "x"})).split()[2])
        (tmp_path / "tiny.py").write_text("raise SystemExit('broken now')")
        os.kill(pid, signal.SIGKILL)
        await bridge.until_healthy(503)


async def test_a_page_from_elsewhere_is_refused(tiny: BridgeCommand, capsys: pytest.CaptureFixture[str]) -> None:
    async with bridged(tiny) as bridge, httpx2.AsyncClient(trust_env=False) as http:
        answer = await http.post(bridge.url + "/mcp", headers={"Host": "evil.example"}, json={})
        assert answer.status_code == 421
    assert f"tiny: serving http://127.0.0.1:{bridge.port}/mcp" in capsys.readouterr().err


async def test_the_real_time_server_answers(tmp_path: Path) -> None:
    script = Path(sys.executable).parent / "mcp-server-time"
    async with bridged(BridgeCommand((str(script),))) as bridge, Client(bridge.url + "/mcp") as client:
        answer = await client.call_tool("get_current_time", {"timezone": "Asia/Tokyo"})
        assert "Asia/Tokyo" in text(answer)


async def test_a_server_that_cannot_start_fails_with_its_last_words(tmp_path: Path) -> None:
    code = "import sys; print('noise', file=sys.stderr); sys.exit('no database at db:5432')"
    listener = bound()
    with pytest.raises(ChildFailed, match="ended with code 1 before it answered: no database at db:5432"):
        await serve_bridge(BridgeCommand((sys.executable, "-c", code), name="sick"), listener, asyncio.Event())
    assert listener.fileno() == -1


async def test_a_bridge_that_is_stopped_while_its_server_starts_leaves_nothing(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    code = f"import os, pathlib, time; pathlib.Path({str(note)!r}).write_text(str(os.getpid())); time.sleep(600)"
    stop = asyncio.Event()
    task = asyncio.create_task(serve_bridge(BridgeCommand((sys.executable, "-c", code)), bound(), stop))
    async with asyncio.timeout(20):
        while not (note.exists() and note.read_text()):  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.02)
        stop.set()
        await task
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)


def test_the_command_prints_one_line_and_leaves_a_termination_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "message"
    env = {"KAGENT_TUI_PATHS": f'{{"/dev/termination-log": "{log}"}}', "PORT": "0"}
    assert run_bridge(command=["--", "no-such-server"], env=env) == 1
    printed = capsys.readouterr().err.strip()
    assert printed.startswith("mcp-bridge: MCP server 'no-such-server': cannot start 'no-such-server'")
    assert "\n" not in printed
    assert log.read_text() == printed.removeprefix("mcp-bridge: ")


@pytest.mark.parametrize(
    ("arguments", "env", "says"),
    [
        ({}, {}, "no server to run"),
        ({"command": ["x"]}, {}, "no port to listen on"),
        ({"command": ["x"]}, {"PORT": "http"}, "'http' is no port"),
        ({"file": Path("/nowhere/local.yaml")}, {}, "cannot be read from /nowhere/local.yaml"),
    ],
)
def test_wrong_use_is_told(
    arguments: dict[str, object], env: dict[str, str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_bridge(env=env, **arguments) == 1  # pyright: ignore[reportArgumentType] - a table of cases
    assert says in capsys.readouterr().err


def test_a_port_in_use_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert run_bridge(command=["x"], port=taken.getsockname()[1], env={}) == 1
    assert "cannot listen on 127.0.0.1:" in capsys.readouterr().err
