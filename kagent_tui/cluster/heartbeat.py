"""Asks a silent server whether it is still there: a frozen one, or a dead network, closes no connection.

While anything is heard nothing is asked. A silent but healthy cluster costs one small request a period.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from kagent_api.errors import KagentError, TransientError

__all__ = ["Heartbeat"]

PERIOD_SECONDS: Final = 15.0
_PATIENCE_SECONDS: Final = 5.0


class Heartbeat:
    """``error`` says why the server counts as away, None while it answers.

    ``ask`` is any small request, ``heard`` the monotonic time of the last word from the server.
    """

    def __init__(
        self, ask: Callable[[], Awaitable[object]], heard: Callable[[], float], on_change: Callable[[], None], *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep, clock: Callable[[], float] = time.monotonic,
        patience: float = _PATIENCE_SECONDS,
    ) -> None:  # fmt: skip
        self.error: KagentError | None = None
        self._ask = ask
        self._heard = heard
        self._on_change = on_change
        self._sleep = sleep
        self._clock = clock
        self._patience = patience

    async def run(self) -> None:
        """Look once a period, for ever."""
        while True:
            await self._sleep(PERIOD_SECONDS)
            silent = self._clock() - self._heard() >= PERIOD_SECONDS
            error = await self._asked() if silent else None
            changed = (error is None) != (self.error is None)
            self.error = error
            if changed:
                self._on_change()

    async def _asked(self) -> KagentError | None:
        try:
            async with asyncio.timeout(self._patience):
                await self._ask()
        except TimeoutError:
            return TransientError(f"the API server has not answered for {self._patience:g} s")
        except TransientError as error:
            return error
        except KagentError:
            return None  # a refusal is an answer
        return None
