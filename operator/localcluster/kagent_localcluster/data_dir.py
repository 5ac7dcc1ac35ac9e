"""One running local cluster per data directory, and nothing left of the one before.

The lock is the kernel's (flock), so that no crash leaves it behind. The mark is a random word that stands in the
environment of every process started from this data directory: after a crash, what carries it is ended before the next
start serves.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import secrets
import signal
import time
from pathlib import Path

from kagent_localcluster.errors import LocalClusterError
from kagent_localcluster.runner.processes import alive, descendants, marked, send

__all__ = ["MARK", "DataDir", "DataDirInUse"]

MARK = "LOCALCLUSTER_DATA"
ENDING_PATIENCE = 10.0  # how long a start waits for a cluster that is just ending
TERM_PATIENCE, KILL_PATIENCE = 1.0, 2.0
POLL = 0.02


class DataDirInUse(LocalClusterError):
    """Another local cluster runs on this data directory."""

    def __init__(self, path: Path, pid: int) -> None:
        self.path = path
        self.pid = pid
        super().__init__(
            f"data directory {path} is in use by a local cluster that runs as process {pid}; "
            "stop that one first, or choose another --data-dir"
        )


class DataDir:
    """A data directory held by this process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = -1

    async def acquire(self) -> None:
        """Make the directory if needed and take its lock.

        Raises:
            DataDirInUse: another process holds it and is not about to end.
            OSError: the directory cannot be made or written.
        """
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + ENDING_PATIENCE
        while not self._try_lock():
            holder = self._holder()
            if not holder.get("ending") or time.monotonic() > deadline:
                os.close(self._lock)
                self._lock = -1
                raise DataDirInUse(self.path, int(holder.get("pid", 0)))
            await asyncio.sleep(0.05)
        self._note(ending=False)

    def note_ending(self) -> None:
        """Let a following start know that this one is ending."""
        self._note(ending=True)

    def release(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    @property
    def mark(self) -> str:
        """The word in the environment of everything started from this directory."""
        path = self.path / "mark"
        if path.exists() and (word := path.read_text().strip()):
            return word
        word = secrets.token_hex(12)
        path.write_text(word)
        return word

    async def reclaim(self) -> int:
        """End what a crashed run left; returns how many processes that were."""
        left = self._left_over()
        count = len(left)
        send(left, signal.SIGTERM)
        left = await _wait_until_gone(left, TERM_PATIENCE)
        left = alive(left | self._left_over())
        send(left, signal.SIGKILL)
        await _wait_until_gone(left, KILL_PATIENCE)
        return count

    def _left_over(self) -> set[int]:
        carriers = marked(f"{MARK}={self.mark}")
        return (carriers | descendants(carriers)) - {os.getpid(), os.getppid()} if carriers else set()

    def _try_lock(self) -> bool:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _note(self, *, ending: bool) -> None:
        if self._lock >= 0:
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, json.dumps({"pid": os.getpid(), "ending": ending}).encode(), 0)

    def _holder(self) -> dict[str, int]:
        try:
            return json.loads(os.pread(self._lock, 4_096, 0) or b"{}")
        except json.JSONDecodeError:
            return {}


async def _wait_until_gone(pids: set[int], seconds: float) -> set[int]:
    left = alive(pids)
    for _ in range(int(seconds / POLL)):
        if not left:
            break
        await asyncio.sleep(POLL)
        left = alive(pids)
    return left
