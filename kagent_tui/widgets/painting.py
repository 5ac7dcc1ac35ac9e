"""From tones to colours: the one place that turns spans into strips, and keeps a cursor's text readable.

A cursor line keeps the meaning of its colours: each is moved towards black or white until it reaches WCAG AA
contrast (4.5) on the cursor's background. In the terminal's own 16 colours, whose values nobody knows, the line is
reversed instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rich.color import ColorType
from rich.segment import Segment
from rich.style import Style
from textual.color import BLACK, WHITE, Color
from textual.strip import Strip
from textual.widget import Widget

from kagent_tui.render.text import Span, Tone

__all__ = ["PAINT_CLASSES", "Painter", "contrast", "readable"]

PAINT_CLASSES: Final = frozenset(
    {f"tone--{tone}" for tone in Tone} | {"pane--cursor", "pane--cursor-blurred", "pane--hit"}
)
LEAST_CONTRAST: Final = 4.5


class Painter:
    """Paints for one widget; asks its styles anew after ``reset`` (theme, focus)."""

    def __init__(self, widget: Widget) -> None:
        self._widget = widget
        self._styles: dict[tuple[Tone, str], Style] = {}

    def reset(self) -> None:
        self._styles.clear()

    def style(self, tone: Tone, over: str = "") -> Style:
        """Return the style of a tone on the widget's background, or over a component such as ``pane--cursor``."""
        found = self._styles.get((tone, over))
        if found is None:
            found = self._styles[tone, over] = self._make(tone, over)
        return found

    def strip(self, spans: Iterable[Span], width: int, over: str = "") -> Strip:
        """Return one screen line of exactly ``width`` cells."""
        segments: list[Segment] = []
        for part in spans:
            style = self.style(part.tone, over)
            if segments and segments[-1].style == style:
                # Every segment costs its colours once more on the line.
                segments[-1] = Segment(segments[-1].text + part.text, style)
            elif part.text:
                segments.append(Segment(part.text, style))
        return Strip(segments).adjust_cell_length(width, self.style(Tone.PLAIN, over))

    def _make(self, tone: Tone, over: str) -> Style:
        # The whole style, not the partial one: only then are half-transparent and automatic colours worked out.
        style = self._widget.get_component_rich_style(f"tone--{tone}")
        if not over:
            return style
        cursor = self._widget.get_component_rich_style(over)
        if cursor.bgcolor is None or cursor.bgcolor.type is not ColorType.TRUECOLOR:
            return style + Style(reverse=True)
        if style.color is None or style.color.type is not ColorType.TRUECOLOR:
            return style + Style(bgcolor=cursor.bgcolor)
        ink = readable(Color.from_rich_color(style.color), Color.from_rich_color(cursor.bgcolor))
        return style + Style(color=ink.rich_color, bgcolor=cursor.bgcolor)


def contrast(one: Color, other: Color) -> float:
    """Return the WCAG 2.1 contrast ratio of two opaque colours, 1 to 21."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def readable(ink: Color, paper: Color) -> Color:
    """Return ``ink``, moved towards black or white as little as makes it readable on ``paper``."""
    goal = WHITE if contrast(WHITE, paper) >= contrast(BLACK, paper) else BLACK
    for step in range(11):
        candidate = ink.blend(goal, step / 10)
        if contrast(candidate, paper) >= LEAST_CONTRAST:
            return candidate
    return goal


def _luminance(color: Color) -> float:
    parts = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in color.normalized]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
