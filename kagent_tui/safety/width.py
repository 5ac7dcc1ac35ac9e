"""Cut text by the cells it takes on a terminal, not by its characters. For cleaned text only."""

from __future__ import annotations

from typing import Final

from rich.cells import cell_len, set_cell_size

__all__ = ["cell_width", "shorten"]

_ELLIPSIS: Final = "…"


def cell_width(text: str) -> int:
    """Return how many terminal cells one line of cleaned text takes."""
    return len(text) if text.isascii() else cell_len(text)


def shorten(text: str, width: int) -> str:
    """Return one line of cleaned text cut to at most ``width`` cells; an ellipsis shows the cut."""
    if cell_width(text) <= width:
        return text
    if width <= 0:
        return ""
    return set_cell_size(text, width - 1).rstrip() + _ELLIPSIS
