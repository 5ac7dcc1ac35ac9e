"""What the chat writes to a terminal while an agent, its tools and its metadata are hostile: raw bytes of a pty."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from fcntl import ioctl
from pathlib import Path

PROGRAM = Path(__file__).parent / "hostile_chat.py"
# The clipboard, titles, hyperlinks, working directories, device control strings: a terminal program of ours uses none
# of them by itself. Textual's own are private modes, cursor movement, colours and the kitty keyboard.
FORBIDDEN = re.compile(
    r"\x1b\](?!22;)"  # operating system commands, but for the mouse pointer's shape that Textual resets
    r"|\x1b[PX^_]"
    r"|[\x80-\x9f]"
    r"|[\x00\x7f]"
    r"|[\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]"
    r"|PWNED\x1b"
)


def run_in_pty(seconds: float) -> str:
    """Run the program in a terminal of 100 x 40 until it has shown everything, and return what it wrote."""
    pid, master = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm-256color", COLORTERM="truecolor", PYTHONDONTWRITEBYTECODE="1")
        os.execv(sys.executable, [sys.executable, str(PROGRAM)])  # the child becomes the program
    ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    os.kill(pid, signal.SIGWINCH)
    written = b""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not select.select([master], [], [], 0.2)[0]:
            continue
        try:
            chunk = os.read(master, 65536)
        except OSError:
            break
        if not chunk:
            break
        written += chunk
    os.close(master)
    if os.waitpid(pid, os.WNOHANG) == (0, 0):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return written.decode("utf-8", "replace")


def test_no_hostile_sequence_reaches_the_terminal() -> None:
    written = run_in_pty(60)
    assert "MARKER-ANSWER" in written
    assert "MARKER-RESULT" in written
    assert "MARKER-APPROVAL" in written
    assert "MARKER-INNER" in written
    assert "MARKER-EFFECT" in written
    assert "MARKER-SNIPPET" in written
    assert "␛" in written
    found = FORBIDDEN.search(written)
    assert found is None, repr(written[max(0, found.start() - 60) : found.end() + 60])


def test_the_command_line_writes_nothing_hostile_either() -> None:
    done = subprocess.run([sys.executable, str(PROGRAM), "plain"], capture_output=True, timeout=60, check=True)
    written = (done.stdout + done.stderr).decode("utf-8")
    assert "MARKER-ANSWER" in written
    assert FORBIDDEN.search(written) is None
    assert "\x1b" not in written
