from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.types import Message

from kagent_operator.gateway.relay import Relay, unless_gone


class Source(httpx.AsyncByteStream):
    """An agent's body that says whether it was closed."""

    def __init__(self, chunks: list[bytes], error: Exception | None = None) -> None:
        self._chunks = chunks
        self._error = error
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk
        if self._error:
            raise self._error

    async def aclose(self) -> None:
        self.closed = True


async def never() -> Message:
    await asyncio.Event().wait()
    raise AssertionError


def relay(source: Source) -> Relay:
    reply = httpx.Response(200, headers={"content-type": "text/event-stream", "x-secret": "s"}, stream=source)
    return Relay(reply, about="Agent a/b", call_id=7)


async def test_a_client_that_went_while_we_wrote_is_no_error_and_closes_the_agents_side() -> None:
    source = Source([b"data: 1\n\n"])

    async def broken(_: Message) -> None:
        raise OSError("the client went")

    async with asyncio.timeout(10):
        await relay(source)({"type": "http"}, never, broken)
    assert source.closed


async def test_only_headers_that_concern_the_client_are_handed_on() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async with asyncio.timeout(10):
        await relay(Source([b"data: 1\n\n"]))({"type": "http"}, never, send)
    names = {name for name, _ in sent[0]["headers"]}
    assert names == {b"content-type", b"x-accel-buffering"}
    assert [message["body"] for message in sent[1:]] == [b"data: 1\n\n", b""]


async def test_a_break_in_the_middle_of_an_event_adds_nothing_that_could_be_misread() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async with asyncio.timeout(10):
        await relay(Source([b"data: {"], httpx.ReadError("cut")))({"type": "http"}, never, send)
    assert [message["body"] for message in sent[1:]] == [b"data: {", b""]


async def test_a_fault_of_our_own_is_not_hidden() -> None:
    async def send(_: Message) -> None: ...

    with pytest.raises(ZeroDivisionError):
        async with asyncio.timeout(10):
            await relay(Source([b"x"], ZeroDivisionError()))({"type": "http"}, never, send)


async def test_work_for_a_client_that_went_is_cancelled() -> None:
    cancelled = asyncio.Event()

    async def work() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return "done"

    async def gone() -> Message:
        return {"type": "http.disconnect"}

    async with asyncio.timeout(10):
        assert await unless_gone(gone, work()) is None
        await cancelled.wait()


async def test_work_that_ends_first_is_returned() -> None:
    async def work() -> str:
        return "done"

    async with asyncio.timeout(10):
        assert await unless_gone(never, work()) == "done"
