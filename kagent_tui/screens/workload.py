"""The Deployment, Pods and events of an agent or a server, live."""

from __future__ import annotations

from textual import work

from kagent_api.errors import KagentError, ObjectRef
from kagent_tui.cluster.cluster import Cluster, Follow
from kagent_tui.cluster.errors import explain
from kagent_tui.cluster.kinds import DEPLOYMENT, EVENT, POD
from kagent_tui.cluster.workloads import pod_selector
from kagent_tui.cluster.workspace import Workspace
from kagent_tui.render.text import note
from kagent_tui.render.workload import workload_lines
from kagent_tui.screens.reader import ReaderScreen

__all__ = ["WorkloadScreen"]

AGE_SECONDS = 10.0
REST_SECONDS = 0.1


class WorkloadScreen(ReaderScreen):
    """Follows what runs for one object."""

    CSS_PATH = "reader.tcss"

    def __init__(self, workspace: Workspace, cluster: Cluster, ref: ObjectRef) -> None:
        super().__init__(workspace, trail=f"{ref.name} › pods", pointer=True, lines=[note("looking", 0)])
        self._cluster = cluster
        self._ref = ref
        self._deployments: Follow | None = None
        self._events: Follow | None = None
        self._pods: Follow | None = None
        self._due = False

    def on_mount(self) -> None:
        namespace = self._ref.namespace
        named = f"metadata.name={self._ref.name}"
        self._deployments = self._cluster.follow(DEPLOYMENT, namespace, self._deployed, field_selector=named)
        self._events = self._cluster.follow(EVENT, namespace, self._later)
        self.set_interval(AGE_SECONDS, self._look)

    def on_unmount(self) -> None:
        for follow in (self._deployments, self._events, self._pods):
            if follow is not None:
                follow.close()

    def _deployed(self) -> None:
        if self._pods is None and self._deployments is not None and self._deployments.objects:
            self._find_pods()
        self._later()

    @work(exclusive=True, group="find")
    async def _find_pods(self) -> None:
        try:
            selector = await pod_selector(self._cluster, self._ref)
        except KagentError:
            return
        if self._pods is None:
            self._pods = self._cluster.follow(POD, self._ref.namespace, self._later, label_selector=selector)

    def _later(self) -> None:
        if not self._due and self.is_running:
            self._due = True
            self.set_timer(REST_SECONDS, self._look)

    def _look(self) -> None:
        self._due = False
        deployments, events, pods = self._deployments, self._events, self._pods
        if deployments is None or events is None or not (deployments.synced or deployments.error):
            return
        self.show_lines(
            workload_lines(
                self._ref,
                next(iter(deployments.objects), None),
                pods.objects if pods is not None and pods.synced else None,
                events.objects if events.synced else None,
                self.workspace.clock(),
                trouble=self._trouble(),
            )
        )

    def _trouble(self) -> str:
        for kind, follow in ((DEPLOYMENT, self._deployments), (POD, self._pods), (EVENT, self._events)):
            if follow is not None and follow.error is not None:
                told = explain(follow.error, kind=kind, server=self._cluster.server, namespace=self._ref.namespace)
                return f"{told.message} ({told.remedy})" if told.remedy else told.message
        return ""
