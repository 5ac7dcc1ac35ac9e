"""The line for `:` commands and `/` filters, with completion and history. What is typed is only text until it is
submitted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.suggester import Suggester
from textual.widgets import Input, Static

from kagent_tui.safety import has_hidden
from kagent_tui.widgets.plain_input import PlainInput

__all__ = ["Prompt", "PromptMode"]

PromptMode = Literal["command", "filter", "search"]
_SIGNS: dict[PromptMode, str] = {"command": ":", "filter": "/", "search": "/"}
_HISTORY = 100


class _Completion(Suggester):
    def __init__(self, prompt: Prompt) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._prompt = prompt

    async def get_suggestion(self, value: str) -> str | None:
        return next(iter(self._prompt.candidates(value)), None)


class Prompt(Horizontal):
    """Opens over the footer and goes away on Enter or Esc."""

    class Changed(Message):
        """Something was typed (filters follow as one types)."""

        def __init__(self, mode: PromptMode, value: str) -> None:
            super().__init__()
            self.mode = mode
            self.value = value

    class Submitted(Message):
        """Enter was pressed."""

        def __init__(self, mode: PromptMode, value: str) -> None:
            super().__init__()
            self.mode = mode
            self.value = value

    class Cancelled(Message):
        """Esc was pressed; ``before`` is what stood there at first."""

        def __init__(self, mode: PromptMode, before: str) -> None:
            super().__init__()
            self.mode = mode
            self.before = before

    def __init__(self, complete: Callable[[str], list[str]] | None = None, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._complete = complete
        self._mode: PromptMode = "command"
        self._before = ""
        self._history: dict[PromptMode, list[str]] = {"command": [], "filter": [], "search": []}
        self._recalled = 0

    def compose(self) -> ComposeResult:
        yield Static(Content(":"))
        yield PlainInput(suggester=_Completion(self))

    @property
    def is_open(self) -> bool:
        return self.has_class("-open")

    def open(self, mode: PromptMode, value: str = "") -> None:
        """Ask for a line; ``value`` stands there at first."""
        self._mode = mode
        self._before = value
        self._recalled = 0
        self.query_one(Static).update(Content(_SIGNS[mode]))
        entry = self.query_one(Input)
        with entry.prevent(Input.Changed):
            entry.value = value
        entry.cursor_position = len(value)
        self.add_class("-open")
        entry.focus()

    def close(self) -> None:
        self.remove_class("-open")

    def candidates(self, value: str) -> list[str]:
        """Return what the typed text may become."""
        if self._mode != "command" or self._complete is None or not value:
            return []
        # What is offered is shown as it is; a name with hidden characters must be typed by who knows them.
        return [line for line in self._complete(value) if not has_hidden(line)]

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.is_open:
            self.post_message(self.Changed(self._mode, event.value))

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        history = self._history[self._mode]
        if event.value and event.value not in history[:1]:
            history.insert(0, event.value)
            del history[_HISTORY:]
        self.close()
        self.post_message(self.Submitted(self._mode, event.value))

    def on_key(self, event: events.Key) -> None:
        if event.key == "escape":
            event.stop()
            event.prevent_default()
            self.close()
            self.post_message(self.Cancelled(self._mode, self._before))
        elif event.key == "tab":
            event.stop()
            event.prevent_default()
            self._accept()
        elif event.key in ("up", "down"):
            event.stop()
            event.prevent_default()
            self._recall(1 if event.key == "up" else -1)

    def _accept(self) -> None:
        entry = self.query_one(Input)
        found = self.candidates(entry.value)
        if found:
            entry.value = found[0]
            entry.cursor_position = len(entry.value)

    def _recall(self, step: int) -> None:
        history = self._history[self._mode]
        self._recalled = max(0, min(len(history), self._recalled + step))
        entry = self.query_one(Input)
        entry.value = history[self._recalled - 1] if self._recalled else ""
        entry.cursor_position = len(entry.value)
