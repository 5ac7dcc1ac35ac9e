"""Leader election by Lease, and the refusal to work beside another controller."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from kagent_api.kube import NotFound, Resource, Unreachable
from kagent_operator.reconcile.leader import Leader, LeadershipLost, find_other_controller

JsonObject = dict[str, Any]
_NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


class Time:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


class Leases:
    """The API server's Leases, with lost races and outages on request."""

    def __init__(self, cluster: Any) -> None:
        self._cluster = cluster
        self.away = False

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> JsonObject:
        if self.away:
            raise Unreachable("away")
        return self._cluster.get(resource.kind, name, namespace)

    async def create(self, resource: Resource, obj: JsonObject) -> JsonObject:
        return await self._cluster.create(resource, obj)

    async def update(self, resource: Resource, obj: JsonObject) -> JsonObject:
        return await self._cluster.update(resource, obj)


def _holder(world: Any) -> str:
    return world.cluster.get("Lease", "kagent-operator")["spec"]["holderIdentity"]


async def test_one_of_two_replicas_leads_and_the_other_takes_over_after_the_lease_has_expired(world: Any) -> None:
    time, leases = Time(), Leases(world.cluster)
    first = Leader(leases, "kagent", "one", sleep=time.sleep, clock=lambda: time.now)
    second = Leader(leases, "kagent", "two", sleep=time.sleep, clock=lambda: time.now)
    await first.acquire()
    assert _holder(world) == "one"
    started = time.now
    async with asyncio.timeout(5):
        await second.acquire()
    assert _holder(world) == "two"
    assert time.now - started > 15
    with pytest.raises(LeadershipLost, match="two leads"):
        await first.hold()


async def test_a_released_lease_is_taken_at_once(world: Any) -> None:
    time, leases = Time(), Leases(world.cluster)
    first = Leader(leases, "kagent", "one", sleep=time.sleep, clock=lambda: time.now)
    await first.acquire()
    await first.release()
    second = Leader(leases, "kagent", "two", sleep=time.sleep, clock=lambda: time.now)
    await second.acquire()
    assert time.now == 0
    assert world.cluster.get("Lease", "kagent-operator")["spec"]["leaseTransitions"] == 2


async def test_a_short_outage_is_survived_and_a_long_one_ends_leadership(world: Any) -> None:
    time, leases = Time(), Leases(world.cluster)
    leader = Leader(leases, "kagent", "one", sleep=time.sleep, clock=lambda: time.now)
    await leader.acquire()
    hold = asyncio.create_task(leader.hold())
    leases.away = True
    while time.now < 5:  # noqa: ASYNC110 - the clock is ours and moves with the loop
        await asyncio.sleep(0)
    leases.away = False
    while time.now < 30:  # noqa: ASYNC110
        await asyncio.sleep(0)
    assert not hold.done()
    leases.away = True
    async with asyncio.timeout(5):
        with pytest.raises(LeadershipLost):
            await hold


class Listing:
    """What is looked at before the start."""

    def __init__(self, agents: list[JsonObject], lease: JsonObject | None = None) -> None:
        self._agents = agents
        self._lease = lease

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> JsonObject:
        if self._lease is None:
            raise NotFound("no lease", status=404)
        return self._lease

    async def list(self, resource: Resource, namespace: str | None = None) -> Any:
        from kagent_api.kube import ObjectList

        return ObjectList(self._agents, "1")


def _agent(manager: str, time: str, subresource: str = "status") -> JsonObject:
    fields = [{"manager": manager, "time": time, "subresource": subresource}]
    return {"metadata": {"name": "a", "namespace": "kagent", "managedFields": fields}}


@pytest.mark.parametrize(
    ("agents", "lease", "words"),
    [
        ([], None, ""),
        ([_agent("kagent-operator", "2026-01-01T11:59:00Z")], None, ""),
        ([_agent("app", "2026-01-01T10:00:00Z")], None, ""),
        ([_agent("app", "2026-01-01T11:59:00Z", "")], None, ""),
        ([_agent("app", "2026-01-01T11:59:00Z")], None, "'app' wrote the status of Agent kagent/a"),
        (
            [],
            {"spec": {"holderIdentity": "pod-1", "renewTime": "2026-01-01T11:59:50.000000Z"}},
            "pod-1 holds the Lease",
        ),
        ([], {"spec": {"holderIdentity": "pod-1", "renewTime": "2026-01-01T11:00:00.000000Z"}}, ""),
        ([], {"spec": {"holderIdentity": "", "renewTime": "2026-01-01T11:59:50.000000Z"}}, ""),
    ],
)
async def test_a_controller_at_work_is_noticed(agents: list[JsonObject], lease: JsonObject | None, words: str) -> None:
    found = await find_other_controller(Listing(agents, lease), ["kagent"], lambda: _NOW)
    assert words in found
    assert bool(found) == bool(words)


async def test_the_look_for_another_controller_waits_for_the_api_server() -> None:
    class Away(Listing):
        waited = 0

        async def get(self, resource: Resource, name: str, namespace: str | None = None) -> JsonObject:
            if self.waited < 3:
                raise Unreachable("connection refused")
            return await super().get(resource, name, namespace)

    client = Away([_agent("app", "2026-01-01T11:59:00Z")])

    async def sleep(_: float) -> None:
        client.waited += 1

    found = await find_other_controller(client, [], lambda: _NOW, home="kagent", sleep=sleep)
    assert (client.waited, found[:5]) == (3, "'app'")


async def test_upstreams_lease_is_seen_from_our_own_namespace_when_all_are_looked_after() -> None:
    lease = {"spec": {"holderIdentity": "pod-1", "renewTime": "2026-01-01T11:59:50.000000Z"}}
    found = await find_other_controller(Listing([], lease), [], lambda: _NOW, home="kagent")
    assert "pod-1 holds the Lease kagent/" in found
