"""What was sent before, to be sent again: one list for all panes and sessions, newest last."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

__all__ = ["PromptHistory", "Recall"]

_LENGTH: Final = 2_000


class PromptHistory:
    """Texts in the order they were sent, without neighbours that are equal; ``added`` is told of each."""

    def __init__(self, added: Callable[[str], None] | None = None) -> None:
        self.texts: list[str] = []
        self._added = added

    def add(self, text: str) -> None:
        """Remember a text that was sent."""
        if text and self.texts[-1:] != [text]:
            self.texts.append(text)
            del self.texts[:-_LENGTH]
        if text and self._added is not None:
            self._added(text)

    def load(self, texts: Sequence[str]) -> None:
        """Put what was sent before this program began before what was sent since."""
        known = set(self.texts)
        self.texts = [*(text for text in texts if text not in known), *self.texts][-_LENGTH:]


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
