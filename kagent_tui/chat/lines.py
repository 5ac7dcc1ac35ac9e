"""Screen lines of a conversation as pieces with meaning: what layouts return and the transcript widget paints.

A piece's text is clean and has no line breaks; only widgets know what a tone or a face looks like.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple, TypeAlias

from rich.cells import chop_cells

from kagent_tui.render.text import Tone
from kagent_tui.safety import cell_width, clean

__all__ = ["Piece", "ScreenLine", "piece", "plain", "prefixed", "width_of", "wrap_pieces"]

# Any of: b bold, i italic, s struck through, u underlined, c on the code background.
Face: TypeAlias = str

# Scripts written without spaces may break between any two of their characters.
_UNSPACED: Final = "\u1100-\u115e\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60"
_WORD: Final = re.compile(f"[ ]+|[{_UNSPACED}]|[^ {_UNSPACED}]+")


class Piece(NamedTuple):
    """A piece of one screen line."""

    text: str
    tone: Tone = Tone.PLAIN
    face: Face = ""


ScreenLine: TypeAlias = tuple[Piece, ...]


def piece(text: str, tone: Tone = Tone.PLAIN, face: Face = "") -> Piece:
    """Return outside text as a piece: cleaned, on one line."""
    return Piece(clean(text, newlines=False), tone, face)


def plain(line: Iterable[Piece]) -> str:
    """Return a line's text."""
    return "".join(part.text for part in line)


def width_of(line: Iterable[Piece]) -> int:
    """Return how many cells a line takes."""
    return sum(cell_width(part.text) for part in line)


def prefixed(lines: Iterable[ScreenLine], first: ScreenLine, rest: ScreenLine) -> list[ScreenLine]:
    """Return lines with something before the first and something before the others."""
    return [(*(first if index == 0 else rest), *line) for index, line in enumerate(lines)]


def wrap_pieces(pieces: Iterable[Piece], width: int) -> list[ScreenLine]:
    """Break one logical line into lines of at most ``width`` cells, between words where that is possible."""
    width = max(2, width)
    parts = tuple(part for part in pieces if part.text)
    if width_of(parts) <= width:
        return [parts]
    lines: list[ScreenLine] = []
    current: list[Piece] = []
    used = 0
    for text, tone, face in parts:
        for match in _WORD.finditer(text):
            word = match[0]
            size = cell_width(word)
            if used + size > width:
                if word[0] == " ":
                    # The break takes the place of the space, and what follows starts a line.
                    lines.append(tuple(current))
                    current, used = [], 0
                    continue
                if current:
                    lines.append(_trimmed(current))
                    current, used = [], 0
                if size > width:
                    *whole, word = chop_cells(word, width)
                    lines += [(Piece(chunk, tone, face),) for chunk in whole]
                    size = cell_width(word)
            if current and current[-1].tone == tone and current[-1].face == face:
                current[-1] = Piece(current[-1].text + word, tone, face)
            else:
                current.append(Piece(word, tone, face))
            used += size
    if current:
        lines.append(tuple(current))
    return lines or [()]


def _trimmed(line: list[Piece]) -> ScreenLine:
    last = line[-1]
    return (*line[:-1], Piece(last.text.rstrip(" "), last.tone, last.face))
