"""The dashboard in a real terminal over a cluster in memory: first frame, key to frame, updates, idling, memory.

The cluster is a KubeClient without a wire, so that what is measured is the program and not an API server beside it.
Run as a program with a number of agents and of updates a second, this module is the program under measurement.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import random
import select
import signal
import statistics
import struct
import sys
import termios
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from bench.road import Figure
from kagent_api.kube import Access, KubeClient, ObjectList, WatchEvent
from kagent_api.kube.resources import Resource

__all__ = ["dashboard"]

_SIZE = (50, 160)
# Rows that are on the screen from the first frame on.
_VISIBLE = 40


class _Memory(KubeClient):
    """Agents in a list; a watch changes the condition of one of them at a rate."""

    def __init__(self, agents: int, updates: float) -> None:
        self.access = Access("https://memory.invalid", namespace="bench", context="bench")
        self._agents = [_agent(number) for number in range(agents)]
        self._updates = updates

    async def aclose(self) -> None:
        return None

    async def list(
        self, resource: Resource, namespace: str | None = None, *, label_selector: str = "", field_selector: str = "",
        limit: int = 500,
    ) -> ObjectList:  # fmt: skip
        return ObjectList(list(self._agents) if resource.kind == "Agent" else [], "1")

    async def create(
        self, resource: Resource, obj: dict[str, Any], *, dry_run: bool = False, field_validation: str = "Strict"
    ) -> dict[str, Any]:
        return {**obj, "status": {"allowed": True}}  # what a SelfSubjectAccessReview is answered

    async def watch(
        self, resource: Resource, namespace: str | None = None, *, resource_version: str = "",
        label_selector: str = "", field_selector: str = "", timeout_seconds: int = 300,
        on_open: Callable[[], None] | None = None,
    ) -> AsyncIterator[WatchEvent]:  # fmt: skip
        if on_open is not None:
            on_open()
        picks = random.Random(1)
        number = 0
        while resource.kind == "Agent" and self._updates:
            await asyncio.sleep(1 / self._updates)
            number += 1
            yield WatchEvent("MODIFIED", _agent(picks.randrange(_VISIBLE), number))
        await asyncio.Event().wait()


def _agent(number: int, ready: int = 0) -> dict[str, Any]:
    message = f"Deployment is not ready, {ready % 90}/90 pods are ready"
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {
        "apiVersion": "kagent.dev/v1alpha2", "kind": "Agent",
        "metadata": {"name": f"agent-{number:05}", "namespace": "bench", "resourceVersion": str(ready + 1),
                     "generation": 1, "uid": f"u{number}",
                     "creationTimestamp": "2026-01-01T00:00:00Z", "labels": {"app": "bench"}},
        "spec": {"type": "Declarative", "declarative": {"modelConfig": "m", "systemMessage": "You help.\n"}},
        "status": {"conditions": [
            {"type": "Accepted", "status": "True", "reason": "Reconciled", "observedGeneration": 1},
            {"type": "Ready", "status": "False", "reason": "DeploymentNotReady", "message": message,
             "observedGeneration": 1, "lastTransitionTime": since},
        ]},
    }  # fmt: skip


class _Program:
    """The dashboard in a pty; bytes are counted, not drawn."""

    def __init__(self, agents: int, updates: float) -> None:
        self.started = time.perf_counter()
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
            os.execvpe(
                sys.executable, [sys.executable, "-m", "bench.dashboard", str(agents), str(updates)], environment
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
    figures: list[Figure] = []
    for agents, memory in ((1_000, "<= 75"), (10_000, "<= 130")):
        figures += _still(agents, rounds, memory)
        figures += _busy(agents)
    return figures


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
    program.bytes_in(2.0)
    cpu = program.cpu
    idle = program.bytes_in(10.0)
    used = program.cpu - cpu
    figures = [
        Figure(f"{agents:,} agents: first rows", statistics.median(frames) * 1000, "ms", "<= 600"),
        *_key_figures(f"{agents:,} agents, idle: g/G to frame", keys, "<= 35/55"),
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


def _run(agents: int, updates: float) -> int:
    from kagent_tui.app import KagentApp
    from kagent_tui.cluster.contexts import Opened

    client = _Memory(agents, updates)
    app = KagentApp(opener=lambda options: Opened(client, ()))
    app.run(mouse=False)
    return 0


if __name__ == "__main__":
    sys.exit(_run(int(sys.argv[1]), float(sys.argv[2])))
