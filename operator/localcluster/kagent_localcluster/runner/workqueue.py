"""One worker's queue of object keys: deduplicated, with delays and backoff.

A key that is added while it is being reconciled runs once more afterwards. Nothing here knows which event came: the
queue carries keys only, so reconcilers must read the world.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TypeAlias

from kagent_localcluster.errors import AlreadyExists, ApiError, Conflict, NotFound
from kagent_localcluster.runner.fields import Key

__all__ = ["Reconcile", "WorkQueue"]

logger = logging.getLogger(__name__)

# Returns the seconds after which the key should be looked at again, None for "when something changes".
Reconcile: TypeAlias = Callable[[Key], float | None]

FIRST_RETRY = 0.05
LAST_RETRY = 30.0


class WorkQueue:
    """Runs ``reconcile(key)`` for every added key, one at a time."""

    def __init__(self, name: str, reconcile: Reconcile) -> None:
        self._name = name
        self._reconcile = reconcile
        self._pending: dict[Key, None] = {}
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._failures: dict[Key, int] = {}
        self._wake = asyncio.Event()

    def add(self, key: Key) -> None:
        """Have this key reconciled soon."""
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        self._pending[key] = None
        self._wake.set()

    def add_after(self, key: Key, seconds: float) -> None:
        """Have this key reconciled after a delay, unless it is added earlier."""
        old = self._timers.pop(key, None)
        if old is not None:
            old.cancel()
        self._timers[key] = asyncio.get_running_loop().call_later(seconds, self.add, key)

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._pending:
                    key = next(iter(self._pending))
                    del self._pending[key]
                    self._work(key)
                    await asyncio.sleep(0)
        finally:
            for timer in self._timers.values():
                timer.cancel()

    def _work(self, key: Key) -> None:
        try:
            again = self._reconcile(key)
        except (Conflict, AlreadyExists, NotFound):
            self._retry(key)
        except ApiError as error:
            logger.warning("%s %s/%s: %s", self._name, *key, error)
            self._retry(key)
        except Exception:
            logger.exception("%s %s/%s: reconcile failed", self._name, *key)
            self._retry(key)
        else:
            self._failures.pop(key, None)
            if again is not None and key not in self._pending:
                self.add_after(key, again)

    def _retry(self, key: Key) -> None:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        self.add_after(key, min(FIRST_RETRY * 2 ** min(failures - 1, 12), LAST_RETRY))
