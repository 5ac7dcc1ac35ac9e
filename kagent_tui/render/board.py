"""All tables of a context: listings kept in step with the store, rendering only what a change touches.

A change of a server or a model changes the rows of the agents that use it, so those are rendered again as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from kagent_api.errors import ObjectRef
from kagent_tui.cluster.kinds import CONFIGMAP, VIEWS, view_of
from kagent_tui.cluster.query import compile_filter
from kagent_tui.cluster.store import Changes, Store
from kagent_tui.cluster.workspace import Tally
from kagent_tui.render.listing import Listing
from kagent_tui.render.row import Row
from kagent_tui.render.tables import TABLES

__all__ = ["Board", "Touched"]

_TOOLS_SUFFIXES = {"-remotemcpserver-tools": "RemoteMCPServer", "-mcpserver-tools": "MCPServer"}


class Touched:
    """What a batch of changes did to one view."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.reordered = False


class Board:
    """The listings by view id; filters and sorting outlive a change of the store."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self.listings = {view: Listing() for view in VIEWS}
        self.filters = dict.fromkeys(VIEWS, "")
        self._clock = clock
        self._store: Store | None = None

    def fill(self, store: Store) -> None:
        """Take everything from a store."""
        self._store = store
        now = self._clock()
        for view in VIEWS.values():
            spec = TABLES[view.id]
            self.listings[view.id].fill(
                spec.row(obj, store, now) for kind in view.kinds for obj in store.objects(kind).values()
            )

    def empty(self) -> None:
        """Forget all rows."""
        self._store = None
        for listing in self.listings.values():
            listing.clear()

    @property
    def tally(self) -> Tally:
        """How many rows each view has, and how many of all of them are in trouble."""
        return Tally(
            tuple((view, listing.total) for view, listing in self.listings.items()),
            sum(listing.trouble for listing in self.listings.values()),
        )

    def apply(self, changes: Changes) -> dict[str, Touched]:
        """Render what changed, and say by view what has to be painted."""
        touched: dict[str, Touched] = {}
        if self._store is None:
            return touched
        now = self._clock()
        for ref in self._affected(changes):
            view = view_of(ref.kind)
            if view is None:
                continue
            listing = self.listings[view.id]
            obj = self._store.find(ref)
            result = touched.setdefault(view.id, Touched())
            if obj is None:
                result.reordered |= listing.remove(ref) == "order"
                continue
            row = TABLES[view.id].row(obj, self._store, now)
            change = listing.put(row)
            result.reordered |= change == "order"
            if change == "cells":
                result.rows.append(row)
        return touched

    def age(self, view: str, rows: list[Row]) -> list[Row]:
        """Render some rows again because time passed; returns those that look different now."""
        if self._store is None:
            return []
        now = self._clock()
        listing = self.listings[view]
        fresh: list[Row] = []
        for row in rows:
            obj = self._store.find(row.ref)
            if obj is not None:
                newer = TABLES[view].row(obj, self._store, now)
                if [cell.text for cell in newer.cells] != [cell.text for cell in row.cells]:
                    listing.put(newer)
                    fresh.append(newer)
        return fresh

    def filter(self, view: str, expression: str) -> None:
        """Show only what an expression keeps. Raises InvalidSpec for a broken one, and then changes nothing."""
        matcher = compile_filter(expression)
        self.filters[view] = expression.strip()
        self.listings[view].filter(matcher)

    def sort(self, view: str, column: str, *, descending: bool = False) -> None:
        """Order a view by a column; one that it does not have changes nothing."""
        found = next((index for index, one in enumerate(TABLES[view].columns) if one.id == column), None)
        if found is not None:
            self.listings[view].sort(found, descending=descending)

    def sorting(self, view: str) -> tuple[str, bool]:
        """Return the column that a view is ordered by, and whether downwards."""
        index, descending = self.listings[view].sorting
        return TABLES[view].columns[index].id, descending

    def _affected(self, changes: Changes) -> set[ObjectRef]:
        store = self._store
        affected = set(changes)
        if store is None:
            return affected
        for ref in changes:
            direct = {ref}
            if ref.kind == CONFIGMAP:
                direct = {
                    ObjectRef(kind, ref.namespace, ref.name.removesuffix(suffix))
                    for suffix, kind in _TOOLS_SUFFIXES.items()
                    if ref.name.endswith(suffix)
                }
            for one in direct:
                affected.add(one)
                affected.update(store.used_by(one))
        return affected
