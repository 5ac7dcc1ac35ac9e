"""A reply that is handed on while it comes in: no byte waits for the next one.

When the client goes, the agent's side is closed at once (the agent's run goes on; that is A2A's rule). When the
agent's side breaks, an event stream ends with a JSON-RPC error, so that the client hears of it.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

import httpx
from starlette.types import Message, Receive, Scope, Send

__all__ = ["Relay", "unless_gone"]

_log = logging.getLogger(__name__)

# Said to the client; everything else of the agent's headers is between it and us.
_KEPT_HEADERS = ("content-type", "cache-control", "a2a-version", "a2a-extensions", "x-a2a-extensions", "retry-after")

Transform = Callable[[AsyncIterator[bytes]], AsyncIterator[bytes]]


T = TypeVar("T")


async def unless_gone(receive: Receive, work: Coroutine[Any, Any, T]) -> T | None:
    """Return the result of the work, or cancel it and return None when the client goes first. The body was read."""
    task = asyncio.create_task(work)
    gone = asyncio.create_task(disconnected(receive))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        return await task if task.done() else None
    finally:
        for each in (task, gone):
            each.cancel()
        await asyncio.wait({task, gone})


class Relay:
    """An ASGI response around an httpx response whose body has not been read."""

    def __init__(self, upstream: httpx.Response, *, about: str, call_id: object, transform: Transform | None = None):
        self._upstream = upstream
        self._about = about
        self._call_id = call_id
        self._transform = transform
        self._boundary = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        pump = asyncio.create_task(self._pump(send))
        gone = asyncio.create_task(disconnected(receive))
        try:
            await asyncio.wait({pump, gone}, return_when=asyncio.FIRST_COMPLETED)
            if pump.done() and not isinstance(pump.exception(), OSError):  # which says that the client went
                pump.result()
        finally:
            for task in (pump, gone):
                task.cancel()
                with suppress(asyncio.CancelledError, OSError):
                    await task
            await self._upstream.aclose()

    async def _pump(self, send: Send) -> None:
        headers = [(name, self._upstream.headers[name]) for name in _KEPT_HEADERS if name in self._upstream.headers]
        headers.append(("x-accel-buffering", "no"))
        await send(
            {
                "type": "http.response.start",
                "status": self._upstream.status_code,
                "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers],
            }
        )
        body = self._upstream.aiter_raw()
        try:
            async for chunk in self._transform(body) if self._transform else body:
                if chunk:
                    self._boundary = chunk.endswith((b"\n\n", b"\r\n\r\n"))
                    await send(_part(chunk))
        except httpx.TransportError as error:
            _log.warning("%s: the stream broke: %s", self._about, error or type(error).__name__)
            if self._boundary and "event-stream" in self._upstream.headers.get("content-type", ""):
                await send(_part(self._broken(error)))
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _broken(self, error: httpx.TransportError) -> bytes:
        message = f"{self._about}: the agent's stream broke ({error or type(error).__name__}); ask for the task again"
        content = {"jsonrpc": "2.0", "id": self._call_id, "error": {"code": -32603, "message": message}}
        return f"data: {json.dumps(content)}\n\n".encode()


def _part(chunk: bytes) -> Message:
    return {"type": "http.response.body", "body": chunk, "more_body": True}


async def disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
