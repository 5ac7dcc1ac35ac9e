"""The terminal after the program: whatever ends it, the screen is given back."""

from __future__ import annotations

import os
import pty
import signal
import sys
import time
from pathlib import Path

import pytest

PROGRAM = (
    "import sys; from kagent_tui.app import run_dashboard; sys.exit(run_dashboard(kubeconfig='/nonexistent/config'))"
)
LEAVES_FULL_SCREEN = b"\x1b[?1049l"


def run_until_painted(home: Path) -> tuple[int, int, bytes]:
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update({"TERM": "xterm-256color", "XDG_STATE_HOME": str(home)})
        os.execv(sys.executable, [sys.executable, "-c", PROGRAM])
    return pid, terminal, read_until(terminal, b"No cluster")


def test_the_screen_is_drawn_though_standard_error_goes_to_a_file(tmp_path: Path) -> None:
    log = tmp_path / "errors"
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update({"TERM": "xterm-256color", "XDG_STATE_HOME": str(tmp_path)})
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT), 2)
        os.execv(sys.executable, [sys.executable, "-c", PROGRAM])
    assert b"No cluster" in read_until(terminal, b"No cluster")
    os.write(terminal, b"q")
    assert LEAVES_FULL_SCREEN in read_until(terminal, LEAVES_FULL_SCREEN)
    os.waitpid(pid, 0)
    os.close(terminal)
    assert b"\x1b" not in log.read_bytes()


def read_until(terminal: int, word: bytes) -> bytes:
    seen = b""
    deadline = time.monotonic() + 60
    while word not in seen and time.monotonic() < deadline:
        try:
            seen += os.read(terminal, 65536)
        except OSError:
            break
    return seen


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_the_terminal_clean(tmp_path: Path, number: int) -> None:
    pid, terminal, _ = run_until_painted(tmp_path)
    os.kill(pid, number)
    assert LEAVES_FULL_SCREEN in read_until(terminal, LEAVES_FULL_SCREEN)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 128 + number
    os.close(terminal)


def test_the_mouse_stays_the_terminals_own_and_quitting_ends_with_zero(tmp_path: Path) -> None:
    pid, terminal, painted = run_until_painted(tmp_path)
    assert b"\x1b[?1003h" not in painted
    os.write(terminal, b"q")
    assert LEAVES_FULL_SCREEN in read_until(terminal, LEAVES_FULL_SCREEN)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(terminal)
