"""The output of a container: written to files that rotate, read back as ``kubectl logs`` wants it.

A line is stored as a container runtime stores it (``TIME stdout F text``), so that ``--since`` and ``--timestamps`` are
exact. Readers that follow are woken by the writer; nobody polls. A program that writes faster than the disk takes it is
slowed by its own pipe.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from kagent_localcluster.seams import LogOptions

__all__ = ["LogWriter", "last_lines", "read_log"]

logger = logging.getLogger(__name__)

ROTATE_BYTES = 10 * 1024 * 1024  # the kubelet's defaults: 10 MiB, five files
KEPT_FILES = 5
LONGEST_LINE = 16 * 1024  # a longer line is stored in parts, as CRI does
FULL, PART = b"F", b"P"
BLOCK = 256 * 1024


class LogWriter:
    """Appends one container run's output; knows when it has ended."""

    def __init__(self, path: Path, *, rotate_bytes: int = ROTATE_BYTES, kept_files: int = KEPT_FILES) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._rotate_bytes = rotate_bytes
        self._kept_files = kept_files
        self._file: BinaryIO | None = path.open("ab", buffering=0)
        self._size = self._file.tell()
        self._rest = b""
        self._losing = False
        self._changed = asyncio.Event()

    @property
    def closed(self) -> bool:
        return self._file is None

    def write(self, data: bytes) -> None:
        """Store output; an unfinished line is held until it ends or grows too long."""
        if self._file is None:
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        stamp = _stamp()
        out = bytearray()
        for line in lines:
            out += b"".join(_records(stamp, line))
        while len(self._rest) > LONGEST_LINE:
            out += b"%s stdout P %s\n" % (stamp, self._rest[:LONGEST_LINE])
            self._rest = self._rest[LONGEST_LINE:]
        self._store(bytes(out))

    def close(self) -> None:
        """Store what is left and let the followers end."""
        if self._file is None:
            return
        if self._rest:
            self._store(b"".join(_records(_stamp(), self._rest)))
            self._rest = b""
        self._file.close()
        self._file = None
        self._wake()

    @property
    def changed(self) -> asyncio.Event:
        """The event that the next write, rotation or end sets."""
        return self._changed

    def _store(self, data: bytes) -> None:
        if not data or self._file is None:
            return
        try:
            if self._size and self._size + len(data) > self._rotate_bytes:
                self._rotate()
            written = self._file.write(data)
        except OSError as error:
            self._lose(error)
            return
        self._losing = written < len(data)  # what did not fit is lost; the next record begins a line again
        if self._losing:
            self._file.truncate(self._size)
            return
        self._size += len(data)
        self._wake()

    def _lose(self, error: OSError) -> None:
        """Go on without what cannot be stored: a full disk must not hold up the program, nor fill our own log."""
        if not self._losing:
            self._losing = True
            logger.warning("%s: %s; output is lost until there is room", self.path, error.strerror)

    def _rotate(self) -> None:
        assert self._file is not None
        numbered = [self.path, *(Path(f"{self.path}.{number}") for number in range(1, self._kept_files))]
        numbered[-1].unlink(missing_ok=True)
        for older, newer in zip(reversed(numbered[1:]), reversed(numbered[:-1]), strict=True):
            if newer.exists():
                newer.rename(older)
        full, self._file = self._file, self.path.open("ab", buffering=0)
        full.close()
        self._size = 0

    def _wake(self) -> None:
        event, self._changed = self._changed, asyncio.Event()
        event.set()


async def read_log(path: Path, options: LogOptions, writer: LogWriter | None = None) -> AsyncIterator[bytes]:
    """Yield the log at ``path`` as asked; with ``writer`` and ``follow`` until that run ends.

    Rotated files are read too, oldest first.
    """
    since = _since(options)
    following = options.follow and writer is not None and not writer.closed
    # Opened before anything is yielded: a rotation in between must neither lose nor repeat a line.
    handle = _open(path)
    try:
        for block in _stored(path, handle, options.tail_lines):
            yield _shown(block, since, options.timestamps)
        while following and writer is not None:
            changed, ended = writer.changed, writer.closed
            handle = handle or _open(path)
            rotated = handle is not None and _replaced(handle, path)
            for block in _blocks(handle):
                yield _shown(block, since, options.timestamps)
            if rotated and handle is not None:
                handle.close()
                handle = _open(path)
            elif ended:
                return
            else:
                await changed.wait()
    finally:
        if handle is not None:
            handle.close()


def last_lines(path: Path, lines: int, limit: int) -> str:
    """Return the end of a log as text of at most ``limit`` bytes."""
    if not path.exists():
        return ""
    with path.open("rb") as handle:
        shown = b"".join(_shown(block, "", False) for block in _stored(path, handle, lines))
    return shown[-limit:].decode(errors="replace")


def _records(stamp: bytes, line: bytes) -> Iterator[bytes]:
    while len(line) > LONGEST_LINE:
        yield b"%s stdout %s %s\n" % (stamp, PART, line[:LONGEST_LINE])
        line = line[LONGEST_LINE:]
    yield b"%s stdout %s %s\n" % (stamp, FULL, line)


def _stamp() -> bytes:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z").encode()


def _since(options: LogOptions) -> str:
    if options.since_seconds is None:
        return ""
    return (datetime.now(UTC) - timedelta(seconds=options.since_seconds)).strftime("%Y-%m-%dT%H:%M:%S.%f")


def _open(path: Path) -> BinaryIO | None:
    return path.open("rb") if path.exists() else None


def _replaced(handle: BinaryIO, path: Path) -> bool:
    """Tell whether the open file was rotated away: nothing is added to it any more."""
    with contextlib.suppress(OSError):
        return os.fstat(handle.fileno()).st_ino != path.stat().st_ino
    return False


def _stored(path: Path, handle: BinaryIO | None, lines: int | None) -> Iterator[bytes]:
    """Yield the last ``lines`` records (None: all) in blocks of whole records; leaves the handle at its end."""
    older = [other for number in range(KEPT_FILES, 0, -1) if (other := Path(f"{path}.{number}")).exists()]
    if lines is None:
        for other in older:
            with other.open("rb") as rotated:
                yield from _blocks(rotated)
        yield from _blocks(handle)
        return
    text = _end_of(handle, lines) if handle is not None else b""
    for other in reversed(older):
        if text.count(b"\n") < lines:
            with other.open("rb") as rotated:
                text = _end_of(rotated, lines) + text
    if lines > 0:
        yield b"\n".join(text.split(b"\n")[-lines - 1 :])


def _blocks(handle: BinaryIO | None) -> Iterator[bytes]:
    while handle is not None and (block := handle.read(BLOCK)):
        yield block if block.endswith(b"\n") else block + handle.readline()


def _end_of(handle: BinaryIO, lines: int) -> bytes:
    """Read from the end until the text holds more than ``lines`` line ends; leaves the handle at the end."""
    end = position = handle.seek(0, os.SEEK_END)
    text = b""
    while position > 0 and text.count(b"\n") <= lines:
        step = min(BLOCK, position)
        position -= step
        handle.seek(position)
        text = handle.read(step) + text
    handle.seek(end)
    return text.split(b"\n", 1)[1] if position > 0 else text


def _shown(block: bytes, since: str, timestamps: bool) -> bytes:
    oldest = since.encode()
    shown: list[bytes] = []
    for record in block.split(b"\n"):
        stamp, _, rest = record.partition(b" ")
        if not stamp or (oldest and stamp < oldest):
            continue
        _stream, _, rest = rest.partition(b" ")
        tag, _, line = rest.partition(b" ")
        shown += (stamp, b" ", line) if timestamps else (line,)
        if tag == FULL:
            shown.append(b"\n")
    return b"".join(shown)
