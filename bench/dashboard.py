"""The dashboard in a real terminal over a cluster in memory: first frame, key to frame, updates, idling, memory.

What is measured is `measured.py` in a pty of 160x50, its bytes counted and not drawn.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

from bench.road import Figure

__all__ = ["dashboard"]

_SIZE = (50, 160)


class _Program:
    """The dashboard in a pty; bytes are counted, not drawn."""

    def __init__(self, agents: int, updates: float, *options: str) -> None:
        self.started = time.perf_counter()
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
            os.execvpe(
                sys.executable,
                [sys.executable, "-m", "bench.measured", str(agents), str(updates), *options],
                environment,
            )
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", *_SIZE, 0, 0))

    def until(self, shown: bytes, *, seconds: float = 30.0) -> float:
        """Read until some bytes were written; return how many seconds that took."""
        begin = time.perf_counter()
        seen = b""
        while shown not in seen:
            left = begin + seconds - time.perf_counter()
            if left <= 0:
                raise AssertionError(f"the dashboard did not write {shown!r} within {seconds:.0f} s")
            seen = seen[-200:] + self.read(left)
        return time.perf_counter() - begin

    def read(self, seconds: float) -> bytes:
        readable, _, _ = select.select([self._fd], [], [], seconds)
        return os.read(self._fd, 65536) if readable else b""

    def bytes_in(self, seconds: float) -> int:
        """Read for some seconds and count."""
        deadline = time.perf_counter() + seconds
        total = 0
        while (left := deadline - time.perf_counter()) > 0:
            total += len(self.read(left))
        return total

    def send(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    @property
    def cpu(self) -> float:
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def memory(self) -> float:
        """Resident memory in MB."""
        with open(f"/proc/{self.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    def end(self) -> None:
        os.kill(self.pid, signal.SIGTERM)
        while True:
            try:
                if not os.read(self._fd, 65536):
                    break
            except OSError:
                break
        os.waitpid(self.pid, 0)
        os.close(self._fd)


def dashboard(rounds: int) -> list[Figure]:
    """Measure the dashboard with 1,000 and 10,000 agents."""
    figures = [_version(rounds)]
    for agents, memory in ((1_000, "<= 75"), (10_000, "<= 130")):
        figures += _cached(agents, rounds)
        figures += _still(agents, rounds, memory)
        figures += _busy(agents)
        figures.append(_pixels(agents))
    return figures


def _version(rounds: int) -> Figure:
    taken: list[float] = []
    for _ in range(rounds):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-m", "kagent_tui", "--version"], check=True, stdout=subprocess.DEVNULL)
        taken.append(time.perf_counter() - begin)
    return Figure("kagent-tui --version", statistics.median(taken) * 1000, "ms", "<= 120")


def _cached(agents: int, rounds: int) -> list[Figure]:
    """The first rows out of the last run's snapshot, from a cluster that does not answer yet."""
    with tempfile.TemporaryDirectory() as folder:
        before = _Program(agents, 0, "--snapshots", folder)
        before.until(b"agent-00000")
        before.bytes_in(1.0)
        before.end()
        taken: list[float] = []
        for _ in range(rounds):
            program = _Program(agents, 0, "--snapshots", folder, "--silent")
            program.until(b"agent-00000")
            taken.append(time.perf_counter() - program.started)
            program.end()
    return [Figure(f"{agents:,} agents: first rows, cached", statistics.median(taken) * 1000, "ms", "<= 600")]


def _still(agents: int, rounds: int, memory: str) -> list[Figure]:
    frames: list[float] = []
    for _ in range(rounds):
        program = _Program(agents, 0)
        program.until(b"agent-00000")
        frames.append(time.perf_counter() - program.started)
        program.end()
    program = _Program(agents, 0)
    program.until(b"agent-00000")
    program.bytes_in(3.0)
    keys = _jumps(program, agents)
    letters = _letters(program, agents)
    program.bytes_in(2.0)
    cpu = program.cpu
    idle = program.bytes_in(10.0)
    used = program.cpu - cpu
    figures = [
        Figure(f"{agents:,} agents: first rows", statistics.median(frames) * 1000, "ms", "<= 600"),
        *_key_figures(f"{agents:,} agents, idle: g/G to frame", keys, "<= 35/55"),
        Figure(f"{agents:,} agents: a letter of the filter, worst", max(letters) * 1000, "ms", "<= 50"),
        Figure(f"{agents:,} agents: idle output", idle / 10.0, "B/s", "0"),
        Figure(f"{agents:,} agents: idle CPU", used / 10.0 * 100, "%", "<= 0.5"),
        Figure(f"{agents:,} agents: memory", program.memory, "MB", memory),
    ]
    program.end()
    return figures


def _busy(agents: int) -> list[Figure]:
    slow = _Program(agents, 10.0)
    slow.until(b"agent-00000")
    slow.bytes_in(3.0)
    cpu, written = slow.cpu, slow.bytes_in(5.0)
    spent = slow.cpu - cpu
    slow.end()
    fast = _Program(agents, 100.0)
    fast.until(b"agent-00000")
    fast.bytes_in(3.0)
    keys = _jumps(fast, agents)
    cpu = fast.cpu
    fast.bytes_in(5.0)
    load = fast.cpu - cpu
    fast.end()
    return [
        Figure(f"{agents:,} agents: one visible row's update", written / 50.0, "B", "<= 400"),
        Figure(f"{agents:,} agents: one visible row's update, CPU", spent / 50.0 * 1000, "ms", "<= 2.5"),
        *_key_figures(f"{agents:,} agents, 100 updates/s: g/G to frame", keys, "<= 35/60"),
        Figure(f"{agents:,} agents, 100 updates/s: CPU", load / 5.0 * 100, "%", "-"),
    ]


def _letters(program: _Program, agents: int) -> list[float]:
    """Type a filter and take it away; return seconds from each letter to the number of rows it leaves."""
    program.send("/")
    program.bytes_in(0.3)
    taken: list[float] = []
    for letter in "agent-0099":
        program.send(letter)
        taken.append(program.until(f" of {agents}".encode()))
        program.bytes_in(0.15)
    program.send("\x1b")
    program.bytes_in(0.5)
    return taken


def _pixels(agents: int) -> Figure:
    """From an event on the watch to its number on the terminal."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "sent"
        program = _Program(agents, 20.0, "--log", str(log))
        program.until(b"agent-00000")
        program.bytes_in(2.0)
        seen: dict[str, float] = {}
        deadline = time.monotonic() + 5.0
        while time.monotonic() < deadline:
            written = program.read(deadline - time.monotonic())
            for number in re.findall(rb"(\d{5})/90000 ", written):
                seen.setdefault(number.decode(), time.monotonic())
        program.end()
        sent = dict(line.split() for line in log.read_text().splitlines())
    taken = sorted(moment - float(sent[number]) for number, moment in seen.items())
    return Figure(f"{agents:,} agents: watch event to pixel, p95", taken[int(len(taken) * 0.95)] * 1000, "ms", "<= 150")


def _jumps(program: _Program, agents: int) -> list[float]:
    """Go to the last row and back, each a whole new screen; return seconds from key to its row."""
    taken: list[float] = []
    for _ in range(15):
        for key, row in (("G", agents - 1), ("g", 0)):
            program.send(key)
            taken.append(program.until(f"agent-{row:05}".encode()))
            program.bytes_in(0.15)
    return taken


def _key_figures(name: str, keys: list[float], goal: str) -> list[Figure]:
    ordered = sorted(keys)
    return [
        Figure(f"{name}, p50", statistics.median(ordered) * 1000, "ms", goal),
        Figure(f"{name}, p95", ordered[int(len(ordered) * 0.95)] * 1000, "ms", goal),
    ]
