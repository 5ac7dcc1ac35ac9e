"""Opening, refusing and surviving."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kagent_operator.store import NewerDatabase, Store, StoreError
from kagent_operator.store.database import MIGRATIONS, moment_of, rfc3339
from kagent_operator.store.tables import SCHEMA_VERSION


async def test_a_fresh_file_gets_the_schema_and_keeps_its_content(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "folder" / "gateway.db"
    async with await Store.open(path) as store:
        await store.sessions.put("u", "s", agent_id="ns__NS__a", name="hello")
    async with await Store.open(path) as store:
        found = await store.sessions.get("u", "s")
    assert found is not None
    assert found.name == "hello"


def modes_in(folder: Path) -> set[int]:
    return {file.stat().st_mode & 0o777 for file in folder.iterdir()}


async def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    async with await Store.open(path) as store:
        await store.sessions.put("u", "s", agent_id="a")
        assert modes_in(tmp_path) == {0o600}


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="--data-dir"):
        await Store.open(tmp_path / "file" / "gateway.db")


async def test_a_database_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    async with await Store.open(path):
        pass
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE schema_version SET version = 99")
    raw.close()
    with pytest.raises(NewerDatabase, match="schema version 99, this program knows 3"):
        await Store.open(path)


def schema_of(path: Path) -> dict[str, set[str]]:
    with closing(sqlite3.connect(path)) as raw:
        names = [name for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'")]
        return {name: {row[1] for row in raw.execute(f"PRAGMA table_info({name})")} for name in names}


def made_older(path: Path, version: int) -> None:
    with closing(sqlite3.connect(path)) as raw:
        for later in range(version + 1, SCHEMA_VERSION + 1):
            for statement in MIGRATIONS[later]:
                what, name = statement.split()[1:3]
                raw.execute(f"DROP {what} IF EXISTS {name}")
        raw.execute(f"UPDATE schema_version SET version = {version}")
        raw.commit()


@pytest.mark.parametrize("version", [1, 2])
async def test_a_database_of_an_older_version_is_brought_up_to_date_with_all_it_holds(
    tmp_path: Path, version: int
) -> None:
    path, fresh = tmp_path / "gateway.db", tmp_path / "fresh.db"
    async with await Store.open(path) as store, await Store.open(fresh):
        await store.sessions.put("u", "s", agent_id="a", name="kept")
        await store.sessions.add_event("u", "s", "e", '{"text":"kept"}')
    made_older(path, version)
    async with await Store.open(path) as store:
        session = await store.sessions.get("u", "s")
        assert session is not None
        assert session.name == "kept"
        assert [event.data for event in await store.sessions.events("u", "s")] == ['{"text":"kept"}']
    assert schema_of(path) == schema_of(fresh)


KILLED = """
import asyncio, os, signal, sys
from sqlalchemy import event
from sqlalchemy.engine import Engine
from kagent_operator.store import Store

@event.listens_for(Engine, "before_cursor_execute")
def die(connection, cursor, statement, *_):
    if statement.startswith(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(Store.open(sys.argv[1]))
"""


@pytest.mark.parametrize("moment", ["CREATE TABLE lg_checkpoint_write", "UPDATE schema_version"])
async def test_a_migration_that_is_killed_is_done_whole_the_next_time(tmp_path: Path, moment: str) -> None:
    path, fresh = tmp_path / "gateway.db", tmp_path / "fresh.db"
    async with await Store.open(path) as store, await Store.open(fresh):
        await store.sessions.put("u", "s", agent_id="a", name="kept")
    made_older(path, 1)
    before = schema_of(path)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, str(path), moment)
    assert await process.wait() == -signal.SIGKILL
    assert schema_of(path) == before
    async with await Store.open(path) as store:
        session = await store.sessions.get("u", "s")
        assert session is not None
        assert session.name == "kept"
    assert schema_of(path) == schema_of(fresh)


async def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    path.write_text("this is a text file, and long enough to be looked at as a database header" * 20)
    with pytest.raises(StoreError, match=r"gateway\.db cannot be opened.*not a database"):
        await Store.open(path)


async def test_an_unreachable_server_is_named_without_its_password() -> None:
    with pytest.raises(StoreError) as caught:
        await Store.open("postgresql://kagent:hunter2@127.0.0.1:1/kagent")
    assert "127.0.0.1:1/kagent" in str(caught.value)
    assert "hunter2" not in str(caught.value)


async def test_a_url_that_cannot_be_read_is_refused_without_repeating_it() -> None:
    with pytest.raises(StoreError, match="postgresql://USER") as caught:
        await Store.open("postgres//kagent:hunter2@://x")
    assert "hunter2" not in str(caught.value)


async def test_many_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    async with await Store.open(path) as first, await Store.open(path) as second, asyncio.timeout(60):
        await first.sessions.put("u", "s", agent_id="a")
        writes = [
            (first if number % 2 else second).sessions.add_event("u", "s", f"e{number}", "{}") for number in range(60)
        ]
        await asyncio.gather(*writes)
        events = await second.sessions.events("u", "s")
    assert len(events) == 60


WRITER = """
import asyncio, sys
from kagent_operator.store import Store
async def main():
    store = await Store.open(sys.argv[1])
    await store.sessions.put("u", "s", agent_id="a")
    number = 0
    while True:
        await store.sessions.add_event("u", "s", f"e{number}", "{}")
        print(number, flush=True)
        number += 1
asyncio.run(main())
"""


async def test_an_acknowledged_write_survives_a_killed_process(tmp_path: Path) -> None:
    path = str(tmp_path / "gateway.db")
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", WRITER, path, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    async with asyncio.timeout(60):
        last = -1
        for _ in range(20):
            last = int(await process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        rest = (await process.stdout.read()).split()
        await process.wait()
    last = int(rest[-1]) if rest else last
    async with await Store.open(path) as store:
        kept = {event.id for event in await store.sessions.events("u", "s")}
    assert {f"e{number}" for number in range(last + 1)} <= kept


def test_moments_are_written_and_read_to_the_microsecond() -> None:
    nanoseconds = int(datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC).timestamp()) * 1_000_000_000 + 123_456_789
    assert rfc3339(nanoseconds) == "2026-05-04T03:02:01.123456Z"
    assert moment_of("2026-05-04T05:02:01.123456+02:00") == nanoseconds // 1000 * 1000
    assert moment_of("2026-05-04T03:02:01") == moment_of("2026-05-04T03:02:01Z")
