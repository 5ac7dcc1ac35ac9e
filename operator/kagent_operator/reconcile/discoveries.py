"""Keeps asking tool servers for their tools and providers for their models.

Beside the reconcilers, so that a slow server holds up nobody.

A reconciler says whom to ask; the last answer lies here, and the reconciler is called again when it changed. Quick
retries at first (a server that just started answers within a second), then no more often than the interval.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from kagent_operator.errors import DiscoveryFailed
from kagent_operator.reconcile.keys import Key
from kagent_operator.reconcile.queue import Backoff, WorkQueue

__all__ = ["Discoveries", "Outcome"]

_log = logging.getLogger(__name__)
# Asking is waiting; this many servers at once, so that a few that never answer do not delay the others.
_WORKERS: Final = 16
_QUICK: Final = 0.3  # seconds to the first retry


class Askable(Protocol):
    """Somebody to ask; the fingerprint changes when the question or its credentials do."""

    @property
    def fingerprint(self) -> str: ...


Asked = TypeVar("Asked", bound=Askable)
Found = TypeVar("Found")


@dataclass(frozen=True)
class Outcome(Generic[Found]):
    """What a server last said. ``found`` is None after a failure, ``error`` says why."""

    fingerprint: str
    found: tuple[Found, ...] | None
    error: str = ""


class Discoveries(Generic[Asked, Found]):
    """See the module's words."""

    def __init__(
        self,
        ask: Callable[[Asked], Awaitable[list[Found]]],
        on_change: Callable[[Key], None],
        *,
        interval: float = 60.0,
    ) -> None:
        self._ask = ask
        self._on_change = on_change
        self._interval = interval
        self._targets: dict[Key, Asked] = {}
        self._outcomes: dict[Key, Outcome[Found]] = {}
        self._queue: WorkQueue[Key] = WorkQueue(Backoff(first=_QUICK, limit=interval))

    def request(self, key: Key, target: Asked) -> Outcome[Found] | None:
        """Have a server asked from now on; return its last answer, None when it was not asked as it is now."""
        known = self._targets.get(key)
        self._targets[key] = target
        if known is None or known.fingerprint != target.fingerprint:
            self._queue.succeeded(key)
            self._queue.add(key)
        outcome = self._outcomes.get(key)
        return outcome if outcome is not None and outcome.fingerprint == target.fingerprint else None

    @property
    def answered(self) -> bool:
        """Whether everybody has been asked as they are now, well or not."""
        return all(
            (outcome := self._outcomes.get(key)) is not None and outcome.fingerprint == target.fingerprint
            for key, target in self._targets.items()
        )

    def forget(self, key: Key) -> None:
        """Ask a server no more."""
        self._targets.pop(key, None)
        self._outcomes.pop(key, None)
        self._queue.forget(key)

    async def run(self) -> None:
        """Ask until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(_WORKERS):
                    group.create_task(self._work())
        finally:
            self._queue.close()

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            try:
                await self._one(key)
            except Exception:
                # The outer edge of a worker: one odd server must not end the asking of all others.
                _log.exception("asking %s", key)
                self._queue.failed(key)
            finally:
                self._queue.done(key)

    async def _one(self, key: Key) -> None:
        target = self._targets.get(key)
        if target is None:
            return
        try:
            outcome: Outcome[Found] = Outcome(target.fingerprint, tuple(await self._ask(target)))
            self._queue.succeeded(key)
            self._queue.add_after(key, self._interval)
        except DiscoveryFailed as error:
            outcome = Outcome(target.fingerprint, None, error.message)
            self._queue.failed(key)
        current = self._targets.get(key)
        if current is None:
            self._queue.forget(key)
            return
        if self._outcomes.get(key) != outcome:
            self._outcomes[key] = outcome
            self._on_change(key)
