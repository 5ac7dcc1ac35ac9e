"""Connections to Pods and other hosts: kept while idle, counted while in use.

A kept connection may be closed by its server at any moment. The idle time is below every common server's own limit, one
that has closed is never handed out, and a Pod that leaves its Services loses its idle connections.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterable
from typing import NamedTuple

from kagent_localcluster.runner.proxy.messages import MessageReader

__all__ = ["Pool", "Target", "Upstream"]

IDLE_SECONDS = 1.5  # gunicorn closes after 2 s, uvicorn and Node after 5 s
MOST_IDLE = 32
CONNECT_SECONDS = 10.0


class Target(NamedTuple):
    """Where to connect."""

    host: str
    port: int


class Upstream:
    """One connection to a target."""

    def __init__(self, target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.target = target
        self.messages = MessageReader(reader, "response")
        self.writer = writer
        self.used = 0
        self.idle_since = 0.0

    def acknowledge_at_once(self) -> None:
        """Keep a server that writes head and body apart from waiting 40 ms for our acknowledgement (Linux only).

        To be called after the request was written: sending switches the kernel back to delayed acknowledgements.
        """
        option = getattr(socket, "TCP_QUICKACK", None)
        if option is not None and not self.writer.transport.is_closing():
            self.writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, option, 1)

    def close(self) -> None:
        self.writer.close()


class Pool:
    """Idle and busy connections by target."""

    def __init__(self) -> None:
        self._idle: dict[Target, list[Upstream]] = {}
        self._busy: dict[Target, set[Upstream]] = {}
        self._quiet = asyncio.Event()

    async def take(self, target: Target, *, fresh: bool = False) -> Upstream:
        """Return a connection, an idle one where there is a sound one.

        Raises:
            OSError: the target does not accept.
        """
        if not fresh and (kept := await self._kept(target)) is not None:
            upstream = kept
        else:
            async with asyncio.timeout(CONNECT_SECONDS):
                reader, writer = await asyncio.open_connection(target.host, target.port)
            upstream = Upstream(target, reader, writer)
        upstream.used += 1
        self._busy.setdefault(target, set()).add(upstream)
        return upstream

    def give_back(self, upstream: Upstream, *, reusable: bool) -> None:
        """End a use; the connection is kept when its last message left it sound."""
        busy = self._busy.get(upstream.target, set())
        busy.discard(upstream)
        if not busy:
            self._busy.pop(upstream.target, None)
        self._quiet.set()
        idle = self._idle.setdefault(upstream.target, [])
        if reusable and upstream.messages.idle and len(idle) < MOST_IDLE:
            upstream.idle_since = time.monotonic()
            idle.append(upstream)
        else:
            upstream.close()

    async def drained(self, ports: Iterable[int], seconds: float) -> None:
        """Wait until nothing is on its way to these ports, at most ``seconds``; idle connections are closed."""
        wanted = set(ports)
        for target in [target for target in self._idle if target.port in wanted]:
            for upstream in self._idle.pop(target):
                upstream.close()
        deadline = time.monotonic() + seconds
        while any(target.port in wanted for target in self._busy):
            left = deadline - time.monotonic()
            if left <= 0:
                return
            self._quiet.clear()
            try:
                async with asyncio.timeout(left):
                    await self._quiet.wait()
            except TimeoutError:
                return

    def sweep(self) -> None:
        """Close connections that have been idle for too long."""
        oldest = time.monotonic() - IDLE_SECONDS
        for target, idle in list(self._idle.items()):
            for upstream in idle:
                if upstream.idle_since < oldest or not upstream.messages.idle:
                    upstream.close()
            kept = [one for one in idle if one.idle_since >= oldest and one.messages.idle]
            if kept:
                self._idle[target] = kept
            else:
                del self._idle[target]

    async def close(self) -> None:
        """Close every connection and wait until they are closed."""
        left = [upstream for kept in (*self._idle.values(), *self._busy.values()) for upstream in kept]
        self._idle.clear()
        for upstream in left:
            upstream.close()
        await asyncio.gather(*(upstream.writer.wait_closed() for upstream in left), return_exceptions=True)

    async def _kept(self, target: Target) -> Upstream | None:
        if not self._idle.get(target):
            return None
        await asyncio.sleep(0)  # lets the loop see a close that has arrived already
        self.sweep()
        idle = self._idle.get(target)
        return idle.pop() if idle else None
