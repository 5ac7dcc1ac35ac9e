"""What happens to an operator from outside: killed in the middle, doubled, refused, cut off, served old versions."""

from __future__ import annotations

import asyncio
import copy
import json
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal, cast

import pytest

from kagent_api.kube import Conflict, Gone, ObjectList, Resource, Unreachable, WatchEvent
from kagent_operator.reconcile.discovery import Tool
from kagent_operator.reconcile.keys import Key

JsonObject = dict[str, Any]
_KINDS = ("Agent", "ModelConfig", "RemoteMCPServer", "MCPServer")
# What differs between two runs that end the same.
_OF_A_RUN = {"resourceVersion", "uid", "creationTimestamp", "generation", "lastTransitionTime", "firstSeen", "changed"}


def _meta(name: str) -> JsonObject:
    return {"name": name, "namespace": "kagent"}


def _agent(message: str = "You help.") -> JsonObject:
    tools = [
        {"type": "McpServer", "mcpServer": {"kind": kind, "name": name, "toolNames": ["now"]}}
        for kind, name in (("RemoteMCPServer", "far"), ("MCPServer", "time"))
    ]
    return {
        "apiVersion": "kagent.dev/v1alpha2",
        "kind": "Agent",
        "metadata": _meta("helper"),
        "spec": {
            "type": "Declarative",
            "skills": {"refs": ["ghcr.io/example/skill:1"]},
            "declarative": {"systemMessage": message, "tools": tools},
        },
    }


def _key(value: str = "c2VjcmV0") -> JsonObject:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": _meta("openai"), "data": {"key": value}}


def _everything() -> list[JsonObject]:
    model = {"provider": "OpenAI", "model": "m", "apiKeySecret": "openai", "apiKeySecretKey": "key"}
    server = {"transportType": "stdio", "deployment": {"cmd": "uvx", "args": ["mcp-server-time"]}}
    far = {"description": "far away", "url": "http://far.example/mcp"}
    v2, v1 = "kagent.dev/v1alpha2", "kagent.dev/v1alpha1"
    return [
        _key(),
        {"apiVersion": v2, "kind": "ModelConfig", "metadata": _meta("default-model-config"), "spec": model},
        {"apiVersion": v2, "kind": "RemoteMCPServer", "metadata": _meta("far"), "spec": far},
        {"apiVersion": v1, "kind": "MCPServer", "metadata": _meta("time"), "spec": server},
        _agent(),
    ]


def _let_tools_answer(world: Any) -> None:
    for url in ("http://far.example/mcp", "http://time.kagent:3000/mcp"):
        world.servers.answers[url] = [Tool("now", "tells the time", {"inputSchema": {"type": "object"}})]


async def _all_well(world: Any) -> None:
    """Wait for the end that every run must come to, being the kubelet on the way."""

    def rolled_out() -> bool:
        for name in ("helper", "time"):
            live = world.cluster.get("Deployment", name)
            if live.get("status", {}).get("observedGeneration") != live["metadata"]["generation"]:
                world.cluster.roll_out(name)
        return all(
            world.cluster.condition("Agent", "helper", kind)["status"] == "True"
            for kind in ("Accepted", "Ready", "ResolvedRefs", "ToolsReady")
        )

    await world.until(rolled_out)
    await world.settle()


def _picture(world: Any) -> Any:
    """Return every object without what differs between runs, and how many there are of each kind."""
    kinds = Counter(kind for kind, _, _ in world.cluster.objects if kind != "Event")
    shown = {
        key: _constant(obj)
        for key, obj in world.cluster.objects.items()
        if key[0] not in {"Event", "ControllerRevision"}
    }
    return kinds, shown


def _constant(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _constant(json.loads(entry) if key == "tools.json" else entry)
            for key, entry in cast(JsonObject, value).items()
            if key not in _OF_A_RUN and not key.startswith("kagent-tui.dev/applied")
        }
    return [_constant(entry) for entry in cast(list[Any], value)] if isinstance(value, list) else value


class _Killer:
    """Ends an operator at its n-th write: before the server has it, or after, when nobody hears the answer."""

    def __init__(self, cluster: Any, at: int, when: Literal["before", "after"]) -> None:
        self.killed = asyncio.Event()
        self._cluster = cluster
        self._left = at
        self._when = when

    def __getattr__(self, name: str) -> Any:
        called = getattr(self._cluster, name)
        if name not in {"create", "update", "patch", "delete"}:
            return called

        async def write(resource: Resource, *arguments: Any, **more: Any) -> Any:
            if self.killed.is_set():
                await asyncio.Event().wait()
            if resource.kind != "Event":
                self._left -= 1
            if self._left == 0:
                if self._when == "after":
                    await called(resource, *arguments, **more)
                self.killed.set()
                await asyncio.Event().wait()
            return await called(resource, *arguments, **more)

        return write


async def _undisturbed(world: Any) -> tuple[Any, int]:
    for obj in _everything():
        await world.cluster.put(obj)
    async with world.running():
        await _all_well(world)
    return _picture(world), len([write for write in world.cluster.writes if write[1] != "Event"])


@pytest.mark.parametrize("when", ["before", "after"])
async def test_killed_at_any_write_the_next_operator_ends_where_an_undisturbed_one_does(
    make_world: Any, when: Literal["before", "after"]
) -> None:
    first = make_world()
    _let_tools_answer(first)
    wanted, writes = await _undisturbed(first)
    for at in range(1, writes + 1):
        world = make_world()
        _let_tools_answer(world)
        for obj in _everything():
            await world.cluster.put(obj)
        killer = _Killer(world.cluster, at, when)
        async with world.running(client=killer):
            well = asyncio.create_task(_all_well(world))
            dead = asyncio.create_task(killer.killed.wait())
            await asyncio.wait({well, dead}, return_when=asyncio.FIRST_COMPLETED)
            for task in (well, dead):
                task.cancel()
            await asyncio.wait({well, dead})
        async with world.running():
            await _all_well(world)
        assert _picture(world) == wanted, f"killed {when} write {at}"


async def test_two_operators_at_once_double_nothing_and_come_to_rest(world: Any) -> None:
    _let_tools_answer(world)
    async with world.running() as one, world.running() as other:
        for obj in _everything():
            await world.cluster.put(obj)
        await _all_well(world)
        await world.cluster.put(_agent("You help more."))
        await _all_well(world)
        kinds, _ = _picture(world)
        assert (kinds["Deployment"], kinds["Service"], kinds["ControllerRevision"]) == (2, 2, 2)
        await _rest(world, one, other)
        world.cluster.writes.clear()
        for operator in (one, other):
            for kind in _KINDS:
                for obj in operator.cache.list(kind):
                    operator.controller.queue.add(Key(kind, "kagent", obj["metadata"]["name"]))
        await _rest(world, one, other)
        assert world.cluster.writes == []


async def _rest(world: Any, *operators: Any) -> None:
    await world.until(lambda: all(each.controller.queue.settled and each.discoveries.answered for each in operators))
    for operator in operators:
        world.operator = operator
        await world.settle()


async def test_every_object_in_conflict_at_first_ends_well(world: Any) -> None:
    _let_tools_answer(world)
    tried: Counter[tuple[str, str, str]] = Counter()

    def refuse(verb: str, kind: str, name: str) -> Exception | None:
        tried[verb, kind, name] += 1
        return Conflict("the object has been modified", status=409) if tried[verb, kind, name] < 2 else None

    for obj in _everything():
        await world.cluster.put(obj)
    world.cluster.refuse = refuse
    async with world.running():
        await _all_well(world)


class _Cut:
    """A connection to the cluster that can be lost, or whose watches are always of too old a version."""

    def __init__(self, cluster: Any) -> None:
        self._cluster = cluster
        self.down = asyncio.Event()
        self.gone = False

    def __getattr__(self, name: str) -> Any:
        called = getattr(self._cluster, name)

        async def call(*arguments: Any, **more: Any) -> Any:
            if self.down.is_set():
                raise Unreachable("connection refused")
            return await called(*arguments, **more)

        return call if name in {"create", "update", "patch", "delete", "get"} else called

    async def list(self, resource: Resource, namespace: str | None = None, **more: Any) -> ObjectList:
        if self.down.is_set():
            raise Unreachable("connection refused")
        return await self._cluster.list(resource, namespace, **more)

    async def watch(
        self, resource: Resource, namespace: str | None = None, *, resource_version: str = "", **more: Any
    ) -> AsyncIterator[WatchEvent]:
        if self.down.is_set():
            raise Unreachable("connection refused")
        if self.gone or int(resource_version) < int((await self._cluster.list(resource)).resource_version):
            # This cluster cannot replay what was missed.
            raise Gone("too old resource version", status=410)
        events = self._cluster.watch(resource, namespace, **more)
        lost = asyncio.create_task(self.down.wait())
        coming: asyncio.Task[WatchEvent] = asyncio.create_task(anext(events))
        try:
            while True:
                await asyncio.wait({coming, lost}, return_when=asyncio.FIRST_COMPLETED)
                if lost.done():
                    raise Unreachable("the connection broke")
                event = coming.result()
                coming = asyncio.create_task(anext(events))
                yield event
        finally:
            for task in (lost, coming):
                task.cancel()
            await asyncio.wait({lost, coming})
            await events.aclose()


@asynccontextmanager
async def _cut_world(world: Any, *, gone: bool = False) -> AsyncGenerator[_Cut]:
    _let_tools_answer(world)
    connection = _Cut(world.cluster)
    connection.gone = gone
    async with world.running(client=connection):
        yield connection


async def test_after_an_outage_the_status_is_true_again_and_nothing_is_doubled(world: Any) -> None:
    for obj in _everything():
        await world.cluster.put(obj)
    async with _cut_world(world) as connection:
        await _all_well(world)
        connection.down.set()
        await world.until(lambda: len(world.operator.cache.problems()) > 5)
        # What others did meanwhile: an edit, a crash, a Service that was lost.
        await world.cluster.put(_agent("You help more."))
        world.cluster.remove("Service", "helper")
        before = copy.deepcopy(world.cluster.get("Deployment", "helper"))
        connection.down.clear()
        await world.until(lambda: world.cluster.get("Service", "helper"))
        await world.until(lambda: world.cluster.get("Agent", "helper")["status"]["observedGeneration"] == 2)
        await _all_well(world)
        assert world.cluster.get("Deployment", "helper")["metadata"]["uid"] == before["metadata"]["uid"]
        assert _picture(world)[0]["Deployment"] == 2
        await world.until(lambda: world.operator.cache.problems() == [])


async def test_watches_that_are_all_too_old_only_cost_lists(world: Any) -> None:
    for obj in _everything():
        await world.cluster.put(obj)
    async with _cut_world(world, gone=True):
        await _all_well(world)
        await world.cluster.put(_agent("You help more."))
        await world.until(lambda: world.cluster.get("Agent", "helper")["status"]["observedGeneration"] == 2)
        await _all_well(world)


async def test_a_secret_deleted_under_a_running_agent_is_told_and_restarts_nothing(world: Any) -> None:
    _let_tools_answer(world)
    for obj in _everything():
        await world.cluster.put(obj)
    async with world.running():
        await _all_well(world)
        template = world.cluster.get("Deployment", "helper")["spec"]["template"]
        world.cluster.remove("Secret", "openai")
        await world.until(lambda: world.cluster.condition("Agent", "helper", "ResolvedRefs")["status"] == "False")
        told = world.cluster.condition("Agent", "helper", "ResolvedRefs")["message"]
        assert "Secret 'openai' not found" in told
        await world.settle()
        assert world.cluster.get("Deployment", "helper")["spec"]["template"] == template
        assert world.cluster.condition("Agent", "helper", "Ready")["status"] == "True"
        await world.cluster.put(_key())
        await _all_well(world)
        assert world.cluster.get("Deployment", "helper")["spec"]["template"] == template, "the same key again"
        world.cluster.remove("Secret", "openai")
        await world.cluster.put(_key("b3RoZXI="))
        await world.until(lambda: world.cluster.get("Deployment", "helper")["spec"]["template"] != template)
