"""Why is it not ready: asks for what the store does not hold, and keeps the answer up to date while it is looked at."""

from __future__ import annotations

from collections.abc import Callable

from textual import work

from kagent_api.errors import ObjectRef
from kagent_tui.cluster.cluster import Cluster
from kagent_tui.cluster.kinds import SECRET
from kagent_tui.cluster.lookups import Known
from kagent_tui.cluster.store import Changes
from kagent_tui.cluster.workloads import Workload, workload_of
from kagent_tui.cluster.workspace import Workspace
from kagent_tui.render.text import Tone, note
from kagent_tui.render.why import WITH_PODS, Facts, chain, nodes, why_lines
from kagent_tui.screens.reader import ReaderScreen

__all__ = ["WhyScreen"]

# A rollout changes objects many times a second; asking for Pods and logs each time would be polling by another name.
REST_SECONDS = 0.5


class WhyScreen(ReaderScreen):
    """The chain of what an object needs."""

    CSS_PATH = "reader.tcss"

    def __init__(self, workspace: Workspace, cluster: Cluster, ref: ObjectRef) -> None:
        super().__init__(workspace, trail=f"{ref.name} › why", pointer=True, lines=[note("looking", 0)])
        self._cluster = cluster
        self._ref = ref
        self._unwatch: Callable[[], None] | None = None

    def on_mount(self) -> None:
        self._unwatch = self._cluster.store.subscribe(self._changed)
        self._look()

    def on_unmount(self) -> None:
        if self._unwatch is not None:
            self._unwatch()

    def _changed(self, changes: Changes) -> None:
        involved = {node.ref for node in nodes(chain(self._ref, self._cluster.store, Facts()))}
        if not involved.isdisjoint(changes):
            self.set_timer(REST_SECONDS, self._look)

    @work(exclusive=True, group="look")
    async def _look(self) -> None:
        store = self._cluster.store
        known: dict[ObjectRef, Known] = {}
        workloads: dict[ObjectRef, Workload] = {}
        for node in list(nodes(chain(self._ref, store, Facts()))):
            if node.ref.kind in (SECRET, "ConfigMap") and node.ref not in known:
                known[node.ref] = await self._cluster.keys_of(node.ref)
            elif node.ref.kind in WITH_PODS and node.tone is not Tone.OK and store.find(node.ref) is not None:
                workloads[node.ref] = await workload_of(self._cluster, node.ref)
        facts = Facts(known, workloads)
        self.show_lines(why_lines(chain(self._ref, store, facts), facts))
