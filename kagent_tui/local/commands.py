"""The verbs of ``kagent-tui local``: up, down, status, reset, kubeconfig. Text goes out through ``say``."""

from __future__ import annotations

import asyncio
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from kagent_api.kube import KubeClient, load_access
from kagent_api.kube import resources as kinds
from kagent_api.names import CONTROLLER_NAME, CONTROLLER_NAMESPACE, CONTROLLER_PORT, VERSION
from kagent_tui.local.bootstrap import install, operator_manifests, wait_available
from kagent_tui.local.process import (
    ClusterProcess,
    LocalClusterError,
    Node,
    Running,
    find_running,
    stop_running,
)

__all__ = ["down", "kubeconfig", "reset", "status", "up"]

Say = Callable[[str], None]


def up(data_dir: Path, *, port: int, node: Node, detach: bool, out: Say, progress: Say) -> int:
    """Bring the cluster up; in the foreground until it is stopped, or detached until the operator is ready."""
    if running := find_running(data_dir):
        out(f"already running (process {running.pid})\n")
        out(_addresses(running))
        return 0
    cluster = ClusterProcess.start(data_dir, port=port, node=node, tied=not detach)
    progress(f"API server on {cluster.running.server}")
    try:
        asyncio.run(_bring_up(data_dir, progress))
    except BaseException:
        cluster.stop()
        raise
    out(_addresses(cluster.running))
    if detach:
        return 0
    return _stay(cluster, progress)


async def _bring_up(data_dir: Path, progress: Say) -> None:
    manifests = asyncio.create_task(operator_manifests(CONTROLLER_NAMESPACE, state_dir=data_dir / "operator"))
    async with KubeClient(load_access(str(data_dir / "kubeconfig"))) as client:
        await install(client, CONTROLLER_NAMESPACE, manifests, step=progress)
        progress("waiting for the operator")
        await wait_available(client, CONTROLLER_NAMESPACE)


def _stay(cluster: ClusterProcess, progress: Say) -> int:
    """Wait for Ctrl-C, a plain kill, or the cluster's own end."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    try:
        code = cluster.wait()
    except KeyboardInterrupt:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        progress("stopping")
        cluster.stop()
        return 0
    raise LocalClusterError(
        f"the local cluster ended by itself (exit code {code})", remedy=f"see {cluster.running.log}"
    )


def down(data_dir: Path, *, out: Say) -> int:
    """End a detached cluster and return when its last process has ended."""
    running = find_running(data_dir)
    if running is None:
        out(f"no local cluster runs on {data_dir}\n")
        return 0
    stop_running(running)
    out("stopped\n")
    return 0


def reset(data_dir: Path, *, confirm: Callable[[str], bool], out: Say) -> int:
    """Stop the cluster and remove everything it holds."""
    if not data_dir.exists():
        out(f"nothing to remove: {data_dir} does not exist\n")
        return 0
    if not (data_dir / "images.json").exists():
        raise LocalClusterError(f"{data_dir} is not the data directory of a local cluster; nothing was removed")
    if not confirm(f"Remove every resource and session of the local cluster in {data_dir}?"):
        out("nothing was removed\n")
        return 1
    if running := find_running(data_dir):
        stop_running(running)
    shutil.rmtree(data_dir)
    out(f"removed {data_dir}\n")
    return 0


def status(data_dir: Path, *, out: Say) -> int:
    """Print whether the cluster runs and its operator is available; 0 when both, else 1."""
    running = find_running(data_dir)
    if running is None:
        out(f"not running (data directory {data_dir}); start it: kagent-tui local up\n")
        return 1
    operator, agents = asyncio.run(_look(data_dir))
    uptime = int(time.time() - running.started)
    out(f"{'Running':<13}yes (process {running.pid}, {uptime} s)\n{'Operator':<13}{operator}\n{'Agents':<13}{agents}\n")
    out(_addresses(running))
    return 0 if operator == "available" else 1


async def _look(data_dir: Path) -> tuple[str, str]:
    async with KubeClient(load_access(str(data_dir / "kubeconfig"))) as client:
        deployments = await client.list(kinds.DEPLOYMENTS, CONTROLLER_NAMESPACE)
        agents = await client.list(kinds.AGENTS)
    controller = next((each for each in deployments.items if each["metadata"]["name"] == CONTROLLER_NAME), None)
    available = bool(controller and controller.get("status", {}).get("availableReplicas", 0))
    ready = sum(
        any(
            c.get("type") == "Ready" and c.get("status") == "True"
            for c in agent.get("status", {}).get("conditions", [])
        )
        for agent in agents.items
    )
    return ("available" if available else "not available"), f"{ready} of {len(agents.items)} ready"


def kubeconfig(data_dir: Path, *, out: Say) -> int:
    """Print the path of the cluster's kubeconfig.

    Raises:
        LocalClusterError: there is none yet.
    """
    path = data_dir / "kubeconfig"
    if not path.exists():
        raise LocalClusterError(
            f"there is no kubeconfig in {data_dir}", remedy="start the cluster: kagent-tui local up"
        )
    out(f"{path}\n")
    return 0


def _addresses(running: Running) -> str:
    """Return the aligned block of addresses that ``up`` prints."""
    gateway = f"/api/v1/namespaces/{CONTROLLER_NAMESPACE}/services/{CONTROLLER_NAME}:{CONTROLLER_PORT}/proxy/"
    lines = (
        ("Version", VERSION),
        ("API server", running.server),
        ("Gateway", f"{running.server}{gateway}"),
        ("Kubeconfig", str(running.kubeconfig)),
        ("Data", str(running.data_dir)),
        ("Log", str(running.log)),
        ("Dashboard", f"kagent-tui --kubeconfig {running.kubeconfig} -n {CONTROLLER_NAMESPACE}"),
        ("kubectl", f"KUBECONFIG={running.kubeconfig} kubectl get agents -n {CONTROLLER_NAMESPACE}"),
    )
    return "".join(f"{name:<13}{value}\n" for name, value in lines)
