"""Leader election by Lease."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kagent_api.kube import Resource, Unreachable
from kagent_operator.reconcile.leader import Leader, LeadershipLost

JsonObject = dict[str, Any]


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
