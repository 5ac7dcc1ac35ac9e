"""The header line: context, namespaces, read-only, the state of the link, counts. It shows only what is true now."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import ClassVar

from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from kagent_tui.cluster.link import Link
from kagent_tui.render.headline import Headline, context_spans, count_spans, link_spans
from kagent_tui.render.text import Span
from kagent_tui.render.widths import pad
from kagent_tui.safety import cell_width, shorten
from kagent_tui.widgets.painting import PAINT_CLASSES, Painter

__all__ = ["StatusBar"]


class StatusBar(Widget):
    """One line at the top."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {*PAINT_CLASSES}

    headline: reactive[Headline] = reactive(Headline)
    # Every event moves its time; the line is painted again only when it would read differently.
    link: reactive[Link] = reactive(Link, repaint=False)

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._painter = Painter(self)
        self._shown = ""

    def on_mount(self) -> None:
        self.set_interval(1.0, self._tick)

    def watch_link(self) -> None:
        self._tick()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._painter.reset()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        left, right = self._left(), self._right()
        room = width - _width(right) - 2
        self._shown = self._text()
        return self._painter.strip([*_cut([Span(" "), *left], room), Span(" "), *right, Span(" ")], width)

    def _tick(self) -> None:
        if self._text() != self._shown:
            self.refresh()

    def _text(self) -> str:
        return "".join(part.text for part in (*self._left(), *self._right()))

    def _left(self) -> list[Span]:
        return context_spans(self.headline)

    def _right(self) -> list[Span]:
        spans = link_spans(self.link, time.monotonic(), time.time())
        return [*spans, *count_spans(self.headline)] if self.link.status in ("live", "lost") else spans


def _width(spans: Sequence[Span]) -> int:
    return sum(cell_width(part.text) for part in spans)


def _cut(spans: Sequence[Span], width: int) -> list[Span]:
    kept: list[Span] = []
    room = max(0, width)
    for part in spans:
        text = shorten(part.text, room)
        room -= cell_width(text)
        if text:
            kept.append(Span(text, part.tone))
    return [*kept, Span(pad("", room))]
