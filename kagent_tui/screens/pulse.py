"""Pulse: the health of everything, live."""

from __future__ import annotations

from collections.abc import Callable

from kagent_tui.cluster.cluster import Cluster, Follow
from kagent_tui.cluster.kinds import EVENT
from kagent_tui.cluster.store import Changes
from kagent_tui.cluster.workspace import Workspace
from kagent_tui.render.board import Board
from kagent_tui.render.pulse import beat, pulse_lines
from kagent_tui.screens.reader import ReaderScreen

__all__ = ["PulseScreen"]

# A glance needs no more, and 10,000 rows are counted each time.
REST_SECONDS = 1.0
AGE_SECONDS = 10.0


class PulseScreen(ReaderScreen):
    """The board, counted."""

    CSS_PATH = "reader.tcss"

    def __init__(self, workspace: Workspace, cluster: Cluster, board: Board) -> None:
        super().__init__(workspace, trail="pulse", pointer=True)
        self._cluster = cluster
        self._board = board
        self._events: list[Follow] = []
        self._unwatch: Callable[[], None] | None = None
        self._due = False

    def on_mount(self) -> None:
        self._unwatch = self._cluster.store.subscribe(self._changed)
        self._events = [
            self._cluster.follow(EVENT, namespace, self._later, field_selector="type=Warning")
            for namespace in self._cluster.namespaces or ("",)
        ]
        self.set_interval(AGE_SECONDS, self._look)
        # After the base class has shown that there is nothing yet.
        self.call_later(self._look)

    def on_unmount(self) -> None:
        if self._unwatch is not None:
            self._unwatch()
        for follow in self._events:
            follow.close()

    def refresh_header(self) -> None:
        super().refresh_header()
        if self.is_mounted:
            self._later()

    def _changed(self, changes: Changes) -> None:
        self._later()

    def _later(self) -> None:
        if not self._due and self.is_running:
            self._due = True
            self.set_timer(REST_SECONDS, self._look)

    def _look(self) -> None:
        self._due = False
        beats = {view: beat(listing.rows) for view, listing in self._board.listings.items()}
        known = any(follow.synced or follow.error is not None for follow in self._events)
        warnings = [event for follow in self._events for event in follow.objects] if known else None
        self.show_lines(pulse_lines(beats, warnings, self.workspace.waiting, self.workspace.clock()))
