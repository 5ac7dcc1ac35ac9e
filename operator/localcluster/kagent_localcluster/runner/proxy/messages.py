"""HTTP/1.1 messages on a stream: heads as data, bodies as pieces, never buffered whole.

Parsing is httptools' (llhttp, strict), so that what this proxy takes for the end of a message is what any other party
takes for it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Literal

import httptools

__all__ = ["BrokenMessage", "Head", "Header", "MessageReader", "end_of_body", "piece_of_body", "write_head"]

Header = tuple[bytes, bytes]

READ_SIZE = 64 * 1024
LARGEST_HEAD = 64 * 1024
MOST_PIPELINED = 16  # pieces read ahead of an answer
# Belong to one connection, not to the message (RFC 9110, 7.6.1).
HOP_BY_HOP = {
    b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te", b"trailer",
    b"transfer-encoding", b"upgrade",
}  # fmt: skip


class BrokenMessage(Exception):
    """The other side does not speak HTTP/1, or went away within a message."""


@dataclass
class Head:
    """The head of a request (``method``, ``target``) or of a response (``status``, ``reason``)."""

    version: str = "1.1"
    method: str = ""
    target: bytes = b""
    status: int = 0
    reason: bytes = b""
    headers: list[Header] = field(default_factory=list[Header])
    keep_alive: bool = True
    upgrade: bool = False
    body: Literal["none", "length", "chunked", "until-close"] = "none"

    def get(self, name: bytes) -> bytes | None:
        return next((value for key, value in self.headers if key.lower() == name), None)

    def end_to_end(self) -> list[Header]:
        """Return the headers that travel on; content-length stays, transfer-encoding is the writer's business."""
        named = {token.strip().lower() for token in (self.get(b"connection") or b"").split(b",")}
        return [(name, value) for name, value in self.headers if name.lower() not in HOP_BY_HOP | named]


class MessageReader:
    """Reads messages off a stream, one after the other."""

    def __init__(self, reader: asyncio.StreamReader, kind: Literal["request", "response"]) -> None:
        self._reader = reader
        self._kind = kind
        self._events: deque[Head | bytes | None] = deque()  # None ends a message
        self._head = Head()
        self._head_size = 0
        self._parser: Any = (  # httptools has no types
            httptools.HttpRequestParser(self) if kind == "request" else httptools.HttpResponseParser(self)
        )
        self.remains = b""
        self._upgraded = False
        self._started = False

    @property
    def idle(self) -> bool:
        """Whether nothing of a next message has come and the other side has not closed."""
        return not self._events and not self._started and not self._reader.at_eof() and not self._upgraded

    async def head(self) -> Head | None:
        """Return the next head, None when the other side closed before one began.

        Raises:
            BrokenMessage: what came is no HTTP head.
        """
        while not self._events or isinstance(self._events[0], bytes):
            if self._events:
                raise BrokenMessage("body bytes where a head was expected")
            if not await self._fill():
                if self._started:
                    raise BrokenMessage("the connection ended within a head")
                return None
        event = self._events.popleft()
        if event is None:
            return await self.head()
        assert isinstance(event, Head)
        return event

    async def body(self, head: Head) -> AsyncIterator[bytes]:
        """Yield the pieces of the present message's body as they come.

        Raises:
            BrokenMessage: the other side went away before its end.
        """
        while True:
            while self._events:
                event = self._events.popleft()
                if event is None:
                    return
                if isinstance(event, Head):
                    self._events.appendleft(event)
                    return
                yield event
            if not await self._fill():
                if head.body == "until-close":
                    return
                raise BrokenMessage("the connection ended within a body")

    async def wait_closed(self) -> None:
        """Return when the other side closes; what it sends meanwhile is kept for later."""
        while len(self._events) < MOST_PIPELINED and not self._upgraded:
            if not await self._fill():
                return
        await asyncio.Event().wait()

    async def connect_answer(self) -> int:
        """Return the status of the answer to a CONNECT; what follows a 200 is the tunnel's (see ``raw``).

        Read by hand: a parser would take the tunnel for a body.

        Raises:
            BrokenMessage: what came is no HTTP head.
        """
        try:
            lines = (await self._reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
            return int(lines[0].split()[1])
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, IndexError, ValueError) as error:
            raise BrokenMessage("no answer to CONNECT") from error

    async def raw(self) -> AsyncIterator[bytes]:
        """Yield bytes as they are, after an upgrade or CONNECT."""
        if self.remains:
            yield self.remains
            self.remains = b""
        while data := await self._reader.read(READ_SIZE):
            yield data

    async def _fill(self) -> bool:
        data = await self._reader.read(READ_SIZE)
        if not data:
            return False
        if not self._events and not self._upgraded:
            self._head_size += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgraded = True
            self.remains = data[upgrade.args[0] :]
        except httptools.HttpParserError as error:
            raise BrokenMessage(str(error)) from error
        if self._started and self._head_size > LARGEST_HEAD:
            raise BrokenMessage("the head is too large")
        return True

    # Callbacks of httptools.

    def on_message_begin(self) -> None:
        self._head = Head()
        self._started = True
        self._head_size = 0

    def on_url(self, url: bytes) -> None:
        self._head.target += url

    def on_status(self, status: bytes) -> None:
        self._head.reason += status

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head.headers.append((name, value))

    def on_headers_complete(self) -> None:
        head = self._head
        self._started = False
        head.version = self._parser.get_http_version()
        head.keep_alive = self._parser.should_keep_alive()
        head.upgrade = self._parser.should_upgrade()
        if self._kind == "request":
            head.method = self._parser.get_method().decode()
        else:
            head.status = self._parser.get_status_code()
        head.body = self._framing(head)
        self._events.append(head)

    def on_body(self, piece: bytes) -> None:
        self._events.append(piece)

    def on_message_complete(self) -> None:
        self._started = False
        self._events.append(None)

    def _framing(self, head: Head) -> Literal["none", "length", "chunked", "until-close"]:
        if b"chunked" in (head.get(b"transfer-encoding") or b"").lower():
            return "chunked"
        if (length := head.get(b"content-length")) is not None:
            return "none" if length.strip() == b"0" else "length"
        if self._kind == "request" or head.status < 200 or head.status in (204, 304):
            return "none"
        return "until-close"


def write_head(first_line: bytes, headers: list[Header]) -> bytes:
    return b"".join([first_line, b"\r\n", *(b"%s: %s\r\n" % header for header in headers), b"\r\n"])


def piece_of_body(piece: bytes, *, chunked: bool) -> bytes:
    return b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece


def end_of_body(*, chunked: bool) -> bytes:
    return b"0\r\n\r\n" if chunked else b""
