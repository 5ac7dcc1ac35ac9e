"""How long a container that ended waits before it runs again, by the kubelet's rules.

The first restart is at once; then 10 s, doubled up to 300 s. A run of ten minutes makes the next failure a first one.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Backoff", "BackoffRules"]


@dataclass(frozen=True)
class BackoffRules:
    """Seconds; the defaults are the kubelet's."""

    first: float = 10.0
    longest: float = 300.0
    forgiven_after: float = 600.0


class Backoff:
    """The delays of one container."""

    def __init__(self, rules: BackoffRules) -> None:
        self._rules = rules
        self._ends = 0

    def after_run(self, seconds: float) -> float:
        """Return the delay after a run of this many seconds."""
        if seconds >= self._rules.forgiven_after:
            self._ends = 0
        self._ends += 1
        if self._ends == 1:
            return 0.0
        return min(self._rules.first * 2.0 ** min(self._ends - 2, 20), self._rules.longest)
