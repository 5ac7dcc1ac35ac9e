from __future__ import annotations

import pytest

from kagent_operator.store import Store, TaskOwned


async def save(store: Store, user: str, id: str, *, session: str = "s", state: str = "working") -> None:
    await store.tasks.put(user, id, session_id=session, state=state, data=f'{{"id":"{id}"}}', protocol_version="1.0")


async def test_a_task_is_seen_by_its_user_only(store: Store) -> None:
    await save(store, "ada", "t")
    found = await store.tasks.get("ada", "t")
    assert found is not None
    assert (found.data, found.protocol_version) == ('{"id":"t"}', "1.0")
    assert await store.tasks.get("bob", "t") is None
    assert not await store.tasks.delete("bob", "t")


async def test_an_id_of_another_user_is_refused_even_after_deletion(store: Store) -> None:
    await save(store, "ada", "t")
    with pytest.raises(TaskOwned, match="task t belongs to another user"):
        await save(store, "bob", "t")
    assert await store.tasks.delete("ada", "t")
    with pytest.raises(TaskOwned):
        await save(store, "bob", "t")


async def test_saving_again_replaces_the_state_and_keeps_the_place(store: Store) -> None:
    await save(store, "u", "t1")
    await save(store, "u", "t2")
    await save(store, "u", "t1", state="completed")
    assert [(task.id, task.state) for task in await store.tasks.of_session("u", "s")] == [
        ("t1", "completed"), ("t2", "working"),
    ]  # fmt: skip


async def test_pages_begin_with_the_last_changed_and_count_everything_that_fits(store: Store) -> None:
    await store.sessions.put("u", "s1", agent_id="a")
    await store.sessions.put("u", "s2", agent_id="a")
    await store.sessions.put("u", "s3", agent_id="b")
    for number in range(5):
        await save(store, "u", f"t{number}", session="s1" if number < 3 else "s2", state="completed")
    await save(store, "u", "t9", session="s3", state="working")
    await save(store, "other", "t7", session="s1")
    page = await store.tasks.page("u", agent_id="a", offset=2, limit=2)
    assert [task.id for task in page.tasks] == ["t2", "t1"]
    assert page.total == 5
    assert (await store.tasks.page("u", state="working")).total == 1
    assert [task.id for task in (await store.tasks.page("u", agent_id="a", session_id="s2")).tasks] == ["t4", "t3"]
    assert (await store.tasks.page("u", agent_id="c")).tasks == []


async def test_a_task_stays_in_its_session(store: Store) -> None:
    async def put(session_id: str, data: str) -> None:
        await store.tasks.put("u", "t", session_id=session_id, state="working", data=data, protocol_version="0.3")

    await put("s", "{}")
    with pytest.raises(TaskOwned):
        await put("other", '{"forged":true}')
    kept = await store.tasks.get("u", "t")
    assert kept is not None
    assert (kept.session_id, kept.data) == ("s", "{}")
