"""The processes of this machine, as far as the runner may touch them: those that carry its mark.

A process belongs to a container when the container's mark stands in its environment, or when it descends from, or
shares the session of, one that does: neither process groups nor parents alone find a daemon that forked twice. Nothing
is ever ended by its number alone.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

__all__ = ["alive", "descendants", "listening_ports", "marked", "send"]

PROC = Path("/proc")
LINUX = sys.platform == "linux"
LISTEN = "0A"


class _Entry(NamedTuple):
    parent: int
    session: int
    state: str


def marked(mark: str) -> set[int]:
    """Return the processes whose environment holds ``mark`` (``NAME=VALUE``), without the calling one."""
    found = _marked_in_proc(mark.encode()) if LINUX else _marked_by_ps(mark)
    return found - {os.getpid()}


def descendants(roots: Iterable[int]) -> set[int]:
    """Return what the given processes started, and what lives in their sessions; without the roots themselves."""
    wanted = set(roots)
    table = _table()
    children: dict[int, list[int]] = {}
    for pid, entry in table.items():
        children.setdefault(entry.parent, []).append(pid)
    found: set[int] = {pid for pid, entry in table.items() if entry.session in wanted}
    pending = [*wanted, *found]
    while pending:
        for child in children.get(pending.pop(), ()):
            if child not in found:
                found.add(child)
                pending.append(child)
    return found - wanted - {os.getpid()}


def alive(pids: Iterable[int]) -> set[int]:
    """Return those that still run (a zombie does not)."""
    return {pid for pid in pids if _runs(pid)}


def send(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to every process that is still there and ours."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            continue


def listening_ports(pids: Iterable[int]) -> set[int]:
    """Return the TCP ports that these processes listen on."""
    return _listening_in_proc(pids) if LINUX else _listening_by_lsof(pids)


def _runs(pid: int) -> bool:
    if not LINUX:
        try:
            os.kill(pid, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True
    entry = _entry(pid)
    return entry is not None and entry.state not in "ZX"


def _entry(pid: int) -> _Entry | None:
    try:
        fields = (PROC / str(pid) / "stat").read_text(errors="replace").rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None
    return _Entry(parent=int(fields[1]), session=int(fields[3]), state=fields[0])


def _table() -> dict[int, _Entry]:
    if LINUX:
        pids = [int(name) for name in os.listdir(PROC) if name.isdigit()]
        return {pid: entry for pid in pids if (entry := _entry(pid)) is not None}
    table: dict[int, _Entry] = {}
    for line in _output(["ps", "-axo", "pid=,ppid=,sess=,stat="]):
        words = line.split()
        if len(words) == 4 and words[0].isdigit() and words[1].isdigit():
            # macOS prints a session's address, not a leader's number: only the tree counts there
            table[int(words[0])] = _Entry(parent=int(words[1]), session=0, state=words[3][0])
    return table


def _marked_in_proc(mark: bytes) -> set[int]:
    found: set[int] = set()
    for name in os.listdir(PROC):
        if name.isdigit():
            try:
                environment = (PROC / name / "environ").read_bytes()
            except OSError:
                continue  # another user's, or gone
            if mark in environment.split(b"\0"):
                found.add(int(name))
    return found


def _marked_by_ps(mark: str) -> set[int]:
    lines = (line.split(None, 1) for line in _output(["ps", "-axEwwo", "pid=,command="]))
    return {int(words[0]) for words in lines if len(words) == 2 and f" {mark}" in f"{words[1]} "}


def _listening_in_proc(pids: Iterable[int]) -> set[int]:
    sockets: set[str] = set()
    for pid in pids:
        try:
            names = os.listdir(PROC / str(pid) / "fd")
        except OSError:
            continue
        for name in names:
            try:
                target = os.readlink(PROC / str(pid) / "fd" / name)
            except OSError:
                continue
            if target.startswith("socket:["):
                sockets.add(target[8:-1])
    ports: set[int] = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = (PROC / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            columns = line.split()
            if columns[3] == LISTEN and columns[9] in sockets:
                ports.add(int(columns[1].rsplit(":", 1)[1], 16))
    return ports


def _listening_by_lsof(pids: Iterable[int]) -> set[int]:
    listed = ",".join(str(pid) for pid in pids)
    lines = _output(["lsof", "-nP", "-a", "-iTCP", "-sTCP:LISTEN", "-Fn", "-p", listed]) if listed else []
    ends = (line.rsplit(":", 1)[-1] for line in lines if line.startswith("n"))
    return {int(end) for end in ends if end.isdigit()}


def _output(command: list[str]) -> list[str]:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.splitlines()
