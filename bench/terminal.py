"""A real terminal for the real program: a pty, a screen emulator, and bounded waits that never sleep blindly.

Used by the end-to-end tests, the benchmarks and the screenshots, so that all three see what a person sees.
"""

from __future__ import annotations

import fcntl
import importlib
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Callable
from typing import Any, Protocol, cast

__all__ = ["LONG", "SHORT", "Cell", "Terminal"]

# Bounds, not expectations: a loaded machine may take this long, an idle one takes a tenth.
LONG = 90.0
SHORT = 30.0


class Cell(Protocol):
    """One character of the screen; colours are "default", a name or six hex digits."""

    data: str
    fg: str
    bg: str
    bold: bool
    italics: bool
    underscore: bool
    reverse: bool


class Screen(Protocol):
    """What we use of pyte.Screen (pyte ships no types)."""

    buffer: dict[int, dict[int, Cell]]
    columns: int
    lines: int

    @property
    def display(self) -> list[str]: ...


class ByteStream(Protocol):
    def feed(self, data: bytes) -> None: ...


class Terminal:
    """A program in a pty of a given size; ``text`` is what a person would see."""

    def __init__(self, argv: list[str], *, columns: int, lines: int, env: dict[str, str]) -> None:
        pyte = cast("Any", importlib.import_module("pyte"))
        self.screen = cast("Screen", pyte.Screen(columns, lines))
        self._stream = cast("ByteStream", pyte.ByteStream(self.screen))
        self.raw = bytearray()
        self.exit_code: int | None = None
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.execvpe(argv[0], argv, env)
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display)

    def send(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def until(self, seen: str | Callable[[str], bool], *, seconds: float = SHORT) -> str:
        """Read until the screen shows a pattern (or a predicate holds) and return the screen's text."""

        def holds(text: str) -> bool:
            return re.search(seen, text) is not None if isinstance(seen, str) else seen(text)

        deadline = time.monotonic() + seconds
        while not holds(self.text):
            left = deadline - time.monotonic()
            if left <= 0 or not self._read(left):
                state = "ended" if self.exit_code is not None else f"did not show it within {seconds:.0f} s"
                raise AssertionError(f"waited for {seen!r}; the program {state}. The screen:\n{self.text}")
        return self.text

    def settle(self, quiet: float = 0.4, *, seconds: float = SHORT) -> str:
        """Read until nothing has come for ``quiet`` seconds, for pictures; tests wait for what they expect instead."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self._read(quiet):
            pass
        return self.text

    def wait(self, *, seconds: float = LONG) -> int:
        """Read to the end and return the exit code."""
        deadline = time.monotonic() + seconds
        while self.exit_code is None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise AssertionError(f"still running after {seconds:.0f} s. The screen:\n{self.text}")
            self._read(left)
        return self.exit_code

    def kill(self) -> None:
        if self.exit_code is None:
            os.kill(self.pid, signal.SIGTERM)
            self.wait()

    def _read(self, seconds: float) -> bool:
        readable, _, _ = select.select([self._fd], [], [], seconds)
        if not readable:
            return False
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # Linux reports the end of a pty as EIO
            data = b""
        if not data:
            self.exit_code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
            return False
        self.raw += data
        self._stream.feed(data)
        return True
