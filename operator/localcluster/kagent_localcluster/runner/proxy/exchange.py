"""One request and its answer between a client and an upstream connection; and tunnels, for CONNECT and upgrades.

A request is repeated on a new connection only when a kept connection turned out closed before a byte of an answer, and
for methods that change things only when that showed at once: then the server had not read it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from kagent_localcluster.runner.proxy.messages import (
    BrokenMessage,
    Head,
    Header,
    MessageReader,
    end_of_body,
    piece_of_body,
    write_head,
)
from kagent_localcluster.runner.proxy.pool import Pool, Target, Upstream
from kagent_localcluster.runner.proxy.routing import Route

__all__ = ["Exchange", "GaveUp", "tunnel"]

REPLAY_LIMIT = 256 * 1024
AT_ONCE = 0.05
CONNECT_PATIENCE = 2.0  # a Pod without readiness probe counts as ready before it listens
SAFE_TO_REPEAT = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"}


class GaveUp(Exception):
    """No upstream answered; nothing was sent to the client yet."""


class _Upload:
    """The request's body on its way; what was sent is kept, up to a limit, for a repetition."""

    def __init__(self, head: Head, client: MessageReader) -> None:
        self._head = head
        self._client = client
        self._sent: list[bytes] = []
        self._size = 0
        self.complete = head.body == "none"

    @property
    def repeatable(self) -> bool:
        return self._size <= REPLAY_LIMIT

    async def send(self, writer: asyncio.StreamWriter) -> None:
        """Write the body; then return when the client closes."""
        chunked = self._head.body == "chunked"
        for piece in self._sent:
            writer.write(piece_of_body(piece, chunked=chunked))
        if not self.complete:
            async for piece in self._client.body(self._head):
                self._size += len(piece)
                if self.repeatable:
                    self._sent.append(piece)
                writer.write(piece_of_body(piece, chunked=chunked))
                await writer.drain()
            self.complete = True
        writer.write(end_of_body(chunked=chunked))
        await writer.drain()

    async def watch(self, writer: asyncio.StreamWriter) -> None:
        """Send, then return when the client has gone."""
        with contextlib.suppress(ConnectionError):  # the answer, or its absence, tells more
            await self.send(writer)
        if not self._head.upgrade:
            await self._client.wait_closed()
        else:
            await asyncio.Event().wait()


class Exchange:
    """Carries one request over."""

    def __init__(
        self, pool: Pool, route: Route, head: Head, client: MessageReader, writer: asyncio.StreamWriter
    ) -> None:
        self._pool = pool
        self._route = route
        self._head = head
        self._client = client
        self._writer = writer
        self._upload = _Upload(head, client)

    async def run(self, host: str, port: int, path: bytes) -> bool:
        """Do it; returns whether the client's connection can serve another request.

        Raises:
            GaveUp: no answer could be had and nothing was sent.
        """
        fresh = False
        while True:
            upstream = await connect(self._pool, self._route, fresh=fresh)
            reusable = False
            try:
                upstream.writer.write(self._request_head(upstream.target, host, port, path))
                upstream.acknowledge_at_once()
                sent_at = time.monotonic()
                sending = asyncio.create_task(self._upload.watch(upstream.writer))
                try:
                    answer = await self._answer(upstream, sending)
                    if answer is None:
                        return False
                    keep, reusable = await self._pass_on(answer, upstream, sending)
                    return keep
                except _Silent as error:
                    if fresh or not self._may_repeat(upstream, sent_at):
                        raise GaveUp("the server closed the connection without an answer") from error
                    fresh = True
                finally:
                    sending.cancel()
                    with contextlib.suppress(asyncio.CancelledError, BrokenMessage, OSError):
                        await sending
            finally:
                self._pool.give_back(upstream, reusable=reusable)

    def _may_repeat(self, upstream: Upstream, sent_at: float) -> bool:
        if upstream.used <= 1 or not self._upload.repeatable:
            return False
        return self._head.method in SAFE_TO_REPEAT or time.monotonic() - sent_at < AT_ONCE

    async def _answer(self, upstream: Upstream, sending: asyncio.Task[None]) -> Head | None:
        """Return the answer's head, None when the client left first."""
        while True:
            waiting = asyncio.ensure_future(upstream.messages.head())
            try:
                await asyncio.wait({waiting, sending}, return_when=asyncio.FIRST_COMPLETED)
                if not waiting.done():
                    return None
                head = waiting.result()
            except ConnectionError as error:
                raise _Silent from error
            except BrokenMessage as error:
                raise GaveUp(f"the server's answer is no HTTP: {error}") from error
            finally:
                waiting.cancel()
            if head is None:
                raise _Silent
            if 100 <= head.status < 200 and head.status != 101:
                self._writer.write(write_head(b"HTTP/1.1 %d %s" % (head.status, head.reason), head.end_to_end()))
                continue
            return head

    async def _pass_on(self, answer: Head, upstream: Upstream, sending: asyncio.Task[None]) -> tuple[bool, bool]:
        """Pass the answer to the client; returns whether each side's connection can be used again."""
        if answer.status == 101:
            await self._switch(answer, upstream, sending)
            return False, False
        bodiless = self._head.method == "HEAD" or answer.body == "none"
        chunked = not bodiless and answer.body != "length" and self._head.version == "1.1"
        keep = self._head.keep_alive and not self._head.upgrade and (bodiless or chunked or answer.body == "length")
        headers = answer.end_to_end()
        if chunked:
            headers.append((b"transfer-encoding", b"chunked"))
        if not keep:
            headers.append((b"connection", b"close"))
        elif self._head.version == "1.0":
            headers.append((b"connection", b"keep-alive"))
        self._writer.write(write_head(b"HTTP/1.1 %d %s" % (answer.status, answer.reason), headers))
        if not bodiless:
            if not await self._pump(answer, upstream, sending, chunked=chunked):
                return False, False
            self._writer.write(end_of_body(chunked=chunked))
        elif self._head.method != "HEAD":
            async for _ in upstream.messages.body(answer):
                pass
        await self._writer.drain()
        reusable = answer.keep_alive and answer.body != "until-close" and self._head.method != "HEAD"
        return keep and self._upload.complete, reusable and self._upload.complete

    async def _pump(self, answer: Head, upstream: Upstream, sending: asyncio.Task[None], *, chunked: bool) -> bool:
        """Pass the body on as it comes; returns False when the client left meanwhile."""
        pumping = asyncio.ensure_future(self._copy(upstream.messages.body(answer), chunked=chunked))
        try:
            await asyncio.wait({pumping, sending}, return_when=asyncio.FIRST_COMPLETED)
            if not pumping.done():
                return False
            pumping.result()
        except (BrokenMessage, ConnectionError):
            self._writer.transport.abort()  # the client must not take a cut answer for a whole one
            return False
        finally:
            pumping.cancel()
            with contextlib.suppress(asyncio.CancelledError, BrokenMessage, OSError):
                await pumping
        return True

    async def _copy(self, body: AsyncIterator[bytes], *, chunked: bool) -> None:
        async for piece in body:
            self._writer.write(piece_of_body(piece, chunked=chunked))
            await self._writer.drain()

    async def _switch(self, answer: Head, upstream: Upstream, sending: asyncio.Task[None]) -> None:
        sending.cancel()
        headers = [
            *answer.end_to_end(),
            (b"connection", b"upgrade"),
            (b"upgrade", answer.get(b"upgrade") or b"websocket"),
        ]
        self._writer.write(write_head(b"HTTP/1.1 101 Switching Protocols", headers))
        await _join(self._client, self._writer, upstream)

    def _request_head(self, target: Target, host: str, port: int, path: bytes) -> bytes:
        name = f"[{host}]" if ":" in host else host
        original = name.encode("latin-1") + (b"" if port == 80 else b":%d" % port)
        headers = [(name, value) for name, value in self._head.end_to_end() if name.lower() != b"host"]
        if self._route.cluster:
            # Servers bound to 127.0.0.1 refuse foreign names (DNS rebinding); the true one travels beside it.
            own: list[Header] = [(b"Host", b"localhost:%d" % target.port)]
            if self._head.get(b"x-forwarded-host") is None:
                own.append((b"X-Forwarded-Host", original))
        else:
            own = [(b"Host", original)]
        headers = own + headers
        if self._head.body == "chunked":
            headers.append((b"Transfer-Encoding", b"chunked"))
        if self._head.upgrade and (protocol := self._head.get(b"upgrade")) is not None:
            headers += [(b"Connection", b"upgrade"), (b"Upgrade", protocol)]
        if self._route.via is not None:
            path = b"http://" + original + path
            if self._route.via.authorization:
                headers.append((b"Proxy-Authorization", self._route.via.authorization.encode()))
        return write_head(b"%s %s HTTP/1.1" % (self._head.method.encode(), path), headers)


class _Silent(Exception):
    """The upstream closed before a byte of an answer."""


async def connect(pool: Pool, route: Route, *, fresh: bool = False) -> Upstream:
    """Connect to the first target that accepts; Pods that do not listen yet get a moment.

    Raises:
        GaveUp: none accepts.
    """
    patience = CONNECT_PATIENCE if route.cluster else 0.0
    deadline = time.monotonic() + patience
    pause = 0.02
    while True:
        failure: OSError | None = None
        for target in route.targets:
            try:
                return await pool.take(target, fresh=fresh)
            except TimeoutError as error:
                raise GaveUp(f"no connection to {target.host}:{target.port} in time") from error
            except OSError as error:
                failure = error
        if time.monotonic() >= deadline:
            raise GaveUp(_reason(failure)) from failure
        await asyncio.sleep(pause)
        pause = min(pause * 2, 0.25)


async def tunnel(
    pool: Pool, route: Route, host: str, port: int, client: MessageReader, writer: asyncio.StreamWriter
) -> bool:
    """Serve CONNECT; always ends the client's connection.

    Raises:
        GaveUp: the host does not accept, or the person's proxy refuses.
    """
    upstream = await connect(pool, route, fresh=True)
    try:
        if route.via is not None:
            await _connect_through(upstream, host, port, route.via.authorization)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await _join(client, writer, upstream)
    finally:
        pool.give_back(upstream, reusable=False)
    return False


async def _connect_through(upstream: Upstream, host: str, port: int, authorization: str) -> None:
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    headers: list[Header] = [(b"Host", place.encode())]
    if authorization:
        headers.append((b"Proxy-Authorization", authorization.encode()))
    upstream.writer.write(write_head(f"CONNECT {place} HTTP/1.1".encode(), headers))
    answer = await upstream.messages.connect_answer()
    if answer != 200:
        raise GaveUp(f"your own proxy answered {answer} to CONNECT {place}")


async def _join(client: MessageReader, writer: asyncio.StreamWriter, upstream: Upstream) -> None:
    """Pass bytes both ways until both sides have finished."""

    async def one_way(source: MessageReader, sink: asyncio.StreamWriter) -> None:
        async for data in source.raw():
            sink.write(data)
            await sink.drain()
        if sink.can_write_eof():
            sink.write_eof()

    ways = [
        asyncio.create_task(one_way(client, upstream.writer)),
        asyncio.create_task(one_way(upstream.messages, writer)),
    ]
    try:
        done, _pending = await asyncio.wait(ways, return_when=asyncio.FIRST_EXCEPTION)
        for way in done:
            with contextlib.suppress(OSError):
                way.result()
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


def _reason(failure: OSError | None) -> str:
    if failure is None:
        return "no address"
    return failure.strerror or str(failure)
