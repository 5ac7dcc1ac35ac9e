"""The live table on Textual's Line API: it paints the visible rows of a Listing and nothing else.

The stock DataTable repaints everything for one changed cell; here one changed row costs one line. It must never measure
10,000 rows in a keystroke, follow the mouse, or show text that a renderer has not cleaned.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from kagent_api.errors import ObjectRef
from kagent_tui.render.listing import Listing
from kagent_tui.render.row import Column, Row
from kagent_tui.render.text import Line, Span, Tone
from kagent_tui.render.widths import fit, pad
from kagent_tui.render.wrap import wrap
from kagent_tui.widgets.bindings import bindings
from kagent_tui.widgets.painting import PAINT_CLASSES, Painter

__all__ = ["LiveTable"]

_CACHED_ROWS = 2000
HEADER_ROWS = 1


class LiveTable(ScrollView, can_focus=True):
    """Rows of one view; the cursor stays on its object while rows move around it."""

    BINDINGS = bindings("move")
    COMPONENT_CLASSES: ClassVar[set[str]] = {*PAINT_CLASSES, "table--header", "table--sorted"}

    stale = reactive(False)
    """Whether the rows may be out of date; they are dimmed then."""

    class Highlighted(Message):
        """The cursor is on another object, or on none."""

        def __init__(self, table: LiveTable, ref: ObjectRef | None) -> None:
            super().__init__()
            self.table = table
            self.ref = ref

        @property
        def control(self) -> LiveTable:
            return self.table

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, LiveTable.Highlighted)

    class Opened(Message):
        """A row was clicked twice."""

        def __init__(self, table: LiveTable, ref: ObjectRef) -> None:
            super().__init__()
            self.table = table
            self.ref = ref

        @property
        def control(self) -> LiveTable:
            return self.table

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.listing = Listing()
        self._columns: tuple[Column, ...] = ()
        self._natural: list[int] = []
        self._widths: tuple[int, ...] = ()
        self._cursor: ObjectRef | None = None
        self._place = 0
        # What was painted last, by object: the row, what it was painted over, and the line.
        self._strips: dict[ObjectRef, tuple[Row, str, Strip]] = {}
        self._painter = Painter(self)
        self._placeholder: tuple[Line, ...] = ()
        self._letters = ""
        # Marked rows, by object: they stay marked while they move or are filtered away.
        self.marked: set[ObjectRef] = set()

    @property
    def cursor(self) -> ObjectRef | None:
        """The object under the cursor."""
        return self._cursor

    def show(self, columns: tuple[Column, ...], listing: Listing) -> None:
        """Show another listing; the cursor goes back to where it was in it, else to the first row."""
        self._columns = columns
        self.listing = listing
        self.reorder()

    def place_cursor(self, ref: ObjectRef | None) -> None:
        """Put the cursor on an object, as far as it is shown."""
        self._cursor = ref
        self.reorder()

    def set_placeholder(self, lines: Sequence[Line]) -> None:
        """Set what stands in place of rows when there are none."""
        if tuple(lines) != self._placeholder:
            self._placeholder = tuple(lines)
            if not len(self.listing):
                self.refresh()

    def reorder(self) -> None:
        """Repaint after rows came, went or moved."""
        self._strips.clear()
        self._measure(self.listing)
        self._resize()
        self._settle()
        self.refresh()

    def repaint(self, rows: Iterable[Row]) -> None:
        """Repaint rows whose cells changed in place; rows out of sight cost nothing."""
        changed = list(rows)
        if self._measure(changed, grow=True):
            self._strips.clear()
            self._fit()
            self.refresh()
            return
        for row in changed:
            painted = self._strips.pop(row.ref, None)
            index = self.listing.index(row.ref)
            if index is not None:
                self._dirty(index, *(self._difference(painted[0], row) if painted is not None else ()))

    def rows_in_sight(self) -> list[Row]:
        """Return the rows on the screen."""
        first = int(self.scroll_y)
        return [self.listing.at(index) for index in range(first, min(len(self.listing), first + self._height))]

    @property
    def _height(self) -> int:
        return max(1, self.size.height - HEADER_ROWS)

    def _measure(self, rows: Iterable[Row], *, grow: bool = False) -> bool:
        """Take the natural widths of columns; with ``grow`` tell whether one became wider."""
        before = list(self._natural) if grow else []
        natural = before[:] if grow else [len(column.title) + 2 for column in self._columns]
        for row in rows:
            for index, cell in enumerate(row.cells):
                if len(cell.text) > natural[index] or not cell.text.isascii():
                    natural[index] = max(natural[index], Segment(cell.text).cell_length)
        self._natural = natural
        return grow and natural != before

    def _resize(self) -> None:
        self._fit()
        size = Size(self.size.width, len(self.listing) + HEADER_ROWS)
        if self.virtual_size != size:
            self.virtual_size = size

    def _fit(self) -> None:
        self._widths = fit(self._columns, self._natural, self.size.width)

    def _settle(self) -> None:
        """Find the cursor's row again; where its object is gone, the row at its place takes over."""
        index = self.listing.index(self._cursor) if self._cursor is not None else None
        if index is None:
            before = self._cursor
            index = max(0, min(self._place, len(self.listing) - 1))
            self._cursor = self.listing.at(index).ref if len(self.listing) else None
            if self._cursor != before:
                self.post_message(self.Highlighted(self, self._cursor))
        self._place = index
        self._reveal(index)

    def _reveal(self, index: int) -> None:
        top = int(self.scroll_y)
        if index < top:
            self.scroll_to(y=index, animate=False)
        elif index >= top + self._height:
            self.scroll_to(y=index - self._height + 1, animate=False)

    def _difference(self, before: Row, after: Row) -> tuple[int, int]:
        """Return the first screen column in which two rows look different, and the one behind the last."""
        first = last = 0
        x = 1  # behind the mark
        for size, old, new in zip(self._widths, before.cells, after.cells, strict=False):
            if size:
                if old[:2] != new[:2]:
                    first, last = first or x, x + size + 1
                x += size + 1
        return first, last

    def _dirty(self, index: int, first: int = 0, last: int | None = None) -> None:
        y = index + HEADER_ROWS - int(self.scroll_y)
        last = self.size.width if last is None else min(last, self.size.width)
        if HEADER_ROWS <= y < self.size.height and first < last:
            self.refresh(Region(first, y, last - first, 1))

    def _move(self, index: int) -> None:
        index = max(0, min(len(self.listing) - 1, index))
        if not len(self.listing) or (index == self._place and self._cursor == self.listing.at(index).ref):
            return
        self._dirty(self._place)
        self._place, self._cursor = index, self.listing.at(index).ref
        self._reveal(index)
        self._dirty(index)
        self.post_message(self.Highlighted(self, self._cursor))

    def mark(self) -> None:
        """Mark the row under the cursor, or take the mark away, and go one down."""
        if self._cursor is not None:
            self.marked ^= {self._cursor}
            self._strips.pop(self._cursor, None)
            self._dirty(self._place)
            self._move(self._place + 1)

    def mark_all(self) -> None:
        """Mark every row shown; where they all are, none."""
        shown = {row.ref for row in self.listing}
        self.marked = self.marked - shown if shown <= self.marked else self.marked | shown
        self._strips.clear()
        self.refresh()

    def unmark(self) -> None:
        """Take all marks away."""
        self.marked = set()
        self._strips.clear()
        self.refresh()

    def show_letters(self, letters: str) -> int:
        """Put a letter before each row in sight, for jumping; return how many have one."""
        self._letters = letters
        self._strips.clear()
        self.refresh()
        return min(len(letters), len(self.rows_in_sight()))

    def jump(self, place: int) -> None:
        """Go to a row in sight, counted from the top."""
        self._move(int(self.scroll_y) + place)

    def action_down(self) -> None:
        self._move(self._place + 1)

    def action_up(self) -> None:
        self._move(self._place - 1)

    def action_first(self) -> None:
        self._move(0)

    def action_last(self) -> None:
        self._move(len(self.listing) - 1)

    def action_page_down(self) -> None:
        self._move(self._place + self._height - 1)

    def action_page_up(self) -> None:
        self._move(self._place - self._height + 1)

    def on_click(self, event: events.Click) -> None:
        index = event.y - HEADER_ROWS + int(self.scroll_y)
        if 0 <= index < len(self.listing):
            self._move(index)
            if event.chain == 2 and self._cursor is not None:
                self.post_message(self.Opened(self, self._cursor))

    def on_resize(self) -> None:
        self._strips.clear()
        self._resize()
        self._reveal(self._place)
        self.refresh()

    def on_focus(self) -> None:
        self._dirty(self._place)

    def on_blur(self) -> None:
        self._dirty(self._place)

    def watch_stale(self) -> None:
        self._strips.clear()
        self.refresh()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._painter.reset()
        self._strips.clear()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y < HEADER_ROWS:
            return self._header(width)
        index = int(self.scroll_y) + y - HEADER_ROWS
        if not len(self.listing):
            return self._empty(y - HEADER_ROWS, width)
        if index >= len(self.listing):
            return Strip.blank(width, self._painter.style(Tone.PLAIN))
        row = self.listing.at(index)
        over = ""
        if row.ref == self._cursor:
            over = "pane--cursor" if self.has_focus else "pane--cursor-blurred"
        cached = self._strips.get(row.ref)
        if cached is None or cached[0] is not row or cached[1] != over or cached[2].cell_length != width:
            if len(self._strips) >= _CACHED_ROWS:
                self._strips.clear()
            cached = self._strips[row.ref] = (row, over, self._row(row, width, over))
        return cached[2]

    def _row(self, row: Row, width: int, over: str) -> Strip:
        spans = [self._lead(row)]
        for column, size, cell in zip(self._columns, self._widths, row.cells, strict=False):
            if size:
                tone = Tone.DIM if self.stale and cell.tone is not Tone.BAD else cell.tone
                # The gap takes its cell's tone: a change of colour costs more bytes than the gap.
                spans.append(Span(f"{pad(cell.text, size, right=column.right)} ", tone))
        strip = self._painter.strip(spans, width, over)
        return strip.apply_style(Style(dim=True)) if self.stale else strip

    def _lead(self, row: Row) -> Span:
        if self._letters:
            index = self.listing.index(row.ref)
            place = (index if index is not None else 0) - int(self.scroll_y)
            if 0 <= place < len(self._letters):
                return Span(self._letters[place], Tone.YELLOW)
        return Span("▌", Tone.HEAD) if row.ref in self.marked else Span(" ")

    def _header(self, width: int) -> Strip:
        plain = self.get_component_rich_style("table--header")
        marked = self.get_component_rich_style("table--sorted")
        sort, descending = self.listing.sorting
        segments = [Segment(" ", plain)]
        for index, (column, size) in enumerate(zip(self._columns, self._widths, strict=False)):
            if size:
                title = f"{column.title}{'▼' if descending else '▲'}" if index == sort else column.title
                segments.append(Segment(pad(title, size, right=column.right), marked if index == sort else plain))
                segments.append(Segment(" ", plain))
        return Strip(segments).adjust_cell_length(width, plain)

    def _empty(self, y: int, width: int) -> Strip:
        lines = [screen_line for line in self._placeholder for screen_line in wrap(line, max(10, width - 4))]
        index = y - 1
        spans = (Span("  "), *lines[index]) if 0 <= index < len(lines) else ()
        return self._painter.strip(spans, width)
