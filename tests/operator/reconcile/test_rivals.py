"""The refusal to work beside another controller, before the start and after it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from kagent_api.kube import Delta, NotFound, Resource, Unreachable
from kagent_operator.reconcile.rivals import OtherController, Rivals, find_other_controller

JsonObject = dict[str, Any]
_NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


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


def _seen(*writes: tuple[str, str], change: str = "MODIFIED", uid: str = "u") -> Delta:
    fields = [{"manager": manager, "time": time, "subresource": "status"} for manager, time in writes]
    metadata = {"name": "a", "namespace": "kagent", "uid": uid, "managedFields": fields}
    return Delta(change, {"kind": "Agent", "metadata": metadata}, None)  # type: ignore[arg-type] # one of the three


class Alarm:
    """Watches for other controllers; time passes when the test says so."""

    def __init__(self, lease: JsonObject | None = None) -> None:
        self.listing = Listing([], lease)
        self.looked = asyncio.Event()
        self.told: list[tuple[str, str]] = []
        self.rivals = Rivals(self.listing, ["kagent"], lambda: _NOW, home="kagent", tell=self._tell, sleep=self._sleep)

    async def _tell(self, obj: JsonObject, reason: str, message: str) -> None:
        self.told.append((reason, message))

    async def _sleep(self, seconds: float) -> None:
        await self.looked.wait()
        self.looked.clear()


_BEFORE = "2026-01-01T08:00:00Z"
_LATER = "2026-01-01T08:00:07Z"


async def test_a_controller_that_begins_later_stops_ours_with_an_event_on_what_it_wrote() -> None:
    alarm = Alarm()
    alarm.rivals.saw(_seen(change="ADDED"))
    watch = asyncio.create_task(alarm.rivals.watch(refuse=True))
    await asyncio.sleep(0)
    alarm.rivals.saw(_seen(("kagent-operator", _LATER)))
    alarm.rivals.saw(_seen(("kagent-operator", _LATER), ("manager", _LATER)))
    async with asyncio.timeout(5):
        with pytest.raises(OtherController, match=r"'manager' wrote the status of Agent kagent/a.*--take-over"):
            await watch
    assert alarm.told == [
        ("OtherController", f"kagent-operator stops: 'manager' wrote the status of Agent kagent/a at {_LATER}")
    ]


@pytest.mark.parametrize(
    "deltas",
    [
        [_seen(("manager", _BEFORE), change="ADDED"), _seen(("manager", _BEFORE)), _seen()],
        [_seen(change="ADDED"), _seen(("kubectl-edit", _LATER)), _seen(("kagent-operator", _LATER))],
        [_seen(("manager", _BEFORE), change="ADDED"), _seen(("manager", _BEFORE), change="DELETED")],
    ],
    ids=["what was there before", "people's tools", "its object is deleted"],
)
async def test_what_is_no_other_controller_at_work_stops_nothing(deltas: list[Delta]) -> None:
    alarm = Alarm({"spec": {"holderIdentity": "pod-1", "renewTime": "2026-01-01T11:00:00Z"}})
    watch = asyncio.create_task(alarm.rivals.watch(refuse=True))
    await asyncio.sleep(0)
    for delta in deltas:
        alarm.rivals.saw(delta)
    alarm.looked.set()
    for _ in range(20):
        await asyncio.sleep(0)
    assert not watch.done()
    watch.cancel()
    await asyncio.gather(watch, return_exceptions=True)


async def test_a_lease_that_upstream_takes_later_is_seen() -> None:
    alarm = Alarm({"spec": {"holderIdentity": "pod-1", "renewTime": "2026-01-01T11:59:50.000000Z"}})
    alarm.looked.set()
    async with asyncio.timeout(5):
        with pytest.raises(OtherController, match="pod-1 holds the Lease"):
            await alarm.rivals.watch(refuse=True)


async def test_an_operator_told_to_take_over_only_warns_and_once(caplog: pytest.LogCaptureFixture) -> None:
    alarm = Alarm()
    watch = asyncio.create_task(alarm.rivals.watch(refuse=False))
    await asyncio.sleep(0)
    alarm.rivals.saw(_seen(change="ADDED"))
    for second in range(3):
        alarm.rivals.saw(_seen(("manager", f"2026-01-01T09:00:0{second}Z")))
        for _ in range(5):
            await asyncio.sleep(0)
    assert not watch.done()
    assert [record.getMessage() for record in caplog.records if "both will write" in record.getMessage()] == [
        "another controller reconciles the same resources: 'manager' wrote the status of Agent kagent/a at "
        "2026-01-01T09:00:00Z; both will write"
    ]
    watch.cancel()
    await asyncio.gather(watch, return_exceptions=True)


async def test_what_a_replica_saw_before_its_turn_is_the_past() -> None:
    alarm = Alarm()
    alarm.rivals.saw(_seen(change="ADDED"))
    alarm.rivals.saw(_seen(("manager", _BEFORE)))
    watch = asyncio.create_task(alarm.rivals.watch(refuse=True))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not watch.done()
    alarm.rivals.saw(_seen(("manager", _LATER)))
    async with asyncio.timeout(5):
        with pytest.raises(OtherController):
            await watch
