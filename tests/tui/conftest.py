"""A Kubernetes API in memory behind the real KubeClient's interface, and the objects most tests look at.

The reflectors, store, renderers and screens over it are the real ones; only the wire is missing.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from textual.app import App
from textual.pilot import Pilot

from kagent_api.errors import ObjectRef
from kagent_api.kube import Access, Conflict, KubeClient, KubeError, NotFound, ObjectList, WatchEvent
from kagent_api.kube.client import PatchKind
from kagent_api.kube.resources import JsonObject, Resource
from kagent_tui.app import KagentApp
from kagent_tui.cluster.contexts import Opened
from kagent_tui.cluster.kinds import ref_of
from kagent_tui.editing.drafts import DraftStore

NOW = 1_800_000_000.0


class MemoryKube(KubeClient):
    """Objects in a dict; watches are queues. ``fail`` makes every call (or those of one plural) raise."""

    def __init__(self, *objects: JsonObject, namespace: str = "kagent", context: str = "test") -> None:
        self.access = Access("https://memory.invalid", namespace=namespace, context=context)
        self._objects: dict[tuple[str, str, str], JsonObject] = {}
        self._version = 100
        self._queues: list[tuple[str, str | None, str, str, asyncio.Queue[WatchEvent | KubeError]]] = []
        self.fail: dict[str, KubeError] = {}
        # What the SelfSubjectAccessReview says no to: (verb, plural).
        self.forbidden: set[tuple[str, str]] = set()
        self.refuse: Callable[[JsonObject], None] | None = None
        self.calls: list[str] = []
        self.log_lines: dict[str, list[str]] = {}
        for obj in objects:
            self.put(obj)

        # The gateway behind the API server's proxy, for tests that have one.
        self.web = httpx.AsyncClient(transport=httpx.MockTransport(lambda request: httpx.Response(404)))

    def http(self) -> httpx.AsyncClient:
        return self.web

    async def aclose(self) -> None:
        return None

    def put(self, obj: JsonObject) -> JsonObject:
        """Store an object as the server would, and tell the watches."""
        stored = copy.deepcopy(obj)
        meta = stored.setdefault("metadata", {})
        self._version += 1
        key = self._key(stored)
        before = self._objects.get(key)
        meta["resourceVersion"] = str(self._version)
        meta.setdefault("uid", f"uid-{key[2]}")
        meta.setdefault("creationTimestamp", "2027-01-15T07:00:00Z")
        meta.setdefault("generation", 1)
        if before is not None and before.get("spec") != stored.get("spec"):
            meta["generation"] = int(before["metadata"]["generation"]) + 1
        self._objects[key] = stored
        self._tell(WatchEvent("MODIFIED" if before else "ADDED", copy.deepcopy(stored)))
        return copy.deepcopy(stored)

    def drop(self, kind: str, namespace: str, name: str) -> None:
        found = self._objects.pop((kind, namespace, name))
        self._tell(WatchEvent("DELETED", found))

    def peek(self, kind: str, namespace: str, name: str) -> JsonObject:
        return self._objects[(kind, namespace, name)]

    def lose(self, error: KubeError) -> None:
        """Break every connection and refuse new ones."""
        self.fail["*"] = error
        for *_, queue in self._queues:
            queue.put_nowait(error)

    def recover(self) -> None:
        self.fail.clear()

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> JsonObject:
        self._called("get", resource)
        found = self._objects.get((resource.kind, namespace or "", name))
        if found is None:
            raise NotFound("not found", status=404, ref=ObjectRef(resource.kind, namespace or "", name))
        return copy.deepcopy(found)

    async def list(
        self, resource: Resource, namespace: str | None = None, *, label_selector: str = "",
        field_selector: str = "", limit: int = 500,
    ) -> ObjectList:  # fmt: skip
        self._called("list", resource)
        found = [
            copy.deepcopy(obj)
            for obj in self._objects.values()
            if _fits(obj, resource.kind, namespace, label_selector, field_selector)
        ]
        return ObjectList(found, str(self._version))

    async def watch(
        self, resource: Resource, namespace: str | None = None, *, resource_version: str = "",
        label_selector: str = "", field_selector: str = "", timeout_seconds: int = 300,
        on_open: Callable[[], None] | None = None,
    ) -> AsyncIterator[WatchEvent]:  # fmt: skip
        self._called("watch", resource)
        queue: asyncio.Queue[WatchEvent | KubeError] = asyncio.Queue()
        entry = (resource.kind, namespace, label_selector, field_selector, queue)
        self._queues.append(entry)
        if on_open is not None:
            on_open()
        try:
            while True:
                event = await queue.get()
                if isinstance(event, KubeError):
                    raise event
                yield event
        finally:
            self._queues.remove(entry)

    async def create(
        self, resource: Resource, obj: JsonObject, *, dry_run: bool = False, field_validation: str = "Strict"
    ) -> JsonObject:
        if resource.kind == "SelfSubjectAccessReview":
            wanted = obj["spec"]["resourceAttributes"]
            allowed = (wanted["verb"], wanted["resource"]) not in self.forbidden
            return {**obj, "status": {"allowed": allowed}}
        self._called("dry-run" if dry_run else "create", resource)
        self._check(obj)
        return copy.deepcopy(obj) if dry_run else self.put(obj)

    async def update(
        self, resource: Resource, obj: JsonObject, *, subresource: str = "", dry_run: bool = False,
        field_validation: str = "",
    ) -> JsonObject:  # fmt: skip
        self._called("dry-run" if dry_run else "update", resource)
        found = self._objects.get(self._key(obj))
        ref = ObjectRef(resource.kind, obj["metadata"]["namespace"], obj["metadata"]["name"])
        if found is None:
            raise NotFound("not found", status=404, ref=ref)
        if obj["metadata"].get("resourceVersion") != found["metadata"]["resourceVersion"]:
            raise Conflict("the object has been modified", status=409, ref=ref)
        self._check(obj)
        merged = {**copy.deepcopy(obj), "status": found.get("status", {})}
        merged["metadata"] = {**found["metadata"], **merged["metadata"]}
        return merged if dry_run else self.put(merged)

    async def patch(
        self, resource: Resource, name: str, body: JsonObject | list[JsonObject], namespace: str | None = None, *,
        kind: PatchKind = "merge", subresource: str = "", dry_run: bool = False,
    ) -> JsonObject:  # fmt: skip
        raise AssertionError("the dashboard does not patch")

    async def delete(
        self, resource: Resource, name: str, namespace: str | None = None, *, uid: str = "",
        propagation: str = "Background",
    ) -> JsonObject:  # fmt: skip
        self._called("delete", resource)
        self.drop(resource.kind, namespace or "", name)
        return {}

    async def logs(
        self, pod: str, namespace: str, *, container: str = "", follow: bool = False, tail_lines: int | None = None,
        since_seconds: int | None = None, previous: bool = False,
    ) -> AsyncIterator[str]:  # fmt: skip
        for line in self.log_lines.get(pod, []):
            yield line
        if follow:
            await asyncio.Event().wait()

    async def version(self) -> JsonObject:
        return {"gitVersion": "v1.36.0"}

    async def resources(self, group_version: str) -> set[str]:
        return {"agents"}

    def _called(self, verb: str, resource: Resource) -> None:
        self.calls.append(f"{verb} {resource.plural}")
        for name in ("*", resource.plural, f"{verb} {resource.plural}"):
            if name in self.fail:
                raise self.fail[name]

    def _check(self, obj: JsonObject) -> None:
        if self.refuse is not None:
            self.refuse(obj)

    def _tell(self, event: WatchEvent) -> None:
        for kind, namespace, labels, fields, queue in self._queues:
            if _fits(event.object, kind, namespace, labels, fields):
                queue.put_nowait(WatchEvent(event.type, copy.deepcopy(event.object)))

    @staticmethod
    def _key(obj: JsonObject) -> tuple[str, str, str]:
        return str(obj["kind"]), str(obj["metadata"].get("namespace", "")), str(obj["metadata"]["name"])


def _fits(obj: JsonObject, kind: str, namespace: str | None, labels: str, fields: str) -> bool:
    meta = obj["metadata"]
    if obj["kind"] != kind or (namespace and meta.get("namespace") != namespace):
        return False
    for part in filter(None, labels.split(",")):
        key, _, value = part.partition("=")
        if cast("dict[str, str]", meta.get("labels") or {}).get(key) != value:
            return False
    for part in filter(None, fields.split(",")):
        path, _, value = part.partition("=")
        node: Any = obj
        for step in path.split("."):
            node = cast("JsonObject", node).get(step, {}) if isinstance(node, dict) else {}
        if node != value:
            return False
    return True


def condition(kind: str, status: str, reason: str, message: str = "", *, generation: int = 1) -> JsonObject:
    return {
        "type": kind, "status": status, "reason": reason, "message": message, "observedGeneration": generation,
        "lastTransitionTime": "2027-01-15T07:30:00Z",
    }  # fmt: skip


def agent(name: str, *, ready: str = "True", namespace: str = "kagent", **declarative: Any) -> JsonObject:
    reason = {"True": "DeploymentReady", "False": "DeploymentNotReady"}.get(ready, "DeploymentNotFound")
    return {
        "apiVersion": "kagent.dev/v1alpha2",
        "kind": "Agent",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": {
            "type": "Declarative",
            "description": f"The agent {name}.",
            "declarative": {"modelConfig": "default-model-config", "systemMessage": "You help.\n", **declarative},
        },
        "status": {
            "observedGeneration": 1,
            "conditions": [
                condition("Accepted", "True", "Reconciled", "Agent configuration accepted"),
                condition("Ready", ready, reason, "0/1 pods are ready" if ready == "False" else ""),
            ],
        },
    }


def model(name: str = "default-model-config", *, note: str = "", secret: str = "") -> JsonObject:
    annotations = {"kagent-tui.dev/model-note": note} if note else {}
    keys = {"apiKeySecret": secret, "apiKeySecretKey": "API_KEY"} if secret else {}
    return {
        "apiVersion": "kagent.dev/v1alpha2",
        "kind": "ModelConfig",
        "metadata": {"name": name, "namespace": "kagent", "annotations": annotations},
        "spec": {"provider": "OpenAI", "model": "gpt-5-mini", **keys},
        "status": {"conditions": [condition("Accepted", "True", "ModelConfigReconciled")]},
    }


def remote(name: str, *tools: str, accepted: str = "True", message: str = "") -> JsonObject:
    return {
        "apiVersion": "kagent.dev/v1alpha2",
        "kind": "RemoteMCPServer",
        "metadata": {"name": name, "namespace": "kagent"},
        "spec": {"description": "Tools.", "protocol": "STREAMABLE_HTTP", "url": f"http://{name}.kagent:8000/mcp"},
        "status": {
            "conditions": [
                condition("Accepted", accepted, "Reconciled" if accepted == "True" else "ReconcileFailed", message)
            ],
            "discoveredTools": [{"name": tool, "description": f"Does {tool}."} for tool in tools],
        },
    }


def stdio(name: str, *, ready: str = "True") -> JsonObject:
    return {
        "apiVersion": "kagent.dev/v1alpha1",
        "kind": "MCPServer",
        "metadata": {"name": name, "namespace": "kagent"},
        "spec": {"transportType": "stdio", "deployment": {"cmd": "uvx", "args": ["mcp-server-time"], "port": 3000}},
        "status": {
            "conditions": [
                condition("Accepted", "True", "Accepted"),
                condition("Ready", ready, "Available" if ready == "True" else "NotAvailable"),
            ]
        },
    }


def tool_of(server: str, kind: str, *names: str) -> JsonObject:
    return {
        "type": "McpServer",
        "mcpServer": {"apiGroup": "kagent.dev", "kind": kind, "name": server, "toolNames": list(names)},
    }


def event(name: str, kind: str, reason: str, message: str, *, kind_of: str = "Warning") -> JsonObject:
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{name}.{reason}".lower(), "namespace": "kagent"},
        "involvedObject": {"kind": kind, "name": name, "namespace": "kagent"},
        "reason": reason,
        "message": message,
        "type": kind_of,
        "count": 3,
        "lastTimestamp": "2027-01-15T07:55:00Z",
    }


def sample() -> list[JsonObject]:
    """A small cluster with something wrong in it, and Chinese in it."""
    return [
        agent("time", tools=[tool_of("clock", "MCPServer")]),
        agent("k8s-agent", tools=[tool_of("k8s", "RemoteMCPServer", "get_pods", "get_logs")]),
        agent("coordinator", ready="False", tools=[{"type": "Agent", "agent": {"name": "time"}},
                                                   {"type": "Agent", "agent": {"name": "k8s-agent"}}]),
        agent("客服助手", systemMessage="你是一个有用的助手。\n"),
        agent("lost", modelConfig="nowhere"),
        model(note="scripted offline model"),
        model("qwen", secret="dashscope"),
        remote("k8s", "get_pods", "get_logs", "describe"),
        remote("broken", accepted="False", message="connection refused at http://broken.kagent:8000/mcp"),
        stdio("clock"),
        event("coordinator", "Agent", "DeploymentNotReady", "0/1 pods are ready"),
    ]  # fmt: skip


class Samples:
    """The factories above, for tests (importlib mode has no imports between test modules)."""

    NOW = NOW
    agent = staticmethod(agent)
    model = staticmethod(model)
    remote = staticmethod(remote)
    stdio = staticmethod(stdio)
    tool_of = staticmethod(tool_of)
    event = staticmethod(event)
    condition = staticmethod(condition)
    all = staticmethod(sample)
    kube = MemoryKube


class DictWorld:
    """A world for renderers: objects by reference."""

    def __init__(self, *objects: JsonObject) -> None:
        self._objects = {ref_of(obj): obj for obj in objects}

    def find(self, ref: ObjectRef) -> JsonObject | None:
        return self._objects.get(ref)


@pytest.fixture
def samples() -> type[Samples]:
    return Samples


@pytest.fixture
def world() -> Callable[..., DictWorld]:
    return DictWorld


@pytest.fixture
def kube() -> MemoryKube:
    return MemoryKube(*sample())


@pytest.fixture
def drafts(tmp_path: Path) -> DraftStore:
    return DraftStore(tmp_path / "drafts")


@pytest.fixture
def app(kube: MemoryKube, drafts: DraftStore) -> KagentApp:
    """The real application on the sample cluster."""
    return KagentApp(opener=lambda options: Opened(kube, options.namespaces), drafts=drafts, clock=lambda: NOW)


async def settled(pilot: Pilot[int], until: Callable[[], bool]) -> None:
    """Wait for a state of the screen, bounded."""
    async with asyncio.timeout(30):
        while not until():
            await pilot.pause(0.02)
    await pilot.pause()


def screen_text(shown: App[int]) -> str:
    """Return what is on the screen, without colours and trailing spaces."""
    strips = shown.screen._compositor.render_strips()  # pyright: ignore[reportPrivateUsage] - nothing public gives text
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips).rstrip() + "\n"


@pytest.fixture
def until() -> Callable[[Pilot[int], Callable[[], bool]], Awaitable[None]]:
    return settled


@pytest.fixture
def text_of() -> Callable[[App[int]], str]:
    return screen_text
