"""A pane of lines on the Line API: details, YAML, diffs, logs, help. Wraps or cuts, searches, follows what a line
names.

It holds finished lines only (already clean); it must never interpret markup or keep more than ``most`` lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from kagent_api.errors import ObjectRef
from kagent_tui.render.text import Line, Span, Tone
from kagent_tui.render.wrap import capped, wrap
from kagent_tui.widgets.bindings import bindings
from kagent_tui.widgets.painting import PAINT_CLASSES, Painter

__all__ = ["TextPane"]

# Enough for a day's log on screen, and bounded.
MOST_LINES = 20_000


class TextPane(ScrollView, can_focus=True):
    """Lines to read. With ``pointer`` a cursor goes from one line that leads somewhere to the next."""

    BINDINGS = bindings("move")
    COMPONENT_CLASSES: ClassVar[set[str]] = {*PAINT_CLASSES}

    wrapping = reactive(True)
    """Whether long lines are wrapped, or cut at the edge."""

    class Followed(Message):
        """Enter was pressed on a line that names an object."""

        def __init__(self, pane: TextPane, ref: ObjectRef) -> None:
            super().__init__()
            self.pane = pane
            self.ref = ref

        @property
        def control(self) -> TextPane:
            return self.pane

    def __init__(self, *, id: str | None = None, pointer: bool = False, most: int = MOST_LINES) -> None:
        super().__init__(id=id)
        self._lines: list[Line] = []
        self._screen: list[tuple[int, tuple[Span, ...]]] = []
        self._pointer = pointer
        self._current = -1
        self._pattern: re.Pattern[str] | None = None
        self._most = most
        self._painter = Painter(self)
        self._letters = ""

    @property
    def lines(self) -> Sequence[Line]:
        return self._lines

    @property
    def plain(self) -> str:
        """The whole text, for the clipboard."""
        return "\n".join(line.plain for line in self._lines)

    @property
    def at_end(self) -> bool:
        return self.scroll_y >= self.max_scroll_y

    def set_lines(self, lines: Iterable[Line]) -> None:
        """Show other lines; the place in the text is kept as far as it exists."""
        fresh = list(lines)[-self._most :]
        if fresh == self._lines:
            return
        self._lines = fresh
        if self._current >= len(fresh) or (self._current >= 0 and fresh[self._current].target is None):
            self._current = -1
        self._replace()

    def append(self, lines: Iterable[Line], *, follow: bool) -> None:
        """Add lines at the end; ``follow`` keeps the end in sight."""
        fresh = list(lines)
        cut = max(0, len(self._lines) + len(fresh) - self._most)
        self._lines = [*self._lines, *fresh][cut:]
        if cut:
            self._layout()
        else:
            base = len(self._lines) - len(fresh)
            for offset, line in enumerate(fresh):
                self._screen += ((base + offset, part) for part in self._fitted(line))
            self._resize()
            self.refresh()
        if follow:
            # Not at once: how long the text is now is known after the next layout only.
            self.scroll_end(animate=False)

    def search(self, text: str) -> int:
        """Mark what matches (a regular expression, or plain text if it is none); go to the first; return how many."""
        self._pattern = _pattern(text)
        self.refresh()
        hits = self._hits()
        if hits:
            self._scroll_to_line(next((hit for hit in hits if hit >= self.scroll_y), hits[0]))
        return len(hits)

    def next_hit(self, step: int) -> None:
        """Go to the next (1) or previous (-1) place found."""
        hits = self._hits()
        top = int(self.scroll_y)
        beyond = [hit for hit in hits if hit > top] if step > 0 else [hit for hit in reversed(hits) if hit < top]
        if beyond or hits:
            self._scroll_to_line(beyond[0] if beyond else hits[0 if step > 0 else -1])

    def follow_link(self) -> None:
        """Open what the cursor's line names, else the first line in sight that names something."""
        if self._current < 0:
            self._step(1)
        target = self._lines[self._current].target if 0 <= self._current < len(self._lines) else None
        if target is not None:
            self.post_message(self.Followed(self, target))

    def show_letters(self, letters: str) -> int:
        """Put letters on the lines in sight that lead somewhere; return how many have one."""
        self._letters = letters
        self.refresh()
        return min(len(letters), len(self._links_in_sight()))

    def jump(self, place: int) -> None:
        """Open what a line in sight names, counted among those that name something."""
        links = self._links_in_sight()
        if place < len(links):
            self._current = links[place]
            self.refresh()
            self.follow_link()

    def _links_in_sight(self) -> list[int]:
        top = int(self.scroll_y)
        numbers = dict.fromkeys(number for number, _ in self._screen[top : top + self.size.height])
        return [number for number in numbers if self._lines[number].target is not None]

    def action_down(self) -> None:
        if not (self._pointer and self._step(1)):
            self.scroll_down(animate=False)

    def action_up(self) -> None:
        if not (self._pointer and self._step(-1)):
            self.scroll_up(animate=False)

    def action_first(self) -> None:
        self.scroll_home(animate=False)

    def action_last(self) -> None:
        self.scroll_end(animate=False)

    def action_page_down(self) -> None:
        self.scroll_page_down(animate=False)

    def action_page_up(self) -> None:
        self.scroll_page_up(animate=False)

    def watch_wrapping(self) -> None:
        self._layout()

    def on_resize(self) -> None:
        self._layout()

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._painter.reset()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        index = int(self.scroll_y) + y
        if index >= len(self._screen):
            return Strip.blank(width, self._painter.style(Tone.PLAIN))
        number, spans = self._screen[index]
        over = ""
        if self._pointer and number == self._current:
            over = "pane--cursor" if self.has_focus else "pane--cursor-blurred"
        if not over and self._pattern is not None and self._pattern.search("".join(part.text for part in spans)):
            over = "pane--hit"
        lead = Span(" ")
        if self._letters and (index == 0 or self._screen[index - 1][0] != number):
            links = self._links_in_sight()
            if number in links[: len(self._letters)]:
                lead = Span(self._letters[links.index(number)], Tone.YELLOW)
        return self._painter.strip((lead, *spans), width, over)

    def _fitted(self, line: Line) -> list[tuple[Span, ...]]:
        # The width with the scroll bar, so that its appearance does not wrap everything anew.
        return wrap(line, max(8, self.size.width - 3)) if self.wrapping else [capped(line.spans)]

    def _layout(self) -> None:
        self._screen = [(number, part) for number, line in enumerate(self._lines) for part in self._fitted(line)]
        self._resize()
        self.refresh()

    def _replace(self) -> None:
        """Lay out anew but repaint only the lines in sight that look different: details change a line at a time."""
        before, top = self._screen, int(self.scroll_y)
        self._screen = [(number, part) for number, line in enumerate(self._lines) for part in self._fitted(line)]
        self._resize()
        if int(self.scroll_y) != top or self._pattern is not None or (self._pointer and self._current >= 0):
            self.refresh()
            return
        for y in range(self.size.height):
            old, new = before[top + y : top + y + 1], self._screen[top + y : top + y + 1]
            if [part for _, part in old] != [part for _, part in new]:
                self.refresh(Region(0, y, self.size.width, 1))

    def _resize(self) -> None:
        size = Size(self.size.width, len(self._screen))
        if self.virtual_size != size:
            # Not by assignment, which would repaint the whole pane as well.
            self.set_reactive(TextPane.virtual_size, size)  # pyright: ignore[reportArgumentType] - it is the Reactive
            self.refresh(repaint=False, layout=True)

    def _step(self, step: int) -> bool:
        """Move the cursor to the next line that leads somewhere; False when there is none in sight."""
        first, last = int(self.scroll_y), int(self.scroll_y) + self.size.height
        places = {number: index for index, (number, _) in reversed(list(enumerate(self._screen)))}
        candidates = [number for number, line in enumerate(self._lines) if line.target is not None]
        if step < 0:
            candidates.reverse()
        if self._current >= 0 and first <= places.get(self._current, -1) < last:
            ahead = [number for number in candidates if (number - self._current) * step > 0]
        else:
            ahead = [number for number in candidates if first <= places[number] < last]
        if not ahead or not first - 1 <= places[ahead[0]] <= last:
            return False
        before, self._current = self._current, ahead[0]
        self._scroll_to_line(places[self._current], only_if_hidden=True)
        for number in (before, self._current):
            if number in places:
                self.refresh(Region(0, places[number] - int(self.scroll_y), self.size.width, 3))
        return True

    def _hits(self) -> list[int]:
        if self._pattern is None:
            return []
        return [
            index
            for index, (_, spans) in enumerate(self._screen)
            if self._pattern.search("".join(part.text for part in spans))
        ]

    def _scroll_to_line(self, index: int, *, only_if_hidden: bool = False) -> None:
        top = int(self.scroll_y)
        if only_if_hidden and top <= index < top + self.size.height:
            return
        self.scroll_to(y=index if index < top or not only_if_hidden else index - self.size.height + 1, animate=False)


def _pattern(text: str) -> re.Pattern[str] | None:
    if not text:
        return None
    try:
        return re.compile(text, re.IGNORECASE)
    except re.error:
        return re.compile(re.escape(text), re.IGNORECASE)
