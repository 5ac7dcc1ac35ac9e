"""Jump: letters stand on everything in sight that can be gone to; the next key goes there."""

from __future__ import annotations

from typing import Final, Protocol, runtime_checkable

from textual import events
from textual.app import ComposeResult
from textual.screen import ModalScreen

__all__ = ["LETTERS", "JumpScreen", "Jumpable"]

# The home row first.
LETTERS: Final = "asdfghjklqwertyuiopzxcvbnmASDFGHJKLQWERTYUIOPZXCVBNM"


@runtime_checkable
class Jumpable(Protocol):
    """A widget with places to go to."""

    def show_letters(self, letters: str) -> int:
        """Draw letters on the places in sight, "" takes them away; return how many places have one."""
        ...

    def jump(self, place: int) -> None:
        """Go to a place, as counted from the top."""
        ...


class JumpScreen(ModalScreen[None]):
    """Takes one key; the screen below stays in sight."""

    DEFAULT_CSS = "JumpScreen { background: transparent; }"

    def __init__(self, target: Jumpable) -> None:
        super().__init__()
        self._target = target
        self._count = target.show_letters(LETTERS)

    def compose(self) -> ComposeResult:
        return iter(())

    def on_key(self, event: events.Key) -> None:
        event.stop()
        event.prevent_default()
        place = LETTERS.find(event.character) if event.character else -1
        self._target.show_letters("")
        if 0 <= place < self._count:
            self._target.jump(place)
        self.dismiss(None)
