"""Which rows of a table are shown and in what order, kept up to date row by row.

A change of one row among 10,000 must not sort 10,000 rows: the order is a sorted list that is searched by bisection.
Pure.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from kagent_api.errors import ObjectRef
from kagent_tui.cluster.query import Matcher
from kagent_tui.render.row import Row, SortKey

__all__ = ["Change", "Listing"]

# "same": nothing to paint; "cells": this row only; "order": rows moved, came or went.
Change = Literal["same", "cells", "order"]
_Entry = tuple[SortKey, str, str, str]


class Listing:
    """All rows of a view, and the shown ones in order."""

    def __init__(self, *, sort: int = 0, descending: bool = False) -> None:
        self._rows: dict[ObjectRef, Row] = {}
        self._trouble = 0
        self._order: list[_Entry] = []
        self._entries: dict[ObjectRef, _Entry] = {}
        self._matcher: Matcher | None = None
        self._sort = sort
        self._descending = descending

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[Row]:
        return (self.at(index) for index in range(len(self)))

    @property
    def total(self) -> int:
        """How many rows there are without the filter."""
        return len(self._rows)

    @property
    def trouble(self) -> int:
        """How many of all rows are in trouble."""
        return self._trouble

    @property
    def rows(self) -> Iterable[Row]:
        """All rows, also those that the filter hides, in no order."""
        return self._rows.values()

    @property
    def sorting(self) -> tuple[int, bool]:
        """The column's index and whether it runs downwards."""
        return self._sort, self._descending

    def at(self, index: int) -> Row:
        """Return the row shown at a place."""
        entry = self._order[-1 - index if self._descending else index]
        return self._rows[ObjectRef(entry[3], entry[2], entry[1])]

    def index(self, ref: ObjectRef) -> int | None:
        """Return where a row is shown, None when it is not."""
        entry = self._entries.get(ref)
        if entry is None:
            return None
        place = bisect_left(self._order, entry)
        return len(self._order) - 1 - place if self._descending else place

    def find(self, ref: ObjectRef) -> Row | None:
        return self._rows.get(ref)

    def put(self, row: Row) -> Change:
        """Add or replace a row and say what must be painted."""
        old = self._rows.get(row.ref)
        if old == row:
            return "same"
        self._rows[row.ref] = row
        self._trouble += row.trouble - (old.trouble if old is not None else False)
        before = self._entries.get(row.ref)
        after = self._entry(row) if self._shown(row) else None
        if before == after:
            return "same" if after is None else "cells"
        if before is not None:
            del self._order[bisect_left(self._order, before)]
            del self._entries[row.ref]
        if after is not None:
            insort(self._order, after)
            self._entries[row.ref] = after
        return "order"

    def remove(self, ref: ObjectRef) -> Change:
        """Forget a row."""
        gone = self._rows.pop(ref, None)
        if gone is None:
            return "same"
        self._trouble -= gone.trouble
        before = self._entries.pop(ref, None)
        if before is None:
            return "same"
        del self._order[bisect_left(self._order, before)]
        return "order"

    def clear(self) -> None:
        self._rows.clear()
        self._trouble = 0
        self._rebuild()

    def fill(self, rows: Iterable[Row]) -> None:
        """Replace all rows at once."""
        self._rows = {row.ref: row for row in rows}
        self._trouble = sum(row.trouble for row in self._rows.values())
        self._rebuild()

    def filter(self, matcher: Matcher | None) -> None:
        """Show only matching rows; None shows all."""
        self._matcher = matcher
        self._rebuild()

    def sort(self, column: int, *, descending: bool = False) -> None:
        """Order by a column; equal values by name."""
        self._sort, self._descending = column, descending
        self._rebuild()

    def _shown(self, row: Row) -> bool:
        return self._matcher is None or self._matcher(" ".join(cell.text for cell in row.cells), row.labels)

    def _entry(self, row: Row) -> _Entry:
        return row.cells[self._sort].sort, row.ref.name, row.ref.namespace, row.ref.kind

    def _rebuild(self) -> None:
        shown: Callable[[Row], bool] = self._shown
        self._entries = {ref: self._entry(row) for ref, row in self._rows.items() if shown(row)}
        self._order = sorted(self._entries.values())
