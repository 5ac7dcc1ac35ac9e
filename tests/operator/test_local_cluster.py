"""The operator on the real local API server, under its own ServiceAccount and Role; Pods are hollow (no processes)."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from kagent_api.crds import crds
from kagent_api.kube import Access, KubeClient, NotFound, Resource, load_access
from kagent_api.kube.credentials import StaticAuthorization
from kagent_api.kube.resources import (
    AGENTS,
    CONFIGMAPS,
    CRDS,
    DEPLOYMENTS,
    EVENTS,
    MCPSERVERS,
    MODELCONFIGS,
    NAMESPACES,
    REMOTEMCPSERVERS,
    ROLEBINDINGS,
    ROLES,
    SECRETS,
    SERVICEACCOUNTS,
    SERVICES,
)
from kagent_operator.manifests import Installation, manifests
from kagent_operator.reconcile import Operator
from kagent_operator.reconcile.discovery import Target, Tool
from kagent_operator.reconcile.keys import Key
from kagent_operator.translate import Settings

JsonObject = dict[str, Any]
_PATIENCE = 60.0
_RESOURCES = {
    resource.kind: resource
    for resource in (AGENTS, MODELCONFIGS, REMOTEMCPSERVERS, MCPSERVERS, SECRETS, SERVICEACCOUNTS, ROLES, ROLEBINDINGS)
}


_WRITTEN = (AGENTS, MODELCONFIGS, MCPSERVERS, DEPLOYMENTS, SERVICES, SECRETS, CONFIGMAPS, SERVICEACCOUNTS)


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something holds; the API server is another process, so there is no event to wait for."""
    async with asyncio.timeout(_PATIENCE):
        while not await holds():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


class Cluster:
    """One local cluster of one test."""

    def __init__(self, access: Access, client: KubeClient, kubeconfig: Path) -> None:
        self.access = access
        self.client = client
        self.kubeconfig = kubeconfig

    async def apply(self, obj: JsonObject) -> None:
        obj["metadata"].setdefault("namespace", "kagent")
        await self.client.apply(_RESOURCES[obj["kind"]], obj, field_manager="test", force=True)

    async def get(self, resource: Resource, name: str) -> JsonObject:
        return await self.client.get(resource, name, "kagent")

    async def condition(self, resource: Resource, name: str, kind: str) -> JsonObject:
        try:
            found = await self.get(resource, name)
        except NotFound:
            return {"status": ""}
        for condition in found.get("status", {}).get("conditions", []):
            if condition["type"] == kind:
                return condition
        return {"status": ""}

    async def until(self, resource: Resource, name: str, kind: str, status: str) -> JsonObject:
        async def holds() -> bool:
            return (await self.condition(resource, name, kind))["status"] == status

        await eventually(holds)
        return await self.condition(resource, name, kind)

    async def versions(self) -> dict[tuple[str, str], str]:
        """Return the resourceVersion of everything the operator may write."""
        found: dict[tuple[str, str], str] = {}
        for resource in _WRITTEN:
            for obj in (await self.client.list(resource, "kagent")).items:
                found[resource.kind, obj["metadata"]["name"]] = obj["metadata"]["resourceVersion"]
        return found

    async def settle(self, operator: Operator) -> None:
        """Wait until the operator has seen everything and has nothing left to do; the node is at rest by then too."""

        async def settled() -> bool:
            before, done = await self.versions(), operator.controller.reconciles.total()
            known = {
                (resource.kind, obj["metadata"]["name"]): obj["metadata"]["resourceVersion"]
                for resource in _WRITTEN
                for obj in operator.cache.list(resource.kind, "kagent")
            }
            quiet = operator.controller.queue.settled and operator.discoveries.answered
            return quiet and known == before and operator.controller.reconciles.total() == done

        await eventually(settled)

    async def operator_access(self) -> Access:
        """Return access as the operator's ServiceAccount, by a token as its Pod would get."""
        path = SERVICEACCOUNTS.path("kagent", "kagent-controller", "token")
        body: JsonObject = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        answer = await self.client.http().post(self.access.server + path, json=body)
        token = answer.json()["status"]["token"]
        return replace(self.access, credentials=StaticAuthorization(f"Bearer {token}"))


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncGenerator[Cluster]:
    image_map = tmp_path / "images.json"
    image_map.write_text('{"rules": []}')
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "kagent_localcluster", "serve", "--node", "hollow", "--port", "0"),
        *("--data-dir", str(tmp_path / "data"), "--image-map", str(image_map)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(_PATIENCE):
            told = json.loads(await process.stdout.readline())
        assert told["event"] == "serving", told
        access = load_access(told["kubeconfig"])
        async with KubeClient(access) as client:
            await client.create(NAMESPACES, {"metadata": {"name": "kagent"}})
            for crd in crds():
                await client.create(CRDS, crd)
            for obj in manifests(Installation()):
                if obj["kind"] in _RESOURCES:
                    await client.apply(_RESOURCES[obj["kind"]], obj, field_manager="test")
            yield Cluster(access, client, Path(told["kubeconfig"]))
    finally:
        process.terminate()
        async with asyncio.timeout(_PATIENCE):
            await process.wait()


@asynccontextmanager
async def _operator(cluster: Cluster, ask: Callable[[Target], Any]) -> AsyncGenerator[Operator]:
    async with KubeClient(await cluster.operator_access()) as client:
        operator = Operator(client, Settings(), ["kagent"], ask=ask)
        tasks = [asyncio.create_task(operator.watch()), asyncio.create_task(operator.reconcile())]
        try:
            yield operator
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _time_tools(_: Target) -> list[Tool]:
    return [Tool("now", "Tells the time", {"inputSchema": {"type": "object"}})]


_MODEL = {
    "apiVersion": "kagent.dev/v1alpha2",
    "kind": "ModelConfig",
    "metadata": {"name": "default-model-config"},
    "spec": {"provider": "OpenAI", "model": "m", "apiKeySecret": "key", "apiKeySecretKey": "k"},
}
_SECRET = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}, "stringData": {"k": "v"}}
_TIME = {
    "apiVersion": "kagent.dev/v1alpha1",
    "kind": "MCPServer",
    "metadata": {"name": "time"},
    "spec": {
        "transportType": "stdio",
        "stdioTransport": {},
        "deployment": {"cmd": "uvx", "args": ["mcp-server-time"]},
    },
}


def _agent(message: str = "Help.") -> JsonObject:
    tool = {"type": "McpServer", "mcpServer": {"kind": "MCPServer", "apiGroup": "kagent.dev", "name": "time"}}
    return {
        "apiVersion": "kagent.dev/v1alpha2",
        "kind": "Agent",
        "metadata": {"name": "clock"},
        "spec": {"type": "Declarative", "declarative": {"systemMessage": message, "tools": [tool]}},
    }


async def test_agents_made_before_what_they_need_become_ready_under_the_operators_own_rights(cluster: Cluster) -> None:
    async with _operator(cluster, _time_tools) as operator:
        await cluster.apply(_agent())
        missing = await cluster.until(AGENTS, "clock", "Accepted", "False")
        assert "'default-model-config'" in missing["message"]
        for obj in (_TIME, _MODEL, _SECRET):
            await cluster.apply(json.loads(json.dumps(obj)))
        await cluster.until(AGENTS, "clock", "Ready", "True")
        await cluster.until(AGENTS, "clock", "ToolsReady", "True")
        await cluster.until(MCPSERVERS, "time", "ToolsDiscovered", "True")

        async def no_problems() -> bool:
            return operator.cache.problems() == []

        await eventually(no_problems)
        generation = (await cluster.get(DEPLOYMENTS, "clock"))["metadata"]["generation"]
        await cluster.apply(_agent("Help more."))

        async def rolled_out() -> bool:
            return (await cluster.get(DEPLOYMENTS, "clock"))["metadata"]["generation"] > generation

        await eventually(rolled_out)
        ready = await cluster.until(AGENTS, "clock", "Ready", "True")
        assert ready["observedGeneration"] == 2

        async def told() -> bool:
            events = (await cluster.client.list(EVENTS, "kagent")).items
            return any(event["message"] == "Accepted: Agent configuration accepted" for event in events)

        await eventually(told)


async def test_helms_releases_are_not_kept(cluster: Cluster) -> None:
    async with _operator(cluster, _time_tools) as operator:
        await operator.started.wait()
        for name, kind in (("release", "helm.sh/release.v1"), ("after", "Opaque")):
            await cluster.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": kind})

        async def heard() -> bool:
            return operator.cache.has(Key("Secret", "kagent", "after"))

        await eventually(heard)
        assert not operator.cache.has(Key("Secret", "kagent", "release"))


async def test_a_restarted_operator_changes_nothing(cluster: Cluster) -> None:
    for obj in (_SECRET, _MODEL, _TIME):
        await cluster.apply(json.loads(json.dumps(obj)))
    await cluster.apply(_agent())
    async with _operator(cluster, _time_tools) as operator:
        await cluster.until(AGENTS, "clock", "Ready", "True")
        await cluster.until(AGENTS, "clock", "ToolsReady", "True")
        await cluster.until(MCPSERVERS, "time", "ToolsDiscovered", "True")
        await cluster.settle(operator)
    before = await cluster.versions()
    asked = asyncio.Event()

    async def ask(target: Target) -> list[Tool]:
        asked.set()
        return await _time_tools(target)

    async with _operator(cluster, ask) as operator:
        async with asyncio.timeout(_PATIENCE):
            await asked.wait()
        await cluster.settle(operator)
        assert await cluster.versions() == before


async def _served(cluster: Cluster, *, there: bool) -> None:
    async def holds() -> bool:
        try:
            await cluster.client.list(AGENTS, "kagent")
        except NotFound:
            return not there
        return there

    await eventually(holds)


async def test_definitions_that_are_missing_at_the_start_may_come_later_and_change_while_it_runs(
    cluster: Cluster,
) -> None:
    for crd in crds():
        await cluster.client.delete(CRDS, crd["metadata"]["name"])
    await _served(cluster, there=False)
    async with _operator(cluster, _time_tools) as operator:
        async with asyncio.timeout(_PATIENCE):
            await operator.started.wait()
        for crd in crds():
            await cluster.client.create(CRDS, crd)
        await _served(cluster, there=True)
        for obj in (_SECRET, _MODEL, _TIME, _agent()):
            await cluster.apply(json.loads(json.dumps(obj)))
        await cluster.until(AGENTS, "clock", "Ready", "True")
        before = (await cluster.get(DEPLOYMENTS, "clock"))["metadata"]["generation"]
        for crd in crds():
            annotations = {"metadata": {"annotations": {"upgraded": "yes"}}}
            names = {
                "spec": {"names": {**crd["spec"]["names"], "shortNames": [f"{crd['spec']['names']['plural'][:9]}x"]}}
            }
            await cluster.client.patch(CRDS, crd["metadata"]["name"], {**annotations, **names})
        await cluster.apply(_agent("Help more."))

        async def rolled_out() -> bool:
            return (await cluster.get(DEPLOYMENTS, "clock"))["metadata"]["generation"] > before

        await eventually(rolled_out)
        await cluster.until(AGENTS, "clock", "Ready", "True")


async def test_a_namespace_that_is_deleted_and_made_again_is_looked_after_as_before(cluster: Cluster) -> None:
    rights = [obj for obj in manifests(Installation(watch_namespaces=["kagent", "team"])) if obj["kind"] in _RESOURCES]

    async def fill(message: str) -> str:
        await cluster.client.create(NAMESPACES, {"metadata": {"name": "team"}})
        wanted: list[JsonObject] = [*rights, _SECRET, _MODEL, _TIME, _agent(message)]
        for obj in wanted:
            given = json.loads(json.dumps(obj))
            given["metadata"].setdefault("namespace", "team")
            await cluster.client.apply(_RESOURCES[obj["kind"]], given, field_manager="test", force=True)

        async def ready() -> bool:
            agent = await cluster.client.get(AGENTS, "clock", "team")
            conditions = {each["type"]: each["status"] for each in agent.get("status", {}).get("conditions", [])}
            return conditions.get("Ready") == "True"

        await eventually(ready)
        config = (await cluster.client.get(SECRETS, "clock", "team"))["data"]["config.json"]
        return json.loads(base64.b64decode(config))["instruction"]

    async with KubeClient(await cluster.operator_access()) as client:
        operator = Operator(client, Settings(), ["kagent", "team"], ask=_time_tools)
        tasks = [asyncio.create_task(operator.watch()), asyncio.create_task(operator.reconcile())]
        try:
            assert await fill("First.") == "First."
            await cluster.client.delete(NAMESPACES, "team")

            async def gone() -> bool:
                try:
                    await cluster.client.get(NAMESPACES, "team")
                except NotFound:
                    return True
                return False

            await eventually(gone)
            assert await fill("Second.") == "Second."
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def _start(cluster: Cluster, folder: Path, http: int, health: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "kagent_operator", "run", "--kubeconfig", str(cluster.kubeconfig)),
        *("--watch-namespaces", "kagent", "--data-dir", str(folder)),
        *("--http-address", f"127.0.0.1:{http}", "--health-address", f"127.0.0.1:{health}"),
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "NO_PROXY": "127.0.0.1"},
    )


async def test_the_program_gets_ready_serves_and_ends_cleanly(cluster: Cluster, tmp_path: Path) -> None:
    for obj in (_SECRET, _MODEL, _agent()):
        await cluster.apply(json.loads(json.dumps(obj)))
    http, health = _free_port(), _free_port()
    process = await _start(cluster, tmp_path / "state", http, health)
    async with httpx.AsyncClient(trust_env=False) as client:

        async def ready() -> bool:
            try:
                return (await client.get(f"http://127.0.0.1:{health}/readyz")).status_code == 200
            except httpx.TransportError:
                return False

        await eventually(ready)
        agents = (await client.get(f"http://127.0.0.1:{http}/api/agents")).json()["data"]
        assert [agent["agent"]["metadata"]["name"] for agent in agents] == ["clock"]
        metrics = (await client.get(f"http://127.0.0.1:{health}/metrics")).text
        assert 'kagent_agents{state="not_ready"} 1' in metrics

        second = await _start(cluster, tmp_path / "other", http, _free_port())
        async with asyncio.timeout(_PATIENCE):
            _, told = await second.communicate()
        assert second.returncode == 1
        assert f"cannot serve on 127.0.0.1:{http}" in told.decode().splitlines()[-1]
    process.terminate()
    async with asyncio.timeout(_PATIENCE):
        _, told = await process.communicate()
    assert process.returncode == 0, told.decode()


async def test_the_program_ends_when_another_controller_begins_to_write(cluster: Cluster, tmp_path: Path) -> None:
    for obj in (_SECRET, _MODEL, _TIME, _agent()):
        await cluster.apply(json.loads(json.dumps(obj)))
    process = await _start(cluster, tmp_path / "state", _free_port(), _free_port())
    await cluster.until(AGENTS, "clock", "Accepted", "True")
    async with KubeClient(cluster.access, user_agent="manager/v0.0.0 (linux/amd64)") as upstream:
        status: JsonObject = {"status": {"conditions": [], "observedGeneration": 1}}
        await upstream.patch(AGENTS, "clock", status, "kagent", subresource="status")
    async with asyncio.timeout(_PATIENCE):
        _, told = await process.communicate()
    assert process.returncode == 1
    last = told.decode().splitlines()[-1]
    assert "'manager' wrote the status of Agent kagent/clock" in last
    assert "--take-over" in last
    events = (await cluster.client.list(EVENTS, "kagent")).items
    assert "OtherController" in {event["reason"] for event in events}
