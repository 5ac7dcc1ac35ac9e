"""What was sent before, to be sent again: one list for all panes, newest last."""

from __future__ import annotations

from typing import Final

__all__ = ["PromptHistory", "Recall"]

_LENGTH: Final = 500


class PromptHistory:
    """Texts in the order they were sent, without neighbours that are equal."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def add(self, text: str) -> None:
        """Remember a text that was sent."""
        if text and self.texts[-1:] != [text]:
            self.texts.append(text)
            del self.texts[:-_LENGTH]


class Recall:
    """One prompt's place in the history; what was being written is the newest entry and is never lost."""

    def __init__(self, history: PromptHistory) -> None:
        self._history = history
        self._back = 0
        self._draft = ""

    def step(self, back: int, written: str) -> str | None:
        """Return the text ``back`` steps earlier (negative: later); None if there is none."""
        place = self._back + back
        if not 0 <= place <= len(self._history.texts):
            return None
        if self._back == 0:
            self._draft = written
        self._back = place
        return self._draft if place == 0 else self._history.texts[-place]

    def reset(self) -> None:
        """Go back to the newest: something was sent."""
        self._back = 0
        self._draft = ""
