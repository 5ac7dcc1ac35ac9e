"""Reads, writes and edits the files of a session's workspace. Nothing here follows a path out of it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from kagent_engine.errors import ToolFailed
from kagent_engine.skills.workspace import Workspace

__all__ = ["edit_file", "read_file", "write_file"]

_MOST_LINES: Final = 2000
_LONGEST_LINE: Final = 2000
_LARGEST_FILE: Final = 10 * 1024 * 1024


def read_file(workspace: Workspace, path: str, *, offset: int = 1, limit: int = _MOST_LINES) -> str:
    """Return lines of a text file with their numbers, or the entries of a folder.

    Raises:
        ToolFailed: it is not there, outside, too large or no text.
    """
    place = workspace.readable(path)
    if place.is_dir():
        return "\n".join(sorted(f"{entry.name}/" if entry.is_dir() else entry.name for entry in place.iterdir()))
    lines = _text(place, path).splitlines()
    first = max(offset, 1)
    shown = lines[first - 1 : first - 1 + max(limit, 1)]
    if not shown:
        return f"'{path}' has {len(lines)} lines; none from line {first} on."
    numbered = [f"{number:>6}\t{line[:_LONGEST_LINE]}" for number, line in enumerate(shown, start=first)]
    left = len(lines) - (first - 1) - len(shown)
    return "\n".join([*numbered, *([f"[{left} more lines; read on with offset {first + len(shown)}]"] if left else [])])


def write_file(workspace: Workspace, path: str, content: str) -> str:
    """Write a whole file, making its folders.

    Raises:
        ToolFailed: it is outside, belongs to a skill or cannot be written.
    """
    place = workspace.writable(path)
    _write(place, path, content)
    return f"Wrote {len(content.encode())} bytes to {path}."


def edit_file(workspace: Workspace, path: str, old: str, new: str, *, everywhere: bool = False) -> str:
    """Replace text that stands in a file once, or everywhere.

    Raises:
        ToolFailed: the text is not there or stands there more than once, or the file cannot be changed.
    """
    place = workspace.writable(path)
    text = _text(place, path)
    if not old or old == new:
        raise ToolFailed("'old_string' must be text that 'new_string' differs from")
    count = text.count(old)
    if count == 0:
        raise ToolFailed(f"'old_string' does not stand in '{path}'; read the file and give it exactly")
    if count > 1 and not everywhere:
        raise ToolFailed(f"'old_string' stands {count} times in '{path}'; give more of it, or set replace_all")
    _write(place, path, text.replace(old, new))
    return f"Replaced {count} place{'' if count == 1 else 's'} in {path}."


def _text(place: Path, path: str) -> str:
    try:
        if not place.is_file():
            raise ToolFailed(f"there is no file '{path}'")
        if place.stat().st_size > _LARGEST_FILE:
            raise ToolFailed(f"'{path}' is larger than 10 MiB; use the shell to take the part you need")
        return place.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ToolFailed(f"'{path}' is no UTF-8 text") from error
    except OSError as error:
        raise ToolFailed(f"'{path}' cannot be read: {error.strerror}") from error


def _write(place: Path, path: str, content: str) -> None:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content, encoding="utf-8")
    except OSError as error:
        raise ToolFailed(f"'{path}' cannot be written: {error.strerror}") from error
