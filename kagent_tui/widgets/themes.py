"""Our themes, and the filter that draws everything in ASCII."""

from __future__ import annotations

from typing import Final

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter
from textual.theme import Theme

from kagent_tui.safety.ascii import to_ascii

__all__ = ["CONTRAST", "NAMES", "AsciiFilter"]

# What a person writes -> what Textual calls it.
NAMES: Final = {
    "dark": "textual-dark",
    "light": "textual-light",
    "terminal": "ansi-dark",
    "terminal-light": "ansi-light",
    "contrast": "contrast",
}

# Pure black and white with the brightest status colours: each reaches 7:1 (WCAG AAA) on black.
CONTRAST: Final = Theme(
    name="contrast",
    primary="#5cc8ff",
    secondary="#d0b0ff",
    accent="#ffd700",
    warning="#ffd700",
    error="#ff8080",
    success="#5cff5c",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#000000",
    dark=True,
    text_alpha=1.0,
    luminosity_spread=0.2,
    variables={
        "text-muted": "#d8d8d8",
        "text-success": "#5cff5c",
        "text-warning": "#ffd700",
        "text-error": "#ff8080",
        "text-primary": "#5cc8ff",
        "text-accent": "#ffd700",
        "text-secondary": "#d0b0ff",
        "primary-muted": "#00407a",
        "surface-lighten-1": "#303030",
        "panel-lighten-2": "#ffffff",
        "border": "#ffffff",
        "block-cursor-background": "#ffffff",
        "block-cursor-foreground": "#000000",
        "block-cursor-text-style": "bold",
    },
)


class AsciiFilter(LineFilter):
    """Draws signs and borders with ASCII; ``strict`` replaces every other character too, for terminals without
    UTF-8. Widths stay as they are."""

    def __init__(self, *, strict: bool) -> None:
        super().__init__()
        self._strict = strict

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            segment if segment.text.isascii() else Segment(to_ascii(segment.text, strict=self._strict), *segment[1:])
            for segment in segments
        ]
