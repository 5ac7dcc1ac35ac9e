"""A session shown again as it went: event by event, at its own pace or faster. Nothing is sent anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from textual.timer import Timer
from textual.widget import Widget

from kagent_tui.chat.events import UserMessage
from kagent_tui.chat.storing import Timed
from kagent_tui.chat.transcript import Transcript
from kagent_tui.cluster.workspace import Workspace
from kagent_tui.render.text import Span, Tone
from kagent_tui.screens.base import BaseScreen
from kagent_tui.widgets.bindings import bindings
from kagent_tui.widgets.span_line import SpanLine
from kagent_tui.widgets.transcript import TranscriptView

__all__ = ["ReplayScreen"]

# Where no times are known: quick enough to watch, slow enough to read along.
_PACE: Final = 0.4
# Nobody wants to wait as long as a person thought, or a tool ran.
_LONGEST_WAIT: Final = 3.0


class ReplayScreen(BaseScreen[None]):
    """Plays events; keys pause, step, and change the speed."""

    CSS_PATH = ["chat.tcss", "../widgets/transcript.tcss", "../widgets/chat_pane.tcss"]  # noqa: RUF012 - Textual's own
    BINDINGS = bindings("replay")
    AUTO_FOCUS = "TranscriptView"

    def __init__(self, workspace: Workspace, title: str, events: Sequence[Timed]) -> None:
        super().__init__(workspace, trail=f"replay › {title}")
        self._events = events
        self._next = 0
        self._speed = 1.0
        self._paused = False
        self._timer: Timer | None = None
        self.transcript = Transcript()
        self.view = TranscriptView(self.transcript)
        self._doing = SpanLine(id="doing")

    def body(self) -> Iterable[Widget]:
        yield self.view
        yield self._doing

    def on_mount(self) -> None:
        self._tell()
        self._go_on()

    def action_pause(self) -> None:
        self._paused = not self._paused
        self._tell()
        self._go_on()

    def action_step(self) -> None:
        self._paused = True
        self._play(1)

    def action_faster(self) -> None:
        self._set_speed(2.0)

    def action_slower(self) -> None:
        self._set_speed(0.5)

    def action_end(self) -> None:
        self._play(len(self._events) - self._next)

    def action_back(self) -> None:
        self.dismiss(None)

    def _set_speed(self, factor: float) -> None:
        self._speed = max(0.25, min(64.0, self._speed * factor))
        self._tell()
        self._go_on()

    def _go_on(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        if not self._paused and self._next < len(self._events):
            self._timer = self.set_timer(self._wait() / self._speed, self._tick)

    def _wait(self) -> float:
        before = self._events[self._next - 1].at if self._next else 0.0
        here = self._events[self._next]
        if isinstance(here.event, UserMessage):
            return _PACE * 2
        return max(0.01, min(_LONGEST_WAIT, here.at - before)) if here.at > 0 else _PACE

    def _tick(self) -> None:
        self._play(1)
        self._go_on()

    def _play(self, count: int) -> None:
        for timed in self._events[self._next : self._next + count]:
            self.view.changed(self.transcript.apply(timed.event))
        self._next = min(len(self._events), self._next + count)
        self._tell()

    def _tell(self) -> None:
        ended = self._next >= len(self._events)
        state = "■ the end" if ended else "‖ paused" if self._paused else f"▶ {self._speed:g}×"
        self._doing.say([Span(f"{state}  event {self._next} of {len(self._events)}", Tone.DIM if ended else Tone.KEY)])
