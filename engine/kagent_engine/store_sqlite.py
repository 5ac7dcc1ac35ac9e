"""Sessions and tasks in one SQLite file, for an engine without a controller.

What is small is done at once, in the event loop: a write goes to the page cache in 20-50 us, a tenth of what handing it
to a thread costs. What may take long - a long session, a list, bringing the log into the file, which waits for the
disk - is done by one thread on a connection of its own. An acknowledged write survives a crash of the process (WAL);
it may lose its last moments when the whole machine loses power.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

import orjson

from kagent_engine.errors import ConfigError, StoreUnavailable
from kagent_engine.sessions import Session
from kagent_engine.settings import Settings
from kagent_engine.shapes import JsonObject, as_object, as_objects, as_text

__all__ = ["SqliteStore", "database_path"]

logger = logging.getLogger(__name__)
T = TypeVar("T")

_SCHEMA_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS sessions (
  id TEXT NOT NULL, user_id TEXT NOT NULL, name TEXT, source TEXT, created REAL NOT NULL, updated REAL NOT NULL,
  PRIMARY KEY (id, user_id));
CREATE TABLE IF NOT EXISTS events (
  position INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL, user_id TEXT NOT NULL, data BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS events_of_session ON events (session_id, user_id, position);
CREATE TABLE IF NOT EXISTS tasks (
  id TEXT PRIMARY KEY, user_id TEXT NOT NULL, context_id TEXT NOT NULL, state TEXT NOT NULL, updated REAL NOT NULL,
  data BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS tasks_of_session ON tasks (user_id, context_id, updated);
CREATE INDEX IF NOT EXISTS tasks_unfinished ON tasks (state) WHERE state IN ('submitted', 'working');
CREATE TABLE IF NOT EXISTS hooks (
  task_id TEXT NOT NULL, user_id TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY (task_id, user_id));
"""
# How many events a session may have to be read in the event loop: 0.3 ms.
_FEW_EVENTS: Final = 100
# Writes between two moves of the log into the file; the log is about a page a write.
_LOG_WRITES: Final = 1000
_LOCK_SECONDS: Final = 2.0
_UNFINISHED: Final = ("submitted", "working")


def database_path(settings: Settings, url: str = "") -> Path | None:
    """Return the file of this agent's store, or None (memory) where no directory can be written.

    ``url`` is config.json's ``session_db_url``.

    Raises:
        ConfigError: the URL is not one of SQLite.
    """
    if url:
        scheme, _, rest = url.partition(":///")
        if not scheme.startswith("sqlite") or not rest:
            raise ConfigError(
                "config.json", f"expected sqlite:///PATH or postgresql://, found '{scheme}:'", field="session_db_url"
            )
        return settings.paths.resolve(f"/{rest.lstrip('/')}" if rest.startswith("/") else rest)
    path = settings.state_dir.expanduser() / "engine" / f"{settings.agent_id}.db"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        logger.warning(
            "sessions are kept in memory only and end with this process: cannot make %s (%s); "
            "set KAGENT_TUI_STATE to a directory that can be written",
            path.parent,
            error.strerror,
        )
        return None
    return path


class SqliteStore:
    """A SessionStore and TaskArchive on one file; ``None`` keeps all in memory."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._opened: sqlite3.Connection | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._second: sqlite3.Connection | None = None
        self._writes = 0
        self._moving: asyncio.Future[None] | None = None

    async def load(self, session_id: str, user_id: str) -> Session | None:
        key = (session_id, user_id)

        def few(db: sqlite3.Connection) -> list[tuple[bytes]] | None:
            if db.execute("SELECT 1 FROM sessions WHERE id = ? AND user_id = ?", key).fetchone() is None:
                return None
            return db.execute(f"{events} LIMIT {_FEW_EVENTS + 1}", key).fetchall()

        def read(db: sqlite3.Connection) -> Session:
            return session(db.execute(events, key).fetchall())

        def session(rows: list[tuple[bytes]]) -> Session:
            return Session(session_id, user_id, [as_object(orjson.loads(row[0])) for row in rows])

        events = "SELECT data FROM events WHERE session_id = ? AND user_id = ? ORDER BY position"
        rows = self._now(few)
        if rows is None:
            return None
        return session(rows) if len(rows) <= _FEW_EVENTS else await self._later(read)

    async def create(self, session_id: str, user_id: str, *, name: str, source: str) -> Session:
        def write(db: sqlite3.Connection) -> Session:
            now = time.time()
            with db:
                db.execute(
                    "INSERT OR IGNORE INTO sessions VALUES (?, ?, ?, ?, ?, ?)",
                    (session_id, user_id, name, source, now, now),
                )
            return Session(session_id, user_id)

        return self._now(write)

    async def append(self, session: Session, events: Sequence[JsonObject]) -> None:
        rows = [(session.id, session.user_id, orjson.dumps(event)) for event in events]

        def write(db: sqlite3.Connection) -> None:
            with db:
                db.executemany("INSERT INTO events (session_id, user_id, data) VALUES (?, ?, ?)", rows)
                db.execute(
                    "UPDATE sessions SET updated = ? WHERE id = ? AND user_id = ?",
                    (time.time(), session.id, session.user_id),
                )

        self._now(write)
        session.events.extend(events)

    async def save_task(self, task: JsonObject, user_id: str) -> None:
        state = as_text(as_object(task.get("status")).get("state"))
        row = (task["id"], user_id, as_text(task.get("contextId")), state, time.time(), orjson.dumps(task))

        def write(db: sqlite3.Connection) -> None:
            with db:
                db.execute("INSERT OR REPLACE INTO tasks VALUES (?, ?, ?, ?, ?, ?)", row)

        self._now(write)

    async def get_task(self, task_id: str, user_id: str) -> JsonObject | None:
        def read(db: sqlite3.Connection) -> JsonObject | None:
            row = db.execute("SELECT data FROM tasks WHERE id = ? AND user_id = ?", (task_id, user_id)).fetchone()
            return as_object(orjson.loads(row[0])) if row else None

        return self._now(read)

    async def list_tasks(self, user_id: str, context_id: str) -> list[JsonObject]:
        def read(db: sqlite3.Connection) -> list[JsonObject]:
            rows = db.execute(
                "SELECT data FROM tasks WHERE user_id = ? AND (? = '' OR context_id = ?) ORDER BY updated DESC",
                (user_id, context_id, context_id),
            ).fetchall()
            return [as_object(orjson.loads(row[0])) for row in rows]

        return await self._later(read)

    async def delete_task(self, task_id: str, user_id: str) -> None:
        def write(db: sqlite3.Connection) -> None:
            with db:
                db.execute("DELETE FROM tasks WHERE id = ? AND user_id = ?", (task_id, user_id))
                db.execute("DELETE FROM hooks WHERE task_id = ? AND user_id = ?", (task_id, user_id))

        self._now(write)

    async def save_hooks(self, task_id: str, user_id: str, hooks: Sequence[JsonObject]) -> None:
        def write(db: sqlite3.Connection) -> None:
            with db:
                db.execute("INSERT OR REPLACE INTO hooks VALUES (?, ?, ?)", (task_id, user_id, orjson.dumps(hooks)))

        self._now(write)

    async def load_hooks(self, task_id: str, user_id: str) -> list[JsonObject]:
        def read(db: sqlite3.Connection) -> list[JsonObject]:
            key = (task_id, user_id)
            row = db.execute("SELECT data FROM hooks WHERE task_id = ? AND user_id = ?", key).fetchone()
            return as_objects(orjson.loads(row[0])) if row else []

        return self._now(read)

    async def unfinished_tasks(self) -> list[tuple[JsonObject, str]]:
        def read(db: sqlite3.Connection) -> list[tuple[JsonObject, str]]:
            rows = db.execute("SELECT data, user_id FROM tasks WHERE state IN (?, ?)", _UNFINISHED).fetchall()
            return [(as_object(orjson.loads(row[0])), str(row[1])) for row in rows]

        return await self._later(read)

    async def aclose(self) -> None:
        if self._moving is not None:
            await asyncio.wait([self._moving])
        if self._thread is not None:
            self._thread.shutdown()
        for db in (self._second, self._opened):
            if db is not None:
                db.close()
        self._thread = self._second = self._opened = None

    def _now(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do what is small, here and at once."""
        if self._opened is None:
            self._opened = self._open()
        try:
            done = work(self._opened)
        except sqlite3.Error as error:
            raise self._unavailable(error) from error
        self._writes += 1
        if self._path and self._writes >= _LOG_WRITES and (self._moving is None or self._moving.done()):
            self._writes = 0
            self._moving = asyncio.ensure_future(self._move_log())
        return done

    async def _later(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do what may take long in the thread; without a file there is one connection only."""
        if self._path is None:
            return self._now(work)
        if self._opened is None:
            self._opened = self._open()
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite")

        def run() -> T:
            if self._second is None:
                self._second = sqlite3.connect(str(self._path), check_same_thread=False, timeout=_LOCK_SECONDS)
            return work(self._second)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, run)
        except sqlite3.Error as error:
            raise self._unavailable(error) from error

    async def _move_log(self) -> None:
        """Bring what the log holds into the file."""
        try:
            await self._later(lambda db: db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone())
        except StoreUnavailable as error:
            logger.warning("%s", error)

    def _unavailable(self, error: sqlite3.Error) -> StoreUnavailable:
        return StoreUnavailable(f"the session store {self._path or 'in memory'} failed: {error}")

    def _open(self) -> sqlite3.Connection:
        name = str(self._path) if self._path else ":memory:"
        try:
            db = sqlite3.connect(name, check_same_thread=False, timeout=_LOCK_SECONDS)
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA wal_autocheckpoint=0")
            db.execute("PRAGMA synchronous=NORMAL")
            found = int(db.execute("PRAGMA user_version").fetchone()[0])
        except sqlite3.Error as error:
            raise ConfigError(name, f"cannot be opened as a session store: {error}", remedy="move it away") from error
        if found > _SCHEMA_VERSION:
            db.close()
            raise ConfigError(
                name,
                f"was written by a newer kagent-engine (schema {found}, this one knows {_SCHEMA_VERSION})",
                remedy="upgrade, or set KAGENT_TUI_STATE to another directory",
            )
        db.executescript(_SCHEMA)
        db.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
        if self._path:
            self._path.chmod(0o600)
        return db
