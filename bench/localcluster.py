"""The local cluster: cold start, writes, lists, watchers, memory; beside a real kube-apiserver where one is built."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

import kagent_localcluster.supervisor
from bench.road import Figure
from kagent_api.crds import crds
from kagent_tui.local.process import free_port

__all__ = ["localcluster"]

_COUNT = 1_000
_WATCHERS = 100
_UPDATES = 100
# What a burst took goes back to the system within 5 seconds.
_SETTLING = 6.0
_AGENTS = "/apis/kagent.dev/v1alpha2/namespaces/default/agents"
_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def localcluster(rounds: int) -> list[Figure]:
    """Measure the local cluster with the hollow node; the real server's creates stand beside ours where it is built."""
    start: list[float] = []
    for _ in range(rounds):
        with _local() as (_config, seconds, _pid):
            start.append(seconds)
    with _local() as (config, _seconds, pid):
        figures = asyncio.run(_measure(config))
        time.sleep(_SETTLING)
        memory = _tree_rss(pid)
    goal = "<= 4"
    found = [
        Figure("local cluster: cold start until it serves", statistics.median(start), "s", "<= 0.6"),
        Figure(f"local cluster: {_COUNT} agents created", figures["create"], "s", goal),
        Figure(f"local cluster: list of {_COUNT} agents", figures["list"] * 1000, "ms", "< 60"),
        Figure(f"local cluster: {_WATCHERS} watchers, {_UPDATES} updates, last heard", figures["watch"], "s", "<= 1.2"),
        Figure(f"local cluster: memory with {_COUNT} agents, their Deployments, Pods", memory, "MB", "< 80"),
    ]
    if (assets := _assets()) is not None:
        with _real(assets) as config:
            real = asyncio.run(_measure(config, watching=False))
        ratio = figures["create"] / real["create"]
        found.append(Figure(f"real kube-apiserver: {_COUNT} agents created", real["create"], "s", ""))
        found.append(Figure("local cluster: creates, times the real server's", ratio, "", "<= 2"))
        found.append(Figure(f"real kube-apiserver: list of {_COUNT} agents", real["list"] * 1000, "ms", ""))
    return found


def _agent(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "kagent.dev/v1alpha2",
        "kind": "Agent",
        "metadata": {"name": name},
        "spec": {
            "type": "Declarative",
            "description": "measured",
            "declarative": {"modelConfig": "default-model-config", "systemMessage": "You help. " * 100},
        },
    }


async def _measure(config: dict[str, Any], *, watching: bool = True) -> dict[str, float]:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    limits = httpx.Limits(max_connections=200, max_keepalive_connections=200)
    async with httpx.AsyncClient(
        base_url=config["server"], headers={"Authorization": f"Bearer {config['token']}"}, verify=context,
        trust_env=False, timeout=60, limits=limits,
    ) as client:  # fmt: skip
        for crd in crds():
            (await client.post(_CRDS, json=crd)).raise_for_status()
        while (await client.get(_AGENTS)).status_code != 200:  # noqa: ASYNC110 - a foreign server can only be polled
            await asyncio.sleep(0.05)
        begin = time.perf_counter()
        for index in range(_COUNT):
            (await client.post(_AGENTS, json=_agent(f"agent-{index:04}"))).raise_for_status()
        found = {"create": time.perf_counter() - begin}
        lists: list[float] = []
        for _ in range(5):
            begin = time.perf_counter()
            (await client.get(_AGENTS)).raise_for_status()
            lists.append(time.perf_counter() - begin)
        found["list"] = statistics.median(lists)
        if watching:
            found["watch"] = await _watchers(client)
            await _deployments(client)
        return found


async def _watchers(client: httpx.AsyncClient) -> float:
    """Return the seconds from the first of the updates, sent over a second, until every watcher heard the last."""
    version = (await client.get(_AGENTS, params={"limit": 1})).json()["metadata"]["resourceVersion"]
    listening = asyncio.Semaphore(0)

    async def watch() -> None:
        heard = 0
        params = {"watch": "true", "resourceVersion": version}
        async with client.stream("GET", _AGENTS, params=params) as answer:
            listening.release()
            async for chunk in answer.aiter_bytes():
                heard += chunk.count(b'{"type":"MODIFIED"')
                if heard >= _UPDATES:
                    return

    async with asyncio.TaskGroup() as group:
        for _ in range(_WATCHERS):
            group.create_task(watch())
        for _ in range(_WATCHERS):
            await listening.acquire()
        begin = time.perf_counter()
        for index in range(_UPDATES):
            body = json.dumps({"metadata": {"labels": {"round": str(index)}}})
            headers = {"Content-Type": "application/merge-patch+json"}
            answer = await client.patch(f"{_AGENTS}/agent-{index:04}", content=body, headers=headers)
            answer.raise_for_status()
            await asyncio.sleep(max(0.0, begin + (index + 1) / _UPDATES - time.perf_counter()))
    return time.perf_counter() - begin


async def _deployments(client: httpx.AsyncClient) -> None:
    """Give every agent a Deployment, whose Pods the hollow node makes Ready, and wait for the last."""
    path = "/apis/apps/v1/namespaces/default/deployments"
    for index in range(_COUNT):
        labels = {"agent": f"{index:04}"}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "example.dev/a:1"}]}}
        body: dict[str, Any] = {
            "metadata": {"name": f"agent-{index:04}"},
            "spec": {"selector": {"matchLabels": labels}},
        }
        body["spec"]["template"] = template
        (await client.post(path, json=body)).raise_for_status()
    async with asyncio.timeout(300):
        while True:
            items = (await client.get(path)).json()["items"]
            if sum(item.get("status", {}).get("readyReplicas", 0) for item in items) >= _COUNT:
                return
            await asyncio.sleep(0.5)


@contextmanager
def _local() -> Generator[tuple[dict[str, Any], float, int]]:
    with tempfile.TemporaryDirectory(prefix="kagent-tui-bench-") as folder:
        images = Path(folder) / "images.json"
        images.write_text('{"rules": []}')
        argv = [sys.executable, "-S", "-E", "-I", kagent_localcluster.supervisor.__file__, "--"]
        argv += [sys.executable, "-m", "kagent_localcluster", "serve", "--data-dir", f"{folder}/data", "--port"]
        argv += [str(free_port()), "--image-map", str(images), "--node", "hollow"]
        begin = time.perf_counter()
        process = subprocess.Popen(argv, stdout=subprocess.PIPE)
        assert process.stdout is not None
        try:
            said = json.loads(process.stdout.readline())
            seconds = time.perf_counter() - begin
            user = yaml.safe_load(Path(said["kubeconfig"]).read_text())["users"][0]["user"]
            yield {"server": said["server"], "token": user["token"]}, seconds, process.pid
        finally:
            process.terminate()
            process.wait(30)


def _assets() -> Path | None:
    """Return the folder of a kube-apiserver that ``make conformance`` built, None where there is none."""
    if given := os.environ.get("KUBEBUILDER_ASSETS"):
        return Path(given)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kagent-tui"
    return next((path.parent for path in sorted(cache.glob("controlplane-*/kube-apiserver"))), None)


@contextmanager
def _real(assets: Path) -> Generator[dict[str, Any]]:
    """Run etcd, with its fsyncs off, and kube-apiserver."""
    folder = Path(tempfile.mkdtemp(prefix="kagent-tui-bench-"))
    client, peer, secure = free_port(), free_port(), free_port()
    subprocess.run(["openssl", "genrsa", "-traditional", "-out", folder / "sa.key", "2048"], check=True, stderr=-3)
    (folder / "tokens.csv").write_text('bench-token,admin,admin,"system:masters"\n')
    commands = [
        [
            *(str(assets / "etcd"), "--data-dir", str(folder / "etcd"), "--unsafe-no-fsync"),
            *(f"--listen-client-urls=http://127.0.0.1:{client}", f"--advertise-client-urls=http://127.0.0.1:{client}"),
            f"--listen-peer-urls=http://127.0.0.1:{peer}",
        ],
        [
            *(str(assets / "kube-apiserver"), f"--etcd-servers=http://127.0.0.1:{client}", f"--secure-port={secure}"),
            *("--bind-address=127.0.0.1", f"--cert-dir={folder / 'certs'}", "--authorization-mode=RBAC"),
            *(f"--token-auth-file={folder / 'tokens.csv'}", "--service-cluster-ip-range=10.0.0.0/24"),
            *("--service-account-issuer=https://bench", f"--service-account-key-file={folder / 'sa.key'}"),
            f"--service-account-signing-key-file={folder / 'sa.key'}",
        ],
    ]
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for command in commands:
            processes.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        config = {"server": f"https://127.0.0.1:{secure}", "token": "bench-token"}
        _until_ready(config)
        yield config
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


def _until_ready(config: dict[str, Any]) -> None:
    deadline = time.monotonic() + 120
    with httpx.Client(verify=False, trust_env=False, headers={"Authorization": f"Bearer {config['token']}"}) as client:
        while time.monotonic() < deadline:
            try:
                if client.get(f"{config['server']}/readyz").status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.2)
    raise RuntimeError("kube-apiserver is not ready")


def _tree_rss(pid: int) -> float:
    """Return the resident memory of a process and its children in MB (10^6 bytes)."""
    total = 0.0
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            total += int(line.split()[1]) * 1024 / 1e6
    return total + sum(_tree_rss(int(child)) for child in children)
