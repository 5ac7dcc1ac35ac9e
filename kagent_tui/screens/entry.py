"""One line of text, asked for."""

from __future__ import annotations

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from kagent_tui.safety import clean
from kagent_tui.widgets.plain_input import PlainInput

__all__ = ["EntryScreen"]


class EntryScreen(ModalScreen[str | None]):
    """Answers with the text, None when it was left."""

    CSS_PATH = "entry.tcss"

    def __init__(self, title: str, value: str = "", *, hidden: bool = False) -> None:
        """``hidden`` shows dots in place of what is typed."""
        super().__init__()
        self._hidden = hidden
        self._title = title
        self._value = clean(value, newlines=False)

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield Static(Content(clean(self._title, newlines=False)), id="title")
            yield PlainInput()
            yield Static(Content("⏎ take it   esc leave it"), id="keys")

    def on_mount(self) -> None:
        entry = self.query_one(Input)
        entry.password = self._hidden
        entry.value = self._value
        entry.cursor_position = len(self._value)
        entry.focus()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value.strip())

    def on_key(self, event: events.Key) -> None:
        if event.key == "escape":
            event.stop()
            event.prevent_default()
            self.dismiss(None)
