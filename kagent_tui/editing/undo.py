"""What was applied last, so that it can be taken back. In memory only: it may hold the values of Secrets."""

from __future__ import annotations

from typing import Final, NamedTuple

from kagent_tui.cluster.kinds import JsonObject

__all__ = ["Applied", "Undo"]

# Enough for an afternoon; each entry holds two objects.
_KEPT: Final = 20


class Applied(NamedTuple):
    """An object before and after; None where it did not exist."""

    before: JsonObject | None
    after: JsonObject | None


class Undo:
    """The last changes of one cluster, the latest first."""

    def __init__(self) -> None:
        self._changes: dict[str, list[Applied]] = {}

    def remember(self, cluster: str, change: Applied) -> None:
        """Keep a change; ``cluster`` is its identity."""
        self._changes.setdefault(cluster, []).append(change)
        del self._changes[cluster][:-_KEPT]

    def last(self, cluster: str) -> Applied | None:
        """Return the latest change that has not been taken back."""
        found = self._changes.get(cluster)
        return found[-1] if found else None

    def forget_last(self, cluster: str) -> None:
        """Drop the latest change: it has been taken back, or cannot be."""
        self._changes.get(cluster, [None]).pop()
