"""Events of a task on their way to whoever listens: written once for each dialect, kept until they are read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import orjson

from kagent_engine.server.codec import INTERRUPTED, TERMINAL, Dialect, event_03
from kagent_engine.server.faults import RpcError
from kagent_engine.shapes import JsonObject

__all__ = ["Event", "Subscriber", "now", "shortened"]

# A listener that reads nothing while this many events come is gone; it may come back with SubscribeToTask.
_MOST_WAITING: Final = 4096


class Event:
    """One event in the words of 1.0. ``partial`` marks a piece of a text that comes again as a whole."""

    __slots__ = ("_written_03", "_written_10", "body", "partial")

    def __init__(self, body: JsonObject, *, partial: bool = False) -> None:
        self.body = body
        self.partial = partial
        self._written_03 = b""
        self._written_10 = b""

    @property
    def state(self) -> str:
        """The state that the event puts its task into; empty where it changes none."""
        told = self.body.get("statusUpdate") or self.body.get("task")
        return told["status"]["state"] if told else ""

    def json(self, dialect: Dialect) -> bytes:
        """Return the event as the ``result`` of a stream."""
        if dialect == "0.3":
            if not self._written_03:
                self._written_03 = orjson.dumps(event_03(self.body))
            return self._written_03
        if not self._written_10:
            self._written_10 = orjson.dumps(self.body)
        return self._written_10


class Subscriber:
    """One listener of a task; ``until_pause`` where it has heard all it wants when the task waits for a person.

    ``error`` says why a listener whose message was not worked on hears nothing.
    """

    __slots__ = ("_done", "_events", "_leave", "_waiter", "error", "history_length", "until_pause")

    def __init__(self, leave: Callable[[Subscriber], None], *, until_pause: bool) -> None:
        self.until_pause = until_pause
        self.error: RpcError | None = None
        self.history_length: int | None = None
        self._leave = leave
        self._events: list[Event] = []
        self._waiter: asyncio.Future[None] | None = None
        self._done = False

    def put(self, event: Event) -> None:
        if self._done:
            return
        if self.history_length is not None and "task" in event.body:
            event = Event({"task": shortened(event.body["task"], self.history_length)})
        self._events.append(event)
        state = event.state
        ended = state in TERMINAL or (self.until_pause and state in INTERRUPTED)
        if ended or len(self._events) > _MOST_WAITING:
            self.close()
        self._wake()

    def first(self, event: Event) -> None:
        """Put what the listener hears first, whatever it means."""
        self._events.insert(0, event)

    def close(self) -> None:
        """Take no more events; what is there can still be read."""
        if not self._done:
            self._done = True
            self._leave(self)
        self._wake()

    async def next(self, patience: float) -> list[Event] | None:
        """Return what has come, at least one event; an empty list after ``patience`` seconds, None at the end."""
        if not self._events and not self._done:
            loop = asyncio.get_running_loop()
            self._waiter = loop.create_future()
            timer = loop.call_later(patience, self._wake)
            try:
                await self._waiter
            finally:
                timer.cancel()
                self._waiter = None
        events, self._events = self._events, []
        return events if events or not self._done else None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def shortened(task: JsonObject, history_length: int | None) -> JsonObject:
    """Return a task with the last messages of its history only; None is all of them."""
    history = task.get("history", [])
    if history_length is None or len(history) <= history_length:
        return task
    return task | {"history": history[-history_length:] if history_length else []}


def now() -> str:
    """Return the time as both dialects write it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
