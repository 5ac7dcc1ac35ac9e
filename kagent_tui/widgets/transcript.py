"""A conversation on the Line API: finished entries stay as lines, only what changed is laid out and painted again.

It paints at most thirteen times a second however fast text arrives (three, where nobody looks), keeps the end in sight
until the person scrolls away, and must never interpret markup: a model's text is painted as it was cleaned.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from time import monotonic
from typing import ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.timer import Timer

from kagent_tui.chat.blocks import entry_lines, foldable
from kagent_tui.chat.growing import GrowingMarkdown
from kagent_tui.chat.lines import ScreenLine
from kagent_tui.chat.transcript import AnswerEntry, Entry, ToolEntry, Transcript, UserEntry
from kagent_tui.render.text import Tone
from kagent_tui.widgets.bindings import bindings
from kagent_tui.widgets.painting import PAINT_CLASSES, Painter

__all__ = ["TranscriptView"]

# Ten a second still read as live. Timers and other panes add to the wait, so what is seen is 11 to 12; each one more
# costs four panes about two per cent of a core.
NEAR_SECONDS: Final = 0.075
FAR_SECONDS: Final = 0.3
_FACES: Final = {
    "b": Style(bold=True),
    "i": Style(italic=True),
    "s": Style(strike=True),
    "u": Style(underline=True),
}


# A long session shows its end at once; the rest is laid out in slices too short to be felt.
_FIRST_LINES: Final = 200
_SLICE_SECONDS: Final = 0.012
# Laid-out lines that are kept; what is further away from what is seen is laid out again when somebody goes there.
_MOST_LINES: Final = 12_000


@dataclass(slots=True)
class _Block:
    """One entry as it is on screen; no lines until it is laid out, nor when it has been out of sight for long. Its
    ``height`` stays."""

    lines: list[ScreenLine] = field(default_factory=list[ScreenLine])
    height: int = 0
    growing: GrowingMarkdown | None = None
    unfolded: bool = False


class TranscriptView(ScrollView, can_focus=True):
    """Shows one transcript. Call ``changed`` with the entries that did."""

    BINDINGS = bindings("move", "transcript")
    COMPONENT_CLASSES: ClassVar[set[str]] = {*PAINT_CLASSES, "transcript--code"}

    class Opened(Message):
        """A card is to be read whole."""

        def __init__(self, view: TranscriptView, entry: ToolEntry) -> None:
            super().__init__()
            self.view = view
            self.entry = entry

        @property
        def control(self) -> TranscriptView:
            return self.view

    class Asked(Message):
        """Something is to be done about an entry: edit_again, fork, resource, copy_card, good or bad."""

        def __init__(self, view: TranscriptView, what: str, index: int) -> None:
            super().__init__()
            self.view = view
            self.what = what
            self.index = index

        @property
        def control(self) -> TranscriptView:
            return self.view

    class Left(Message):
        """The person wants to type again."""

    def __init__(self, transcript: Transcript | None = None, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._transcript = transcript or Transcript()
        self._blocks: list[_Block] = []
        self._starts: list[int] = [0]
        self._dirty: set[int] = set()
        self._timer: Timer | None = None
        self._flushed = 0.0
        self._following = True
        self._unfold_all = False
        self._current = -1
        self._width = 0
        self._later = -1
        self._laid_out = 0
        self._painter = Painter(self)
        self._styles: dict[tuple[Tone, str, str], Style] = {}
        self.near = True
        """Whether somebody looks at this pane; others are painted less often."""

    @property
    def following(self) -> bool:
        """The end is kept in sight."""
        return self._following

    @property
    def hidden_lines(self) -> int:
        """How many lines are below what is seen."""
        return max(0, self._starts[-1] - int(self.scroll_y) - self.size.height)

    @property
    def current(self) -> Entry | None:
        """The entry under the cursor."""
        return self._transcript.entries[self._current] if self._current >= 0 else None

    def show(self, transcript: Transcript) -> None:
        """Show another transcript from its end."""
        self._transcript = transcript
        self._current = -1
        self._following = True
        self._lay_out_all()

    def changed(self, indexes: list[int]) -> None:
        """Show entries that are new or different, now or when the next painting is due."""
        if not indexes:
            return
        self._dirty.update(indexes)
        if self._timer is not None or not self.is_attached:
            return
        wait = (NEAR_SECONDS if self.near else FAR_SECONDS) - (monotonic() - self._flushed)
        if wait <= 0:
            self._flush()
        else:
            self._timer = self.set_timer(wait, self._flush)

    def removed(self) -> None:
        """Show that the last entries are gone."""
        count = len(self._transcript.entries)
        del self._blocks[count:]
        self._dirty = {index for index in self._dirty if index < count}
        self._place(max(0, count - 1))
        self.refresh()

    def action_down(self) -> None:
        if not self._step(1):
            self.scroll_down(animate=False)

    def action_up(self) -> None:
        if not self._step(-1):
            self.scroll_up(animate=False)

    def action_first(self) -> None:
        self.scroll_home(animate=False)

    def action_last(self) -> None:
        self._following = True
        self.scroll_end(animate=False, immediate=True)

    def action_page_down(self) -> None:
        self.scroll_page_down(animate=False)

    def action_page_up(self) -> None:
        self.scroll_page_up(animate=False)

    def action_fold(self) -> None:
        """Unfold the card under the cursor, or fold it."""
        if self._current < 0 and not self._step(1) and not self._step(-1):
            return
        if foldable(self._transcript.entries[self._current]):
            self.toggle(self._current)

    def toggle(self, index: int) -> None:
        """Unfold an entry, or fold it."""
        block = self._blocks[index]
        block.unfolded = not block.unfolded
        following, self._following = self._following, False
        self._relay([index])
        self._following = following and self.scroll_y >= self.max_scroll_y

    def action_fold_all(self) -> None:
        """Unfold all cards, or fold them."""
        self._unfold_all = not self._unfold_all
        for entry, block in zip(self._transcript.entries, self._blocks, strict=False):
            block.unfolded = self._unfold_all and foldable(entry)
        self._relay([index for index, entry in enumerate(self._transcript.entries) if foldable(entry)])

    def action_open(self) -> None:
        """Read the card under the cursor whole."""
        if isinstance(entry := self.current, ToolEntry):
            self.post_message(self.Opened(self, entry))

    def action_leave(self) -> None:
        self.post_message(self.Left())

    def action_edit_again(self) -> None:
        self._ask("edit_again")

    def action_fork(self) -> None:
        self._ask("fork")

    def action_resource(self) -> None:
        self._ask("resource")

    def action_copy_card(self) -> None:
        self._ask("copy_card")

    def action_good(self) -> None:
        self._ask("good")

    def action_bad(self) -> None:
        self._ask("bad")

    def _ask(self, what: str) -> None:
        self.post_message(self.Asked(self, what, self._current))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("open", "resource", "copy_card"):
            return isinstance(self.current, ToolEntry)
        if action in ("edit_again", "fork"):
            return isinstance(self.current, UserEntry) and not self.current.decision
        return True

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if new_value < old_value:
            self._following = False
        if new_value >= self.max_scroll_y:
            self._following = True

    def on_mount(self) -> None:
        self._lay_out_all()

    def on_resize(self) -> None:
        if self._text_width() != self._width:
            self._lay_out_all()
        elif self._following:
            self.scroll_end(animate=False, immediate=True)

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        index = self._entry_at(int(self.scroll_y) + event.y)
        entries = self._transcript.entries
        if 0 <= index < len(entries) and (foldable(entries[index]) or isinstance(entries[index], UserEntry)):
            self._select(index)
            if foldable(entries[index]) and int(self.scroll_y) + event.y == self._starts[index]:
                self.toggle(index)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._painter.reset()
        self._styles.clear()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        number = int(self.scroll_y) + y
        index = self._entry_at(number)
        line: ScreenLine = ()
        over = ""
        if 0 <= index < len(self._blocks):
            row = number - self._starts[index]
            block = self._blocks[index]
            if block.height and not block.lines:
                self._lay_out(index, block.unfolded)
            line = block.lines[row] if row < len(block.lines) else ()
            if index == self._current and row == 0:
                over = "pane--cursor" if self.has_focus else "pane--cursor-blurred"
        segments = [Segment(" ", self._painter.style(Tone.PLAIN, over))]
        segments += [Segment(text, self._style(tone, face, over)) for text, tone, face in line]
        return Strip(segments).adjust_cell_length(width, self._painter.style(Tone.PLAIN, over))

    def _style(self, tone: Tone, face: str, over: str) -> Style:
        found = self._styles.get((tone, face, over))
        if found is None:
            found = self._painter.style(tone, over)
            for letter in face:
                if letter == "c" and not over:
                    found += self.get_component_rich_style("transcript--code", partial=True)
                    found += Style(color=self._painter.style(tone).color)
                elif letter in _FACES:
                    found += _FACES[letter]
            self._styles[tone, face, over] = found
        return found

    def _text_width(self) -> int:
        # One cell before the text, and the scroll bar's, so that its appearance does not wrap everything anew.
        return max(8, self.size.width - 3)

    def _lay_out_all(self) -> None:
        """Lay out everything: another width, or another transcript. The end first, the rest soon."""
        if not self.is_attached or self.size.width == 0:
            return
        self._width = self._text_width()
        self._dirty.clear()
        unfolded = [block.unfolded for block in self._blocks]
        entries = self._transcript.entries
        self._blocks = [
            _Block(unfolded=unfolded[index] if index < len(unfolded) else self._unfold_all)
            for index in range(len(entries))
        ]
        self._later = len(entries) - 1
        lines = 0
        while self._later >= 0 and lines < max(_FIRST_LINES, 2 * self.size.height):
            lines += self._lay_out_older()
        self._place(0)
        self.refresh()
        if self._later >= 0:
            self.set_timer(_SLICE_SECONDS, self._lay_out_slice)

    def _lay_out_slice(self) -> None:
        """Lay out some more of the older entries; what is on screen stays where it is."""
        begun = monotonic()
        before = self._starts[-1]
        following, top = self._following, self.scroll_y
        while self._later >= 0 and monotonic() - begun < _SLICE_SECONDS:
            self._lay_out_older()
        self._place(0)
        if not following:
            self.scroll_to(y=top + self._starts[-1] - before, animate=False, immediate=True)
            self._following = False
        self.refresh()
        if self._later >= 0:
            self.set_timer(_SLICE_SECONDS, self._lay_out_slice)

    def _lay_out_older(self) -> int:
        index = self._later
        self._later -= 1
        self._lay_out(index, self._blocks[index].unfolded)
        return len(self._blocks[index].lines)

    def _flush(self) -> None:
        self._timer = None
        self._flushed = monotonic()
        self._let_go()
        dirty = sorted(index for index in self._dirty if index < len(self._transcript.entries))
        self._dirty.clear()
        if dirty and self._width:
            self._relay(dirty)

    def _let_go(self) -> None:
        """Forget the lines of entries far above or below what is seen, once there are many."""
        if self._starts[-1] < _MOST_LINES or self._laid_out < _MOST_LINES // 4:
            return
        self._laid_out = 0
        top = int(self.scroll_y)
        first, last = self._entry_at(top - _MOST_LINES // 4), self._entry_at(top + _MOST_LINES // 4)
        for block in (*self._blocks[: max(0, first)], *self._blocks[last + 1 :]):
            if block.growing is None:
                block.lines = []

    def _relay(self, indexes: list[int]) -> None:
        """Lay out some entries again and paint the lines that differ."""
        first_line = last_line = -1
        moved = False
        for index in indexes:
            known = index < len(self._blocks)
            before = self._blocks[index].lines if known else []
            self._lay_out(index, self._blocks[index].unfolded if known else self._unfold_all)
            block = self._blocks[index]
            start = self._starts[index] if index < len(self._starts) else self._starts[-1]
            same = _same(before, block.lines)
            moved = moved or not known or len(before) != len(block.lines)
            if same < len(block.lines) or same < len(before):
                first_line = start + same if first_line < 0 else min(first_line, start + same)
                last_line = max(last_line, start + len(block.lines))
        if moved:
            self._place(indexes[0])
            last_line = int(self.scroll_y) + self.size.height
        if first_line >= 0:
            top = max(0, first_line - int(self.scroll_y))
            height = min(self.size.height, last_line - int(self.scroll_y)) - top
            if height > 0:
                self.refresh(Region(0, top, self.size.width, height))

    def _lay_out(self, index: int, unfolded: bool) -> None:
        entry = self._transcript.entries[index]
        while len(self._blocks) <= index:
            self._blocks.append(_Block())
        block = self._blocks[index]
        block.unfolded = unfolded
        if isinstance(entry, AnswerEntry) and block.growing is None:
            block.growing = GrowingMarkdown(self._width)
        before = len(block.lines)
        block.lines = entry_lines(entry, self._width, unfolded=unfolded, growing=block.growing)
        block.height = len(block.lines)
        self._laid_out += max(0, block.height - before)
        if isinstance(entry, AnswerEntry) and entry.done:
            block.growing = None

    def _gap(self, index: int) -> int:
        """Return how many empty lines follow an entry; folded cards that follow each other stand close together."""
        block, entries = self._blocks[index], self._transcript.entries
        if not block.height:
            return 0
        folded = foldable(entries[index]) and not block.unfolded
        return 0 if folded and index + 1 < len(entries) and foldable(entries[index + 1]) else 1

    def _place(self, first: int) -> None:
        """Compute where entries begin, from the first that may have moved, and keep the end in sight."""
        # The gap of the entry before depends on the first that changed.
        del self._starts[max(1, first) :]
        for index in range(len(self._starts) - 1, len(self._blocks)):
            self._starts.append(self._starts[-1] + self._blocks[index].height + self._gap(index))
        size = Size(self.size.width, self._starts[-1])
        following = self._following
        if self.virtual_size != size:
            self.virtual_size = size
            # How far one can scroll is only certain once the scroll bar has come or gone.
            self.call_after_refresh(self._keep_end)
        if following:
            self.scroll_end(animate=False, immediate=True, x_axis=False)
            self._following = True

    def _keep_end(self) -> None:
        if self._following and self.scroll_y < self.max_scroll_y:
            self.scroll_end(animate=False, immediate=True, x_axis=False)

    def _entry_at(self, number: int) -> int:
        return bisect_right(self._starts, number) - 1

    def _step(self, step: int) -> bool:
        """Move the cursor to the next card in sight; False when there is none."""
        top, bottom = int(self.scroll_y), int(self.scroll_y) + self.size.height
        shown = [
            index
            for index, entry in enumerate(self._transcript.entries[: len(self._blocks)])
            if (foldable(entry) or isinstance(entry, UserEntry)) and top <= self._starts[index] < bottom
        ]
        if self._current in shown:
            shown = [index for index in shown if (index - self._current) * step > 0]
        else:
            # Cards are what one unfolds; the person's own turns are on the way from one to the next.
            shown = [index for index in shown if foldable(self._transcript.entries[index])] or shown
        if not shown:
            return False
        self._select(shown[0] if step > 0 else shown[-1])
        return True

    def _select(self, index: int) -> None:
        self._current = index
        self.refresh()
        self.refresh_bindings()


def _same(before: list[ScreenLine], after: list[ScreenLine]) -> int:
    """Return how many first lines are equal."""
    count = 0
    for old, new in zip(before, after, strict=False):
        if old is not new and old != new:
            break
        count += 1
    return count
