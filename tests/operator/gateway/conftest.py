"""A gateway with a real store, a directory of plain objects, and real servers on loopback where bytes must stream."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.types import ASGIApp

from kagent_operator.gateway import GatewaySettings, create_app
from kagent_operator.store import Store

Json = dict[str, Any]
# Reading the machine's certificates is most of what a client costs.
TLS = ssl.create_default_context()


class Cluster:
    """The operator's copies, as a test wants them."""

    def __init__(self) -> None:
        self.agents: dict[tuple[str, str], Json] = {}
        self.others: dict[str, list[Json]] = {}

    def get(self, namespace: str, name: str) -> Json | None:
        return self.agents.get((namespace, name))

    def list(self) -> list[Json]:
        return [*self.agents.values()]

    def resources(self, kind: str) -> list[Json]:
        return self.others.get(kind, [])

    def add_agent(self, name: str, namespace: str = "kagent", *, ready: bool = False, **spec: Any) -> Json:
        condition = {
            "type": "Ready",
            "status": "True" if ready else "False",
            "reason": "r",
            "message": "0/1 pods ready",
        }
        agent: Json = {
            "apiVersion": "kagent.dev/v1alpha2", "kind": "Agent",
            "metadata": {"name": name, "namespace": namespace, "managedFields": [{}], "resourceVersion": "1"},
            "spec": {"type": "Declarative", "description": "d", "declarative": {"modelConfig": "m"}} | spec,
            "status": {"conditions": [condition, condition | {"type": "Accepted", "status": "True"}]},
        }  # fmt: skip
        self.agents[namespace, name] = agent
        return agent


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncGenerator[Store]:
    async with await Store.open(tmp_path / "gateway.db") as opened:
        yield opened


@pytest.fixture
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the machine's proxies out of the way."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


Gate = Callable[..., httpx.AsyncClient]


@pytest.fixture
async def gate(cluster: Cluster, store: Store, direct: None) -> AsyncGenerator[Gate]:
    """Return a function that makes a client of a gateway with the given settings."""
    del direct
    async with AsyncExitStack() as stack:
        clients: list[httpx.AsyncClient] = []

        def make(settings: GatewaySettings | None = None, **headers: str) -> httpx.AsyncClient:
            inner = httpx.AsyncClient(verify=TLS, timeout=20)
            app = create_app(agents=cluster, store=store, settings=settings, http=inner)
            client = httpx.AsyncClient(
                transport=httpx.ASGITransport(app, raise_app_exceptions=False),
                base_url="http://gateway:8083",
                headers={name.replace("_", "-"): value for name, value in headers.items()},
            )
            clients.append(client)
            stack.push_async_callback(inner.aclose)
            stack.push_async_callback(client.aclose)
            return client

        yield make


Serve = Callable[[ASGIApp], Awaitable[str]]


class Server(uvicorn.Server):
    """Says when it serves."""

    up: asyncio.Event

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncGenerator[str]:
    """Serve an application on a free port of loopback; yield its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = Server(uvicorn.Config(app, log_level="critical", lifespan="on", timeout_graceful_shutdown=1))
    server.up = asyncio.Event()
    task = asyncio.create_task(server.serve([listener]))
    try:
        async with asyncio.timeout(20):
            await server.up.wait()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listener.close()


@pytest.fixture
async def serve(direct: None) -> AsyncGenerator[Serve]:
    del direct
    async with AsyncExitStack() as stack:

        async def start(app: ASGIApp) -> str:
            return await stack.enter_async_context(serving(app))

        yield start
