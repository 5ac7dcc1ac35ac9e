"""Keeps the lines about one object up to date: the object, what it refers to, and its events, all by watch.

Used by the detail pane and the detail screen. It must be closed, or its watch of events stays open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from kagent_api.errors import ObjectRef
from kagent_tui.cluster.cluster import Cluster, Follow
from kagent_tui.cluster.errors import explain
from kagent_tui.cluster.kinds import EVENT, SECRET
from kagent_tui.cluster.lookups import Known
from kagent_tui.cluster.references import references
from kagent_tui.cluster.store import Changes
from kagent_tui.render.detail import describe, events_lines
from kagent_tui.render.text import BLANK, Line, head, note

__all__ = ["DetailFeed"]

# Somebody who runs down the table does not want a watch per row.
SETTLE_SECONDS = 0.25


class DetailFeed:
    """The overview of one object, shown through ``show`` whenever it changes."""

    def __init__(
        self, cluster: Cluster, ref: ObjectRef, show: Callable[[list[Line]], None], *, clock: Callable[[], float]
    ) -> None:
        self._clock = clock
        self.ref = ref
        self._cluster = cluster
        self._show = show
        self._known: dict[ObjectRef, Known] = {}
        self._events: Follow | None = None
        self._unsubscribe = cluster.store.subscribe(self._changed)
        self._task = asyncio.create_task(self._look())
        self.refresh()

    def close(self) -> None:
        """Stop following."""
        self._unsubscribe()
        self._task.cancel()
        if self._events is not None:
            self._events.close()

    def refresh(self) -> None:
        """Build the lines anew."""
        store = self._cluster.store
        obj = store.find(self.ref)
        if obj is None:
            self._show(
                [head(f"{self.ref.kind} {self.ref.namespace}/{self.ref.name}"), note("is not there (any more)", 0)]
            )
            return
        now = self._clock()
        lines = describe(obj, store, now, used_by=store.used_by(self.ref), known=self._known)
        self._show([*lines, *self._event_lines(now)])

    def _event_lines(self, now: float) -> list[Line]:
        if self._events is None or (not self._events.synced and self._events.error is None):
            return [head("Events"), note("loading")]
        if self._events.error is not None and not self._events.synced:
            told = explain(self._events.error, kind=EVENT, namespace=self.ref.namespace)
            return [head("Events"), note(told.message), note(told.remedy), BLANK]
        return events_lines(self._events.objects, now)

    def _changed(self, refs: Changes) -> None:
        obj = self._cluster.store.find(self.ref)
        mine = {self.ref, *(reference.target for reference in references(obj or {}))}
        if not mine.isdisjoint(refs) or obj is None:
            self.refresh()

    async def _look(self) -> None:
        await asyncio.sleep(SETTLE_SECONDS)
        self._events = self._cluster.follow(
            EVENT, self.ref.namespace, self.refresh, field_selector=f"involvedObject.name={self.ref.name}"
        )
        obj = self._cluster.store.find(self.ref)
        for target in {reference.target for reference in references(obj or {})}:
            if target.kind in (SECRET, "ConfigMap"):
                self._known[target] = await self._cluster.keys_of(target)
        if self._known:
            self.refresh()
