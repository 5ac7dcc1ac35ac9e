"""What agents were found not to speak, kept for a minute: an agent may be replaced by a newer one at any time."""

from __future__ import annotations

import time
from collections.abc import Callable

from kagent_operator.gateway.dialects import Dialect

__all__ = ["DialectMemory"]

_REMEMBERED = 60.0


class DialectMemory:
    """Which agents did not understand which dialect, a moment ago."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[tuple[str, Dialect], float] = {}

    def learn(self, address: str, not_spoken: Dialect) -> None:
        now = self._clock()
        self._until = {key: until for key, until in self._until.items() if until > now}
        self._until[address, not_spoken] = now + _REMEMBERED

    def lacks(self, address: str, dialect: Dialect) -> bool:
        return self._until.get((address, dialect), 0.0) > self._clock()

    def forget(self, address: str, dialect: Dialect) -> None:
        self._until.pop((address, dialect), None)
