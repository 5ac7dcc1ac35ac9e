"""The same store on a real PostgreSQL."""

from __future__ import annotations

import asyncio

import pytest

from kagent_operator.store import NewerDatabase, Store, TaskOwned
from kagent_operator.store.database import MIGRATIONS
from kagent_operator.store.memories import NewMemory
from kagent_operator.store.tables import SCHEMA_VERSION, metadata


async def test_replicas_that_start_at_once_make_one_schema(postgresql: str) -> None:
    stores = await asyncio.gather(*(Store.open(postgresql) for _ in range(4)))
    for store in stores:
        await store.close()


async def test_everything_works_on_postgresql_too(postgresql: str) -> None:
    async with await Store.open(postgresql) as store, await Store.open(postgresql) as replica, asyncio.timeout(60):
        await store.sessions.put("u", "s", agent_id="a", name="n")
        writers = (store, replica)
        await asyncio.gather(
            *(writers[n % 2].sessions.add_event("u", "s", f"e{n}", '{"text":"你好"}') for n in range(20))
        )
        await store.sessions.add_event("u", "s", "e0", "again")
        assert len(await replica.sessions.events("u", "s")) == 20
        await store.tasks.put("u", "t", session_id="s", state="working", data="{}", protocol_version="0.3")
        with pytest.raises(TaskOwned):
            await replica.tasks.put("v", "t", session_id="s", state="working", data="{}", protocol_version="0.3")
        assert (await replica.tasks.page("u", agent_id="a")).total == 1
        await store.feedback.add("u", is_positive=True, feedback_text="good", issue_type=None, message_id=None)
        assert len(await replica.feedback.of_user("u")) == 1
        share = await store.shares.add("u", "s", read_only=True)
        assert await replica.shares.by_token(share.token) == share
        await store.memories.add([NewMemory("a", "u", "cats", [1.0, 0.0]), NewMemory("a", "u", "cars", [0.0, 1.0])])
        (best,) = await replica.memories.search("a", "u", [1.0, 0.1], limit=1, min_score=0.3)
        assert best[0].content == "cats"
        assert await store.sessions.delete("u", "s")
        assert await replica.tasks.of_session("u", "s") == []


async def test_an_older_schema_is_brought_up_to_date_with_all_it_holds(postgresql: str) -> None:
    from sqlalchemy import inspect, text

    async with await Store.open(postgresql) as store:
        await store.sessions.put("migrated", "s", agent_id="a", name="kept")
        database = store._database  # pyright: ignore[reportPrivateUsage] - its schema is made older
        async with database.write() as connection:
            for version in range(2, SCHEMA_VERSION + 1):
                for statement in MIGRATIONS[version]:
                    what, name = statement.split()[1:3]
                    await connection.execute(text(f"DROP {what} IF EXISTS {name} CASCADE"))
            await connection.execute(text("UPDATE schema_version SET version = 1"))
    stores = await asyncio.gather(*(Store.open(postgresql) for _ in range(3)))
    assert await stores[1].sessions.get("migrated", "s") is not None
    async with stores[0]._database.read() as connection:  # pyright: ignore[reportPrivateUsage]
        names = await connection.run_sync(lambda bare: inspect(bare).get_table_names())
    assert set(names) == set(metadata.tables)
    for store in stores:
        await store.close()


async def test_replicas_with_clocks_apart_keep_the_order_of_a_session(
    postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with await Store.open(postgresql) as store, await Store.open(postgresql) as replica, asyncio.timeout(60):
        ahead = replica._database.now  # pyright: ignore[reportPrivateUsage] - its clock goes an hour ahead
        monkeypatch.setattr(replica._database, "now", lambda: ahead() + 3600 * 10**9)  # pyright: ignore[reportPrivateUsage]
        await store.sessions.put("u", "apart", agent_id="a")
        for number in range(10):
            await (store, replica)[number % 2].sessions.add_event("u", "apart", f"e{number}", "{}")
        at_once = ((store, replica)[n % 2].sessions.add_event("u", "apart", f"more{n}", "{}") for n in range(20))
        await asyncio.gather(*at_once)
        events = await store.sessions.events("u", "apart", ascending=True)
    assert [event.id for event in events[:10]] == [f"e{number}" for number in range(10)]
    assert len({event.created_at for event in events}) == 30


async def test_an_id_that_two_users_take_at_once_is_one_users(postgresql: str) -> None:
    async with await Store.open(postgresql) as store, await Store.open(postgresql) as replica, asyncio.timeout(60):
        for number in range(20):
            both = await asyncio.gather(
                *(
                    each.tasks.put(
                        user, f"race{number}", session_id="s", state="working", data="{}", protocol_version="0.3"
                    )
                    for each, user in ((store, "ada"), (replica, "bob"))
                ),
                return_exceptions=True,
            )
            (kept,) = [one for one in both if not isinstance(one, BaseException)]
            (refused,) = [one for one in both if isinstance(one, BaseException)]
            assert isinstance(refused, TaskOwned)
            assert await store.tasks.owner(f"race{number}") == kept.user_id


async def test_pgvector_finds_what_a_comparison_here_finds(postgresql_with_pgvector: str) -> None:
    vectors = {"cats": [1.0, 0.0], "dogs": [0.6, 0.8], "cars": [0.0, 1.0], "none": [0.0, 0.0], "long": [1.0, 0.0, 0.0]}
    async with await Store.open(postgresql_with_pgvector) as store:
        assert store.memories.pgvector
        await store.memories.add([NewMemory("a", "u", content, vector) for content, vector in vectors.items()])
        await store.memories.add([NewMemory("b", "u", "another agent's", [1.0, 0.0])])
        await store.memories.add([NewMemory("a", "v", "another user's", [1.0, 0.0])])
        found = await store.memories.search("a", "u", [2.0, 0.0], limit=2, min_score=0.3)
        assert [(memory.content, round(score, 3)) for memory, score in found] == [("cats", 1.0), ("dogs", 0.6)]
        everything = await store.memories.search("a", "u", [1.0, 0.0], limit=9, min_score=0.0)
        assert {memory.content: round(score, 3) for memory, score in everything} == {
            "cats": 1.0, "dogs": 0.6, "cars": 0.0, "none": 0.0, "long": 0.0,
        }  # fmt: skip
        counts = {memory.content: memory.access_count for memory in await store.memories.list("a", "u")}
        assert counts["cats"] == 2
        assert await store.memories.forget("a", "u") == 5


async def test_what_was_kept_before_pgvector_was_there_is_found_too(postgresql_with_pgvector: str) -> None:
    from sqlalchemy import text

    async with await Store.open(postgresql_with_pgvector) as store:
        await store.memories.add([NewMemory("old", "u", "kept", [1.0, 0.0])])
        database = store._database  # pyright: ignore[reportPrivateUsage] - its schema is made older
        async with database.write() as connection:
            await connection.execute(text("ALTER TABLE memory DROP COLUMN embedding"))
    stores = await asyncio.gather(*(Store.open(postgresql_with_pgvector) for _ in range(3)))
    ((memory, score),) = await stores[2].memories.search("old", "u", [1.0, 0.0], limit=1, min_score=0.5)
    assert (memory.content, score) == ("kept", 1.0)
    for store in stores:
        await store.close()


async def test_without_pgvector_vectors_are_compared_here(postgresql: str) -> None:
    async with await Store.open(postgresql) as store:
        await store.memories.add([NewMemory("here", "u", "kept", [1.0, 0.0])])
        ((memory, _),) = await store.memories.search("here", "u", [1.0, 0.0], limit=1, min_score=0.5)
        assert memory.content == "kept"


async def test_a_newer_schema_is_refused_on_postgresql_too(postgresql: str) -> None:
    from sqlalchemy import text

    store = await Store.open(postgresql)
    database = store._database  # pyright: ignore[reportPrivateUsage] - its schema is made newer
    async with database.write() as connection:
        await connection.execute(text("UPDATE schema_version SET version = 99"))
    await store.close()
    with pytest.raises(NewerDatabase, match="schema version 99"):
        await Store.open(postgresql)
