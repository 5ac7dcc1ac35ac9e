"""Everything about one object on a whole screen, live."""

from __future__ import annotations

from kagent_api.errors import ObjectRef
from kagent_tui.cluster.cluster import Cluster
from kagent_tui.cluster.workspace import Workspace
from kagent_tui.screens.feed import DetailFeed
from kagent_tui.screens.reader import ReaderScreen

__all__ = ["DetailScreen"]

AGE_SECONDS = 10.0


class DetailScreen(ReaderScreen):
    """The overview of an object."""

    CSS_PATH = "reader.tcss"

    def __init__(self, workspace: Workspace, cluster: Cluster, ref: ObjectRef) -> None:
        super().__init__(workspace, trail=f"{ref.kind.lower()} › {ref.name}", pointer=True)
        self._cluster = cluster
        self._ref = ref
        self._feed: DetailFeed | None = None

    def on_mount(self) -> None:
        self._feed = DetailFeed(self._cluster, self._ref, self.show_lines, clock=self.workspace.clock)
        self.set_interval(AGE_SECONDS, self._feed.refresh)

    def on_unmount(self) -> None:
        if self._feed is not None:
            self._feed.close()
