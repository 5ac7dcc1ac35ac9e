"""The same store on a real PostgreSQL, started for this test where its programs are installed."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from kagent_operator.store import NewerDatabase, Store, TaskOwned
from kagent_operator.store.database import MIGRATIONS
from kagent_operator.store.memories import NewMemory
from kagent_operator.store.tables import SCHEMA_VERSION, metadata


def unprivileged() -> str | None:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in names), None)


def program(name: str) -> str | None:
    """Find a server program; Debian keeps them out of the PATH."""
    debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return shutil.which(name) or (str(debian[-1]) if debian else None)


@pytest.fixture(scope="module")
def url() -> Generator[str]:
    initdb, postgres = program("initdb"), program("postgres")
    if not initdb or not postgres:
        pytest.skip("PostgreSQL's programs are not installed on this machine")
    user = unprivileged()
    with tempfile.TemporaryDirectory(prefix="kagent-pg-") as folder:
        if user:
            os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
        data = Path(folder, "data")
        made = subprocess.run(
            [initdb, "-D", str(data), "-U", "kagent", "-A", "trust", "--no-sync"],
            user=user, cwd=folder, capture_output=True, text=True, check=False, timeout=100,
        )  # fmt: skip
        if made.returncode:
            pytest.skip(f"initdb does not work here: {made.stderr[-300:]}")
        options = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={folder}", "-c", "fsync=off"]
        server = subprocess.Popen(
            [postgres, "-D", str(data), *options], user=user, cwd=folder, stderr=subprocess.PIPE, text=True
        )
        try:
            assert server.stderr is not None
            for line in server.stderr:
                if "ready to accept connections" in line:
                    break
            yield f"postgresql://kagent@/postgres?host={folder}"
        finally:
            server.send_signal(signal.SIGINT)
            server.communicate(timeout=30)


async def test_replicas_that_start_at_once_make_one_schema(url: str) -> None:
    stores = await asyncio.gather(*(Store.open(url) for _ in range(4)))
    for store in stores:
        await store.close()


async def test_everything_works_on_postgresql_too(url: str) -> None:
    async with await Store.open(url) as store, await Store.open(url) as replica, asyncio.timeout(60):
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


async def test_an_older_schema_is_brought_up_to_date_with_all_it_holds(url: str) -> None:
    from sqlalchemy import inspect, text

    async with await Store.open(url) as store:
        await store.sessions.put("migrated", "s", agent_id="a", name="kept")
        database = store._database  # pyright: ignore[reportPrivateUsage] - its schema is made older
        async with database.write() as connection:
            for version in range(2, SCHEMA_VERSION + 1):
                for statement in MIGRATIONS[version]:
                    what, name = statement.split()[1:3]
                    await connection.execute(text(f"DROP {what} IF EXISTS {name} CASCADE"))
            await connection.execute(text("UPDATE schema_version SET version = 1"))
    stores = await asyncio.gather(*(Store.open(url) for _ in range(3)))
    assert await stores[1].sessions.get("migrated", "s") is not None
    async with stores[0]._database.read() as connection:  # pyright: ignore[reportPrivateUsage]
        names = await connection.run_sync(lambda bare: inspect(bare).get_table_names())
    assert set(names) == set(metadata.tables)
    for store in stores:
        await store.close()


async def test_replicas_with_clocks_apart_keep_the_order_of_a_session(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with await Store.open(url) as store, await Store.open(url) as replica, asyncio.timeout(60):
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


async def test_an_id_that_two_users_take_at_once_is_one_users(url: str) -> None:
    async with await Store.open(url) as store, await Store.open(url) as replica, asyncio.timeout(60):
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


async def test_a_newer_schema_is_refused_on_postgresql_too(url: str) -> None:
    from sqlalchemy import text

    store = await Store.open(url)
    database = store._database  # pyright: ignore[reportPrivateUsage] - its schema is made newer
    async with database.write() as connection:
        await connection.execute(text("UPDATE schema_version SET version = 99"))
    await store.close()
    with pytest.raises(NewerDatabase, match="schema version 99"):
        await Store.open(url)
