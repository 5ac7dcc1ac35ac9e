"""The dependency trees of one object, live: what it needs and what uses it."""

from __future__ import annotations

from collections.abc import Callable

from textual import work

from kagent_api.errors import ObjectRef
from kagent_tui.cluster.cluster import Cluster
from kagent_tui.cluster.kinds import CONFIGMAP, SECRET
from kagent_tui.cluster.lookups import Known
from kagent_tui.cluster.store import Changes
from kagent_tui.cluster.workspace import Workspace
from kagent_tui.render.why import Facts, chain, nodes
from kagent_tui.render.xray import used_by_lines, xray_lines
from kagent_tui.screens.reader import ReaderScreen

__all__ = ["XrayScreen"]

REST_SECONDS = 0.5


class XrayScreen(ReaderScreen):
    """Both trees, or only that of the users."""

    CSS_PATH = "reader.tcss"

    def __init__(self, workspace: Workspace, cluster: Cluster, ref: ObjectRef, *, users_only: bool = False) -> None:
        super().__init__(workspace, trail=f"{ref.name} › {'used by' if users_only else 'x-ray'}", pointer=True)
        self._cluster = cluster
        self._ref = ref
        self._users_only = users_only
        self._known: dict[ObjectRef, Known] = {}
        self._unwatch: Callable[[], None] | None = None
        self._due = False

    def on_mount(self) -> None:
        self._unwatch = self._cluster.store.subscribe(self._changed)
        # After the base class has shown that there is nothing yet.
        self.call_later(self._look)
        if not self._users_only:
            self._look_up()

    def on_unmount(self) -> None:
        if self._unwatch is not None:
            self._unwatch()

    def _changed(self, changes: Changes) -> None:
        if not self._due:
            self._due = True
            self.set_timer(REST_SECONDS, self._look)

    def _look(self) -> None:
        self._due = False
        store = self._cluster.store
        if self._users_only:
            self.show_lines(used_by_lines(self._ref, store, store.used_by))
        else:
            self.show_lines(xray_lines(self._ref, store, Facts(self._known), store.used_by))

    @work(exclusive=True, group="look")
    async def _look_up(self) -> None:
        """Ask for the keys of Secrets and ConfigMaps, which no watch brings."""
        for node in list(nodes(chain(self._ref, self._cluster.store, Facts()))):
            if node.ref.kind in (SECRET, CONFIGMAP) and node.ref not in self._known:
                self._known[node.ref] = await self._cluster.keys_of(node.ref)
        self._look()
