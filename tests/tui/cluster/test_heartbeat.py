"""A server that falls silent without closing anything."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from kagent_api.kube import Forbidden, Unreachable
from kagent_tui.cluster.heartbeat import PERIOD_SECONDS, Heartbeat


class Server:
    """Answers, or not, at a time that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.heard = 0.0
        self.asked = 0
        self.answer: Callable[[], Awaitable[object]] = self._well
        self.changes = 0
        self.beat = Heartbeat(
            self._ask, lambda: self.heard, self._changed, sleep=self._sleep, clock=lambda: self.now, patience=0.01
        )
        self._turn = asyncio.Event()
        self._idle = asyncio.Event()

    async def _well(self) -> object:
        return {}

    async def never(self) -> object:
        return await asyncio.Event().wait()

    async def _ask(self) -> object:
        self.asked += 1
        return await self.answer()

    def _changed(self) -> None:
        self.changes += 1

    async def _sleep(self, seconds: float) -> None:
        self._idle.set()
        await self._turn.wait()
        self._turn.clear()
        self.now += seconds

    async def period(self, *, talking: bool = False) -> None:
        """Let one period pass, with a word from the server in it or without."""
        await self._idle.wait()
        self._idle.clear()
        if talking:
            self.heard = self.now + PERIOD_SECONDS
        self._turn.set()
        await self._idle.wait()


@pytest.fixture
async def server() -> Server:
    return Server()


async def running(server: Server) -> asyncio.Task[None]:
    return asyncio.create_task(server.beat.run())


async def test_a_server_that_talks_is_not_asked(server: Server) -> None:
    task = await running(server)
    for _ in range(3):
        await server.period(talking=True)
    assert (server.asked, server.changes, server.beat.error) == (0, 0, None)
    task.cancel()


async def test_a_silent_server_that_answers_is_there_and_nothing_is_told(server: Server) -> None:
    task = await running(server)
    for _ in range(3):
        await server.period()
    assert (server.asked, server.changes, server.beat.error) == (3, 0, None)
    task.cancel()


async def test_a_server_that_does_not_answer_is_away_until_it_does(server: Server) -> None:
    task = await running(server)
    server.answer = server.never
    await server.period()
    assert server.beat.error is not None
    assert "not answered" in str(server.beat.error)
    await server.period()
    assert server.changes == 1
    server.answer = server._well  # pyright: ignore[reportPrivateUsage] - it thaws
    await server.period()
    assert (server.beat.error, server.changes) == (None, 2)
    task.cancel()


async def test_a_refusal_is_an_answer_and_a_broken_connection_is_none(server: Server) -> None:
    async def refuse() -> object:
        raise Forbidden("no", status=403)

    async def broken() -> object:
        raise Unreachable("gone")

    task = await running(server)
    server.answer = refuse
    await server.period()
    assert server.beat.error is None
    server.answer = broken
    await server.period()
    assert server.beat.error is not None
    task.cancel()
