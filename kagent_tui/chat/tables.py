"""Tables of a Markdown text within a width: columns shrink, widest first, and their cells wrap. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kagent_tui.chat.lines import Piece, ScreenLine, width_of, wrap_pieces
from kagent_tui.render.text import Tone

__all__ = ["table_lines"]

_GAP: Final = 3
_LEAST: Final = 4


def table_lines(rows: Sequence[Sequence[Sequence[Piece]]], width: int) -> list[ScreenLine]:
    """Return rows of cells as lines; the first row is the header. Too narrow for columns, each row becomes a list."""
    count = max((len(row) for row in rows), default=0)
    if count == 0:
        return []
    full = [[list(row[index]) if index < len(row) else [] for index in range(count)] for row in rows]
    if width < count * (_LEAST + _GAP):
        return _as_list(full, width)
    widths = _fit([max(width_of(row[index]) for row in full) for index in range(count)], width - _GAP * (count - 1))
    lines: list[ScreenLine] = []
    for number, row in enumerate(full):
        header = number == 0
        cells = [wrap_pieces(_bold(cell) if header else cell, widths[index]) for index, cell in enumerate(row)]
        for level in range(max(len(cell) for cell in cells)):
            line: list[Piece] = []
            for index, cell in enumerate(cells):
                part = cell[level] if level < len(cell) else ()
                line += part
                if index < count - 1:
                    line.append(Piece(" " * (widths[index] - width_of(part) + 1)))
                    line.append(Piece("│ ", Tone.DIM))
            lines.append(tuple(line))
        if header:
            lines.append((Piece("─┼─".join("─" * size for size in widths), Tone.DIM),))
    return lines


def _fit(wanted: list[int], room: int) -> list[int]:
    widths = [max(1, size) for size in wanted]
    while sum(widths) > room:
        widest = widths.index(max(widths))
        if widths[widest] <= _LEAST:
            break
        rest = sum(widths) - widths[widest]
        second = max([size for index, size in enumerate(widths) if index != widest], default=0)
        # Down to the second widest at once, so that a cell of a megabyte costs no million steps.
        widths[widest] = max(_LEAST, min(widths[widest] - 1, max(second, room - rest)))
    return widths


def _as_list(rows: list[list[list[Piece]]], width: int) -> list[ScreenLine]:
    header, *body = rows
    lines: list[ScreenLine] = []
    for number, row in enumerate(body or [header]):
        if number:
            lines.append(())
        for title, cell in zip(header, row, strict=True):
            lines += wrap_pieces((*_bold(title), Piece(": "), *cell), width)
    return lines


def _bold(cell: Sequence[Piece]) -> list[Piece]:
    return [Piece(text, tone, face + "b") for text, tone, face in cell]
