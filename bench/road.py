"""The road of the demo: cluster serving, every sample agent Ready, first usable frame."""

from __future__ import annotations

import asyncio
import os
import pty
import select
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from kagent_api.kube import KubeClient, Resource, load_access
from kagent_api.kube import resources as kinds
from kagent_tui.local.bootstrap import apply_all, install, operator_manifests
from kagent_tui.local.demo import NAMESPACE, sample_manifests
from kagent_tui.local.models import choose_model
from kagent_tui.local.process import ClusterProcess, free_port

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["Figure", "road"]

_PROGRAMS = Path(sys.executable).parent


class Figure(NamedTuple):
    """One line of the table."""

    name: str
    value: float
    unit: str
    goal: str


def road(rounds: int) -> list[Figure]:
    """Measure the demo as a person meets it."""
    serving: list[float] = []
    ready: list[float] = []
    frame: list[float] = []
    rows: list[float] = []
    stop: list[float] = []
    for _ in range(rounds):
        data_dir = Path(tempfile.mkdtemp(prefix="kagent-tui-bench-"))
        begin = time.perf_counter()
        cluster = ClusterProcess.start(data_dir, port=free_port())
        try:
            serving.append(time.perf_counter() - begin)
            asyncio.run(_samples_ready(data_dir))
            ready.append(time.perf_counter() - begin)
            asyncio.run(_servers_ready(data_dir))  # their start would be measured along with the dashboard's
            painted, named = _first_frame(data_dir / "kubeconfig")
            frame.append(painted)
            rows.append(named)
        finally:
            begin = time.perf_counter()
            cluster.stop()
            stop.append(time.perf_counter() - begin)
            shutil.rmtree(data_dir, ignore_errors=True)
    return [
        Figure("local cluster serving after its command", statistics.median(serving), "s", "<= 1"),
        Figure("every sample agent Ready after the demo's start", statistics.median(ready), "s", "<= 15"),
        Figure("dashboard: start to the first frame", statistics.median(frame), "s", "<= 0.8"),
        Figure("dashboard: start to a frame with the agents in it", statistics.median(rows), "s", ""),
        Figure("demo: everything stopped", statistics.median(stop), "s", ""),
    ]


async def _samples_ready(data_dir: Path) -> None:
    operator = asyncio.create_task(operator_manifests(NAMESPACE, state_dir=data_dir / "operator"))
    samples = sample_manifests(choose_model("scripted", NAMESPACE, {}))
    async with KubeClient(load_access(str(data_dir / "kubeconfig"))) as client:
        await install(client, NAMESPACE, operator, step=lambda _: None)
        await apply_all(client, samples, NAMESPACE)
        await _all_ready(client, kinds.AGENTS)


async def _servers_ready(data_dir: Path) -> None:
    async with KubeClient(load_access(str(data_dir / "kubeconfig"))) as client:
        await _all_ready(client, kinds.MCPSERVERS)


async def _all_ready(client: KubeClient, resource: Resource) -> None:
    """Return when every object of a kind has said Ready."""
    listed = await client.list(resource, NAMESPACE)
    waiting = {str(each["metadata"]["name"]) for each in listed.items if not _is_ready(each)}
    if not waiting:
        return
    async with asyncio.timeout(120):
        async for event in client.watch(resource, NAMESPACE, resource_version=listed.resource_version):
            if _is_ready(event.object):
                waiting.discard(str(event.object["metadata"]["name"]))
            if not waiting:
                return


def _is_ready(item: dict[str, Any]) -> bool:
    conditions = item.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _first_frame(kubeconfig: Path) -> tuple[float, float]:
    """Return the seconds from exec to the first painted table, and to the first output that names a sample agent."""
    begin = time.perf_counter()
    pid, fd = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm-256color"
        os.environ["COLUMNS"], os.environ["LINES"] = "140", "40"
        program = str(_PROGRAMS / "kagent-tui")
        os.execv(program, [program, "--kubeconfig", str(kubeconfig), "-n", NAMESPACE])
    seen = b""
    painted = 0.0
    try:
        while b"time-agent" not in seen:
            if not select.select([fd], [], [], 20)[0]:
                raise RuntimeError("the dashboard showed no agent within 20 s")
            seen += os.read(fd, 65536)
            if not painted and b"Agents" in seen:
                painted = time.perf_counter() - begin
        return painted, time.perf_counter() - begin
    finally:
        os.kill(pid, signal.SIGTERM)
        _drain(fd)
        os.waitpid(pid, 0)


def _drain(fd: int) -> None:
    try:
        while select.select([fd], [], [], 20)[0] and os.read(fd, 65536):
            pass
    except OSError:  # Linux reports the end of a pty as EIO
        pass


@contextmanager
def mcp_server() -> Generator[str]:
    """Serve mcp-server-time over streamable HTTP by our own bridge."""
    port = free_port()
    argv = [
        str(_PROGRAMS / "kagent-engine"),
        "mcp-bridge",
        "--port",
        str(port),
        "--",
        str(_PROGRAMS / "mcp-server-time"),
    ]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _until_served(f"http://127.0.0.1:{port}/health")
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.terminate()
        process.wait(20)


def _until_served(url: str) -> None:
    deadline = time.perf_counter() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except (OSError, urllib.error.URLError):
            if time.perf_counter() > deadline:
                raise
            time.sleep(0.005)
