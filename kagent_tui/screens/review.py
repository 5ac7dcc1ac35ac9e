"""What applying would change, before anything is written."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget

from kagent_tui.cluster.workspace import Workspace
from kagent_tui.editing.edit import Reviewed
from kagent_tui.editing.owners import Owner
from kagent_tui.render.text import BLANK, Line, Tone, head, line, note, span
from kagent_tui.render.yaml import diff_lines
from kagent_tui.screens.base import BaseScreen
from kagent_tui.widgets.bindings import bindings
from kagent_tui.widgets.text_pane import TextPane

__all__ = ["ReviewScreen", "review_lines"]


class ReviewScreen(BaseScreen[bool]):
    """Answers whether to apply."""

    CSS_PATH = "reader.tcss"
    BINDINGS = bindings("review")
    AUTO_FOCUS = "TextPane"

    def __init__(self, workspace: Workspace, reviewed: Reviewed) -> None:
        super().__init__(workspace, trail=f"{reviewed.ref.name} › apply?")
        self._reviewed = reviewed

    def body(self) -> Iterable[Widget]:
        yield TextPane()

    def on_mount(self) -> None:
        self.query_one(TextPane).set_lines(review_lines(self._reviewed, self.workspace.context))

    def action_accept(self) -> None:
        self.dismiss(True)

    def action_back(self) -> None:
        self.dismiss(False)


def review_lines(reviewed: Reviewed, context: str) -> list[Line]:
    """Return the question and the difference."""
    what = "Create" if reviewed.creates else "Change"
    lines = [head(f"{what} {reviewed.ref} in {context}?")]
    if not reviewed.changes:
        lines.append(note("the server would store exactly what it has", 0))
    else:
        added = sum(change.sign == "add" for change in reviewed.changes)
        removed = sum(change.sign == "remove" for change in reviewed.changes)
        lines.append(
            line(
                span(f"+{added} ", Tone.ADD),
                span(f"-{removed} ", Tone.REMOVE),
                span("lines; the server has checked it", Tone.DIM),
            )
        )
    lines += [_owner_line(one) for one in reviewed.others]
    return [*lines, BLANK, *diff_lines(reviewed.changes)]


def _owner_line(owner: Owner) -> Line:
    fields = ", ".join(owner.fields[:3]) + (f" and {len(owner.fields) - 3} more" if len(owner.fields) > 3 else "")
    words = "applies this and may put its value back" if owner.applies else "set this last"
    tone = Tone.WARN if owner.applies else Tone.DIM
    return line(span(f"{owner.manager} ", Tone.KEY), span(f"{words}: ", tone), span(fields), indent=2)
