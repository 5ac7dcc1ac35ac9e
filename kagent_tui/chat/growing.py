"""Markdown that is still being written: finished blocks are laid out once, only the last is laid out again.

Without this each token would cost the whole answer anew; a code block of a thousand lines is finished line by line.
"""

from __future__ import annotations

import re
from typing import Final

from kagent_tui.chat.lines import ScreenLine
from kagent_tui.chat.markdown import code_lines, fenced, markdown_lines

__all__ = ["GrowingMarkdown"]

_FENCE: Final = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_ITEM: Final = re.compile(r"([-*+]|\d{1,9}[.)])\s")


class GrowingMarkdown:
    """The lines of one text at one width. ``lines`` are those so far, the last ones provisional."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._done: list[ScreenLine] = []
        self._text = ""
        self._tail: list[ScreenLine] = []
        # The marker of a code block whose first lines are done already.
        self._fence = ""
        self._glued = False

    @property
    def lines(self) -> list[ScreenLine]:
        """All lines so far."""
        return [*self._done, *self._tail]

    @property
    def size(self) -> int:
        """How many lines there are."""
        return len(self._done) + len(self._tail)

    def update(self, text: str) -> int:
        """Take the text as it is now; return the first line that may have changed."""
        if not text.startswith(self._text):
            self._done, self._text, self._fence, self._glued = [], "", "", False
        first = len(self._done)
        rest = text[len(self._text) :]
        cut = self._advance(rest)
        self._text += rest[:cut]
        self._tail = self._open(rest[cut:])
        return first

    def _advance(self, rest: str) -> int:
        """Finish every whole block of ``rest``; return how much of it that was."""
        cut = start = 0
        opened = ""
        previous_blank = True
        starts_item = _ITEM.match(rest) is not None
        while (end := rest.find("\n", start)) >= 0:
            line = rest[start:end]
            if self._fence:
                cut = end + 1
                self._code_line(line)
                starts_item = _ITEM.match(rest[cut:]) is not None
            elif opened:
                if _closes(line, opened):
                    opened = ""
            elif (fence := _FENCE.match(line)) and (previous_blank or start == cut):
                # Nothing is pending before it: from here on the code can be finished line by line.
                self._finish(rest[cut:start])
                self._begin_code(fence[1], fence[2].strip())
                cut = end + 1
            elif fence:
                opened = fence[1]
            elif not line.strip():
                if start > cut and rest[end + 1 : end + 2] not in ("", " ", "\t", "\n"):
                    self._finish(rest[cut : end + 1])
                    cut = end + 1
                    starts_item = _ITEM.match(rest[cut:]) is not None
            elif starts_item and start > cut and _ITEM.match(line) and not previous_blank:
                self._finish(rest[cut:start])
                self._glued = True
                cut = start
            previous_blank = not line.strip()
            start = end + 1
        return cut

    def _finish(self, block: str) -> None:
        self._put(markdown_lines(block, self._width))

    def _begin_code(self, marker: str, info: str) -> None:
        self._fence = marker
        self._put(fenced("", info, self._width)[:-1])

    def _code_line(self, line: str) -> None:
        if _closes(line, self._fence):
            self._fence = ""
        else:
            self._done += code_lines(line, self._width)

    def _put(self, lines: list[ScreenLine]) -> None:
        if self._done and not self._glued and (lines or self._fence):
            self._done.append(())
        self._glued = False
        self._done += lines

    def _open(self, tail: str) -> list[ScreenLine]:
        if self._fence:
            return code_lines(tail, self._width) if tail and not _closes(tail, self._fence) else []
        lines = markdown_lines(tail, self._width) if tail.strip() else []
        return [(), *lines] if lines and self._done and not self._glued else lines


def _closes(line: str, marker: str) -> bool:
    found = _FENCE.fullmatch(line)
    return found is not None and found[1].startswith(marker) and not found[2].strip()
