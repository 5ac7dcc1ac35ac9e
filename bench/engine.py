"""The engine by itself, and beside upstream's in the same run where it can be installed: start, memory, CPU, lag.

Each engine is pinned to one core and everything else to another; the engines take turns, so that a busy machine is
busy for all of them. Upstream's is ``kagent-adk 0.10.4 static`` in a virtual environment of its own, which
KAGENT_ADK_PYTHON may name. ``floor`` is a bare ASGI app that hands a model's stream on, and nothing else.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httptools

from bench.fakes import Script, serve_fakes
from bench.road import Figure
from kagent_tui.local.process import free_port

__all__ = ["engine", "soak"]

_PEER: Final = ("kagent-adk==0.10.4", "a2a-sdk[http-server]<0.4")
_PEER_RUNS: Final = "from kagent.adk.cli import run_cli; run_cli()"
_PACE: Final = 0.01
_CONVERSATIONS: Final = 50


@dataclass(frozen=True)
class _Engine:
    """How one is started: ``command`` takes --port and --filepath. ``controller`` keeps its sessions there."""

    name: str
    command: Sequence[str]
    controller: bool = False
    tools: bool = True
    ready: bool = False


@dataclass
class _Taken:
    """What was measured, by figure, one value a round."""

    values: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def add(self, name: str, value: float) -> None:
        self.values.setdefault(name, []).append(value)

    def median(self, name: str) -> float | None:
        return statistics.median(self.values[name]) if name in self.values else None


# name, unit, and how many times better than upstream's: at least, aim
_FIGURES: Final = (
    ("start to agent card", "s", "8x / 15x"),
    ("start to ready for a message", "s", "<= 1"),
    ("memory at start, no tools", "MiB", "4x / 5x"),
    ("memory with one MCP session", "MiB", "2.5x / 3x"),
    ("memory after 160 conversations", "MiB", "2.5x / 4x"),
    ("plain turn, CPU", "ms", "8x / 20x"),
    ("tool turn, CPU", "ms", "8x / 20x"),
    ("paced stream, CPU", "ms", "5x / 9x"),
    ("request to model plus first-token lag", "ms", "5 / 2.5 ms"),
    (f"turns/s at {_CONVERSATIONS} conversations", "/s", "12x / 40x"),
)


def engine(rounds: int) -> list[Figure]:
    """Measure ours with SQLite, ours with a controller, the floor, and upstream's."""
    own = (str(Path(sys.executable).parent / "kagent-engine"),)
    engines = [
        _Engine("ours, SQLite", own, ready=True),
        _Engine("ours, controller", own, controller=True, ready=True),
        _Engine("floor", (sys.executable, "-m", "bench.floor"), tools=False),
    ]
    if (peer := _peer_python()) is not None:
        engines.append(_Engine("upstream", (peer, "-c", _PEER_RUNS, "static"), controller=True))
    taken = {each.name: _Taken() for each in engines}
    for _ in range(rounds):
        for each in engines:
            asyncio.run(_round(each, taken[each.name]))
    theirs = taken.get("upstream")
    figures: list[Figure] = []
    for name, unit, goal in _FIGURES:
        base = theirs.median(name) if theirs else None
        for each in engines:
            value = taken[each.name].median(name)
            if value is None:
                continue
            told = goal
            if base and each.name != "upstream" and "lag" not in name and "ready" not in name:
                told = f"{goal}, here {value / base if unit == '/s' else base / value:.1f}x"
            figures.append(Figure(f"{name}: {each.name}", value, unit, told if each.name != "upstream" else ""))
    return figures


def soak(rounds: int) -> list[Figure]:
    """Run a thousand turns after a few hundred that warm up, and see what stays; then a hundred sessions that idle."""
    own = _Engine("ours, SQLite", (str(Path(sys.executable).parent / "kagent-engine"),))
    return asyncio.run(_soak(own, 1000 * rounds))


async def _round(each: _Engine, taken: _Taken) -> None:
    script = Script()
    async with serve_fakes(script) as url:
        with _started(each, url, tools=False) as (running, seconds):
            taken.add("start to agent card", seconds)
            if each.ready:
                _until_served(running.process, f"http://127.0.0.1:{running.port}/readyz")
                taken.add("start to ready for a message", time.perf_counter() - running.begun)
            taken.add("memory at start, no tools", running.memory)
            client = await _Client.open(running.port)
            await client.turns(3, "hello")
            taken.add("plain turn, CPU", await running.cpu_of(client, 160, "hello"))
            taken.add("memory after 160 conversations", running.memory)
            script.interval = _PACE
            script.asked.clear()
            script.answered.clear()
            client.sent.clear()
            client.heard.clear()
            taken.add("paced stream, CPU", await running.cpu_of(client, 20, "hello"))
            lags = [
                (asked - sent) + (heard - said)
                for sent, asked, said, heard in zip(
                    client.sent, script.asked, script.answered, client.heard, strict=True
                )
            ]
            taken.add("request to model plus first-token lag", statistics.median(lags) * 1000)
            script.interval = 0.0
            clients = [client, *[await _Client.open(running.port) for _ in range(_CONVERSATIONS - 1)]]
            begin = time.perf_counter()
            count = 2 if each.name == "upstream" else 10
            await asyncio.gather(*(one.turns(count, "hello") for one in clients))
            rate = count * _CONVERSATIONS / (time.perf_counter() - begin)
            taken.add(f"turns/s at {_CONVERSATIONS} conversations", rate)
            for one in clients:
                one.close()
        if not each.tools:
            return
        with _started(each, url, tools=True) as (running, _):
            client = await _Client.open(running.port)
            await client.turns(3, "please add")
            taken.add("memory with one MCP session", running.memory)
            taken.add("tool turn, CPU", await running.cpu_of(client, 40, "please add"))
            client.close()


async def _soak(each: _Engine, count: int) -> list[Figure]:
    script = Script()
    async with serve_fakes(script) as url:
        with _started(each, url, tools=True) as (running, _):
            clients = [await _Client.open(running.port) for _ in range(8)]

            async def spread(turns: int) -> None:
                await asyncio.gather(*(one.turns(turns // 8, "please add") for one in clients))
                script.asked.clear()
                script.answered.clear()

            await spread(800)
            before = running.memory
            await spread(count)
            grown = running.memory - before
            sessions = await asyncio.gather(*(_Client.open(running.port) for _ in range(100)))
            for one in sessions:
                await one.turns(1, "hello")
            cpu = running.cpu
            await asyncio.sleep(10.0)
            idle = (running.cpu - cpu) / 10.0 * 100
            for one in (*clients, *sessions):
                one.close()
    return [
        Figure(f"engine: memory grown in {count:,} tool turns", grown, "MiB", "<= 1"),
        Figure("engine: CPU with 100 idle sessions and connections", idle, "%", "<= 0.1"),
    ]


@dataclass
class _Running:
    process: subprocess.Popen[bytes]
    port: int
    begun: float

    @property
    def memory(self) -> float:
        """Resident memory in MiB."""
        text = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Rss:")) / 1024

    @property
    def cpu(self) -> float:
        """Seconds on a processor, of all threads there are."""
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    async def cpu_of(self, client: _Client, turns: int, text: str) -> float:
        """Return milliseconds of CPU a turn."""
        before = self.cpu
        await client.turns(turns, text)
        return (self.cpu - before) * 1000 / turns


@contextmanager
def _started(each: _Engine, url: str, *, tools: bool) -> Generator[tuple[_Running, float]]:
    """Start an engine on the first core; yield it and the seconds until its card was served."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="kagent-tui-bench-") as folder:
        _write_configuration(Path(folder), url, port, tools=tools)
        env = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
        env |= {"KAGENT_NAME": "bench", "KAGENT_NAMESPACE": "bench", "OPENAI_API_KEY": "none", "LOG_LEVEL": "WARNING"}
        env |= {"KAGENT_TUI_STATE": folder, "UVICORN_LOG_LEVEL": "warning"}
        env.pop("KAGENT_URL", None)
        env |= {"KAGENT_URL": url} if each.controller else {}
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[0]})
        begin = time.perf_counter()
        process = subprocess.Popen(
            [*each.command, "--host", "127.0.0.1", "--port", str(port), "--filepath", folder],
            env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.sched_setaffinity(0, set(cores[1:]) or {cores[0]})
        try:
            _until_served(process, f"http://127.0.0.1:{port}/.well-known/agent-card.json")
            seconds = time.perf_counter() - begin
            yield _Running(process, port, begin), seconds
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            os.sched_setaffinity(0, set(cores))


def _write_configuration(folder: Path, url: str, port: int, *, tools: bool) -> None:
    config: dict[str, object] = {
        "model": {"type": "openai", "model": "bench", "base_url": f"{url}/v1"},
        "description": "bench",
        "instruction": "You are measured.",
        "stream": True,
    }
    if tools:
        config["http_tools"] = [{"params": {"url": f"{url}/mcp", "headers": {}}, "tools": ["add"]}]
    card: dict[str, object] = {"name": "bench", "description": "bench", "version": "1", "skills": []}
    card |= {"url": f"http://127.0.0.1:{port}", "protocolVersion": "0.3.0", "capabilities": {"streaming": True}}
    card |= {"defaultInputModes": ["text"], "defaultOutputModes": ["text"]}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "agent-card.json").write_text(json.dumps(card))


def _until_served(process: subprocess.Popen[bytes], address: str) -> None:
    deadline = time.perf_counter() + 120
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        try:
            with opener.open(address, timeout=5):
                return
        except OSError:
            if process.poll() is not None or time.perf_counter() > deadline:
                raise RuntimeError(f"{process.args!r} did not serve its card") from None
            time.sleep(0.005)


class _Client(asyncio.Protocol):
    """A 0.3 client on one connection: sends a message, reads the stream to its end, notes when text came first."""

    def __init__(self) -> None:
        self.sent: list[float] = []
        self.heard: list[float] = []
        self._done: asyncio.Future[None] | None = None

    @classmethod
    async def open(cls, port: int) -> _Client:
        _, client = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(RuntimeError("the engine closed the connection"))

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body += body
        if not self._first and b"first " in self._body:
            self._first = time.monotonic()

    def on_message_complete(self) -> None:
        assert self._done is not None
        if not self._done.done():
            self._done.set_result(None)

    async def turns(self, count: int, text: str) -> None:
        """Have so many conversations of one turn each.

        Raises:
            RuntimeError: one did not end as completed.
        """
        for _ in range(count):
            message = {"kind": "message", "role": "user", "messageId": uuid.uuid4().hex, "contextId": uuid.uuid4().hex}
            message |= {"parts": [{"kind": "text", "text": text}]}
            body = {"jsonrpc": "2.0", "id": 1, "method": "message/stream", "params": {"message": message}}
            content = json.dumps(body).encode()
            self._parser = httptools.HttpResponseParser(self)
            self._body, self._first = b"", 0.0
            self._done = asyncio.get_running_loop().create_future()
            head = "POST / HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
            self.sent.append(time.monotonic())
            self._transport.write(f"{head}content-length: {len(content)}\r\n\r\n".encode() + content)
            async with asyncio.timeout(120):
                await self._done
            self.heard.append(self._first)
            if b'"completed"' not in self._body:
                raise RuntimeError(f"a turn did not complete: {self._body[-500:]!r}")

    def close(self) -> None:
        self._done = None
        self._transport.close()


def _peer_python() -> str | None:
    """Return a Python that has upstream's engine, made where there is none yet; None where it cannot be had."""
    if given := os.environ.get("KAGENT_ADK_PYTHON"):
        return given
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kagent-tui" / "bench-kagent-adk-0.10.4"
    python = cache / "bin" / "python"
    uv = str(Path(sys.executable).parent / "uv")
    try:
        if not (cache / "complete").exists():
            sys.stderr.write(f"installing {' '.join(_PEER)} into {cache}\n")
            subprocess.run([uv, "venv", "--quiet", "--clear", str(cache)], check=True)
            subprocess.run([uv, "pip", "install", "--quiet", "--python", str(python), *_PEER], check=True, timeout=900)
            (cache / "complete").touch()
    except (OSError, subprocess.SubprocessError) as error:
        sys.stderr.write(f"upstream's engine cannot be installed here, so ours stands alone: {error}\n")
        return None
    return str(python)
