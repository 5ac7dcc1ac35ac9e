"""The difference between two texts, line by line, with a little around each change."""

from __future__ import annotations

import difflib
from typing import Literal, NamedTuple

__all__ = ["DiffLine", "diff"]


class DiffLine(NamedTuple):
    """One line of a difference; ``gap`` stands for unchanged lines left out."""

    sign: Literal["same", "add", "remove", "gap"]
    text: str


def diff(before: str, after: str, *, around: int = 3) -> list[DiffLine]:
    """Return what changes from one text to the other; empty when nothing does."""
    lines: list[DiffLine] = []
    for number, line in enumerate(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=around)):
        if number < 2:
            continue
        if line.startswith("@@"):
            lines.append(DiffLine("gap", line.split("@@")[1].strip()))
        elif line.startswith("+"):
            lines.append(DiffLine("add", line[1:]))
        elif line.startswith("-"):
            lines.append(DiffLine("remove", line[1:]))
        else:
            lines.append(DiffLine("same", line[1:]))
    return lines
