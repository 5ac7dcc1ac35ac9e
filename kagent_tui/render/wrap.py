"""Fit lines of spans into a width in terminal cells: wrap, or cut. Pure; wide characters count as two."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from rich.cells import chop_cells

from kagent_tui.render.text import Line, Span, Tone
from kagent_tui.safety import cell_width

__all__ = ["capped", "wrap"]

# A line of a megabyte is somebody's mistake or attack; nobody reads it to its end on a terminal.
MOST_CHARACTERS: Final = 20_000
_WORD = re.compile(r"\s+|[^\s]+")


def wrap(line: Line, width: int) -> list[tuple[Span, ...]]:
    """Return the screen lines of a logical line, the later ones under its indent. Never empty."""
    width = max(4, width)
    spans = capped(line.spans)
    if sum(cell_width(part.text) for part in spans) <= width:
        return [spans]
    indent = min(line.indent, width // 2)
    done: list[tuple[Span, ...]] = []
    current: list[Span] = []
    used = 0
    for word, tone in _words(spans):
        size = cell_width(word)
        if used + size <= width:
            current.append(Span(word, tone))
            used += size
            continue
        if word.isspace():
            done.append(tuple(current))
            current, used = _start(indent)
            continue
        if used > indent or not done:
            if current:
                done.append(tuple(current))
            current, used = _start(indent if done else 0)
        for piece in _pieces(word, width - indent):
            if used > (indent if done else 0) and used + cell_width(piece) > width:
                done.append(tuple(current))
                current, used = _start(indent)
            current.append(Span(piece, tone))
            used += cell_width(piece)
    if current:
        done.append(tuple(current))
    return done or [()]


def _start(indent: int) -> tuple[list[Span], int]:
    return ([Span(" " * indent)], indent) if indent else ([], 0)


def _words(spans: tuple[Span, ...]) -> Iterator[tuple[str, Tone]]:
    for text, tone in spans:
        for match in _WORD.finditer(text):
            yield match[0], tone


def _pieces(word: str, width: int) -> list[str]:
    return [word] if cell_width(word) <= width else chop_cells(word, width)


def capped(spans: tuple[Span, ...]) -> tuple[Span, ...]:
    """Return a line without what nobody reads to its end, and say how much that is."""
    total = sum(len(part.text) for part in spans)
    if total <= MOST_CHARACTERS:
        return spans
    kept: list[Span] = []
    room = MOST_CHARACTERS
    for part in spans:
        kept.append(Span(part.text[:room], part.tone))
        room -= len(kept[-1].text)
        if room <= 0:
            break
    return (*kept, Span(f" … ({total - MOST_CHARACTERS} more characters)", Tone.DIM))
