"""The first screen: one table per view, live, and the detail of what is under the cursor beside it.

It paints what the board says has changed; it never asks the cluster anything itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import ClassVar

from textual import events, on, work
from textual.containers import Horizontal
from textual.message import Message
from textual.timer import Timer
from textual.widget import Widget

from kagent_api.errors import InvalidSpec, ObjectRef
from kagent_tui.cluster.cluster import Cluster
from kagent_tui.cluster.history import History, Place
from kagent_tui.cluster.kinds import AGENT, PROMPTS, VIEWS, view_of
from kagent_tui.cluster.memory import Remembered, ViewMemory
from kagent_tui.cluster.store import Changes
from kagent_tui.cluster.workspace import Workspace
from kagent_tui.render.board import Board
from kagent_tui.render.row import Column
from kagent_tui.render.states import empty_lines, failure_lines
from kagent_tui.render.tables import TABLES
from kagent_tui.render.text import Line, Tone
from kagent_tui.render.why import WITH_PODS
from kagent_tui.screens.base import BaseScreen
from kagent_tui.screens.feed import DetailFeed
from kagent_tui.screens.pick import Item, PickScreen
from kagent_tui.widgets.bindings import bindings
from kagent_tui.widgets.prompt import Prompt
from kagent_tui.widgets.table import LiveTable
from kagent_tui.widgets.text_pane import TextPane
from kagent_tui.widgets.view_tabs import Tab, ViewTabs

__all__ = ["BrowseScreen"]

# Reference tui.md 6: below this one pane at a time.
WIDE = 100
# Ages are told in units that change no faster than a person looks.
AGE_SECONDS = 10.0
# The detail follows the cursor once it rests.
FOLLOW_SECONDS = 0.06
PERMISSION_SECONDS = 0.3


class BrowseScreen(BaseScreen[None]):
    """Tables and detail."""

    BINDINGS = bindings("browse")
    AUTO_FOCUS = "LiveTable"
    NEEDS_ROW: ClassVar[frozenset[str]] = frozenset(
        {
            "open",
            "edit",
            "editor",
            "yaml",
            "why",
            "logs",
            "delete",
            "clone",
            "revisions",
            "chat",
            "chat_beside",
            "copy",
            "sessions",
            "xray",
            "used_by",
            "pods",
        }
    )

    class Requested(Message):
        """Something is to be done with an object; the application knows how."""

        def __init__(self, action: str, ref: ObjectRef) -> None:
            super().__init__()
            self.action = action
            self.ref = ref

    def __init__(self, workspace: Workspace, memory: ViewMemory | None = None) -> None:
        super().__init__(workspace, trail="agents")
        self.board = Board(clock=workspace.clock)
        workspace.tally = lambda: self.board.tally
        self.view = VIEWS["agents"]
        self._memory = memory or ViewMemory(None)
        self._cluster: Cluster | None = None
        self._feed: DetailFeed | None = None
        self._unwatch: Callable[[], None] | None = None
        self._cursors: dict[str, ObjectRef | None] = {}
        self._history = History(Place("agents", ""))
        self._wanted: bool | None = None
        self._rest: Timer | None = None

    def body(self) -> Iterable[Widget]:
        yield ViewTabs()
        yield Horizontal(LiveTable(), TextPane(id="detail", pointer=True), id="panes")

    def on_mount(self) -> None:
        self._show_view()
        self.set_interval(AGE_SECONDS, self._grow_older)

    def on_unmount(self) -> None:
        self._let_go()

    @property
    def table(self) -> LiveTable:
        return self.query_one(LiveTable)

    @property
    def detail(self) -> TextPane:
        return self.query_one("#detail", TextPane)

    @property
    def selected(self) -> ObjectRef | None:
        """The object under the cursor."""
        return self.table.cursor

    def attach(self, cluster: Cluster) -> None:
        """Show another cluster."""
        self.detach()
        self._cluster = cluster
        self._recall(cluster.identity)
        self.board.fill(cluster.store)
        self._unwatch = cluster.store.subscribe(self._store_changed)
        self._show_view()

    def detach(self) -> None:
        """Let the cluster go; the tables are empty afterwards."""
        self._let_go()
        if self.is_running:
            self._show_view()

    def _recall(self, identity: str) -> None:
        """Put the view, its filters and its sorting back as they were in this context."""
        remembered = self._memory.recall(identity)
        self.view = VIEWS.get(remembered.view, self.view)
        for view in VIEWS:
            with suppress(InvalidSpec):
                self.board.filter(view, remembered.filters.get(view, ""))
            column, descending = remembered.sorts.get(view, ("name", False))
            self.board.sort(view, column, descending=descending)
        self._history = History(Place(self.view.id, self.board.filters[self.view.id]))

    def remember(self) -> None:
        """Write down view, filters and sorting of this context."""
        if self._cluster is not None:
            sorts = {view: self.board.sorting(view) for view in VIEWS}
            filters = {view: text for view, text in self.board.filters.items() if text}
            kept = {view: sort for view, sort in sorts.items() if sort != ("name", False)}
            self._memory.keep(self._cluster.identity, Remembered(self.view.id, filters, kept))

    def _let_go(self) -> None:
        self.remember()
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None
        self._close_feed()
        self._cluster = None
        self.board.empty()

    def refresh_header(self) -> None:
        super().refresh_header()
        if self.is_running:
            self._show_counts()
            link = self.workspace.link
            self.table.stale = link.status in ("lost", "expired") or bool(link.cached)

    def show_view(self, name: str, filter_text: str | None = None) -> None:
        """Go to a view; a filter given with it replaces the one it had."""
        if VIEWS[name] is not self.view:
            self._cursors[self.view.id] = self.table.cursor
            self.view = VIEWS[name]
            self._show_view()
            self.table.place_cursor(self._cursors.get(name))
        if filter_text is not None:
            self.set_filter(filter_text)
        self._history.visit(Place(name, self.board.filters[name]))
        if not self._one_pane:
            self.table.focus()

    def go_to(self, ref: ObjectRef) -> bool:
        """Put the cursor on an object in its table; False when no table shows it."""
        view = view_of(ref.kind)
        if view is None:
            return False
        if self.board.listings[view.id].index(ref) is None:
            self.board.filter(view.id, "")
        self.show_view(view.id)
        self._show_view()
        self.table.place_cursor(ref)
        return self.table.cursor == ref

    def set_filter(self, expression: str) -> None:
        """Filter the present table; a broken expression is told and changes nothing."""
        try:
            self.board.filter(self.view.id, expression)
        except InvalidSpec as error:
            self.say(str(error), Tone.WARN)
            return
        self.table.reorder()
        self._show_counts()

    def _show_view(self) -> None:
        if not self.is_running:
            return
        self.table.show(TABLES[self.view.id].columns, self.board.listings[self.view.id])
        self._show_counts()
        self.set_trail(self.view.title.lower())
        self._follow_cursor()

    def _show_counts(self) -> None:
        tabs = self.query_one(ViewTabs)
        tabs.tabs = [Tab(view.id, view.title, self.board.listings[view.id].total) for view in VIEWS.values()]
        tabs.current = self.view.id
        listing, expression = self.board.listings[self.view.id], self.board.filters[self.view.id]
        marks = f"{len(self.table.marked)} marked  " if self.table.marked else ""
        filtered = f"/{expression}  {len(listing)} of {listing.total}" if expression else ""
        tabs.remark = f"{marks}{filtered}"
        failure = self.workspace.failure
        if failure is not None and self._cluster is None:
            self.table.set_placeholder(failure_lines(failure))
        else:
            self.table.set_placeholder(empty_lines(self._cluster, self.view, expression, listing.total))

    def _store_changed(self, changes: Changes) -> None:
        for name, touched in self.board.apply(changes).items():
            if name == self.view.id:
                if touched.reordered:
                    self.table.reorder()
                elif touched.rows:
                    self.table.repaint(touched.rows)
        self.refresh_header()

    def _grow_older(self) -> None:
        rows = self.board.age(self.view.id, self.table.rows_in_sight())
        if rows:
            self.table.repaint(rows)
        if self._feed is not None:
            self._feed.refresh()

    @on(LiveTable.Highlighted)
    def _highlighted(self) -> None:
        self.refresh_bindings()
        if self._rest is not None:
            self._rest.stop()
        self._rest = self.set_timer(FOLLOW_SECONDS, self._follow_cursor)

    @work(exclusive=True, group="permissions")
    async def _ask_permissions(self, cluster: Cluster, ref: ObjectRef) -> None:
        # Somebody who runs down the table asks nothing.
        await asyncio.sleep(PERMISSION_SECONDS)
        await cluster.permissions.ask(ref.kind, ref.namespace)

    def _follow_cursor(self) -> None:
        ref = self.table.cursor
        if ref is not None and self._cluster is not None:
            self._ask_permissions(self._cluster, ref)
        shown = self.has_class("-detail")
        if self._feed is not None and (self._feed.ref != ref or not shown):
            self._close_feed()
        if self._feed is None and ref is not None and shown and self._cluster is not None:
            self.detail.scroll_home(animate=False)
            self._feed = DetailFeed(self._cluster, ref, self._show_detail, clock=self.workspace.clock)
        elif self._feed is None:
            self._show_detail([])

    def _show_detail(self, lines: list[Line]) -> None:
        self.detail.set_lines(lines)

    def _close_feed(self) -> None:
        if self._feed is not None:
            self._feed.close()
            self._feed = None

    @property
    def _one_pane(self) -> bool:
        return self.size.width < WIDE

    def on_resize(self, event: events.Resize) -> None:
        self.set_class(event.size.width < WIDE, "-one-pane")
        self._arrange()

    def _arrange(self) -> None:
        shown = self._wanted if self._wanted is not None else not self._one_pane
        self.set_class(shown, "-detail")
        if shown and self._one_pane:
            self.detail.focus()
        elif not shown or self.focused is None:
            self.table.focus()
        self._follow_cursor()
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in self.NEEDS_ROW and self._row_for(action) is None:
            return False
        writes = ("edit", "editor", "delete", "new", "clone", "undo", "drafts", "wizard")
        if action in writes and (self.workspace.readonly or self._cluster is None):
            return False
        return not (action == "pane" and (self._one_pane or not self.has_class("-detail")))

    def _row_for(self, action: str) -> ObjectRef | None:
        ref = self.table.cursor if self.is_running else None
        if ref is None or (action == "logs" and ref.kind not in (AGENT, "MCPServer")):
            return None
        if (ref.kind == PROMPTS and action in ("why", "xray")) or (action == "pods" and ref.kind not in WITH_PODS):
            return None
        of_agents = ("chat", "chat_beside", "sessions", "revisions")
        return None if action in of_agents and ref.kind != AGENT else ref

    def _request(self, action: str) -> None:
        ref = self._row_for(action)
        if ref is None:
            return
        missing = self.refused(action)
        if missing:
            self.say(missing, Tone.WARN)
        else:
            self.post_message(self.Requested(action, ref))

    def refused(self, action: str) -> str:
        """Say which permission an action lacks on the object under the cursor; "" for none."""
        ref = self.table.cursor if self.is_running else None
        if ref is None or self._cluster is None:
            return ""
        return self._cluster.permissions.missing(action, ref.kind, ref.namespace)

    @property
    def marked(self) -> list[ObjectRef]:
        """The marked objects of the present view that are still there, in their order on the screen."""
        listing = self.board.listings[self.view.id]
        return [row.ref for row in listing if row.ref in self.table.marked]

    def action_open(self) -> None:
        if self.focused is self.detail:
            self.detail.follow_link()
        else:
            self._request("open")

    def action_describe(self) -> None:
        self._wanted = not self.has_class("-detail")
        self._arrange()

    def action_chat(self) -> None:
        self._request("chat")

    def action_chat_beside(self) -> None:
        self._request("chat_beside")

    def action_sessions(self) -> None:
        self._request("sessions")

    def action_edit(self) -> None:
        self._request("edit")

    def action_editor(self) -> None:
        self._request("editor")

    def action_yaml(self) -> None:
        self._request("yaml")

    def action_xray(self) -> None:
        self._request("xray")

    def action_used_by(self) -> None:
        self._request("used_by")

    def action_pods(self) -> None:
        self._request("pods")

    def action_mark(self) -> None:
        self.table.mark()
        self._show_counts()

    def action_mark_all(self) -> None:
        self.table.mark_all()
        self._show_counts()

    def action_why(self) -> None:
        self._request("why")

    def action_logs(self) -> None:
        self._request("logs")

    def action_delete(self) -> None:
        self._request("delete")

    def action_new(self, template: str = "") -> None:
        self.post_message(self.Requested("new", ObjectRef("", "", template)))

    def action_clone(self) -> None:
        self._request("clone")

    def action_revisions(self) -> None:
        self._request("revisions")

    def action_undo(self) -> None:
        self._ask_for("undo")

    def action_drafts(self) -> None:
        self._ask_for("drafts")

    def action_secrets(self, name: str = "") -> None:
        self._ask_for("secrets", name)

    def action_wizard(self) -> None:
        self._ask_for("wizard")

    def _ask_for(self, action: str, name: str = "") -> None:
        """Ask for something that needs no row."""
        self.post_message(self.Requested(action, ObjectRef("", "", name)))

    def action_copy(self) -> None:
        self._request("copy")

    def action_filter(self) -> None:
        self.prompt.open("filter", self.board.filters[self.view.id])

    def action_last_view(self) -> None:
        self._go(self._history.before_this(self.view.id))

    def action_history_back(self) -> None:
        self._go(self._history.step(-1))

    def action_history_forward(self) -> None:
        self._go(self._history.step(1))

    def _go(self, place: Place | None) -> None:
        if place is None:
            self.say("there is nothing there")
        else:
            self.show_view(place.view, place.filter)

    def action_next_view(self, step: int = 1) -> None:
        names = list(VIEWS)
        self.show_view(names[(names.index(self.view.id) + step) % len(names)])

    def action_previous_view(self) -> None:
        self.action_next_view(-1)

    def action_pane(self) -> None:
        (self.table if self.focused is self.detail else self.detail).focus()

    def action_back(self) -> None:
        if self.table.marked:
            self.table.unmark()
            self._show_counts()
        elif self.board.filters[self.view.id]:
            self.set_filter("")
        elif self.has_class("-detail") and (self._one_pane or self.focused is self.detail):
            self._wanted = False if self._one_pane else self._wanted
            self.table.focus()
            self._arrange()

    async def action_leave(self) -> None:
        if self.has_class("-detail") and self._one_pane:
            self.action_describe()
        else:
            await self.app.run_action("app.leave")

    def action_sort(self, column: str = "") -> None:
        columns = TABLES[self.view.id].columns
        if not column:
            self._pick_column(columns)
            return
        found = next((i for i, one in enumerate(columns) if column.lower() in (one.id, one.title.lower())), None)
        if found is None:
            known = ", ".join(one.title for one in columns)
            self.say(f"no column {column!r}; there are: {known}", Tone.WARN)
            return
        listing = self.board.listings[self.view.id]
        before, descending = listing.sorting
        listing.sort(found, descending=not descending if before == found else False)
        self.table.reorder()

    def _pick_column(self, columns: tuple[Column, ...]) -> None:
        sort, descending = self.board.listings[self.view.id].sorting
        items = [
            Item(one.id, one.title, ("downwards" if descending else "upwards") if i == sort else "")
            for i, one in enumerate(columns)
        ]

        def picked(chosen: tuple[str, ...] | None) -> None:
            if chosen:
                self.action_sort(chosen[0])

        self.app.push_screen(PickScreen("Sort by (again turns round)", items, current=columns[sort].id), picked)

    @on(ViewTabs.Chosen)
    def _tab_chosen(self, event: ViewTabs.Chosen) -> None:
        self.show_view(event.view)

    @on(LiveTable.Opened)
    def _row_opened(self) -> None:
        self._request("open")

    @on(TextPane.Followed)
    def _link_followed(self, event: TextPane.Followed) -> None:
        if not self.go_to(event.ref):
            self.say(f"{event.ref} is not there", Tone.WARN)

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
            self._history.visit(Place(self.view.id, self.board.filters[self.view.id]))

    @on(Prompt.Cancelled)
    def _cancelled(self, event: Prompt.Cancelled) -> None:
        self.table.focus()
        if event.mode == "filter":
            self.set_filter(event.before)
