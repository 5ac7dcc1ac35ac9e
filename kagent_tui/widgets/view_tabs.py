"""The line above a table: which views there are, which one this is, and what of it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from textual import events
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from kagent_tui.render.text import Span, Tone, span
from kagent_tui.safety import cell_width, shorten
from kagent_tui.widgets.painting import PAINT_CLASSES, Painter

__all__ = ["Tab", "ViewTabs"]


class Tab(NamedTuple):
    """One view."""

    id: str
    title: str
    size: int


class ViewTabs(Widget):
    """One line of tabs, and at its right what filter is on."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {*PAINT_CLASSES}

    tabs: reactive[Sequence[Tab]] = reactive(tuple[Tab, ...])
    current: reactive[str] = reactive("")
    remark: reactive[str] = reactive("")
    """What is filtered; raw text."""

    class Chosen(Message):
        """A tab was clicked."""

        def __init__(self, view: str) -> None:
            super().__init__()
            self.view = view

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._painter = Painter(self)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._painter.reset()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        spans: list[Span] = [Span(" ")]
        for tab in self.tabs:
            here = tab.id == self.current
            text = f"▐{tab.title} {tab.size}▌ " if here else f" {tab.title} {tab.size}  "
            spans.append(Span(text, Tone.HEAD if here else Tone.DIM))
        used = sum(cell_width(part.text) for part in spans)
        remark = shorten(span(self.remark).text, max(0, width - used - 1))
        gap = max(0, width - used - cell_width(remark) - 1)
        return self._painter.strip([*spans, Span(" " * gap), Span(remark, Tone.WARN)], width)

    def on_click(self, event: events.Click) -> None:
        x = 1
        for tab in self.tabs:
            x += cell_width(f" {tab.title} {tab.size}  ")
            if event.x < x:
                self.post_message(self.Chosen(tab.id))
                return
