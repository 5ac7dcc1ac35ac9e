"""The server half of SPDY/3.1, as far as kubectl's port-forward speaks it inside WebSocket messages.

Messages are pieces of one byte stream; frames may be split over them. Per forwarded connection the client opens an
error and a data stream with one request id; a FIN on both from here ends the connection on its side. There is no flow
control in this use, so what is read from a Pod is only as fast as the WebSocket takes it.
"""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import IntEnum

from kagent_localcluster.apiserver.proxying.spdy_dictionary import HEADER_DICTIONARY
from kagent_localcluster.apiserver.web.messages import Receive, Send
from kagent_localcluster.errors import ApiError

__all__ = ["SpdyTunnel"]

_FIN = 1
_HEAD_BYTES = 8
_READ_BYTES = 32_768
# A frame's length field has 24 bits; kubectl sends 32 KiB.
_MAX_FRAME = 1 << 20

Dial = Callable[[int], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


class _SpdyFrame(IntEnum):
    """Control frames of SPDY/3.1 that matter here."""

    SYN_STREAM = 1
    SYN_REPLY = 2
    RST_STREAM = 3
    PING = 6
    GOAWAY = 7


@dataclass
class _Stream:
    """Bytes that came for one stream; None ends it."""

    number: int
    incoming: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue[bytes | None])


@dataclass
class _Connection:
    """The two streams of one forwarded connection."""

    port: int
    error: _Stream | None = None
    data: _Stream | None = None


class SpdyTunnel:
    """One kubectl port-forward session."""

    def __init__(self, receive: Receive, send: Send, dial: Dial, pod: str) -> None:
        self._receive = receive
        self._send_message = send
        self._dial = dial
        self._pod = pod
        # One compression context a direction for the whole session.
        self._inflate = zlib.decompressobj(zdict=HEADER_DICTIONARY)
        self._deflate = zlib.compressobj(zdict=HEADER_DICTIONARY)
        self._streams: dict[int, _Stream] = {}
        self._connections: dict[str, _Connection] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve until the client says goodbye or leaves."""
        buffer = bytearray()
        try:
            while True:
                while len(buffer) >= _HEAD_BYTES:
                    size = int.from_bytes(buffer[5:8], "big")
                    if size > _MAX_FRAME:
                        return
                    if len(buffer) < _HEAD_BYTES + size:
                        break
                    head, body = bytes(buffer[:_HEAD_BYTES]), bytes(buffer[_HEAD_BYTES : _HEAD_BYTES + size])
                    del buffer[: _HEAD_BYTES + size]
                    if not await self._frame(head, body):
                        return
                message = await self._receive()
                if message["type"] == "websocket.disconnect":
                    return
                buffer += message.get("bytes") or b""
        except (zlib.error, struct.error, UnicodeDecodeError, KeyError, ValueError):
            # A client that breaks the protocol loses the session, nothing else.
            await self._send_message({"type": "websocket.close", "code": 1002})
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _frame(self, head: bytes, body: bytes) -> bool:
        """Act on one frame; return False when the session is over."""
        fin = bool(head[4] & _FIN)
        if not head[0] & 0x80:
            if stream := self._streams.get(int.from_bytes(head[:4], "big")):
                if body:
                    stream.incoming.put_nowait(body)
                if fin:
                    stream.incoming.put_nowait(None)
            return True
        match int.from_bytes(head[2:4], "big"):
            case _SpdyFrame.SYN_STREAM:
                await self._open(body)
            case _SpdyFrame.RST_STREAM:
                if stream := self._streams.pop(int.from_bytes(body[:4], "big") & 0x7FFFFFFF, None):
                    stream.incoming.put_nowait(None)
            case _SpdyFrame.PING:
                await self._control(_SpdyFrame.PING, body)
            case _SpdyFrame.GOAWAY:
                return False
            case _:
                pass
        return True

    async def _open(self, body: bytes) -> None:
        number = int.from_bytes(body[:4], "big") & 0x7FFFFFFF
        headers = _read_headers(self._inflate.decompress(body[10:]))
        stream = self._streams[number] = _Stream(number)
        connection = self._connections.setdefault(headers["requestid"], _Connection(int(headers["port"])))
        if headers["streamtype"] == "error":
            connection.error = stream
        else:
            connection.data = stream
        block = self._deflate.compress(struct.pack(">I", 0)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        await self._control(_SpdyFrame.SYN_REPLY, struct.pack(">I", number) + block)
        if connection.error is not None and connection.data is not None:
            del self._connections[headers["requestid"]]
            task = asyncio.create_task(self._forward(connection.port, connection.error, connection.data))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _forward(self, port: int, error: _Stream, data: _Stream) -> None:
        try:
            reader, writer = await self._dial(port)
        except (OSError, ApiError) as problem:
            await self._data(
                error.number, f"error forwarding port {port} to pod {self._pod}: {problem}".encode(), fin=True
            )
            await self._data(data.number, b"", fin=True)
            return
        upload = asyncio.create_task(_upload(data, writer))
        try:
            while chunk := await reader.read(_READ_BYTES):
                await self._data(data.number, chunk)
        except ConnectionError:
            pass
        finally:
            upload.cancel()
            await asyncio.gather(upload, return_exceptions=True)
            writer.close()
            for stream in (error, data):
                self._streams.pop(stream.number, None)
        # Without a FIN on the error stream kubectl keeps the local connection open.
        await self._data(data.number, b"", fin=True)
        await self._data(error.number, b"", fin=True)

    async def _control(self, kind: int, body: bytes) -> None:
        await self._send(struct.pack(">HHI", 0x8003, kind, len(body)) + body)

    async def _data(self, number: int, body: bytes, *, fin: bool = False) -> None:
        await self._send(struct.pack(">II", number, (_FIN if fin else 0) << 24 | len(body)) + body)

    async def _send(self, frame: bytes) -> None:
        await self._send_message({"type": "websocket.send", "bytes": frame})


async def _upload(stream: _Stream, writer: asyncio.StreamWriter) -> None:
    try:
        while (chunk := await stream.incoming.get()) is not None:
            writer.write(chunk)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except ConnectionError:
        return


def _read_headers(block: bytes) -> dict[str, str]:
    (count,) = struct.unpack_from(">I", block)
    position = 4
    headers: dict[str, str] = {}
    for _ in range(count):
        words: list[str] = []
        for _ in range(2):
            (size,) = struct.unpack_from(">I", block, position)
            words.append(block[position + 4 : position + 4 + size].decode())
            position += 4 + size
        headers[words[0].lower()] = words[1]
    return headers
