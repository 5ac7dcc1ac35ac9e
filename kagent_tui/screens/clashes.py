"""Fields that two people changed differently, side by side; each is decided by itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual import events
from textual.widget import Widget

from kagent_tui.cluster.kinds import JsonObject
from kagent_tui.cluster.workspace import Workspace
from kagent_tui.editing.document import to_yaml
from kagent_tui.editing.edit import Conflicting
from kagent_tui.editing.masking import is_secret
from kagent_tui.editing.merge import Clash
from kagent_tui.editing.owners import last_writer
from kagent_tui.render.text import BLANK, Line, Span, Tone, head, line, note, span
from kagent_tui.render.widths import pad
from kagent_tui.render.yaml import diff_lines
from kagent_tui.safety import cell_width, clean
from kagent_tui.screens.base import BaseScreen
from kagent_tui.widgets.bindings import bindings
from kagent_tui.widgets.text_pane import TextPane

__all__ = ["ClashesScreen", "clash_lines"]


class ClashesScreen(BaseScreen[frozenset[str] | None]):
    """Answers with the paths where mine is to stay, None when it is to be decided later."""

    CSS_PATH = "reader.tcss"
    BINDINGS = bindings("clashes")
    AUTO_FOCUS = "TextPane"

    def __init__(self, workspace: Workspace, conflict: Conflicting) -> None:
        super().__init__(workspace, trail="changed by somebody else › join")
        self._conflict = conflict
        self._mine: set[str] = set()
        self._index = 0

    def body(self) -> Iterable[Widget]:
        yield TextPane()

    def on_mount(self) -> None:
        self._show()

    def on_resize(self, event: events.Resize) -> None:
        self._show()

    def on_key(self, event: events.Key) -> None:
        clashes = self._conflict.clashes
        step = {"tab": 1, "n": 1, "shift+tab": -1, "p": -1}.get(event.key)
        if step is not None and clashes:
            event.stop()
            event.prevent_default()
            self._index = (self._index + step) % len(clashes)
            self._show()

    def _show(self) -> None:
        lines, starts = clash_lines(self._conflict, self._mine, self._index, max(40, self.size.width - 4))
        pane = self.query_one(TextPane)
        pane.set_lines(lines)
        if starts:
            pane.scroll_to(y=max(0, starts[self._index] - 2), animate=False)

    def _decide(self, mine: bool) -> None:
        clashes = self._conflict.clashes
        if clashes:
            path = clashes[self._index].path
            (self._mine.add if mine else self._mine.discard)(path)
            self._index = min(self._index + 1, len(clashes) - 1)
            self._show()

    def action_mine(self) -> None:
        self._decide(True)

    def action_theirs(self) -> None:
        self._decide(False)

    def action_all_mine(self) -> None:
        self._mine = {clash.path for clash in self._conflict.clashes}
        self._show()

    def action_all_theirs(self) -> None:
        self._mine = set()
        self._show()

    def action_accept(self) -> None:
        self.dismiss(frozenset(self._mine))

    def action_back(self) -> None:
        self.dismiss(None)


def clash_lines(
    conflict: Conflicting, mine: set[str], current: int, width: int
) -> tuple[list[Line], list[int]]:  # fmt: skip
    """Return the screen's lines and the place of each clash among them."""
    who = last_writer(conflict.live)
    by = f" (last written by {who})" if who else ""
    lines = [head(f"Somebody else changed it while you were editing{by}")]
    if not conflict.clashes:
        lines += [note("Your changes touch other fields: ⏎ joins both.", 0), BLANK, *diff_lines(conflict.changes)]
        return lines, []
    lines.append(note("You both changed these; m keeps mine, t takes theirs, tab goes on, ⏎ joins.", 0))
    starts: list[int] = []
    hidden = is_secret(conflict.live)
    for index, clash in enumerate(conflict.clashes):
        lines.append(BLANK)
        starts.append(len(lines))
        lines += _side_by_side(clash, clash.path in mine, index == current, width, hidden)
    return [*lines, BLANK, note("All that they changed:", 0), *diff_lines(conflict.changes)], starts


def _side_by_side(clash: Clash, keep_mine: bool, current: bool, width: int, hidden: bool) -> list[Line]:
    half = (width - 3) // 2
    left = ("● mine" if keep_mine else "○ mine", Tone.OK if keep_mine else Tone.DIM)
    right = ("○ theirs" if keep_mine else "● theirs", Tone.DIM if keep_mine else Tone.OK)
    lines = [
        line(Span("▶ " if current else "  ", Tone.WARN), span(clash.path, Tone.HEAD)),
        line(Span(pad(left[0], half), left[1]), Span(" │ ", Tone.DIM), Span(right[0], right[1])),
    ]
    before = {part for one in _value_lines(clash.before, hidden) for part in _folded(one, half)}
    mine, theirs = (
        [part for one in _value_lines(value, hidden) for part in _folded(one, half)]
        for value in (clash.mine, clash.theirs)
    )
    for number in range(max(len(mine), len(theirs))):
        sides: list[Span] = []
        for text in (mine, theirs):
            shown = text[number] if number < len(text) else ""
            tone = Tone.PLAIN if shown in before else Tone.VALUE
            sides += [Span(pad(shown, half), tone), Span(" │ ", Tone.DIM)]
        lines.append(line(*sides[:-1]))
    return lines


def _folded(text: str, width: int) -> list[str]:
    """Return a line of outside text, cleaned, in pieces of at most ``width`` cells."""
    pieces = [""]
    used = 0
    for letter in clean(text, newlines=False):
        cells = cell_width(letter)
        if used + cells > width:
            pieces.append("")
            used = 0
        pieces[-1] += letter
        used += cells
    return pieces


def _value_lines(value: object, hidden: bool) -> Sequence[str]:
    if value is None:
        return ["(nothing)"]
    if hidden:
        return ["••••••••"]
    if isinstance(value, str):
        return value.rstrip("\n").split("\n")
    held: JsonObject = {"value": value}
    rendered = to_yaml(held).rstrip("\n").split("\n")
    return [rendered[0].removeprefix("value:").strip()] if len(rendered) == 1 else rendered[1:]
