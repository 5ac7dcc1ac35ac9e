"""The forward proxy: every Pod's HTTP_PROXY, and the only way in which ``http://NAME.NAMESPACE`` means something.

It passes heads and pumps bodies as they come, keeps connections on both sides, and answers by itself only when it must
refuse. It serves Pods alone: without a Pod's identity it answers 407.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import logging
from typing import NamedTuple

import httptools

from kagent_localcluster.runner.identity import Identities, PodIdentity
from kagent_localcluster.runner.proxy.exchange import Exchange, GaveUp, tunnel
from kagent_localcluster.runner.proxy.messages import BrokenMessage, Head, MessageReader, write_head
from kagent_localcluster.runner.proxy.pool import Pool
from kagent_localcluster.runner.proxy.routing import Refused, Router

__all__ = ["ForwardProxy"]

logger = logging.getLogger(__name__)

SWEEP_SECONDS = 1.0
REASONS = {400: b"Bad Request", 407: b"Proxy Authentication Required", 502: b"Bad Gateway", 503: b"Service Unavailable"}


class _Destination(NamedTuple):
    host: str
    port: int
    path: bytes


class ForwardProxy:
    """Serves on loopback until stopped."""

    def __init__(self, router: Router, identities: Identities, pool: Pool) -> None:
        self._router = router
        self._identities = identities
        self._pool = pool
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.port = 0

    async def start(self) -> None:
        """Listen on a port of the system's choice; ``port`` tells it."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def run(self) -> None:
        """Close what has been idle for too long, until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self._pool.sweep()

    async def stop(self) -> None:
        """End every connection."""
        if self._server is not None:
            self._server.close()
        for task in list(self._connections):
            task.cancel()
        if self._connections:
            await asyncio.wait(self._connections)
        await self._pool.close()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = MessageReader(reader, "request")
        try:
            while (head := await client.head()) is not None:
                if not await self._one(head, client, writer):
                    break
        except (BrokenMessage, OSError) as error:
            logger.debug("forward proxy: %s", error)
        except asyncio.CancelledError:
            writer.transport.abort()
            raise
        except Exception:
            logger.exception("forward proxy: request failed")
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _one(self, head: Head, client: MessageReader, writer: asyncio.StreamWriter) -> bool:
        """Serve one request; returns whether the connection can serve another."""
        caller = self._caller(head)
        if caller is None:
            return await _refuse(
                head, client, writer, Refused(407, "this proxy serves the Pods of a local cluster only")
            )
        try:
            destination = _destination(head)
            scheme = "https" if head.method == "CONNECT" else "http"
            route = self._router.route(destination.host, destination.port, caller, scheme=scheme)
            if head.method == "CONNECT":
                return await tunnel(self._pool, route, destination.host, destination.port, client, writer)
            exchange = Exchange(self._pool, route, head, client, writer)
            return await exchange.run(destination.host, destination.port, destination.path)
        except Refused as refused:
            return await _refuse(head, client, writer, refused)
        except GaveUp as gave_up:
            message = f"{_shown(head)}: {gave_up}"
            return await _refuse(head, client, writer, Refused(502, message))

    def _caller(self, head: Head) -> PodIdentity | None:
        scheme, _, encoded = (head.get(b"proxy-authorization") or b"").partition(b" ")
        if scheme.lower() != b"basic":
            return None
        try:
            token = base64.b64decode(encoded).rpartition(b":")[2].decode()
        except (binascii.Error, UnicodeDecodeError):
            return None
        return self._identities.who(token)


def _destination(head: Head) -> _Destination:
    try:
        url = httptools.parse_url(b"//" + head.target if head.method == "CONNECT" else head.target)
        host = (url.host or b"").decode("ascii")
        port = url.port
    except (httptools.HttpParserInvalidURLError, UnicodeDecodeError) as error:
        raise Refused(400, f"{_shown(head)}: no URL") from error
    if head.method == "CONNECT":
        host, _, digits = head.target.decode("latin-1").rpartition(":")
        if not host or not digits.isdigit():
            raise Refused(400, f"{_shown(head)}: CONNECT needs HOST:PORT")
        return _Destination(host.strip("[]"), int(digits), b"")
    if not host or url.schema not in (b"http", b"ws"):  # aiohttp asks for a WebSocket by its own scheme
        raise Refused(400, f"{_shown(head)}: a proxy expects an absolute http URL")
    path = (url.path or b"/") + (b"?" + url.query if url.query else b"")
    return _Destination(host, port or 80, path)


def _shown(head: Head) -> str:
    """Return the target for a message, without a query, which may hold secrets."""
    return head.target.split(b"?", 1)[0][:200].decode("latin-1")


async def _refuse(head: Head, client: MessageReader, writer: asyncio.StreamWriter, refused: Refused) -> bool:
    body = (refused.message + "\n").encode()
    keep = head.keep_alive and head.body == "none" and not head.upgrade
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))]
    if refused.status == 407:
        headers.append((b"proxy-authenticate", b'Basic realm="local cluster"'))
    if not keep:
        headers.append((b"connection", b"close"))
    first = b"HTTP/1.1 %d %s" % (refused.status, REASONS.get(refused.status, b"Error"))
    writer.write(write_head(first, headers) + (b"" if head.method == "HEAD" else body))
    await writer.drain()
    if not keep and head.body != "none" and not head.upgrade:
        # A reset while the client still sends could lose it this answer.
        with contextlib.suppress(BrokenMessage, TimeoutError):
            async with asyncio.timeout(1.0):
                async for _ in client.body(head):
                    pass
    return keep
