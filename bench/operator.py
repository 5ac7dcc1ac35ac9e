"""The operator with 1,000 agents on the local cluster's hollow node: cold start, memory, rest, a rotated key, status.

It runs as any cluster runs it: a process of its own under its ServiceAccount's token and Role.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from bench.road import Figure, mcp_server
from kagent_api.crds import crds
from kagent_api.kube import Delta, KubeClient, Reflector, Resource, load_access
from kagent_api.kube import resources as kinds
from kagent_tui.local.bootstrap import apply_all, operator_manifests, wait_for
from kagent_tui.local.process import free_port

__all__ = ["operator"]

JsonObject = dict[str, Any]
Act = Callable[[], Awaitable[None]]
_NAMESPACE = "kagent"
_AGENTS = 1_000
_MODELS = 10  # so that 100 agents use each
_SERVERS = 10
_REST_SECONDS = 60
_AT_ONCE = 16  # requests of ours in flight
_PATIENCE = 600.0
_TEMPLATE_HASH = "kagent.dev/config-hash"


def operator(rounds: int) -> list[Figure]:
    """Measure; a round of a thousand agents takes minutes, so ``rounds`` counts the short figures only."""
    with mcp_server() as tools, tempfile.TemporaryDirectory(prefix="kagent-tui-bench-") as folder:
        return asyncio.run(_measure(Path(folder), tools, max(rounds, 3) * 3))


async def _measure(folder: Path, tools: str, rounds: int) -> list[Figure]:
    with _cluster(folder) as kubeconfig:
        async with KubeClient(load_access(str(kubeconfig))) as client:
            account = _kubeconfig_with(await _install(client, folder), kubeconfig, folder / "account")
            await _at_once([client.create(resource, obj) for resource, obj in _world(tools)])
            with _operator(folder, account) as (pid, metrics):
                began = time.perf_counter()
                await _heard(client, kinds.AGENTS, _ready, _AGENTS)
                cold = time.perf_counter() - began
                cpu = _cpu(pid)
                peak, resident = _memory(pid, "VmHWM"), _memory(pid, "VmRSS")
                await _idle(metrics)
                rest = await _rest(pid)
                rotated = [await _rotated(client, number) for number in range(min(rounds, 3))]
                lags = [await _readiness(client, f"late-{number}") for number in range(rounds)]
                await _idle(metrics)
                last = _memory(pid, "VmHWM")
    return [
        Figure(f"operator: {_AGENTS} agents from cold to Ready", cold, "s", "<= 60"),
        Figure("operator: its CPU time in that", cpu, "s", ""),
        Figure(f"operator: memory with {_AGENTS} agents", resident, "MB", "< 150"),
        Figure("operator: its peak until they are Ready", peak, "MB", "< 150"),
        Figure("operator: its peak in the whole run", last, "MB", "< 150"),
        Figure(f"operator: CPU at rest with {_AGENTS} agents", rest, "%", "< 1"),
        Figure(f"operator: a changed key in {_AGENTS // _MODELS} Pod templates", max(rotated), "s", "<= 5"),
        Figure("operator: a Pod's readiness in the agent's status, median", statistics.median(lags), "s", "<= 0.5"),
        Figure("operator: the same, worst", max(lags), "s", "<= 0.5"),
    ]


def _world(tools: str) -> list[tuple[Resource, JsonObject]]:
    """Return models with their keys, tool servers, and agents that use one of each."""
    made: list[tuple[Resource, JsonObject]] = []
    for number in range(_MODELS):
        made.append((kinds.SECRETS, {**_meta(f"key-{number}"), "stringData": {"key": "v"}}))
        spec = {"provider": "OpenAI", "model": "m", "apiKeySecret": f"key-{number}", "apiKeySecretKey": "key"}
        made.append((kinds.MODELCONFIGS, {**_meta(f"model-{number}"), "spec": spec}))
    for number in range(_SERVERS):
        spec = {"description": "tells the time", "url": tools}
        made.append((kinds.REMOTEMCPSERVERS, {**_meta(f"tools-{number}"), "spec": spec}))
    return made + [(kinds.AGENTS, _agent(f"agent-{number:04}", number)) for number in range(_AGENTS)]


def _meta(name: str) -> JsonObject:
    return {"metadata": {"name": name, "namespace": _NAMESPACE}}


def _agent(name: str, number: int) -> JsonObject:
    server = {"kind": "RemoteMCPServer", "apiGroup": "kagent.dev", "name": f"tools-{number % _SERVERS}"}
    declarative = {
        "modelConfig": f"model-{number % _MODELS}",
        "systemMessage": "You help. " * 100,
        "tools": [{"type": "McpServer", "mcpServer": {**server, "toolNames": ["get_current_time"]}}],
    }
    return {**_meta(name), "spec": {"type": "Declarative", "description": "measured", "declarative": declarative}}


async def _install(client: KubeClient, folder: Path) -> str:
    """Install CRDs and the operator's rights; return a token of its ServiceAccount."""
    await apply_all(client, crds())
    for crd in crds():
        await wait_for(client, kinds.CRDS, str(crd["metadata"]["name"]), None, _established)
    await client.create(kinds.NAMESPACES, {"metadata": {"name": _NAMESPACE}})
    installed = await operator_manifests(_NAMESPACE, state_dir=folder / "state")
    await apply_all(client, [obj for obj in installed if obj["kind"] in {"ServiceAccount", "Role", "RoleBinding"}])
    path = kinds.SERVICEACCOUNTS.path(_NAMESPACE, "kagent-controller", "token")
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 7200}}
    answer = await client.http().post(client.access.server + path, json=body)
    return str(answer.json()["status"]["token"])


def _kubeconfig_with(token: str, like: Path, path: Path) -> Path:
    config = yaml.safe_load(like.read_text())
    config["users"][0]["user"] = {"token": token}
    path.write_text(yaml.safe_dump(config))
    path.chmod(0o600)
    return path


def _established(crd: JsonObject) -> str:
    conditions = crd.get("status", {}).get("conditions", [])
    good = any(each["type"] == "Established" and each["status"] == "True" for each in conditions)
    return "" if good else "not established"


async def _at_once(writes: list[Coroutine[Any, Any, object]]) -> None:
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(write: Coroutine[Any, Any, object]) -> None:
        async with gate:
            await write

    await asyncio.gather(*map(one, writes))


async def _heard(
    client: KubeClient, resource: Resource, wanted: Callable[[JsonObject], bool], count: int, *, then: Act | None = None
) -> float:
    """Return when ``count`` objects of a kind have been as wanted; ``then`` is done once they are known as they are."""
    good: set[str] = set()
    done = asyncio.Event()
    when = 0.0

    def hear(delta: Delta) -> None:
        nonlocal when
        if delta.type != "DELETED" and wanted(delta.object):
            good.add(str(delta.object["metadata"]["name"]))
        if len(good) >= count and not done.is_set():
            when = time.perf_counter()
            done.set()

    reflector = Reflector(client, resource, _NAMESPACE, on_delta=hear)
    watching = asyncio.create_task(reflector.run())
    try:
        async with asyncio.timeout(_PATIENCE):
            await reflector.synced.wait()
            if then is not None:
                await then()
            await done.wait()
    finally:
        watching.cancel()
        await asyncio.wait({watching})
    return when


def _ready(agent: JsonObject) -> bool:
    conditions = agent.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


async def _idle(metrics: str) -> None:
    """Wait until nothing is left to reconcile or to tell, twice a second apart."""
    before = -1.0
    async with asyncio.timeout(_PATIENCE):
        while True:
            figures = _metrics(await asyncio.to_thread(_read, metrics))
            now = sum(value for name, value in figures.items() if name.startswith("kagent_reconciles_total"))
            if figures["kagent_queue_depth"] + figures["kagent_events_waiting"] == 0 and now == before:
                return
            before = now
            await asyncio.sleep(1)


def _read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return str(answer.read().decode())


def _metrics(text: str) -> dict[str, float]:
    rows = (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, value in rows}


async def _rest(pid: int) -> float:
    """Return the percentage of one core that a process uses while nothing changes."""
    before = _cpu(pid)
    await asyncio.sleep(_REST_SECONDS)
    return (_cpu(pid) - before) / _REST_SECONDS * 100


async def _rotated(client: KubeClient, number: int) -> float:
    """Change the Secret of one ModelConfig; return the seconds until every template of its agents has changed."""
    mine = {f"agent-{each:04}" for each in range(number, _AGENTS, _MODELS)}
    listed = await client.list(kinds.DEPLOYMENTS, _NAMESPACE)
    before = {obj["metadata"]["name"]: _hash(obj) for obj in listed.items}
    began = 0.0

    async def change() -> None:
        nonlocal began
        began = time.perf_counter()
        await client.patch(kinds.SECRETS, f"key-{number}", {"stringData": {"key": f"rotated-{began}"}}, _NAMESPACE)

    def changed(deployment: JsonObject) -> bool:
        name = deployment["metadata"]["name"]
        return name in mine and _hash(deployment) != before[name]

    return await _heard(client, kinds.DEPLOYMENTS, changed, len(mine), then=change) - began


def _hash(deployment: JsonObject) -> str:
    return str(deployment["spec"]["template"]["metadata"]["annotations"][_TEMPLATE_HASH])


async def _readiness(client: KubeClient, name: str) -> float:
    """Make an agent; return the seconds from its Deployment's word that a Pod is ready to the agent's own."""

    def named(holds: Callable[[JsonObject], bool]) -> Callable[[JsonObject], bool]:
        return lambda obj: obj["metadata"]["name"] == name and holds(obj)

    async def make() -> None:
        await client.create(kinds.AGENTS, _agent(name, 0))

    deployment = asyncio.create_task(_heard(client, kinds.DEPLOYMENTS, named(_available), 1))
    agent = await _heard(client, kinds.AGENTS, named(_ready), 1, then=make)
    return max(0.0, agent - await deployment)


def _available(deployment: JsonObject) -> bool:
    return bool(deployment.get("status", {}).get("availableReplicas"))


@contextmanager
def _cluster(folder: Path) -> Generator[Path]:
    """Serve a local cluster whose Pods are Ready without processes; its administrator's kubeconfig."""
    images = folder / "images.json"
    images.write_text('{"rules": []}')
    argv = [sys.executable, "-m", "kagent_localcluster", "serve", "--data-dir", str(folder / "data"), "--port"]
    argv += [str(free_port()), "--image-map", str(images), "--node", "hollow"]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield Path(json.loads(process.stdout.readline())["kubeconfig"])
    finally:
        process.terminate()
        process.wait(60)


@contextmanager
def _operator(folder: Path, kubeconfig: Path) -> Generator[tuple[int, str]]:
    """Run the operator; its process id and where its metrics are."""
    http, health = free_port(), free_port()
    argv = [sys.executable, "-m", "kagent_operator", "run", "--kubeconfig", str(kubeconfig)]
    argv += ["--watch-namespaces", _NAMESPACE, "--data-dir", str(folder / "state"), "--log-level", "warning"]
    argv += ["--http-address", f"127.0.0.1:{http}", "--health-address", f"127.0.0.1:{health}"]
    with (folder / "operator.log").open("wb") as log:
        process = subprocess.Popen(argv, stderr=log, env={**os.environ, "KAGENT_NAMESPACE": _NAMESPACE})
    try:
        yield process.pid, f"http://127.0.0.1:{health}/metrics"
    finally:
        process.terminate()
        process.wait(60)
        sys.stderr.write((folder / "operator.log").read_text()[-2000:])


def _cpu(pid: int) -> float:
    """Return the CPU seconds a process has used, from /proc."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int, field: str) -> float:
    """Return a figure of /proc/PID/status in MB (10^6 bytes)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError(f"no {field} for process {pid}")
