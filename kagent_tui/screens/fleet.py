"""Several contexts at once, live, each in its colour; Enter goes to one. Nothing is written from here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from kagent_api.errors import KagentError
from kagent_tui.cluster.cluster import Cluster
from kagent_tui.cluster.contexts import Opened, Options
from kagent_tui.cluster.store import Changes
from kagent_tui.cluster.workspace import Workspace
from kagent_tui.render.board import Board
from kagent_tui.render.fleet import Member, fleet_lines
from kagent_tui.render.pulse import beat
from kagent_tui.render.text import Tone
from kagent_tui.screens.reader import ReaderScreen

__all__ = ["FleetScreen"]

REST_SECONDS = 0.5
AGE_SECONDS = 10.0


class FleetScreen(ReaderScreen):
    """Connects to each context for as long as it is shown."""

    CSS_PATH = "reader.tcss"

    def __init__(self, workspace: Workspace, names: Sequence[str], opener: Callable[[Options], Opened]) -> None:
        super().__init__(workspace, trail="contexts", pointer=True)
        self._opener = opener
        self._members = {name: Member(name, self._tone(name)) for name in names}
        self._clusters: dict[str, tuple[Cluster, Board]] = {}
        self._due = False

    def _tone(self, name: str) -> Tone | None:
        colour = self.workspace.colours(name)
        return Tone(colour) if colour else Tone.RED if self.workspace.guards(name) else None

    def on_mount(self) -> None:
        for name in self._members:
            self.run_worker(self._watch(name), group="fleet")
        self.set_interval(AGE_SECONDS, self._look)
        self.call_later(self._look)

    async def _watch(self, name: str) -> None:
        try:
            opened = await asyncio.to_thread(self._opener, self.workspace.options.with_context(name))
        except KagentError as error:
            self._members[name] = Member(name, self._tone(name), failure=error)
            self._later()
            return
        cluster = Cluster(opened.client, namespaces=opened.namespaces, readonly=True, on_link=self._later)
        board = Board(clock=self.workspace.clock)

        def changed(changes: Changes) -> None:
            board.apply(changes)
            self._later()

        async with cluster.running():
            board.fill(cluster.store)
            cluster.store.subscribe(changed)
            self._clusters[name] = cluster, board
            await asyncio.Event().wait()

    def _later(self) -> None:
        if not self._due and self.is_running:
            self._due = True
            self.set_timer(REST_SECONDS, self._look)

    def _look(self) -> None:
        self._due = False
        for name, (cluster, board) in self._clusters.items():
            beats = {view: beat(listing.rows) for view, listing in board.listings.items()}
            self._members[name] = Member(name, self._tone(name), cluster.link, cluster.namespaces, beats)
        self.show_lines(fleet_lines(list(self._members.values()), time.monotonic()))
