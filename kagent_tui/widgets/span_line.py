"""One line of spans: a text at the left that gives way, a text at the right that stays."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.strip import Strip
from textual.widget import Widget

from kagent_tui.render.text import Span
from kagent_tui.safety import cell_width, shorten
from kagent_tui.widgets.painting import PAINT_CLASSES, Painter

__all__ = ["SpanLine"]


class SpanLine(Widget):
    """Paints only when its spans differ."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {*PAINT_CLASSES}

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._painter = Painter(self)
        self._left: tuple[Span, ...] = ()
        self._right: tuple[Span, ...] = ()

    @property
    def plain(self) -> str:
        """What it says."""
        return "".join(part.text for part in (*self._left, *self._right))

    def say(self, left: Iterable[Span], right: Iterable[Span] = ()) -> None:
        """Show other spans."""
        fresh = tuple(left), tuple(right)
        if fresh != (self._left, self._right):
            self._left, self._right = fresh
            self.refresh()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._painter.reset()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        right = self._right if sum(cell_width(part.text) for part in self._right) < width - 10 else ()
        # One cell before the text, one between the two.
        room = width - 2 - sum(cell_width(part.text) for part in right)
        left: list[Span] = []
        for part in self._left:
            text = shorten(part.text, room)
            left.append(Span(text, part.tone))
            room -= cell_width(text)
        gap = Span(" " * (max(0, room) + 1))
        return self._painter.strip([Span(" "), *left, gap, *right], width)
