"""Fixtures of the end-to-end tests: a home of their own, terminals, and the processes left over."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.terminal import Terminal

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
