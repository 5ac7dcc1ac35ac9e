"""Sessions and tasks in PostgreSQL, for engines without a controller that share a database or have no disk.

Each process holds an advisory lock for as long as it lives, and each task names the lock of who works on it: so a
starting process can tell tasks that no one works on any more from those of another replica. Bodies are bytes of JSON:
JSONB refuses NUL characters, which models and tools do write.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any, Final

import orjson

from kagent_engine.errors import ConfigError, StoreUnavailable
from kagent_engine.sessions import Session
from kagent_engine.shapes import JsonObject, as_object, as_objects, as_text

__all__ = ["PostgresStore", "check_driver"]

logger = logging.getLogger(__name__)

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS kagent_engine_sessions (
  agent TEXT NOT NULL, id TEXT NOT NULL, user_id TEXT NOT NULL, name TEXT NOT NULL, source TEXT NOT NULL,
  created TIMESTAMPTZ NOT NULL DEFAULT now(), updated TIMESTAMPTZ NOT NULL DEFAULT now(),
  PRIMARY KEY (agent, id, user_id));
CREATE TABLE IF NOT EXISTS kagent_engine_events (
  position BIGSERIAL PRIMARY KEY, agent TEXT NOT NULL, session_id TEXT NOT NULL, user_id TEXT NOT NULL,
  data BYTEA NOT NULL);
CREATE INDEX IF NOT EXISTS kagent_engine_events_of_session
  ON kagent_engine_events (agent, session_id, user_id, position);
CREATE TABLE IF NOT EXISTS kagent_engine_tasks (
  agent TEXT NOT NULL, id TEXT NOT NULL, user_id TEXT NOT NULL, context_id TEXT NOT NULL, state TEXT NOT NULL,
  owner BIGINT NOT NULL, updated TIMESTAMPTZ NOT NULL DEFAULT now(), data BYTEA NOT NULL,
  hooks BYTEA, PRIMARY KEY (agent, id));
CREATE INDEX IF NOT EXISTS kagent_engine_tasks_of_session
  ON kagent_engine_tasks (agent, user_id, context_id, updated);
"""
# Any number that no one else locks: two processes that start at once would otherwise both create the tables.
_SCHEMA_LOCK: Final = 0x6B6167656E74
_UNFINISHED: Final = ["submitted", "working"]
_SECONDS: Final = 10.0


class PostgresStore:
    """A SessionStore and TaskArchive in the tables ``kagent_engine_*`` of one database, by agent."""

    def __init__(self, url: str, agent: str) -> None:
        self._url = url.replace("postgresql+asyncpg://", "postgresql://", 1)
        self._agent = agent
        self._owner = secrets.randbits(62)
        self._pool: Any = None
        self._alive: Any = None
        self._opening = asyncio.Lock()

    async def load(self, session_id: str, user_id: str) -> Session | None:
        key = (self._agent, session_id, user_id)
        async with self._database() as db:
            known = "SELECT 1 FROM kagent_engine_sessions WHERE agent = $1 AND id = $2 AND user_id = $3"
            if await db.fetchval(known, *key) is None:
                return None
            rows = await db.fetch(
                "SELECT data FROM kagent_engine_events WHERE agent = $1 AND session_id = $2 AND user_id = $3 "
                "ORDER BY position",
                *key,
            )
        return Session(session_id, user_id, [as_object(orjson.loads(row[0])) for row in rows])

    async def create(self, session_id: str, user_id: str, *, name: str, source: str) -> Session:
        async with self._database() as db:
            await db.execute(
                "INSERT INTO kagent_engine_sessions (agent, id, user_id, name, source) VALUES ($1, $2, $3, $4, $5) "
                "ON CONFLICT DO NOTHING",
                self._agent, session_id, user_id, _storable(name), source,
            )  # fmt: skip
        return Session(session_id, user_id)

    async def append(self, session: Session, events: Sequence[JsonObject]) -> None:
        rows = [(self._agent, session.id, session.user_id, orjson.dumps(event)) for event in events]
        async with self._database() as db, db.transaction():
            await db.executemany(
                "INSERT INTO kagent_engine_events (agent, session_id, user_id, data) VALUES ($1, $2, $3, $4)", rows
            )
            await db.execute(
                "UPDATE kagent_engine_sessions SET updated = now() WHERE agent = $1 AND id = $2 AND user_id = $3",
                self._agent, session.id, session.user_id,
            )  # fmt: skip
        session.events.extend(events)

    async def save_task(self, task: JsonObject, user_id: str) -> None:
        state = as_text(as_object(task.get("status")).get("state"))
        async with self._database() as db:
            await db.execute(
                "INSERT INTO kagent_engine_tasks (agent, id, user_id, context_id, state, owner, data) "
                "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (agent, id) DO UPDATE "
                "SET state = excluded.state, owner = excluded.owner, data = excluded.data, updated = now()",
                self._agent, task["id"], user_id, as_text(task.get("contextId")), state, self._owner,
                orjson.dumps(task),
            )  # fmt: skip

    async def get_task(self, task_id: str, user_id: str) -> JsonObject | None:
        async with self._database() as db:
            found = await db.fetchval(
                "SELECT data FROM kagent_engine_tasks WHERE agent = $1 AND id = $2 AND user_id = $3",
                self._agent, task_id, user_id,
            )  # fmt: skip
        return as_object(orjson.loads(found)) if found else None

    async def list_tasks(self, user_id: str, context_id: str) -> list[JsonObject]:
        async with self._database() as db:
            rows = await db.fetch(
                "SELECT data FROM kagent_engine_tasks WHERE agent = $1 AND user_id = $2 "
                "AND ($3 = '' OR context_id = $3) ORDER BY updated DESC",
                self._agent, user_id, context_id,
            )  # fmt: skip
        return [as_object(orjson.loads(row[0])) for row in rows]

    async def delete_task(self, task_id: str, user_id: str) -> None:
        async with self._database() as db:
            await db.execute(
                "DELETE FROM kagent_engine_tasks WHERE agent = $1 AND id = $2 AND user_id = $3",
                self._agent, task_id, user_id,
            )  # fmt: skip

    async def unfinished_tasks(self) -> list[tuple[JsonObject, str]]:
        """Return the unfinished tasks whose process holds its lock no more."""
        async with self._database() as db:
            rows = await db.fetch(
                "SELECT data, user_id, owner FROM kagent_engine_tasks WHERE agent = $1 AND state = ANY($2)",
                self._agent, _UNFINISHED,
            )  # fmt: skip
            gone: set[int] = set()
            for owner in {int(row["owner"]) for row in rows} - {self._owner}:
                if await db.fetchval("SELECT pg_try_advisory_lock($1)", owner):
                    await db.execute("SELECT pg_advisory_unlock($1)", owner)
                    gone.add(owner)
        return [(as_object(orjson.loads(row["data"])), row["user_id"]) for row in rows if row["owner"] in gone]

    async def save_hooks(self, task_id: str, user_id: str, hooks: Sequence[JsonObject]) -> None:
        async with self._database() as db:
            await db.execute(
                "UPDATE kagent_engine_tasks SET hooks = $4 WHERE agent = $1 AND id = $2 AND user_id = $3",
                self._agent, task_id, user_id, orjson.dumps(hooks),
            )  # fmt: skip

    async def load_hooks(self, task_id: str, user_id: str) -> list[JsonObject]:
        async with self._database() as db:
            found = await db.fetchval(
                "SELECT hooks FROM kagent_engine_tasks WHERE agent = $1 AND id = $2 AND user_id = $3",
                self._agent, task_id, user_id,
            )  # fmt: skip
        return as_objects(orjson.loads(found)) if found else []

    async def aclose(self) -> None:
        if self._pool is not None:
            await self._pool.close()
        if self._alive is not None:
            await self._alive.close()
        self._pool = self._alive = None

    @asynccontextmanager
    async def _database(self) -> AsyncGenerator[Any]:
        """Lend a connection.

        Raises:
            StoreUnavailable: the database does not answer or refuses.
        """
        driver = _driver()
        try:
            pool = await self._open()
            async with pool.acquire(timeout=_SECONDS) as db:
                yield db
        except (OSError, TimeoutError, driver.PostgresError, driver.InterfaceError) as error:
            reason = str(error) or type(error).__name__
            raise StoreUnavailable(f"PostgreSQL, where the sessions are, failed: {reason}") from error

    async def _open(self) -> Any:
        async with self._opening:
            if self._alive is None or self._alive.is_closed():
                self._alive = await self._hold_lock()
            if self._pool is None:
                self._pool = await _driver().create_pool(
                    self._url, min_size=0, max_size=10, command_timeout=30, timeout=_SECONDS
                )
            return self._pool

    async def _hold_lock(self) -> Any:
        """Create the tables where they are not, and take the lock that says that this process lives."""
        db = await _driver().connect(self._url, timeout=_SECONDS)
        async with db.transaction():
            await db.execute("SELECT pg_advisory_xact_lock($1)", _SCHEMA_LOCK)
            await db.execute(_SCHEMA)
        await db.execute("SELECT pg_advisory_lock($1)", self._owner)
        return db


def _driver() -> Any:
    """Return asyncpg, which comes without types."""
    return import_module("asyncpg")


def check_driver() -> None:
    """Say at start, and not at the first message, that the driver is not installed.

    Raises:
        ConfigError: it is not.
    """
    try:
        _driver()
    except ImportError as error:
        raise ConfigError(
            "config.json", "PostgreSQL needs the driver asyncpg, which is not installed", field="session_db_url",
            remedy="install kagent-engine[postgres]",
        ) from error  # fmt: skip


def _storable(text: str) -> str:
    """Return text without the one character that PostgreSQL cannot hold."""
    return text.replace("\0", "")
