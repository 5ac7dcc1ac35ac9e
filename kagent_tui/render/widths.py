"""How wide each column may be on a terminal of a given width. Pure; in terminal cells."""

from __future__ import annotations

from collections.abc import Sequence

from kagent_tui.render.row import Column
from kagent_tui.safety import cell_width, shorten

__all__ = ["fit", "pad"]

# One cell between columns, one at the left edge.
_GAP = 1


def fit(columns: Sequence[Column], natural: Sequence[int], width: int) -> tuple[int, ...]:
    """Return each column's width, 0 for columns that have no room.

    Columns get what their content needs, up to their most; if that is too much, the widest give way down to their
    least; if that is still too much, columns go, those with the highest ``drop`` first.
    """
    sizes = [max(column.least, min(column.most, need)) for column, need in zip(columns, natural, strict=True)]
    shown = [True] * len(sizes)
    for victim in sorted(range(len(sizes)), key=lambda index: -columns[index].drop):
        if _total([column.least for column in columns], shown) <= width or columns[victim].drop == 0:
            break
        shown[victim] = False
    while _total(sizes, shown) > width:
        candidates = [index for index in range(len(sizes)) if shown[index] and sizes[index] > columns[index].least]
        if not candidates:
            break
        widest = max(candidates, key=lambda index: sizes[index] - columns[index].least)
        sizes[widest] -= 1
    return tuple(size if there else 0 for size, there in zip(sizes, shown, strict=True))


def pad(text: str, width: int, *, right: bool = False) -> str:
    """Return clean text in exactly ``width`` cells."""
    shown = shorten(text, width)
    space = " " * max(0, width - cell_width(shown))
    return space + shown if right else shown + space


def _total(sizes: Sequence[int], shown: Sequence[bool]) -> int:
    return _GAP + sum(size + _GAP for size, there in zip(sizes, shown, strict=True) if there)
