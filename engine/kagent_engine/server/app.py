"""The HTTP face of one agent: card, health, metrics, and JSON-RPC on "/". Serves; never decides how a turn goes.

An ASGI app without a framework: every token of every turn passes here, and so does every import of a starting agent.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import parse_qs

import orjson

from kagent_engine.agent import Agent
from kagent_engine.card import build_card, extended_card
from kagent_engine.metrics import Metrics
from kagent_engine.server.dispatch import Dispatcher, Streamed
from kagent_engine.server.executor import Executor
from kagent_engine.server.push import Hooks
from kagent_engine.server.tasks import TaskBoard, mark_interrupted
from kagent_engine.sessions import Store
from kagent_engine.shapes import JsonObject

__all__ = ["App", "Serving", "create_app"]

logger = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# Less than the 30 s that Kubernetes gives a Pod to end.
_DRAIN_SECONDS: Final = 20.0
# Proxies close a stream that says nothing; common limits start at 30 s.
_PING_SECONDS: Final = 15.0
_PING: Final = b": ping\r\n\r\n"
_JSON: Final = b"application/json"
_CARDS: Final = frozenset({"/.well-known/agent-card.json", "/.well-known/agent.json"})
# How long a client may keep the card; it changes only with a new Pod.
_CARD_SECONDS: Final = 60
_TEXT: Final = b"text/plain; charset=utf-8"
_STREAM: Final = [
    (b"content-type", b"text/event-stream"), (b"cache-control", b"no-store"), (b"x-accel-buffering", b"no"),
]  # fmt: skip


class Serving:
    """What an app needs, and how far its start has come. ``unready`` says what is still missing, empty when ready."""

    def __init__(
        self, agent: Agent, store: Store, card: JsonObject, *, app_name: str, url: str,
        key_passthrough: bool = False, deltas: bool = True, drain_seconds: float = _DRAIN_SECONDS,
        largest_request: int | None = None,
        unready: Callable[[], str] = str, started: Callable[[], Awaitable[None]] | None = None,
    ) -> None:  # fmt: skip
        self.agent = agent
        self.store = store
        self.metrics = Metrics()
        self.largest_request = largest_request
        self.drain_seconds = drain_seconds
        self.unready = unready
        self.started = started
        self.card = build_card(card, default_url=url)
        self.hooks = Hooks(store)
        self.board = TaskBoard(store, self.hooks)
        self.executor = Executor(
            agent, self.board, app_name=app_name, metrics=self.metrics, key_passthrough=key_passthrough, deltas=deltas
        )


def create_app(serving: Serving) -> App:
    """Build the app; entering its lifespan closes what the last process left open, leaving it drains this one."""
    return App(serving)


class App:
    """One agent as ASGI."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._card = orjson.dumps(serving.card)
        etag = f'"{hashlib.sha256(self._card).hexdigest()[:32]}"'
        self._card_headers = [
            (b"cache-control", f"public, max-age={_CARD_SECONDS}".encode()), (b"etag", etag.encode()),
        ]  # fmt: skip
        self._extensions = frozenset(entry["uri"] for entry in serving.card["capabilities"]["extensions"])
        self._draining = False
        self._dispatcher = Dispatcher(serving.executor, serving.board, serving.hooks, extended_card(serving.card))

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)

    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        serving = self._serving
        if found := await mark_interrupted(serving.store):
            logger.warning("%d tasks were left working by the last process and are now failed", found)
        if serving.started is not None:
            await serving.started()
        yield
        await self.drain()
        await serving.board.aclose()
        await serving.executor.aclose()
        await serving.hooks.aclose()
        await serving.agent.aclose()
        await serving.store.aclose()

    async def drain(self) -> None:
        """Take no new message, let running turns end for a while, then end them and say so in their tasks."""
        if self._draining:
            return
        self._draining = True
        serving = self._serving
        try:
            async with asyncio.timeout(serving.drain_seconds):
                await serving.metrics.idle.wait()
        except TimeoutError:
            logger.warning("%d turns are stopped because the process ends", serving.metrics.running)
        await serving.board.aclose()

    async def _serve(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        method, path = scope["method"], scope["path"]
        if path == "/":
            if method != "POST":
                await reply(send, 405, b"POST JSON-RPC here; the card is at /.well-known/agent-card.json", _TEXT)
            elif self._draining:
                await reply(send, 503, b"this agent is ending; ask again", _TEXT)
            else:
                await self._answer(scope, receive, send)
            return
        answer = self._page(path)
        if answer is None:
            await reply(send, 404, b"Not Found", _TEXT)
        elif method not in {"GET", "HEAD"}:
            await reply(send, 405, b"Method Not Allowed", _TEXT)
        elif path in _CARDS:
            known = _headers(scope["headers"]).get("if-none-match", "").encode() == self._card_headers[1][1]
            await reply(send, 304 if known else 200, b"" if known else answer[1], answer[2], self._card_headers)
        else:
            await reply(send, *answer)

    def _page(self, path: str) -> tuple[int, bytes, bytes] | None:
        match path:
            case "/.well-known/agent-card.json" | "/.well-known/agent.json":
                return 200, self._card, _JSON
            case "/health" | "/healthz":
                return 200, b"OK", _TEXT
            case "/readyz":
                missing = "the running turns to end" if self._draining else self._serving.unready()
                return (503, f"waiting for {missing}".encode(), _TEXT) if missing else (200, b"OK", _TEXT)
            case "/metrics":
                return 200, self._serving.metrics.text().encode(), b"text/plain; version=0.0.4"
            case _:
                return None

    async def _answer(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        headers = _headers(scope["headers"])
        # A page may send plain text anywhere without being asked; JSON, a browser asks about first, and gets no leave.
        if "origin" in headers and not headers.get("content-type", "").lower().startswith("application/json"):
            await reply(send, 415, b"POST application/json", _TEXT)
            return
        body = await _body(headers, receive, self._serving.largest_request)
        if body is None:
            message = f"Payload too large: this agent takes up to {self._serving.largest_request} bytes"
            error = {"code": -32600, "message": f"{message} (A2A_MAX_CONTENT_LENGTH)"}
            await reply(send, 413, orjson.dumps({"jsonrpc": "2.0", "id": None, "error": error}), _JSON)
            return
        query = scope["query_string"]
        version = parse_qs(query.decode("latin-1")).get("A2A-Version", [""])[-1] if query else ""
        answer = await self._dispatcher.handle(body, headers, version)
        more = self._activated(headers)
        if isinstance(answer, Streamed):
            await _stream(answer, receive, send, more)
        else:
            await reply(send, 200, answer, _JSON, more)

    def _activated(self, headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
        """Return the header that tells which of the extensions a caller asked for are active (A2A 1.0, 0.3 with X-)."""
        for name in ("a2a-extensions", "x-a2a-extensions"):
            if asked := headers.get(name):
                active = [uri for each in asked.split(",") if (uri := each.strip()) in self._extensions]
                return [(name.encode(), ", ".join(active).encode())] if active else []
        return []

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        async with self.lifespan():
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})


async def reply(
    send: Send, status: int, body: bytes, content_type: bytes, more: Sequence[tuple[bytes, bytes]] = ()
) -> None:
    """Send one whole answer, with ``more`` headers."""
    headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode()), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _stream(answer: Streamed, receive: Receive, send: Send, more: Sequence[tuple[bytes, bytes]] = ()) -> None:
    """Send a stream until it ends or its reader is gone."""
    await send({"type": "http.response.start", "status": 200, "headers": [*_STREAM, *more]})
    listener = answer.listener
    error = answer.fault
    if listener is not None:
        gone = asyncio.create_task(_until_gone(receive))
        gone.add_done_callback(lambda _: listener.close())
        try:
            while not gone.done() and (events := await listener.next(_PING_SECONDS)) is not None:
                written = answer.write(events) if events else _PING
                await send({"type": "http.response.body", "body": written, "more_body": True})
        finally:
            gone.cancel()
            listener.close()
        error = listener.error
    last = answer.write_fault(error) if error is not None else b""
    await send({"type": "http.response.body", "body": last})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _headers(pairs: list[tuple[bytes, bytes]]) -> Mapping[str, str]:
    headers: dict[str, str] = {}
    for name, value in pairs:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


async def _body(headers: Mapping[str, str], receive: Receive, largest: int | None) -> bytes | None:
    """Read a request's body; None where it is larger than allowed, before all of it is in memory."""
    announced = headers.get("content-length", "")
    if largest is not None and announced.isdecimal() and int(announced) > largest:
        return None
    message = await receive()
    body: bytes = message.get("body", b"")
    if message.get("more_body"):
        chunks, size = [body], len(body)
        while message.get("more_body"):
            message = await receive()
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if largest is not None and size > largest:
                return None
        body = b"".join(chunks)
    return None if largest is not None and len(body) > largest else body
