"""``kagent-tui demo``: a throwaway local cluster with sample agents, and the dashboard on it.

The cluster lives in a temporary directory and ends with the dashboard. Model keys of the shell go into the cluster's
own Secret and are printed nowhere.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from kagent_api.kube import KubeClient, load_access
from kagent_tui.local.bootstrap import apply_all, install, operator_manifests, read_manifests
from kagent_tui.local.models import DemoModel, choose_model
from kagent_tui.local.process import ClusterProcess, free_port

__all__ = ["NAMESPACE", "run_demo", "sample_manifests"]

NAMESPACE = "kagent"


def sample_manifests(model: DemoModel) -> list[dict[str, Any]]:
    """Return the samples in the order they are applied: the model first, so that agents find it at once."""
    folder = files("kagent_tui.local.samples")
    offline = read_manifests((folder / "scripted-model.yaml").read_text(encoding="utf-8")) if model.scripted else []
    agents = read_manifests((folder / "agents.yaml").read_text(encoding="utf-8"))
    return [*offline, *model.objects(NAMESPACE), *agents]


def run_demo(
    choice: str, *, port: int | None, dashboard: Callable[[Path, str], int], say: Callable[[str], None]
) -> int:
    """Bring the demo up, run ``dashboard(kubeconfig, banner)``, take everything down again and return its exit code."""
    model = choose_model(choice, NAMESPACE, os.environ)
    say(f"model: {model.label}")
    data_dir = Path(tempfile.mkdtemp(prefix="kagent-tui-demo-"))
    previous = signal.signal(signal.SIGTERM, _interrupt)  # a plain kill takes the cluster down as Ctrl-C does
    cluster: ClusterProcess | None = None
    try:
        started = time.monotonic()
        cluster = ClusterProcess.start(data_dir, port=port or free_port())
        say(f"local cluster serving on {cluster.running.server} after {time.monotonic() - started:.1f} s")
        asyncio.run(_prepare(data_dir, model, say))
        say(f"samples applied after {time.monotonic() - started:.1f} s; opening the dashboard")
        banner = f"demo · {model.note or model.label}"
        return dashboard(cluster.running.kubeconfig, banner)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # nothing may stop the clean-up half way
        if cluster is not None:
            say("stopping the local cluster")
            cluster.stop()
        shutil.rmtree(data_dir, ignore_errors=True)
        signal.signal(signal.SIGTERM, previous)


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


async def _prepare(data_dir: Path, model: DemoModel, say: Callable[[str], None]) -> None:
    """Install the operator and apply the samples; the operator starts while they are applied."""
    state = data_dir / "operator"
    operator = asyncio.create_task(operator_manifests(NAMESPACE, state_dir=state))
    access = load_access(str(data_dir / "kubeconfig"))
    async with KubeClient(access) as client:
        await install(client, NAMESPACE, operator, step=lambda text: say(f"applying {text}"))
        say("applying the sample agents")
        await apply_all(client, sample_manifests(model), NAMESPACE)
