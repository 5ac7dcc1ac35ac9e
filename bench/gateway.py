"""The gateway between a caller and an agent: what it adds to a turn, and 200 streams at once, unbuffered.

Our engine with its scripted model, and the gateway as ``kagent-operator run`` serves it (uvicorn, SQLite), both as
processes. A turn goes once past the gateway and once through it, over and over, on kept connections, so that noise of
the machine meets both alike; the figure is the median of the differences.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from bench.road import Figure
from kagent_tui.local.process import free_port

__all__ = ["gateway"]

_TURNS = 40
_STREAMS = 200
_AGENT = "/api/a2a/bench/bench/"


def gateway(rounds: int) -> list[Figure]:
    """Measure the way through the gateway."""
    added: list[float] = []
    cpu: list[float] = []
    with _engine() as agent_url, _gateway(agent_url) as (url, pid):
        for _ in range(rounds):
            differences, spent = asyncio.run(_turns(agent_url, url + _AGENT, pid))
            added += differences
            cpu.append(spent)
    lags: list[float] = []
    with _slow_agent() as slow_url, _gateway(slow_url) as (url, _pid):
        done, lags = asyncio.run(_streams(url + _AGENT))
    return [
        Figure("gateway: added to a turn (median of pairs)", statistics.median(added) * 1000, "ms", "< 3"),
        Figure("gateway: its own CPU in a turn", statistics.median(cpu) * 1000, "ms", ""),
        Figure("gateway: streams open at once that all ended whole", done, "", f"{_STREAMS}"),
        Figure("gateway: lag of an event at 200 streams, median", statistics.median(lags) * 1000, "ms", ""),
        Figure("gateway: lag of an event at 200 streams, worst of 100", _hundredth(lags) * 1000, "ms", ""),
    ]


async def _turns(direct: str, through: str, pid: int) -> tuple[list[float], float]:
    differences: list[float] = []
    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
        for url in (direct + "/", through):
            await _turn(client, url)
        before = _cpu(pid)
        for _ in range(_TURNS):
            past = await _turn(client, direct + "/")
            differences.append(await _turn(client, through) - past)
        return differences, (_cpu(pid) - before) / _TURNS


async def _turn(client: httpx.AsyncClient, url: str) -> float:
    begin = time.perf_counter()
    async with client.stream("POST", url, json=_call("hello")) as reply:
        text = b"".join([chunk async for chunk in reply.aiter_raw()])
    if b'"completed"' not in text:
        raise RuntimeError(f"the turn did not complete: {text[-300:]!r}")
    return time.perf_counter() - begin


async def _streams(url: str) -> tuple[int, list[float]]:
    """Open every stream, and only then let the agent speak; each event carries the moment it was sent."""
    limits = httpx.Limits(max_connections=None)
    lags: list[float] = []

    async def follow(client: httpx.AsyncClient) -> bool:
        seen = 0
        async with client.stream("POST", url, json=_call("go")) as reply:
            async for line in reply.aiter_lines():
                if line.startswith("data: "):
                    lags.append(time.time() - json.loads(line[6:])["result"]["sent"])
                    seen += 1
        return seen == _EVENTS

    async with httpx.AsyncClient(timeout=120, trust_env=False, limits=limits) as client:
        whole = await asyncio.gather(*(follow(client) for _ in range(_STREAMS)))
    return sum(whole), lags


def _call(text: str) -> dict[str, Any]:
    message = {"messageId": uuid.uuid4().hex, "role": "user", "kind": "message"}
    message |= {"parts": [{"kind": "text", "text": text}]}
    return {"jsonrpc": "2.0", "id": 1, "method": "message/stream", "params": {"message": message}}


def _hundredth(lags: list[float]) -> float:
    return sorted(lags)[int(len(lags) * 0.99)]


def _cpu(pid: int) -> float:
    """Return the CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _engine() -> Generator[str]:
    """Run our engine with its scripted model behind it; yield its address."""
    program = str(Path(sys.executable).parent / "kagent-engine")
    port, model_port = free_port(), free_port()
    model = {"type": "openai", "model": "scripted", "base_url": f"http://127.0.0.1:{model_port}/v1"}
    config = {"model": model, "description": "bench", "instruction": "You are measured.", "stream": True}
    card: dict[str, Any] = {"name": "bench", "description": "bench", "version": "1", "skills": []}
    card |= {"url": f"http://127.0.0.1:{port}", "capabilities": {"streaming": True}}
    card |= {"defaultInputModes": ["text"], "defaultOutputModes": ["text"]}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.json").write_text(json.dumps(config))
        Path(folder, "agent-card.json").write_text(json.dumps(card))
        env = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
        env |= {"KAGENT_NAME": "bench", "KAGENT_NAMESPACE": "bench", "KAGENT_TUI_STATE": folder}
        env |= {"OPENAI_API_KEY": "none", "LOG_LEVEL": "WARNING", "UVICORN_LOG_LEVEL": "warning"}
        with (
            _running([program, "scripted-model", "--port", str(model_port)], model_port, "/health", env),
            _running([program, "--port", str(port), "--filepath", folder], port, "/readyz", env),
        ):
            yield f"http://127.0.0.1:{port}"


@contextmanager
def _gateway(agent_url: str) -> Generator[tuple[str, int]]:
    with tempfile.TemporaryDirectory() as folder, _python(_GATEWAY, agent_url, folder) as served:
        yield served


@contextmanager
def _slow_agent() -> Generator[str]:
    with _python(_SLOW_AGENT) as (url, _pid):
        yield url


@contextmanager
def _python(program: str, *arguments: str) -> Generator[tuple[str, int]]:
    port = free_port()
    with _running([sys.executable, "-c", program, str(port), *arguments], port, "/health") as pid:
        yield f"http://127.0.0.1:{port}", pid


@contextmanager
def _running(command: Sequence[str], port: int, path: str, env: Mapping[str, str] | None = None) -> Generator[int]:
    """Run a program until it is left; yield its process id when it answers."""
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, preexec_fn=_many_files)
    deadline = time.monotonic() + 120
    try:
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{port}{path}", timeout=5, trust_env=False).raise_for_status()
                break
            except httpx.HTTPError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{command[0]} does not answer") from None
                time.sleep(0.05)
        yield process.pid
    finally:
        process.terminate()
        process.wait(20)


def _many_files() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, most), most))


_EVENTS = 20

_GATEWAY = """
import asyncio, sys, uvicorn
from pathlib import Path
from kagent_operator.gateway import GatewaySettings, create_app
from kagent_operator.store import Store

AGENT = {"metadata": {"name": "bench", "namespace": "bench"}, "spec": {"type": "Declarative", "declarative": {}}}

class Agents:
    def get(self, namespace, name): return AGENT
    def list(self): return [AGENT]
    def resources(self, kind): return []

async def main(port, agent, folder):
    async with await Store.open(Path(folder, "bench.db")) as store:
        app = create_app(agents=Agents(), store=store, settings=GatewaySettings(agent_address=agent))
        config = uvicorn.Config(app, port=int(port), log_level="error", http="httptools", timeout_graceful_shutdown=1)
        await uvicorn.Server(config).serve()

asyncio.run(main(*sys.argv[1:]))
"""

# Waits until every stream is open, then sends an event each 50 ms with the moment in it.
_SLOW_AGENT = f"""
import asyncio, json, sys, time, uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

opened, everybody = 0, asyncio.Event()

async def events():
    global opened
    opened += 1
    if opened == {_STREAMS}:
        everybody.set()
    await everybody.wait()
    for _ in range({_EVENTS}):
        yield "data: " + json.dumps({{"jsonrpc": "2.0", "id": 1, "result": {{"sent": time.time()}}}}) + "\\n\\n"
        await asyncio.sleep(0.05)

async def stream(request):
    await request.body()
    return StreamingResponse(events(), media_type="text/event-stream")

async def health(_):
    return PlainTextResponse("OK")

app = Starlette(routes=[Route("/", stream, methods=["POST"]), Route("/health", health)])
uvicorn.run(app, port=int(sys.argv[1]), log_level="error", http="httptools", timeout_graceful_shutdown=1)
"""
