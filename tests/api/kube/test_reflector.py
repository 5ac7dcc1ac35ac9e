from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pytest

from kagent_api.kube import Access, Backoff, Delta, KubeClient, LinkState, Reflector, Unreachable
from kagent_api.kube.resources import AGENTS

if TYPE_CHECKING:
    from .conftest import FakeApi


def agent(name: str, version: str, uid: str = "") -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "ns", "resourceVersion": version, "uid": uid or name}}


def listing(version: str, *items: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"resourceVersion": version}, "items": list(items)}


def line(kind: str, obj: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": obj}).encode() + b"\n"


def bookmark(version: str) -> bytes:
    return line("BOOKMARK", {"metadata": {"resourceVersion": version}})


class Watching:
    """A running reflector with everything it said."""

    def __init__(self, client: KubeClient, on_delta: Callable[[Delta], None] | None = None) -> None:
        self.deltas: list[tuple[str, str]] = []
        self.states: list[LinkState] = []
        self.waits: list[float] = []
        self.changed = asyncio.Condition()
        self._extra = on_delta
        self.reflector = Reflector(
            client, AGENTS, "ns", on_delta=self._delta, on_state=self._state, sleep=self._sleep,
            backoff=Backoff(initial=1, limit=16, refused_limit=64),
        )  # fmt: skip

    def _delta(self, delta: Delta) -> None:
        self.deltas.append((delta.type, delta.object["metadata"]["name"]))
        if self._extra is not None:
            self._extra(delta)

    def _state(self, state: LinkState) -> None:
        self.states.append(state)
        self._notifying = asyncio.ensure_future(self._notify())

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        await self._notify()
        await asyncio.sleep(0)

    def statuses(self) -> list[str]:
        """Return what the link was, one after the other; a second error of the same outage is left out."""
        return [status for status, _ in groupby(state.status for state in self.states)]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5), self.changed:
            await self.changed.wait_for(condition)

    async def _notify(self) -> None:
        async with self.changed:
            self.changed.notify_all()


@asynccontextmanager
async def running(client: KubeClient, on_delta: Callable[[Delta], None] | None = None) -> AsyncGenerator[Watching]:
    watching = Watching(client, on_delta)
    task = asyncio.create_task(watching.reflector.run())
    try:
        yield watching
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_the_store_follows_list_and_watch(api: FakeApi, client: KubeClient) -> None:
    api.reply(listing("5", agent("a", "1"), agent("b", "2")))
    api.stream(line("MODIFIED", agent("a", "6")) + line("DELETED", agent("b", "7")) + line("ADDED", agent("c", "8")))
    async with running(client) as seen:
        last = await api.request(3)
        assert seen.reflector.synced.is_set()
        assert seen.deltas == [("ADDED", "a"), ("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b"), ("ADDED", "c")]
        assert sorted(seen.reflector.store) == [("ns", "a"), ("ns", "c")]
        assert seen.reflector.store["ns", "a"]["kind"] == "Agent"
    assert api.requests[1].query["resourceVersion"] == "5"
    assert last.query["resourceVersion"] == "8", "a watch that ended resumes after the last event"
    assert set(seen.statuses()) == {"live"}


async def test_a_bookmark_moves_the_version_without_a_delta(api: FakeApi, client: KubeClient) -> None:
    api.reply(listing("5"))
    api.stream(bookmark("99"), end="cut")
    async with running(client) as seen:
        assert (await api.request(3)).query["resourceVersion"] == "99"
        assert seen.deltas == []


@pytest.mark.parametrize("as_event", [False, True])
async def test_a_stale_version_is_listed_again_and_only_differences_are_told(
    api: FakeApi, client: KubeClient, as_event: bool
) -> None:
    api.reply(listing("5", agent("same", "1"), agent("gone", "2"), agent("moved", "3"), agent("reborn", "4", "u1")))
    if as_event:
        api.stream(line("ERROR", {"kind": "Status", "code": 410, "reason": "Expired"}))
    else:
        api.refuse(410, "Expired", "too old")
    api.reply(listing("50", agent("same", "1"), agent("moved", "40"), agent("reborn", "41", "u2"), agent("new", "42")))
    async with running(client) as seen:
        assert (await api.request(4)).query["resourceVersion"] == "50"
        assert seen.deltas[4:] == [
            ("DELETED", "gone"), ("MODIFIED", "moved"), ("DELETED", "reborn"), ("ADDED", "reborn"), ("ADDED", "new"),
        ]  # fmt: skip
        assert [state.status for state in seen.states] == ["live"], "an old version is no outage"


async def test_a_lost_link_is_told_resumed_and_told_again(api: FakeApi, client: KubeClient) -> None:
    api.reply(listing("5", agent("a", "1")))
    api.stream(b"", end="cut")
    api.drop()
    api.stream(b"", end="hold")
    async with running(client) as seen:
        assert (await api.request(4)).query["resourceVersion"] == "5"
        await seen.until(lambda: seen.statuses() == ["live", "lost", "live"])
        lost = seen.states[1]
        assert isinstance(lost.error, Unreachable)
        assert lost.last_event <= seen.reflector.state.last_event
        assert list(seen.reflector.store) == [("ns", "a")], "what was last true stays while the link is down"


async def test_waits_grow_with_jitter_and_stop_at_the_limit() -> None:
    async with KubeClient(Access(server="http://127.0.0.1:1"), env={}) as client, running(client) as seen:
        await seen.until(lambda: len(seen.waits) >= 8)
        full = [1, 2, 4, 8, 16, 16, 16, 16]
        assert all(top / 2 <= wait <= top for wait, top in zip(seen.waits, full, strict=False))
        assert len(seen.states) == 1, "the same outage is told once"


async def test_a_server_that_ends_every_watch_at_once_is_not_asked_without_pause(
    api: FakeApi, client: KubeClient
) -> None:
    api.reply(listing("5"))
    for _ in range(5):
        api.stream(b"")
    async with running(client) as seen:
        await api.request(7)
        assert len(seen.waits) >= 5
        assert seen.waits[4] >= 8


async def test_a_refusal_by_rbac_is_a_state_of_its_own_and_asked_rarely(api: FakeApi, client: KubeClient) -> None:
    for _ in range(7):
        api.refuse(403, "Forbidden", "agents.kagent.dev is forbidden")
    async with running(client) as seen:
        await api.request(8)
        assert seen.statuses() == ["refused"]
        assert "allows list on agents.kagent.dev" in str(seen.states[0].error)
        assert seen.waits[6] > 16, "longer than any wait for an outage"
        assert not seen.reflector.synced.is_set()


async def test_a_kind_that_is_not_served_yet_is_refused_and_found_once_it_is(api: FakeApi, client: KubeClient) -> None:
    api.reply(b"404 page not found", status=404)
    api.reply(listing("5", agent("a", "1")))
    api.stream(b"", end="hold")
    async with running(client) as seen:
        await api.request(3)
        assert seen.statuses() == ["refused", "live"]
        assert seen.deltas == [("ADDED", "a")]


async def test_a_deletion_nobody_knew_of_and_a_repeated_event_are_no_deltas(api: FakeApi, client: KubeClient) -> None:
    api.reply(listing("5", agent("a", "1")))
    api.stream(line("ADDED", agent("a", "1")) + line("DELETED", agent("never", "6")) + bookmark("7"))
    async with running(client) as seen:
        await api.request(3)
        assert seen.deltas == [("ADDED", "a")]


async def test_a_consumer_that_fails_does_not_stop_the_copy(
    api: FakeApi, client: KubeClient, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(delta: Delta) -> None:
        raise RuntimeError("consumer's fault")

    api.reply(listing("5", agent("a", "1"), agent("b", "2")))
    api.stream(b"", end="hold")
    async with running(client, broken) as seen:
        await api.request(2)
        assert len(seen.reflector.store) == 2
    assert "consumer's fault" in caplog.text
