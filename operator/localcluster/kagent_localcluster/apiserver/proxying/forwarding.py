"""One HTTP request handed on to an address on this machine, and its answer streamed back as it comes.

Bodies are never collected or changed: an SSE event leaves in the same turn of the loop in which it arrived. When either
side goes away the other is closed at once, so that an engine sees its client leave. The Authorization header ends here,
as at a real API server; what a gateway should see travels in a header of its own.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httptools

from kagent_localcluster.apiserver.web.messages import Headers, Request
from kagent_localcluster.errors import ServiceUnavailable
from kagent_localcluster.seams import Address

__all__ = ["Target", "forward"]

_CONNECT_SECONDS = 10.0
_READ_BYTES = 65_536

# RFC 9110 7.6.1, and what belongs to the API server itself.
_HOP_HEADERS = frozenset({
    b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te",
    b"trailer", b"transfer-encoding", b"upgrade",
})  # fmt: skip
_DROPPED_REQUEST = _HOP_HEADERS | {b"authorization", b"host", b"content-length", b"expect"}
_DROPPED_RESPONSE = _HOP_HEADERS | {b"date", b"server"}


@dataclass(frozen=True)
class Target:
    """Where to, and under which path; ``prefix`` is the proxy's own path, for redirects that come back."""

    address: Address
    path: str
    prefix: str
    tls: bool = False


async def forward(request: Request, target: Target) -> None:
    """Answer the request with what the target answers.

    Raises:
        ServiceUnavailable: nothing answers there.
    """
    reader, writer = await _connect(target)
    upload = asyncio.create_task(_upload(request, target, writer))
    download = asyncio.create_task(_download(request, target, reader))
    stop = asyncio.create_task(request.stopping.wait())
    try:
        await asyncio.wait({upload, download, stop}, return_when=asyncio.FIRST_COMPLETED)
        if upload.done() and upload.exception() is not None and not stop.done():
            # The target stopped reading the body: its answer still counts.
            await asyncio.wait({download, stop}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        writer.close() if download.done() else writer.transport.abort()
        for task in (upload, download, stop):
            task.cancel()
        await asyncio.gather(upload, download, stop, return_exceptions=True)
    if download.done() and not download.cancelled() and (error := download.exception()):
        raise error


async def _connect(target: Target) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    context = _unverified_context() if target.tls else None
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            return await asyncio.open_connection(target.address.host, target.address.port, ssl=context)
    except (OSError, TimeoutError) as error:
        raise ServiceUnavailable(
            f"error trying to reach service: dial tcp {target.address.host}:{target.address.port}: {error}"
        ) from error


def _unverified_context() -> ssl.SSLContext:
    """Return a context that takes any certificate, as a real API server's proxy does for ``https:`` names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _upload(request: Request, target: Target, writer: asyncio.StreamWriter) -> None:
    """Write head and body, then wait for the client to leave; return when it did."""
    length = request.headers.get("content-length")
    chunked = length is None and "transfer-encoding" in request.headers
    writer.write(_request_head(request, target, length, chunked=chunked))
    more = True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            return
        body: bytes = message.get("body", b"")
        more = bool(message.get("more_body"))
        if body:
            writer.write(b"%x\r\n%b\r\n" % (len(body), body) if chunked else body)
            await writer.drain()
    if chunked:
        writer.write(b"0\r\n\r\n")
    await writer.drain()
    while (await request.receive())["type"] != "http.disconnect":
        continue


def _request_head(request: Request, target: Target, length: str | None, *, chunked: bool) -> bytes:
    query = request.query.raw.decode("latin-1")
    path = target.path + (f"?{query}" if query else "")
    host = request.header("host")
    lines = [f"{request.method} {path} HTTP/1.1".encode("latin-1")]
    # Servers that guard against DNS rebinding accept this name only.
    lines.append(f"Host: localhost:{target.address.port}".encode())
    for name, value in request.scope["headers"]:
        if name not in _DROPPED_REQUEST and not name.startswith(b"impersonate-"):
            lines.append(name + b": " + value)
    client = request.scope.get("client")
    if client:
        lines.append(f"X-Forwarded-For: {client[0]}".encode())
    if host:
        lines.append(f"X-Forwarded-Host: {host}".encode("latin-1"))
    lines.append(f"X-Forwarded-Uri: {target.prefix}{target.path}".encode("latin-1"))
    if chunked:
        lines.append(b"Transfer-Encoding: chunked")
    elif length is not None:
        lines.append(f"Content-Length: {length}".encode())
    lines.append(b"Connection: close")
    return b"\r\n".join(lines) + b"\r\n\r\n"


class _Answer:
    """Collects what httptools finds in the bytes."""

    def __init__(self) -> None:
        self.headers: Headers = []
        self.chunks: list[bytes] = []
        self.head_done = False
        self.done = False

    def on_message_begin(self) -> None:
        self.headers = []
        self.head_done = self.done = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.head_done = True

    def on_body(self, body: bytes) -> None:
        self.chunks.append(body)

    def on_message_complete(self) -> None:
        self.done = True


async def _download(request: Request, target: Target, reader: asyncio.StreamReader) -> None:
    answer = _Answer()
    parser = httptools.HttpResponseParser(answer)
    started = False
    async for data in _read(reader):
        try:
            parser.feed_data(data)
        except httptools.HttpParserError as error:
            if started:
                return
            raise ServiceUnavailable(f"error trying to reach service: malformed HTTP response: {error}") from error
        if not answer.head_done:
            continue
        status = parser.get_status_code()
        if status < 200:
            continue
        if not started:
            started = True
            await request.send(
                {
                    "type": "http.response.start",
                    "status": status,
                    "headers": _response_headers(answer.headers, target.prefix),
                }
            )
            if request.method == "HEAD" or status in (204, 304):
                break
        if answer.chunks:
            body = b"".join(answer.chunks)
            answer.chunks.clear()
            await request.send({"type": "http.response.body", "body": body, "more_body": True})
        if answer.done:
            break
    if not started:
        raise ServiceUnavailable("error trying to reach service: EOF before an answer")
    await request.send({"type": "http.response.body", "body": b""})


async def _read(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while True:
        try:
            data = await reader.read(_READ_BYTES)
        except ConnectionError:
            return
        if not data:
            return
        yield data


def _response_headers(headers: Headers, prefix: str) -> Headers:
    kept: Headers = []
    for name, value in headers:
        if name in _DROPPED_RESPONSE:
            continue
        if name == b"location" and value.startswith(b"/") and not value.startswith(b"//"):
            # A redirect inside the service must lead back through the proxy.
            value = prefix.encode("latin-1") + value
        kept.append((name, value))
    return kept
