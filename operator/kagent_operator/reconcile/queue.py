"""A work queue of keys: each at most once in it, never worked on twice at the same time, retried with backoff.

The semantics are those of client-go's: a key added while it is worked on is taken up again afterwards, so that no
change is missed and none is worked on in parallel. Holds keys, never objects: whoever takes one reads the world anew.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Backoff", "WorkQueue"]

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class Backoff:
    """Seconds to wait after the n-th failure in a row: doubling, with jitter so that many do not return at once."""

    first: float = 0.2
    limit: float = 60.0
    jitter: float = 0.2

    def after(self, failures: int, random_unit: Callable[[], float] = random.random) -> float:
        delay = min(self.limit, self.first * 2 ** min(failures - 1, 30))
        return delay * (1 + self.jitter * (random_unit() - 0.5))


class WorkQueue(Generic[K]):
    """See the module's words. All methods but ``get`` return at once and belong on the event loop."""

    def __init__(self, backoff: Backoff | None = None) -> None:
        self._backoff = backoff or Backoff()
        self._ready: deque[K] = deque()
        self._waiting: set[K] = set()  # in _ready, or to be put there when done
        self._working: set[K] = set()
        self._failures: dict[K, int] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._wakers: deque[asyncio.Future[None]] = deque()

    def __len__(self) -> int:
        return len(self._ready)

    @property
    def idle(self) -> bool:
        """Whether nothing is ready or worked on (timers may be set)."""
        return not self._ready and not self._working

    @property
    def settled(self) -> bool:
        """Whether it is idle and no failed key waits for its retry either."""
        return self.idle and not self._failures

    def add(self, key: K) -> None:
        """Have a key worked on soon; an earlier timer of it is no longer needed."""
        if timer := self._timers.pop(key, None):
            timer.cancel()
        if key in self._waiting:
            return
        self._waiting.add(key)
        if key not in self._working:
            self._push(key)

    def add_after(self, key: K, delay: float) -> None:
        """Have a key worked on after a delay, unless something sooner comes."""
        loop = asyncio.get_running_loop()
        due = loop.time() + delay
        current = self._timers.get(key)
        if current is not None:
            if current.when() <= due:
                return
            current.cancel()
        self._timers[key] = loop.call_at(due, self._fire, key)

    def failed(self, key: K) -> float:
        """Have a key retried with backoff; returns the delay."""
        failures = self._failures.get(key, 0) + 1
        self._failures[key] = failures
        delay = self._backoff.after(failures)
        self.add_after(key, delay)
        return delay

    def retry_now(self) -> None:
        """Have every failed key worked on at once: what it failed for may have passed."""
        for key in [key for key in self._failures if key in self._timers]:
            self.add(key)

    def succeeded(self, key: K) -> None:
        """Forget the failures of a key."""
        self._failures.pop(key, None)

    def forget(self, key: K) -> None:
        """Drop what is remembered of a key that is gone."""
        self._failures.pop(key, None)
        if timer := self._timers.pop(key, None):
            timer.cancel()

    async def get(self) -> K:
        """Wait for a key and mark it as worked on; call ``done`` with it in any case."""
        while not self._ready:
            waker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._wakers.append(waker)
            try:
                await waker
            except asyncio.CancelledError:
                if waker in self._wakers:
                    self._wakers.remove(waker)
                elif self._ready:
                    self._wake()  # it was told of a key that it will not take
                raise
        key = self._ready.popleft()
        self._waiting.discard(key)
        self._working.add(key)
        return key

    def done(self, key: K) -> None:
        """Say that the work on a key has ended, well or not."""
        self._working.discard(key)
        if key in self._waiting:
            self._push(key)

    def close(self) -> None:
        """Cancel all timers."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _fire(self, key: K) -> None:
        self._timers.pop(key, None)
        self.add(key)

    def _push(self, key: K) -> None:
        self._ready.append(key)
        self._wake()

    def _wake(self) -> None:
        while self._wakers:
            waker = self._wakers.popleft()
            if not waker.done():
                waker.set_result(None)
                return
