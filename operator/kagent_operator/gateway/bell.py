"""Tells who waits that something of a user's changed, within this process. Other replicas are found by looking."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

__all__ = ["Bell"]


class Bell:
    """Waking up by user. A ring between two waits is not lost: a listener stays listed until it leaves."""

    def __init__(self) -> None:
        self._listeners: dict[str, set[asyncio.Event]] = {}

    def ring(self, user_id: str) -> None:
        """Wake everybody who listens for a user."""
        for listener in self._listeners.get(user_id, ()):
            listener.set()

    def listen(self, listener: asyncio.Event, users: Collection[str]) -> None:
        """Let a listener be woken for these users and no others; for none it is forgotten."""
        for user in [user for user, listening in self._listeners.items() if listener in listening]:
            if user not in users:
                self._listeners[user].discard(listener)
                if not self._listeners[user]:
                    del self._listeners[user]
        for user in users:
            self._listeners.setdefault(user, set()).add(listener)
