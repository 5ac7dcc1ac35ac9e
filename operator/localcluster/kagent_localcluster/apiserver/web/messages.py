"""One request and the ways to answer it, over ASGI. Nothing here knows Kubernetes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

import orjson

from kagent_localcluster.errors import BadRequest, TooLarge

__all__ = [
    "Headers",
    "Message",
    "Query",
    "Receive",
    "Request",
    "Scope",
    "Send",
    "send",
    "send_json",
    "send_stream",
]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Headers: TypeAlias = "list[tuple[bytes, bytes]]"

# The limit of a real API server for one request body.
_MAX_BODY = 3 << 20
_LAST_WORDS_SECONDS = 0.2


class Query:
    """Query parameters; of repeated ones the first counts, as in Go."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.pairs = parse_qsl(raw.decode("latin-1"), keep_blank_values=True)

    def get(self, name: str) -> str:
        return next((value for key, value in self.pairs if key == name), "")

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.pairs if key == name]

    def flag(self, name: str) -> bool:
        """Read a boolean as Kubernetes does: whatever is given means yes, but for ``false`` and ``0``."""
        return any(key == name for key, _ in self.pairs) and self.get(name).lower() not in ("false", "0")

    def number(self, name: str) -> int | None:
        """Return the whole number, None when there is none.

        Raises:
            BadRequest: the text is no number.
        """
        text = self.get(name)
        if not text:
            return None
        try:
            return int(text)
        except ValueError as error:
            raise BadRequest(f'strconv.ParseInt: parsing "{text}": invalid syntax') from error


class Request:
    """An HTTP request; ``stopping`` is set when the server ends and long answers should too."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, stopping: asyncio.Event) -> None:
        self.scope = scope
        self.stopping = stopping
        self.receive = receive
        self.send = send
        self.warnings: Headers = []
        self.method: str = scope.get("method", "GET")
        self.path: str = scope["path"]
        self.query = Query(scope.get("query_string", b""))
        # A header given several times is a list (RFC 9110, 5.3), as Impersonate-Group may be.
        self.headers: dict[str, str] = {}
        for raw, value in scope["headers"]:
            name, text = raw.decode("latin-1"), value.decode("latin-1")
            self.headers[name] = f"{self.headers[name]},{text}" if name in self.headers else text

    def warn(self, text: str) -> None:
        """Have the answer carry a warning, which clients print."""
        quoted = text.replace("\\", "\\\\").replace('"', '\\"')
        self.warnings.append((b"warning", f'299 - "{quoted}"'.encode()))

    def header(self, name: str) -> str:
        return self.headers.get(name, "")

    @property
    def content_type(self) -> str:
        return self.header("content-type").partition(";")[0].strip().lower()

    async def body(self) -> bytes:
        """Return the whole body.

        Raises:
            TooLarge: it is longer than the server takes.
        """
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise BadRequest("the client went away before its request was complete")
            chunk: bytes = message.get("body", b"")
            size += len(chunk)
            if size > _MAX_BODY:
                raise TooLarge(f"Request entity too large: limit is {_MAX_BODY}")
            chunks.append(chunk)
            if not message.get("more_body"):
                return b"".join(chunks)


async def send(request: Request, code: int, body: bytes, content_type: str, headers: Headers | None = None) -> None:
    """Answer with a complete body."""
    await request.send(
        {
            "type": "http.response.start",
            "status": code,
            "headers": [
                (b"content-type", content_type.encode()),
                (b"content-length", str(len(body)).encode()),
                (b"cache-control", b"no-cache, private"),
                *request.warnings,
                *(headers or ()),
            ],
        }
    )
    await request.send({"type": "http.response.body", "body": b"" if request.method == "HEAD" else body})


async def send_json(request: Request, code: int, value: Any, headers: Headers | None = None) -> None:
    """Answer with a JSON value."""
    await send(request, code, orjson.dumps(value), "application/json", headers)


async def send_stream(request: Request, chunks: AsyncIterable[bytes], content_type: str) -> None:
    """Answer with chunks as they come, each flushed at once; stop as soon as the client has gone."""
    await request.send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-type", content_type.encode()),
                (b"cache-control", b"no-cache, private"),
                *request.warnings,
            ],
        }
    )
    # Sending to a client that has gone raises nothing, so its leaving must be waited for.
    pump = asyncio.create_task(_pump(request, chunks))
    gone = asyncio.create_task(_disconnected(request))
    stop = asyncio.create_task(request.stopping.wait())
    try:
        await asyncio.wait({pump, gone, stop}, return_when=asyncio.FIRST_COMPLETED)
        if stop.done():
            # A watch sees the end by itself and has a last batch to send; what does not end is cut off.
            await asyncio.wait({pump}, timeout=_LAST_WORDS_SECONDS)
    finally:
        for task in (pump, gone, stop):
            task.cancel()
        await asyncio.gather(pump, gone, stop, return_exceptions=True)
    if not pump.cancelled() and (error := pump.exception()):
        raise error


async def _pump(request: Request, chunks: AsyncIterable[bytes]) -> None:
    async for chunk in chunks:
        await request.send({"type": "http.response.body", "body": chunk, "more_body": True})
    await request.send({"type": "http.response.body", "body": b""})


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        continue
