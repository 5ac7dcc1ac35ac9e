"""Which key does what, here and now: a panel over the lower part of the screen; the next key does its thing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.screen import ModalScreen
from textual.strip import Strip
from textual.widget import Widget

from kagent_tui.render.text import Span, Tone
from kagent_tui.render.widths import pad
from kagent_tui.safety import cell_width
from kagent_tui.widgets.painting import PAINT_CLASSES, Painter

__all__ = ["WhichKeyScreen"]

_KEY_CELLS = 9
_GAP = 2


class _Panel(Widget):
    COMPONENT_CLASSES: ClassVar[set[str]] = {*PAINT_CLASSES}

    def __init__(self, keys: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._keys = keys
        self._painter = Painter(self)

    def shape(self, width: int) -> tuple[int, int, int]:
        """Return columns, lines, and the cells of a column on a screen of a width."""
        cells = max((cell_width(title) for _, title in self._keys), default=10) + _KEY_CELLS + _GAP
        columns = max(1, (width - 2) // cells)
        return columns, -(-len(self._keys) // columns), cells

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        columns, lines, cells = self.shape(width)
        if y == 0:
            spans = [Span(" keys here and now ", Tone.HEAD), Span("· press one, esc leaves", Tone.DIM)]
            return self._painter.strip(spans, width)
        spans = [Span(" ")]
        for column in range(columns):
            index = column * lines + y - 1
            if index < len(self._keys) and y - 1 < lines:
                key, title = self._keys[index]
                spans += (Span(pad(key, _KEY_CELLS), Tone.KEY), Span(pad(title, cells - _KEY_CELLS)))
        return self._painter.strip(spans, width)


class WhichKeyScreen(ModalScreen[str]):
    """Answers with the key pressed, "" for none."""

    DEFAULT_CSS = """
    WhichKeyScreen { background: transparent; align: left bottom; }
    WhichKeyScreen _Panel { width: 100%; background: $panel; border-top: solid $accent; }
    """

    def __init__(self, keys: Sequence[tuple[str, str]]) -> None:
        """``keys``: what is shown for each key, and its title; clean texts."""
        super().__init__()
        self._panel = _Panel(keys)

    def compose(self) -> ComposeResult:
        yield self._panel

    def on_resize(self, event: events.Resize) -> None:
        _, lines, _ = self._panel.shape(event.size.width)
        self._panel.styles.height = min(lines + 2, max(4, event.size.height - 4))

    def on_key(self, event: events.Key) -> None:
        event.stop()
        event.prevent_default()
        self.dismiss("" if event.key == "escape" else event.key)
