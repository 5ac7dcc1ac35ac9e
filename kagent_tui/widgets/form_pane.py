"""The rows of a form on the Line API: a cursor, folds, values and what is wrong with them.

It changes nothing itself: what is to be done with a row goes up as a message.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from kagent_tui.editing.form import FormRow
from kagent_tui.editing.source import Path
from kagent_tui.render.text import Span, Tone
from kagent_tui.render.widths import pad
from kagent_tui.safety import cell_width, clean, shorten
from kagent_tui.widgets.bindings import bindings
from kagent_tui.widgets.painting import PAINT_CLASSES, Painter

__all__ = ["FormPane", "FormVerb"]

FormVerb = Literal["open", "flip", "remove", "add", "fold", "unfold"]
_TITLE_CELLS = 26


class FormPane(ScrollView, can_focus=True):
    """One row per field; the cursor stays on its field while rows come and go."""

    BINDINGS = [*bindings("form"), *bindings("move", without="space")]  # noqa: RUF012 - Textual's own
    COMPONENT_CLASSES: ClassVar[set[str]] = {*PAINT_CLASSES}

    class Asked(Message):
        """Something is to be done with a row."""

        def __init__(self, verb: FormVerb, row: FormRow) -> None:
            super().__init__()
            self.verb = verb
            self.row = row

    class Highlighted(Message):
        """The cursor is on another row, or the row says something else."""

        def __init__(self, row: FormRow | None) -> None:
            super().__init__()
            self.row = row

    class Everything(Message):
        """All fields are wanted, or only those that matter."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._rows: Sequence[FormRow] = ()
        self._index = 0
        self._painter = Painter(self)

    @property
    def row(self) -> FormRow | None:
        """The row under the cursor."""
        return self._rows[self._index] if self._index < len(self._rows) else None

    @property
    def rows(self) -> Sequence[FormRow]:
        return self._rows

    def show(self, rows: Sequence[FormRow]) -> None:
        """Show other rows; the cursor stays on its field, else on the place where it was."""
        here = self.row.path if self.row is not None else None
        self._rows = rows
        found = next((index for index, row in enumerate(rows) if row.path == here), None)
        self._index = found if found is not None else max(0, min(self._index, len(rows) - 1))
        self.virtual_size = Size(self.size.width, len(rows))
        self.refresh()
        self.post_message(self.Highlighted(self.row))

    def go_to(self, path: Path) -> None:
        """Put the cursor on a field, or on the nearest row around it."""
        for length in range(len(path), 0, -1):
            found = next((index for index, row in enumerate(self._rows) if row.path == path[:length]), None)
            if found is not None:
                self._move(found)
                return

    def render_line(self, y: int) -> Strip:
        width, index = self.size.width, int(self.scroll_y) + y
        if index >= len(self._rows):
            return Strip.blank(width, self._painter.style(Tone.PLAIN))
        over = ""
        if index == self._index:
            over = "pane--cursor" if self.has_focus else "pane--cursor-blurred"
        return self._painter.strip(_spans(self._rows[index], width), width, over)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._painter.reset()

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def on_resize(self) -> None:
        self.virtual_size = Size(self.size.width, len(self._rows))

    def on_click(self, event: events.Click) -> None:
        index = int(self.scroll_y) + event.y
        if index < len(self._rows):
            self._move(index)
            if event.chain > 1:
                self._ask("open")

    def action_down(self) -> None:
        self._move(self._index + 1)

    def action_up(self) -> None:
        self._move(self._index - 1)

    def action_first(self) -> None:
        self._move(0)

    def action_last(self) -> None:
        self._move(len(self._rows) - 1)

    def action_page_down(self) -> None:
        self._move(self._index + max(1, self.size.height - 1))

    def action_page_up(self) -> None:
        self._move(self._index - max(1, self.size.height - 1))

    def action_open(self) -> None:
        self._ask("open")

    def action_flip(self) -> None:
        self._ask("flip")

    def action_remove(self) -> None:
        self._ask("remove")

    def action_add(self) -> None:
        self._ask("add")

    def action_fold(self) -> None:
        self._ask("fold")

    def action_unfold(self) -> None:
        self._ask("unfold")

    def action_more(self) -> None:
        self.post_message(self.Everything())

    def _ask(self, verb: FormVerb) -> None:
        if self.row is not None:
            self.post_message(self.Asked(verb, self.row))

    def _move(self, index: int) -> None:
        before, self._index = self._index, max(0, min(index, len(self._rows) - 1))
        self.scroll_to_region(Region(0, self._index, 1, 1), animate=False)
        for changed in {before, self._index}:
            self.refresh(Region(0, changed - int(self.scroll_y), self.size.width, 1))
        if before != self._index:
            self.post_message(self.Highlighted(self.row))


def _spans(row: FormRow, width: int) -> list[Span]:
    inset = "  " * row.depth
    if row.kind == "add":
        return [Span(f" {inset}  "), Span("+ add", Tone.LINK)]
    mark = "✖" if row.fault else "▾" if row.opened else "▸" if row.folds else " "
    title = clean(row.title, newlines=False)
    room = max(8, min(_TITLE_CELLS, width // 3) - len(inset))
    title_tone = Tone.KEY if row.present or row.required else Tone.DIM
    spans = [
        Span(" "), Span(inset), Span(f"{mark} ", Tone.BAD if row.fault else Tone.DIM),
        Span(pad(title + ("*" if row.required and not row.present else ""), room), title_tone), Span(" "),
    ]  # fmt: skip
    value = clean(row.value, newlines=False)
    if row.present:
        left = max(8, width - sum(cell_width(part.text) for part in spans) - 1)
        spans.append(Span(shorten(value, left) or "(empty)", Tone.VALUE if value else Tone.DIM))
    elif row.required:
        spans.append(Span("missing", Tone.WARN))
    elif "default" in row.schema:
        default = row.schema["default"]
        words = (
            {True: "true", False: "false"}[default]
            if isinstance(default, bool)
            else clean(str(default), newlines=False)
        )
        spans.append(Span(f"{words} (default)", Tone.DIM))
    else:
        spans.append(Span("–", Tone.DIM))
    if row.fixed:
        spans.append(Span("  fixed", Tone.DIM))
    return spans
