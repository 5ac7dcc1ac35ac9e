from __future__ import annotations

import pytest

from kagent_operator.store import Store
from kagent_operator.store.frameworks import Checkpoint, FlowState


async def test_sessions_belong_to_their_user(store: Store) -> None:
    await store.sessions.put("ada", "s1", agent_id="a", name="hers")
    await store.sessions.put("bob", "s1", agent_id="a", name="his")
    hers = await store.sessions.get("ada", "s1")
    assert hers is not None
    assert hers.name == "hers"
    assert [session.user_id for session in await store.sessions.list("bob")] == ["bob"]
    assert await store.sessions.get("eve", "s1") is None


async def test_putting_again_keeps_the_name_and_the_time_of_creation(store: Store) -> None:
    first = await store.sessions.put("u", "s", agent_id="a", name="first", source="user")
    again = await store.sessions.put("u", "s", agent_id="b")
    assert (again.name, again.source, again.agent_id) == ("first", "user", "b")
    assert again.created_at == first.created_at
    assert again.updated_at > first.updated_at


async def test_the_owner_is_known_only_while_there_is_one(store: Store) -> None:
    assert await store.sessions.owner("s") is None
    await store.sessions.put("ada", "s", agent_id="a")
    assert await store.sessions.owner("s") == "ada"
    await store.sessions.put("bob", "s", agent_id="a")
    assert await store.sessions.owner("s") is None


async def test_lists_are_newest_first_and_can_leave_out_a_source(store: Store) -> None:
    await store.sessions.put("u", "old", agent_id="a")
    await store.sessions.put("u", "sub", agent_id="a", source="agent")
    await store.sessions.put("u", "new", agent_id="a", source="user")
    await store.sessions.put("u", "other", agent_id="b")
    listed = await store.sessions.list("u", agent_id="a", without_source="agent")
    assert [session.id for session in listed] == ["new", "old"]
    assert len(await store.sessions.list("u")) == 4


async def test_renaming_changes_only_what_is_given(store: Store) -> None:
    await store.sessions.put("u", "s", agent_id="a", name="old")
    changed = await store.sessions.change("u", "s", name="new")
    assert changed is not None
    assert (changed.name, changed.agent_id) == ("new", "a")
    assert await store.sessions.change("u", "missing", name="x") is None


async def test_deleting_takes_events_and_tasks_along_and_a_new_session_starts_empty(store: Store) -> None:
    await store.sessions.put("u", "s", agent_id="a", name="n")
    await store.sessions.add_event("u", "s", "e", "{}")
    await store.tasks.put("u", "t", session_id="s", state="completed", data="{}", protocol_version="0.3")
    assert await store.sessions.delete("u", "s")
    assert not await store.sessions.delete("u", "s")
    assert await store.sessions.get("u", "s") is None
    assert await store.sessions.list("u") == []
    revived = await store.sessions.put("u", "s", agent_id="a")
    assert revived.name == ""
    assert await store.sessions.events("u", "s") == []
    assert await store.tasks.of_session("u", "s") == []
    assert await store.tasks.get("u", "t") is None


async def test_events_keep_their_order_whatever_is_asked(store: Store) -> None:
    await store.sessions.put("u", "s", agent_id="a")
    for number in range(5):
        await store.sessions.add_event("u", "s", f"e{number}", f"{number}")
    ascending = await store.sessions.events("u", "s", ascending=True)
    assert [event.id for event in ascending] == ["e0", "e1", "e2", "e3", "e4"]
    assert [event.id for event in await store.sessions.events("u", "s", limit=2)] == ["e4", "e3"]
    later = await store.sessions.events("u", "s", ascending=True, after=ascending[2].created_at)
    assert [event.id for event in later] == ["e3", "e4"]
    assert await store.sessions.events("other", "s") == []


async def test_an_event_sent_twice_is_kept_once_in_its_place(store: Store) -> None:
    await store.sessions.put("u", "s", agent_id="a")
    await store.sessions.add_event("u", "s", "e0", "first")
    await store.sessions.add_event("u", "s", "e1", "second")
    await store.sessions.add_event("u", "s", "e0", "corrected")
    events = await store.sessions.events("u", "s", ascending=True)
    assert [(event.id, event.data) for event in events] == [("e0", "corrected"), ("e1", "second")]


async def test_the_same_event_id_in_two_sessions_is_two_events(store: Store) -> None:
    await store.sessions.put("u", "s1", agent_id="a")
    await store.sessions.put("u", "s2", agent_id="a")
    await store.sessions.add_event("u", "s1", "e", "one")
    await store.sessions.add_event("u", "s2", "e", "two")
    kept = [event.data for name in ("s1", "s2") for event in await store.sessions.events("u", name)]
    assert kept == ["one", "two"]


async def test_events_keep_the_order_they_came_in_though_the_clock_goes_back(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.sessions.put("u", "s", agent_id="a")
    await store.sessions.add_event("u", "s", "first", "{}")
    behind = iter(range(1, 100))  # a replica in another place, or after its clock was set
    monkeypatch.setattr(store._database, "now", lambda: next(behind))  # pyright: ignore[reportPrivateUsage] - its clock
    await store.sessions.put("u", "s", agent_id="a", name="n")
    second = await store.sessions.add_event("u", "s", "second", "{}")
    await store.sessions.change("u", "s", name="m")
    await store.sessions.add_event("u", "s", "third", "{}")
    listed = await store.sessions.events("u", "s", ascending=True)
    assert [event.id for event in listed] == ["first", "second", "third"]
    later = await store.sessions.events("u", "s", ascending=True, after=second.created_at)
    assert [event.id for event in later] == ["third"]


async def test_a_deleted_session_leaves_nothing_to_a_later_one_of_its_id(store: Store) -> None:
    await store.sessions.put("u", "s", agent_id="a")
    link = await store.shares.add("u", "s", read_only=False)
    await store.shares.visit(link, "friend")
    other = await store.shares.add("u", "t", read_only=True)
    await store.frameworks.remember("u", "s", "{}")
    await store.frameworks.put_flow_state("u", FlowState("s", "flow", "method", "{}"))
    await store.frameworks.put_checkpoint("u", Checkpoint("s", "", "c", None, "data", "", "json", 1))
    await store.sessions.delete("u", "s")
    await store.sessions.put("u", "s", agent_id="a")
    assert await store.shares.by_token(link.token) is None
    assert await store.shares.visited("friend") == []
    assert await store.shares.by_token(other.token) == other
    assert await store.frameworks.memories("u", "s", "") == []
    assert await store.frameworks.flow_state("u", "s", "flow") is None
    assert await store.frameworks.checkpoints("u", "s", "") == []
