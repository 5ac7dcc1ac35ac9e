"""Gives keys to the application one after the other: each when what the one before it set off has come to rest.

Textual hands all keys that arrive together (a slow line, a pasted command, typing ahead) to the widget that has the
focus now, and only then looks what they mean; the text after `/` would go to the table. Here `/`, `:` and `c` first
open what they open. Nothing waits while somebody types at a person's pace, and nothing waits for ever.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from textual import events
from textual.app import App
from textual.message_pump import MessagePump
from textual.screen import Screen

__all__ = ["Keyboard", "Stroke"]

Stroke: TypeAlias = events.Key | events.Paste

# A key goes from the widget up to the application; what it sets off goes the same way, and may set off one more.
_PASSES = 3
# What takes longer than this hangs: keys then go where Textual sends them.
_PATIENCE_SECONDS = 2.0
_LOOK_AGAIN_SECONDS = 0.01


class Keyboard:
    """``deliver`` is what Textual itself does with a key."""

    def __init__(self, app: App[Any], deliver: Callable[[Stroke], Awaitable[None]]) -> None:
        self._app = app
        self._deliver = deliver
        self._keys: deque[Stroke] = deque()
        self._pump: asyncio.Task[None] | None = None
        self._opener: Screen[Any] | None = None

    async def take(self, event: Stroke) -> None:
        """Deliver a key now, or behind those that are still at work."""
        self._keys.append(event)
        if self._pump is None:
            await self._deliver(self._keys.popleft())
            self._pump = asyncio.create_task(self._go_on())

    def hold(self) -> None:
        """Hold keys until another screen is shown or ``go_on`` is called: one of them is opening something."""
        self._opener = self._app.screen

    def go_on(self) -> None:
        """Hold keys no longer: what was to be opened is there, or failed."""
        self._opener = None

    async def _go_on(self) -> None:
        try:
            await self._settle()
            while self._keys:
                self._app.call_later(self._deliver, self._keys.popleft())
                await self._settle()
        finally:
            self._pump = None

    async def _settle(self) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                for _ in range(_PASSES):
                    await self._rest()
                # No event tells that a screen has its focus.
                while self._keys and not self._ready:  # noqa: ASYNC110
                    await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        except TimeoutError:
            self._opener = None

    @property
    def _ready(self) -> bool:
        """Whether there is a screen that can take keys."""
        screen = self._app.screen
        if self._opener is not None and screen is self._opener:
            return False
        self._opener = None
        # A screen that has just come has no focus before it is mounted; its first keys would be lost.
        return screen.is_mounted and (screen.focused is not None or not screen.focus_chain)

    async def _rest(self) -> None:
        """Wait until everything between the focus and the application has done what it had to do so far."""
        focused = self._app.focused
        chain: list[MessagePump] = [*focused.ancestors_with_self] if focused is not None else [self._app.screen]
        for pump in [*(each for each in chain if each is not self._app), self._app]:
            done = asyncio.Event()
            if pump.call_later(done.set):
                await done.wait()
