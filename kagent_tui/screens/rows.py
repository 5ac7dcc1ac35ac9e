"""A screen with one table that is no view of the cluster: sessions, and what waits for a decision."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual import on
from textual.widget import Widget

from kagent_api.errors import InvalidSpec
from kagent_tui.cluster.query import compile_filter
from kagent_tui.cluster.workspace import Workspace
from kagent_tui.render.listing import Listing
from kagent_tui.render.row import Column, Row
from kagent_tui.render.text import Line, Tone, line, span
from kagent_tui.screens.base import BaseScreen
from kagent_tui.widgets.bindings import bindings
from kagent_tui.widgets.prompt import Prompt
from kagent_tui.widgets.table import LiveTable

__all__ = ["RowsScreen"]


class RowsScreen(BaseScreen[None]):
    """Rows, a filter, and the way back."""

    BINDINGS = bindings("rows")
    AUTO_FOCUS = "LiveTable"
    NEEDS_ROW: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self, workspace: Workspace, *, trail: str, columns: tuple[Column, ...], sort: int, filter_text: str = ""
    ) -> None:
        super().__init__(workspace, trail=trail)
        self._name = trail
        self._columns = columns
        self._listing = Listing(sort=sort)
        self._filter = filter_text

    def body(self) -> Iterable[Widget]:
        yield LiveTable()

    def on_mount(self) -> None:
        self.table.show(self._columns, self._listing)
        self.set_filter(self._filter)

    @property
    def table(self) -> LiveTable:
        return self.query_one(LiveTable)

    def show_rows(self, rows: Sequence[Row], empty: Sequence[Line]) -> None:
        """Show other rows; ``empty`` stands there when there are none."""
        self._listing.fill(rows)
        if self.is_running:
            if self._filter and self._listing.total:
                none = line(span(f"none of {self._listing.total} fits the filter "), span(self._filter, Tone.WARN))
                empty = [none, line(span("esc clears it", Tone.DIM))]
            self.table.set_placeholder(empty)
            self.table.show(self._columns, self._listing)
            self.refresh_bindings()

    def set_filter(self, expression: str) -> None:
        """Filter; a broken expression is told and changes nothing."""
        try:
            self._listing.filter(compile_filter(expression))
        except InvalidSpec as error:
            self.say(str(error), Tone.WARN)
            return
        self._filter = expression.strip()
        self.set_trail(f"{self._name} /{self._filter}" if self._filter else self._name)
        self.table.reorder()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return not (action in self.NEEDS_ROW and (not self.is_running or self.table.cursor is None))

    def action_filter(self) -> None:
        self.prompt.open("filter", self._filter)

    def action_back(self) -> None:
        if self._filter:
            self.set_filter("")
        else:
            self.dismiss(None)

    @on(LiveTable.Highlighted)
    def _highlighted(self) -> None:
        self.refresh_bindings()

    @on(Prompt.Changed)
    def _typed(self, event: Prompt.Changed) -> None:
        if event.mode == "filter":
            self.set_filter(event.value)

    @on(Prompt.Submitted)
    def _submitted(self, event: Prompt.Submitted) -> None:
        self.table.focus()
        if event.mode == "filter":
            event.stop()
            self.set_filter(event.value)

    @on(Prompt.Cancelled)
    def _cancelled(self, event: Prompt.Cancelled) -> None:
        self.table.focus()
        if event.mode == "filter":
            self.set_filter(event.before)
