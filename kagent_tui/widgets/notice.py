"""The line above the footer: what just happened, or what is going on, until it is over or something newer is said."""

from __future__ import annotations

from textual.content import Content
from textual.timer import Timer
from textual.widgets import Static

from kagent_tui.render.text import Tone
from kagent_tui.safety import clean

__all__ = ["Notice"]

_STYLES = {Tone.OK: "$text-success", Tone.WARN: "$text-warning", Tone.BAD: "bold $text-error", Tone.DIM: "$text-muted"}
# Good news goes away by itself; bad news stays until the next key says something else.
GOOD_SECONDS = 8.0


class Notice(Static):
    """One message at a time."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(Content(""), id=id)
        self._timer: Timer | None = None

    def say(self, text: str, tone: Tone = Tone.PLAIN, *, stay: bool = False) -> None:
        """Show outside text; ``stay`` keeps good news too."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        shown = clean(text, newlines=False)
        self.set_class(bool(shown), "-shown")
        self.update(Content.styled(shown, _STYLES.get(tone, "")))
        if shown and not stay and tone not in (Tone.BAD, Tone.WARN):
            self._timer = self.set_timer(GOOD_SECONDS, self.hush)

    def hush(self) -> None:
        """Say nothing."""
        self.say("")
