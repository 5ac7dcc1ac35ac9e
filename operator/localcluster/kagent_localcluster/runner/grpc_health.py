"""One health check by gRPC (``grpc.health.v1.Health/Check``), as a kubelet's grpc probe makes it.

gRPC is HTTP/2 with a length before each message; a single call without compression needs five kinds of frames, which
are written here instead of bringing a library of several megabytes into the runner. Only the answer's message is read:
a server that fails the call sends none.
"""

from __future__ import annotations

import asyncio
import struct
from enum import IntEnum

__all__ = ["Health", "check_health"]

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8
STREAM = 1
LONGEST_FRAME = 16_384  # what a peer may send that was told nothing else


class Health(IntEnum):
    """``HealthCheckResponse.ServingStatus``."""

    UNKNOWN = 0
    SERVING = 1
    NOT_SERVING = 2
    SERVICE_UNKNOWN = 3


async def check_health(host: str, port: int, service: str) -> Health:
    """Return what a server says of a service ("" for itself).

    Raises:
        OSError: no connection.
        ValueError: no answer that can be read; the message says why.
    """
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(PREFACE + _frame(SETTINGS, 0, 0, b""))
        writer.write(_frame(HEADERS, END_HEADERS, STREAM, _headers(f"{host}:{port}")))
        writer.write(_frame(DATA, END_STREAM, STREAM, _request(service)))
        return _status(await _answer(reader, writer))
    except (asyncio.IncompleteReadError, struct.error) as error:
        raise ValueError(f"port {port} does not speak gRPC") from error
    finally:
        writer.close()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Return the bytes of the answer's message with its length before it, b"" when the call failed."""
    body = b""
    while True:
        head = await reader.readexactly(9)
        length, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
        stream = int.from_bytes(head[5:], "big") & 0x7FFFFFFF
        if length > LONGEST_FRAME:
            raise ValueError("the answer is no HTTP/2")
        payload = await reader.readexactly(length)
        if kind == SETTINGS and not flags & ACK:
            writer.write(_frame(SETTINGS, ACK, 0, b""))
        elif kind == PING and not flags & ACK:
            writer.write(_frame(PING, ACK, 0, payload))
        elif kind == GOAWAY or (kind == RST_STREAM and stream == STREAM):
            raise ValueError("the server ended the call")
        elif stream == STREAM and kind in (DATA, HEADERS):
            if kind == DATA:
                body += payload[1 : length - payload[0]] if flags & PADDED else payload
            if flags & END_STREAM:
                return body


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def _headers(authority: str) -> bytes:
    """Return the call's headers in HPACK, each as a literal that no table takes up."""
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": "/grpc.health.v1.Health/Check",
        ":authority": authority,
        "content-type": "application/grpc",
        "user-agent": "kube-probe/local",
        "te": "trailers",
    }
    return b"".join(
        b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
        for name, value in fields.items()
    )


def _request(service: str) -> bytes:
    """Return ``HealthCheckRequest`` with its length before it; field 1 is the service."""
    name = service.encode()[:127]
    message = b"\x0a" + bytes([len(name)]) + name if name else b""
    return struct.pack(">BI", 0, len(message)) + message


def _status(body: bytes) -> Health:
    if len(body) < 5:
        raise ValueError("this server does not implement the grpc health protocol (grpc.health.v1.Health)")
    _compressed, length = struct.unpack(">BI", body[:5])
    message = body[5 : 5 + length]
    if not message:
        return Health.UNKNOWN  # the value that is not written
    if len(message) < 2 or message[0] != 0x08 or message[1] > max(Health):
        raise ValueError("the answer is no HealthCheckResponse")
    return Health(message[1])
