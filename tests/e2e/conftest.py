"""A real terminal for the real program: a pty, a screen emulator, and bounded waits that never sleep blindly."""

from __future__ import annotations

import fcntl
import importlib
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, cast

import pytest

# Bounds, not expectations: a loaded machine may take this long, an idle one takes a tenth.
LONG = 90.0
SHORT = 30.0


class Screen(Protocol):
    """What we use of pyte.Screen (pyte ships no types)."""

    @property
    def display(self) -> list[str]: ...


class ByteStream(Protocol):
    def feed(self, data: bytes) -> None: ...


class Terminal:
    """A program in a pty of a given size; ``text`` is what a person would see."""

    def __init__(self, argv: list[str], *, columns: int, lines: int, env: dict[str, str]) -> None:
        pyte = cast("Any", importlib.import_module("pyte"))
        self._screen = cast("Screen", pyte.Screen(columns, lines))
        self._stream = cast("ByteStream", pyte.ByteStream(self._screen))
        self.raw = bytearray()
        self.exit_code: int | None = None
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.execvpe(argv[0], argv, env)
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self._screen.display)

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


StartTerminal = Callable[..., Terminal]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home of its own for every program of a test; its path marks their processes."""
    for folder in ("tmp", "home"):
        (tmp_path / folder).mkdir()
    return tmp_path


@pytest.fixture
def environment(home: Path) -> dict[str, str]:
    kept = ("PATH", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR")
    base = {name: os.environ[name] for name in kept if name in os.environ}
    return base | {
        "HOME": str(home / "home"),
        "TMPDIR": str(home / "tmp"),
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "LANG": "C.UTF-8",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{base.get('PATH', '')}",
    }


@pytest.fixture
def start(environment: dict[str, str]) -> Iterator[StartTerminal]:
    """Start programs in terminals; whatever still runs at the end is ended."""
    started: list[Terminal] = []

    def begin(*argv: str, columns: int = 140, lines: int = 40, env: dict[str, str] | None = None) -> Terminal:
        terminal = Terminal(list(argv), columns=columns, lines=lines, env=environment | (env or {}))
        started.append(terminal)
        return terminal

    yield begin
    for terminal in started:
        terminal.kill()


@pytest.fixture
def processes_of(home: Path) -> Callable[[], list[str]]:
    """Return the command lines of live processes that carry this test's home in their environment."""

    def listed() -> list[str]:
        mark = str(home).encode()
        found: list[str] = []
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit() or int(folder.name) == os.getpid():
                continue
            try:
                environ, command = (folder / "environ").read_bytes(), (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if mark in environ and command:
                found.append(command.replace(b"\0", b" ").decode("utf-8", "replace"))
        return found

    return listed
