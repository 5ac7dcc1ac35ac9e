"""Upstream's released engine as a peer: kagent-adk from a venv of its own, beside our engine, behind our gateway.

Skipped where KAGENT_ADK_PYTHON does not name a Python with ``kagent-adk==0.10.4`` and ``a2a-sdk[http-server]<0.4``.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from kagent_operator.gateway import GatewaySettings, create_app
from kagent_operator.store import Store

Json = dict[str, Any]
# kagent-adk needs six seconds to import on an idle machine.
_PATIENCE = 100.0
_PYTHON: str = sys.executable or "python3"
_ENGINE = (_PYTHON, "-c", "import sys; from kagent_engine.cli import main; sys.exit(main())")
_OPERATOR = (_PYTHON, "-c", "import sys; from kagent_operator.cli import main; sys.exit(main())")
_ADK = "from kagent.adk.cli import run_cli; run_cli()"
_UPSTREAM = ("upstream-clock", "upstream-boss")
_OURS = ("own-clock", "own-boss")
_CLUSTER_NAME = re.compile(r"http://([a-z-]+)\.kagent:8080")

_MANIFESTS = """
apiVersion: v1
kind: Secret
metadata: {name: key, namespace: kagent}
stringData: {KEY: not-a-key}
---
apiVersion: kagent.dev/v1alpha2
kind: ModelConfig
metadata: {name: default-model-config, namespace: kagent}
spec: {provider: OpenAI, model: scripted, apiKeySecret: key, apiKeySecretKey: KEY, openAI: {baseUrl: MODEL}}
---
apiVersion: kagent.dev/v1alpha2
kind: RemoteMCPServer
metadata: {name: clock, namespace: kagent}
spec: {protocol: STREAMABLE_HTTP, url: CLOCK, description: time}
"""
_CLOCK = """
---
apiVersion: kagent.dev/v1alpha2
kind: Agent
metadata: {name: NAME, namespace: kagent}
spec:
  type: Declarative
  description: Knows the current time and can convert it between zones.
  declarative:
    systemMessage: You tell the time.
    stream: true
    tools:
      - type: McpServer
        mcpServer:
          apiGroup: kagent.dev
          kind: RemoteMCPServer
          name: clock
          toolNames: [get_current_time, convert_time]
          requireApproval: [convert_time]
"""
_BOSS = """
---
apiVersion: kagent.dev/v1alpha2
kind: Agent
metadata: {name: NAME, namespace: kagent}
spec:
  type: Declarative
  description: Asks another agent.
  declarative:
    systemMessage: You ask the other agent.
    stream: true
    tools: [{type: Agent, agent: {name: OTHER}}]
"""


@dataclass(frozen=True)
class Fleet:
    """Two agents of each engine, each with a clock or with the other engine's clock as its sub-agent."""

    gateway: str
    ports: dict[str, int]
    logs: Path

    def address(self, agent: str) -> str:
        return f"http://127.0.0.1:{self.ports[agent]}"


class _Agents:
    """A directory of these agents."""

    def __init__(self, names: Sequence[str]) -> None:
        self._agents = {name: _agent(name) for name in names}

    def get(self, namespace: str, name: str) -> Json | None:
        return self._agents.get(name) if namespace == "kagent" else None

    def list(self) -> list[Json]:
        return [*self._agents.values()]

    def resources(self, kind: str) -> list[Json]:
        del kind
        return []


def _agent(name: str) -> Json:
    return {
        "metadata": {"name": name, "namespace": "kagent", "resourceVersion": "1"},
        "spec": {"type": "Declarative", "declarative": {"systemMessage": "You help."}},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }


class _ByName(httpx.AsyncHTTPTransport):
    """Sends what is for a cluster name to that agent's port here."""

    def __init__(self, ports: dict[str, int]) -> None:
        super().__init__()
        self._ports = ports

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        name = request.url.host.removesuffix(".kagent")
        request.url = request.url.copy_with(host="127.0.0.1", port=self._ports[name])
        return await super().handle_async_request(request)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@contextlib.contextmanager
def _program(command: Sequence[str], log: Path, **env: str) -> Generator[subprocess.Popen[bytes]]:
    clean = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, env=clean | env, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)


@contextlib.contextmanager
def _gateway(port: int, ports: dict[str, int], folder: Path) -> Generator[str]:
    """Serve the gateway from a loop of its own, as another program would."""
    import asyncio

    server_of: list[uvicorn.Server] = []
    failures: list[BaseException] = []

    async def serve() -> None:
        async with await Store.open(folder / "gateway.db") as store:
            client = httpx.AsyncClient(transport=_ByName(ports), timeout=httpx.Timeout(None, connect=5))
            app = create_app(agents=_Agents(list(ports)), store=store, settings=GatewaySettings(), http=client)
            server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="critical", timeout_graceful_shutdown=1))
            server_of.append(server)
            await server.serve()
            await client.aclose()

    def work() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            failures.append(error)
            raise

    thread = threading.Thread(target=work)
    thread.start()
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{url}/health", lambda: not thread.is_alive())
        yield url
    finally:
        for server in server_of:
            server.should_exit = True
        thread.join(20)


def _wait_for(url: str, dead: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    with httpx.Client(trust_env=False, timeout=5) as client:
        while True:
            try:
                client.get(url)
                return
            except httpx.TransportError:
                assert not dead(), f"what serves {url} ended at its start"
                assert time.monotonic() < deadline, f"{url} does not answer"
                time.sleep(0.1)


def _translated(manifests: str, profile: str) -> list[Json]:
    done = subprocess.run(
        [*_OPERATOR, "translate", "--engine", profile, "-f", "-", "-o", "json"],
        input=manifests.encode(),
        capture_output=True,
        timeout=_PATIENCE,
        check=True,
    )
    found: Any = json.loads(done.stdout)
    return found["items"]


def _one(objects: Sequence[Json], kind: str, name: str) -> Json:
    (found,) = [item for item in objects if item["kind"] == kind and item["metadata"]["name"] == name]
    return found


@pytest.fixture(scope="session")
def adk_python() -> str:
    python = os.environ.get("KAGENT_ADK_PYTHON", "")
    if not python:
        pytest.skip("KAGENT_ADK_PYTHON names no Python with kagent-adk 0.10.4")
    return python


@pytest.fixture(scope="session")
def fleet(adk_python: str, tmp_path_factory: pytest.TempPathFactory) -> Generator[Fleet]:
    """Start everything from what ``kagent-operator translate`` writes, as a cluster would."""
    folder = tmp_path_factory.mktemp("fleet")
    model, clock, front = _free_port(), _free_port(), _free_port()
    ports = {name: _free_port() for name in (*_UPSTREAM, *_OURS)}
    others = {"upstream-boss": "own-clock", "own-boss": "upstream-clock"}
    manifests = _MANIFESTS.replace("MODEL", f"http://127.0.0.1:{model}/v1").replace(
        "CLOCK", f"http://127.0.0.1:{clock}/mcp"
    )
    manifests += "".join(
        _BOSS.replace("NAME", name).replace("OTHER", others[name]) if name in others else _CLOCK.replace("NAME", name)
        for name in ports
    )
    objects = {"upstream": _translated(manifests, "upstream"), "kagent-tui": _translated(manifests, "kagent-tui")}

    with contextlib.ExitStack() as stack:
        url = stack.enter_context(_gateway(front, ports, folder))

        def start(command: Sequence[str], about: str, address: str, **env: str) -> Callable[[], None]:
            process = stack.enter_context(_program(command, folder / f"{about}.log", **env))
            return lambda: _wait_for(address, lambda: process.poll() is not None)

        waits = [
            start((*_ENGINE, "scripted-model", "--port", str(model)), "model", f"http://127.0.0.1:{model}/"),
            start(
                (*_ENGINE, "mcp-bridge", "--port", str(clock), "--", _PYTHON, "-m", "mcp_server_time"),
                "bridge",
                f"http://127.0.0.1:{clock}/health",
            ),
        ]
        for wait in waits:
            wait()
        waiting: list[Callable[[], None]] = []
        for name, port in ports.items():
            profile = "upstream" if name in _UPSTREAM else "kagent-tui"
            secret = _one(objects[profile], "Secret", name)
            container = _one(objects[profile], "Deployment", name)["spec"]["template"]["spec"]["containers"][0]
            place = folder / name
            place.mkdir()
            for file in ("config.json", "agent-card.json"):
                text = _CLUSTER_NAME.sub(
                    lambda found: f"http://127.0.0.1:{ports[found[1]]}", secret["stringData"][file]
                )
                place.joinpath(file).write_text(text)
            env = {item["name"]: str(item.get("value", "")) for item in container["env"]}
            env |= {"KAGENT_URL": url, "KAGENT_NAMESPACE": "kagent", "OPENAI_API_KEY": "not-a-key"}
            swapped = {"0.0.0.0": "127.0.0.1", "8080": str(port), "/config": str(place)}
            arguments: list[str] = [swapped.get(str(argument), str(argument)) for argument in container["args"]]
            if name in _UPSTREAM:
                arguments = ["-c", _ADK, "static", *arguments]
            program = [str(adk_python)] if name in _UPSTREAM else [*_ENGINE]
            waiting.append(start([*program, *arguments], name, f"http://127.0.0.1:{port}/health", **env))
        for wait in waiting:
            wait()
        yield Fleet(url, ports, folder)
