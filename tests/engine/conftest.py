"""Real parts in memory: a model that says what a test tells it to, and an engine served on a loopback port."""

from __future__ import annotations

import asyncio
import json
import socket
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import uvicorn

from kagent_engine.agent import Agent
from kagent_engine.loop import Limits
from kagent_engine.models.base import (
    Finish,
    ModelError,
    ModelEvent,
    ModelRequest,
    TextDelta,
    ToolCall,
    Usage,
)
from kagent_engine.server.app import Serving, create_app
from kagent_engine.store_sqlite import SqliteStore
from kagent_engine.tools.ask_user import AskUser
from kagent_engine.tools.base import Tool, ToolSource

Json = dict[str, Any]
Step = ModelEvent | ModelError | asyncio.Event
CARD: Json = {"name": "tester", "description": "An agent under test.", "version": "1", "skills": []}


@dataclass
class PlannedModel:
    """Plays one list of steps per call; an Event among them is waited for."""

    plan: list[Sequence[Step]] = field(default_factory=list[Sequence[Step]])
    requests: list[ModelRequest] = field(default_factory=list[ModelRequest])
    name: str = "planned"
    closed: bool = False

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        self.requests.append(request)
        for step in self.plan.pop(0):
            if isinstance(step, asyncio.Event):
                await step.wait()
            elif isinstance(step, ModelError):
                raise step
            else:
                yield step

    async def aclose(self) -> None:
        self.closed = True

    def says(self, *pieces: str) -> PlannedModel:
        """Add a call that answers with text, in pieces."""
        self.plan.append([*(TextDelta(piece) for piece in pieces), Usage(10, 5), Finish("stop")])
        return self

    def calls(self, *calls: ToolCall) -> PlannedModel:
        """Add a call that asks for tools."""
        self.plan.append([*calls, Usage(20, 7), Finish("tool_calls")])
        return self


@dataclass
class Engine:
    """A served engine and what it is made of."""

    url: str
    model: PlannedModel
    serving: Serving
    store: SqliteStore

    @property
    def raw(self) -> Raw:
        return Raw(self.url)


@dataclass
class Raw:
    """A client that knows nothing: JSON out, JSON in, in either dialect."""

    url: str
    user: str = "alice"

    async def stream_03(self, *parts: str | Json, **ids: str) -> list[Json]:
        """Send over message/stream; return the results of the stream."""
        message = {
            "kind": "message",
            "role": "user",
            "messageId": str(uuid.uuid4()),
            "parts": [_part_03(p) for p in parts],
        }
        return await self._stream({"method": "message/stream", "params": {"message": message | ids}}, {})

    async def stream_10(self, *parts: str | Json, metadata: Json | None = None, **ids: str) -> list[Json]:
        """Send over SendStreamingMessage; return the results of the stream."""
        texts = [{"text": part} if isinstance(part, str) else {"data": part} for part in parts]
        message: Json = {"role": "ROLE_USER", "messageId": str(uuid.uuid4()), "parts": texts} | ids
        if metadata is not None:
            message |= {"metadata": metadata, "extensions": list(metadata)}
        return await self._stream({"method": "SendStreamingMessage", "params": {"message": message}}, V1)

    async def call(self, method: str, **params: Any) -> Json:
        """Make one call that is no stream; return the whole answer."""
        headers = {"x-user-id": self.user} | ({} if "/" in method else V1)
        async with httpx.AsyncClient(timeout=30) as http:
            body = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
            return (await http.post(self.url, json=body, headers=headers)).json()

    async def _stream(self, body: Json, headers: dict[str, str]) -> list[Json]:
        return [event async for event in self.events(body, headers)]

    async def events(self, body: Json, headers: dict[str, str]) -> AsyncIterator[Json]:
        """Yield the results of a stream as they come."""
        sent = {"jsonrpc": "2.0", "id": 1} | body
        headers = {"x-user-id": self.user} | headers
        async with (
            httpx.AsyncClient(timeout=30) as http,
            http.stream("POST", self.url, json=sent, headers=headers) as response,
        ):
            assert response.headers["content-type"].startswith("text/event-stream"), await response.aread()
            async for line in response.aiter_lines():
                if line.startswith("data: "):
                    answer = json.loads(line[6:])
                    assert answer["jsonrpc"] == "2.0"
                    yield answer.get("result", answer)


V1 = {"A2A-Version": "1.0"}


def _part_03(part: str | Json) -> Json:
    return {"kind": "text", "text": part} if isinstance(part, str) else {"kind": "data", "data": part}


ServeEngine = Callable[..., Awaitable[Engine]]


@asynccontextmanager
async def serve_app(app: Any, port: int = 0) -> AsyncGenerator[str]:
    """Serve an ASGI app on a loopback port of this event loop, a free one unless named."""
    listener = socket.create_server(("127.0.0.1", port))
    # asyncio sets it for sockets of its own making only; without it each answer waits 40 ms for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on", ws="none", timeout_graceful_shutdown=1))
    running = asyncio.create_task(server._serve([listener]))  # pyright: ignore[reportPrivateUsage]  # no signal handlers
    try:
        async with asyncio.timeout(30):
            while not server.started and not running.done():  # noqa: ASYNC110 - uvicorn has no event for it
                await asyncio.sleep(0)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        async with asyncio.timeout(30):
            await running


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take a tool server that is away at its word; the tests that want patience ask for it."""
    monkeypatch.setattr("kagent_engine.tools.connection._YOUNG_SECONDS", 0.0)


@pytest.fixture
def model() -> PlannedModel:
    return PlannedModel()


@pytest.fixture
def serve() -> Callable[..., AbstractAsyncContextManager[str]]:
    """Return a function that serves an ASGI app on a loopback port while its context lasts."""
    return serve_app


@pytest.fixture
async def serve_engine(model: PlannedModel, tmp_path: Any) -> AsyncGenerator[ServeEngine]:
    """Return a function that serves an engine with these tools until the test ends."""
    async with AsyncExitStack() as stack:

        async def serve(
            *, tools: Sequence[Tool] = (), sources: Sequence[ToolSource] = (), approve: Sequence[str] = (),
            planned: PlannedModel | None = None, name: str = "tester", rounds: int = 10,
        ) -> Engine:  # fmt: skip
            store = SqliteStore(tmp_path / f"{name}.db")
            used = planned or model
            agent = Agent(
                name=name,
                instruction="Be brief.",
                model=used,
                store=store,
                sources=sources,
                own_tools=[AskUser(), *tools],
                require_approval=frozenset(approve),
                limits=Limits(tool_rounds=rounds, retry_seconds=0.0),
            )
            serving = Serving(
                agent,
                store,
                CARD,
                app_name=f"test__NS__{name}",
                url="http://agent.test:8080",
                largest_request=1_000_000,
                drain_seconds=0.2,
            )
            url = await stack.enter_async_context(serve_app(create_app(serving)))
            return Engine(url, used, serving, store)

        yield serve
