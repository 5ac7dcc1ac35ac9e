"""Rows and columns of a table, free of any widget: what is shown, what it means, and how it sorts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from kagent_api.errors import ObjectRef
from kagent_tui.cluster.kinds import JsonObject
from kagent_tui.render.text import Tone
from kagent_tui.safety import clean

__all__ = ["Cell", "Column", "Row", "TableSpec", "World", "cell"]

LONGEST_CELL: Final = 500
SortKey = tuple[int, float, str]


class Cell(NamedTuple):
    """One value: clean text, its meaning, and its place in the order of the column."""

    text: str
    tone: Tone
    sort: SortKey


def cell(text: str, tone: Tone = Tone.PLAIN, *, sort: float | str | None = None, rank: int = 0) -> Cell:
    """Build a cell from outside text. ``rank`` sorts before everything (trouble first), then number, then text."""
    # A cell shows a few dozen characters; a name of a megabyte must not be cleaned at every change.
    shown = clean(text[:LONGEST_CELL], newlines=False)
    if isinstance(sort, (int, float)):
        return Cell(shown, tone, (rank, float(sort), shown))
    return Cell(shown, tone, (rank, 0.0, (sort if sort is not None else shown).casefold()))


class Column(NamedTuple):
    """How wide a column may be, and which column goes first when the terminal is narrow (0 stays longest)."""

    id: str
    title: str
    least: int
    most: int
    drop: int = 0
    right: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One object as a table shows it."""

    ref: ObjectRef
    cells: tuple[Cell, ...]
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    trouble: bool = False


class World(Protocol):
    """What a renderer may ask about other objects."""

    def find(self, ref: ObjectRef) -> JsonObject | None:
        """Return a raw object, or None when there is none (or it is not known here)."""
        ...


class TableSpec(NamedTuple):
    """One view's columns and the function that makes its rows; ``now`` is Unix time."""

    columns: tuple[Column, ...]
    row: Callable[[JsonObject, World, float], Row]
