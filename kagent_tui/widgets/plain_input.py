"""A one-line entry that shows nothing `clean` has not seen, and does not blink (a blinking cursor writes for ever)."""

from __future__ import annotations

from textual import events
from textual.suggester import Suggester
from textual.widgets import Input

from kagent_tui.safety import clean
from kagent_tui.widgets.keys_in_turn import KeysInTurn

__all__ = ["PlainInput"]


class PlainInput(Input, KeysInTurn):
    """Textual's Input writes pasted escape sequences to the terminal; this one takes them as visible signs."""

    def __init__(self, *, placeholder: str = "", suggester: Suggester | None = None) -> None:
        super().__init__(
            placeholder=clean(placeholder, newlines=False), suggester=suggester, compact=True, select_on_focus=False
        )
        self.cursor_blink = False

    def _on_paste(self, event: events.Paste) -> None:
        super()._on_paste(events.Paste(clean(event.text)))
        event.stop()
        event.prevent_default()
