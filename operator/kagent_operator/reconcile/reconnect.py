"""Ends the waits of all reflectors when one of them reaches the API server again.

Each waits longer after each failure, and all have failed for as long as the server was away: without a word from the
one that tries first, the last would come back a dozen seconds after it, and the status be old until then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from kagent_api.kube import LinkState

__all__ = ["Reconnect"]


class Reconnect:
    """``sleep`` is how reflectors wait; ``on_back`` is told as well when a lost link lives again."""

    def __init__(self, on_back: Callable[[], None]) -> None:
        self._on_back = on_back
        self._back = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        """Wait, but not past the moment in which another link comes back."""
        try:
            async with asyncio.timeout(seconds):
                await self._back.wait()
        except TimeoutError:
            return

    def hearing(self, on_state: Callable[[LinkState], None]) -> Callable[[LinkState], None]:
        """Return a consumer of one link's states that tells the others when it is back."""
        lost = False

        def heard(state: LinkState) -> None:
            nonlocal lost
            on_state(state)
            if state.status == "live" and lost:
                self._back.set()
                self._back = asyncio.Event()
                self._on_back()
            lost = state.status == "lost"

        return heard
