"""The generations of an agent: what each changed, what going back would change, and the way back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import work

from kagent_api.errors import KagentError
from kagent_tui.cluster.cluster import Cluster
from kagent_tui.cluster.kinds import JsonObject, ref_of
from kagent_tui.cluster.workspace import Workspace
from kagent_tui.editing.diffing import diff
from kagent_tui.editing.document import editable, to_yaml
from kagent_tui.editing.revisions import Revision, as_it_was, changes_to
from kagent_tui.editing.undo import Applied
from kagent_tui.render.age import age
from kagent_tui.render.row import Column, Row, cell
from kagent_tui.render.text import BLANK, Tone, head, line, note, span
from kagent_tui.render.yaml import diff_lines
from kagent_tui.screens.applying import apply_object
from kagent_tui.screens.reader import ReaderScreen
from kagent_tui.screens.rows import RowsScreen
from kagent_tui.widgets.bindings import bindings

__all__ = ["RevisionsScreen"]

_COLUMNS = (
    Column("revision", "REVISION", 8, 10, right=True),
    Column("age", "AGE", 5, 8, right=True),
    Column("state", "", 3, 12),
    Column("changed", "WHAT IT CHANGED", 20, 200, drop=1),
)


class RevisionsScreen(RowsScreen):
    """Rows of one agent; ``done`` is told what a roll-back stored."""

    BINDINGS = bindings("rows", "revisions")
    NEEDS_ROW: ClassVar[frozenset[str]] = frozenset({"diff", "roll_back"})

    def __init__(
        self, workspace: Workspace, cluster: Cluster, agent: JsonObject, revisions: Sequence[Revision],
        done: Callable[[Applied], None],
    ) -> None:  # fmt: skip
        super().__init__(workspace, trail=f"{ref_of(agent).name} › revisions", columns=_COLUMNS, sort=0)
        self._cluster = cluster
        self._agent = agent
        self._revisions = {revision.ref: revision for revision in revisions}
        self._done = done

    def on_mount(self) -> None:
        super().on_mount()
        newest_first = list(self._revisions.values())
        rows = [
            self._row(index, revision, newest_first[index + 1] if index + 1 < len(newest_first) else None)
            for index, revision in enumerate(newest_first)
        ]
        empty = [
            line(span("No generation of this agent is kept here.", Tone.WARN)),
            note("kagent-operator keeps the last 20 as ControllerRevisions; upstream's controller keeps none.", 0),
        ]
        self.show_rows(rows, empty)

    def _row(self, index: int, revision: Revision, before: Revision | None) -> Row:
        current = revision.spec == editable(self._agent).get("spec")
        fields = ", ".join(changes_to(revision, before)) or ("the first one kept" if before is None else "nothing")
        return Row(
            revision.ref,
            (
                cell(str(revision.number), sort=index), cell(age(revision.created, self.workspace.clock()), Tone.DIM),
                cell("as now", Tone.OK) if current else cell(""), cell(fields),
            ),
        )  # fmt: skip

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "roll_back" and self.workspace.readonly:
            return False
        return super().check_action(action, parameters)

    @property
    def _revision(self) -> Revision | None:
        return self._revisions.get(self.table.cursor) if self.table.cursor is not None else None

    def action_diff(self) -> None:
        revision = self._revision
        if revision is None:
            return
        now, then = editable(self._agent), as_it_was(self._agent, revision)
        changes = diff(to_yaml(now), to_yaml(then))
        title = head(f"Going back to revision {revision.number} would change")
        lines = [title, BLANK, *diff_lines(changes)] if changes else [note("nothing: it is as it was then", 0)]
        self.app.push_screen(ReaderScreen(self.workspace, trail=f"revision {revision.number}", lines=lines))

    @work(exclusive=True, group="roll-back")
    async def action_roll_back(self) -> None:
        revision = self._revision
        if revision is None:
            return
        self.say("asking the cluster", Tone.DIM, stay=True)
        try:
            wanted = as_it_was(self._agent, revision)
            applied = await apply_object(self.app, self.workspace, self._cluster, self._agent, wanted)
        except KagentError as error:
            self.say(str(error), Tone.WARN)
            return
        self.say("")
        if applied is not None:
            self._done(applied)
            self.dismiss(None)
