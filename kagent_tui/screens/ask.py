"""Questions that one key answers, and the one question that needs a name typed. They say what will happen, never
"are you sure"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from kagent_tui.render.text import Line
from kagent_tui.safety import clean
from kagent_tui.widgets.bindings import shown_key
from kagent_tui.widgets.plain_input import PlainInput
from kagent_tui.widgets.text_pane import TextPane

__all__ = ["Answer", "AskScreen", "NameScreen"]


class Answer(NamedTuple):
    """A key and what it means; the first answer is what Esc means."""

    key: str
    title: str


class AskScreen(ModalScreen[str]):
    """Answers with the key pressed."""

    CSS_PATH = "ask.tcss"

    def __init__(self, lines: Sequence[Line], answers: Sequence[Answer]) -> None:
        super().__init__()
        self._lines = lines
        self._answers = answers

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield TextPane()
            keys = "   ".join(f"{shown_key(one.key)} {one.title}" for one in self._answers)
            yield Static(Content(clean(keys, newlines=False)), id="keys")

    def on_mount(self) -> None:
        pane = self.query_one(TextPane)
        pane.set_lines(self._lines)
        pane.focus()

    def on_key(self, event: events.Key) -> None:
        key = self._answers[0].key if event.key == "escape" else event.character or event.key
        if any(one.key in (key, event.key) for one in self._answers):
            event.stop()
            event.prevent_default()
            self.dismiss(next(one.key for one in self._answers if one.key in (key, event.key)))


class NameScreen(ModalScreen[bool]):
    """Answers true only when the name was typed exactly."""

    CSS_PATH = "ask.tcss"

    def __init__(self, lines: Sequence[Line], name: str) -> None:
        super().__init__()
        self._lines = lines
        self._wanted = name

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield TextPane()
            yield PlainInput(placeholder=clean(self._wanted, newlines=False))
            yield Static(Content("⏎ delete   esc leave it"), id="keys")

    def on_mount(self) -> None:
        pane = self.query_one(TextPane)
        pane.set_lines(self._lines)
        pane.can_focus = False
        self.query_one(Input).focus()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        if event.value.strip() == self._wanted:
            self.dismiss(True)
        else:
            self.query_one("#keys", Static).update(
                Content(f"that is not the name; type {clean(self._wanted, newlines=False)} or esc leaves it")
            )

    def on_key(self, event: events.Key) -> None:
        if event.key == "escape":
            event.stop()
            event.prevent_default()
            self.dismiss(False)
