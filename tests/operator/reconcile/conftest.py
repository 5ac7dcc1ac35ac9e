"""A cluster in memory: enough of an API server for the reconcilers, real reflectors included, and no kubelet."""

from __future__ import annotations

import asyncio
import base64
import copy
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from kagent_api.kube import AlreadyExists, Conflict, KubeClient, NotFound, ObjectList, Resource, WatchEvent
from kagent_operator.errors import DiscoveryFailed
from kagent_operator.reconcile import Operator
from kagent_operator.reconcile.discovery import Target, Tool
from kagent_operator.translate import Settings

JsonObject = dict[str, Any]
_CONDITIONS_WAIT = 60.0  # a loaded machine


class FakeCluster:
    """Objects with versions and generations, watches, owner-reference collection, and a count of writes."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], JsonObject] = {}
        self.writes: list[tuple[str, str, str]] = []
        self.refuse: Callable[[str, str, str], Exception | None] = lambda verb, kind, name: None
        self._versions = itertools.count(1)
        self._version = 0
        self._watchers: list[tuple[str, str | None, asyncio.Queue[WatchEvent]]] = []

    # The part that KubeClient has as well.

    async def list(
        self, resource: Resource, namespace: str | None = None, *, label_selector: str = "", **_: object
    ) -> ObjectList:
        label, _equals, value = label_selector.partition("=")
        items = [
            copy.deepcopy(obj)
            for (kind, where, _), obj in self.objects.items()
            if kind == resource.kind and namespace in (None, where)
            if not label or obj["metadata"].get("labels", {}).get(label) == value
        ]
        return ObjectList(items, str(self._version))

    async def watch(self, resource: Resource, namespace: str | None = None, **_: object) -> AsyncIterator[WatchEvent]:
        queue: asyncio.Queue[WatchEvent] = asyncio.Queue()
        entry = (resource.kind, namespace, queue)
        self._watchers.append(entry)
        try:
            while True:
                yield await queue.get()
        finally:
            self._watchers.remove(entry)

    async def create(self, resource: Resource, obj: JsonObject) -> JsonObject:
        made = copy.deepcopy(obj)
        made.update(apiVersion=resource.api_version, kind=resource.kind)
        meta = made["metadata"]
        self._guard("create", resource.kind, meta["name"])
        key = (resource.kind, meta.get("namespace", ""), meta["name"])
        if key in self.objects:
            raise AlreadyExists(f"{key} exists", status=409)
        meta.update(uid=f"uid-{next(self._versions)}", generation=1, creationTimestamp="2026-01-01T00:00:00Z")
        if resource.kind not in {"Secret", "ConfigMap"}:
            made.pop("status", None)
        self.writes.append(("create", resource.kind, meta["name"]))
        return self._store("ADDED", key, _defaulted(made))

    async def update(self, resource: Resource, obj: JsonObject) -> JsonObject:
        meta = obj["metadata"]
        self._guard("update", resource.kind, meta["name"])
        key = (resource.kind, meta.get("namespace", ""), meta["name"])
        live = self._find(key)
        if meta.get("resourceVersion") != live["metadata"]["resourceVersion"]:
            raise Conflict("changed meanwhile", status=409)
        self.writes.append(("update", resource.kind, meta["name"]))
        fresh = _defaulted(copy.deepcopy(obj))
        if "status" in live:
            fresh["status"] = live["status"]
        return self._replace(key, fresh)

    async def patch(
        self,
        resource: Resource,
        name: str,
        body: JsonObject,
        namespace: str | None = None,
        *,
        subresource: str = "",
        **_: object,
    ) -> JsonObject:
        self._guard("patch", resource.kind, name)
        key = (resource.kind, namespace or "", name)
        fresh = _merge(copy.deepcopy(self._find(key)), body)
        self.writes.append(("patch " + subresource, resource.kind, name))
        return self._replace(key, fresh)

    async def delete(
        self, resource: Resource, name: str, namespace: str | None = None, *, uid: str = "", **_: object
    ) -> JsonObject:
        key = (resource.kind, namespace or "", name)
        live = self._find(key)
        assert uid in ("", live["metadata"]["uid"])
        self.writes.append(("delete", resource.kind, name))
        return self._remove(key)

    # What tests do.

    def get(self, kind: str, name: str, namespace: str = "kagent") -> JsonObject:
        return copy.deepcopy(self._find((kind, namespace, name)))

    def has(self, kind: str, name: str, namespace: str = "kagent") -> bool:
        return (kind, namespace, name) in self.objects

    async def put(self, obj: JsonObject) -> JsonObject:
        """Create or replace, as kubectl apply of the whole object would; not counted as a write of the operator."""
        kind, meta = obj["kind"], obj["metadata"]
        meta.setdefault("namespace", "kagent")
        group, _, version = obj["apiVersion"].rpartition("/")
        resource = Resource(group, version, kind.lower() + "s", kind)
        count = len(self.writes)
        key = (kind, meta["namespace"], meta["name"])
        if key in self.objects:
            live = self.objects[key]
            fresh = {**copy.deepcopy(obj), **({"status": live["status"]} if "status" in live else {})}
            fresh["metadata"] = {**live["metadata"], **copy.deepcopy(meta)}
            done = self._replace(key, fresh)
        else:
            done = await self.create(resource, obj)
        del self.writes[count:]
        return done

    def remove(self, kind: str, name: str, namespace: str = "kagent") -> None:
        self._remove((kind, namespace, name))

    def set_status(self, kind: str, name: str, status: JsonObject, namespace: str = "kagent") -> None:
        key = (kind, namespace, name)
        self._replace(key, {**copy.deepcopy(self._find(key)), "status": status})

    def roll_out(self, name: str) -> None:
        """Be the controllers of Deployments: everything wanted runs."""
        generation = self.get("Deployment", name)["metadata"]["generation"]
        counts = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas", "readyReplicas"), 1)
        self.set_status("Deployment", name, {"observedGeneration": generation, **counts})

    def condition(self, kind: str, name: str, condition: str) -> JsonObject:
        for entry in self.get(kind, name).get("status", {}).get("conditions", []):
            if entry["type"] == condition:
                return cast(JsonObject, entry)
        return {"status": "", "reason": "", "message": ""}

    def _guard(self, verb: str, kind: str, name: str) -> None:
        error = self.refuse(verb, kind, name)
        if error is not None:
            raise error

    def _find(self, key: tuple[str, str, str]) -> JsonObject:
        if key not in self.objects:
            raise NotFound(f"{key} not found", status=404)
        return self.objects[key]

    def _replace(self, key: tuple[str, str, str], fresh: JsonObject) -> JsonObject:
        live = self.objects[key]
        if _content(fresh) != _content(live):
            fresh["metadata"]["generation"] = live["metadata"]["generation"] + 1
        if fresh == live:
            return copy.deepcopy(live)
        return self._store("MODIFIED", key, fresh)

    def _store(self, event: Any, key: tuple[str, str, str], obj: JsonObject) -> JsonObject:
        self._version = next(self._versions)
        obj["metadata"]["resourceVersion"] = str(self._version)
        self.objects[key] = obj
        self._tell(event, key, obj)
        return copy.deepcopy(obj)

    def _remove(self, key: tuple[str, str, str]) -> JsonObject:
        gone = self.objects.pop(key)
        self._tell("DELETED", key, gone)
        uid = gone["metadata"]["uid"]
        for other, obj in list(self.objects.items()):
            if any(ref["uid"] == uid for ref in obj["metadata"].get("ownerReferences", [])):
                self._remove(other)
        return gone

    def _tell(self, event: Any, key: tuple[str, str, str], obj: JsonObject) -> None:
        for kind, namespace, queue in self._watchers:
            if kind == key[0] and namespace in (None, key[1]):
                queue.put_nowait(WatchEvent(event, copy.deepcopy(obj)))


def _content(obj: JsonObject) -> JsonObject:
    return {key: value for key, value in obj.items() if key not in {"metadata", "status"}}


def _defaulted(obj: JsonObject) -> JsonObject:
    """Add some of what a real API server adds, so that comparing has to cope with it."""
    if obj["kind"] == "Deployment":
        obj["spec"].setdefault("progressDeadlineSeconds", 600)
        pod = obj["spec"]["template"]["spec"]
        pod.setdefault("restartPolicy", "Always")
        pod["serviceAccount"] = pod.get("serviceAccountName", "")
        for container in pod["containers"]:
            container.setdefault("terminationMessagePath", "/dev/termination-log")
            for variable in container.get("env", []):
                if variable.get("value") == "":
                    del variable["value"]
    elif obj["kind"] == "Service":
        obj["spec"].setdefault("clusterIP", "10.0.0.1")
        for port in obj["spec"]["ports"]:
            port.setdefault("protocol", "TCP")
    return obj


def _merge(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    merged: JsonObject = dict(cast(JsonObject, target)) if isinstance(target, dict) else {}
    for key, value in cast(JsonObject, patch).items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge(merged.get(key), value)
    return merged


class FakeServers:
    """Tool servers by address: tools, or the reason for which they do not answer."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Tool] | str] = {}
        self.asked: list[Target] = []

    async def ask(self, target: Target) -> list[Tool]:
        self.asked.append(target)
        answer = self.answers.get(target.url, "connection refused")
        if isinstance(answer, str):
            raise DiscoveryFailed(f"{target.url}: {answer}")
        return answer


class World:
    """A cluster, its tool servers, and an operator that runs on them."""

    def __init__(self) -> None:
        self.cluster = FakeCluster()
        self.servers = FakeServers()
        self.operator: Operator | None = None

    @asynccontextmanager
    async def running(
        self, settings: Settings | None = None, *, interval: float = 60.0, client: object = None
    ) -> AsyncGenerator[Operator]:
        through = cast(KubeClient, client or self.cluster)
        operator = Operator(
            through, settings or Settings(), ["kagent"], ask=self.servers.ask, refresh_interval=interval
        )
        self.operator = operator
        tasks = [asyncio.create_task(operator.watch()), asyncio.create_task(operator.reconcile())]
        try:
            async with asyncio.timeout(_CONDITIONS_WAIT):
                await operator.started.wait()
            yield operator
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def until(self, wanted: Callable[[], object]) -> None:
        """Wait for something to become true; a missing object counts as not yet."""

        def holds() -> bool:
            try:
                return bool(wanted())
            except NotFound:
                return False

        try:
            async with asyncio.timeout(_CONDITIONS_WAIT):
                # The world changes through many doors; looking again is simpler than an event at each.
                while not holds():  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise AssertionError(f"never happened; the objects are {_shown(self.cluster)}") from None

    async def settle(self) -> None:
        """Wait until nothing is left to do at once."""
        assert self.operator is not None
        quiet = 0
        async with asyncio.timeout(_CONDITIONS_WAIT):
            while quiet < 20:
                await asyncio.sleep(0)
                quiet = quiet + 1 if self.operator.controller.queue.idle else 0


def _shown(cluster: FakeCluster) -> str:
    return "\n".join(f"{key}: {obj.get('status')}" for key, obj in cluster.objects.items())


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def make_world() -> type[World]:
    """Several worlds in one test."""
    return World


def secret(name: str, **values: str) -> JsonObject:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data}
