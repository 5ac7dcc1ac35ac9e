"""Memories in a SQLite file of the agent's own, for an engine without a controller.

A search compares with every memory of one person, in a thread; that is why there is a limit to them. Vectors of another
embedding model say nothing about this one's, so memories made with it are not found until it is configured again.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
import uuid
from array import array
from collections.abc import Callable, Sequence
from contextlib import closing
from heapq import nlargest
from operator import mul
from pathlib import Path
from typing import Final, TypeVar

from kagent_engine.errors import StoreUnavailable
from kagent_engine.settings import Settings
from kagent_engine.shapes import JsonObject
from kagent_engine.store_sqlite import database_path

__all__ = ["SqliteMemories", "memories_path"]

T = TypeVar("T")

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS memories (
  position INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, user_id TEXT NOT NULL, model TEXT NOT NULL,
  content TEXT NOT NULL, vector BLOB NOT NULL, created REAL NOT NULL, expires REAL NOT NULL);
CREATE INDEX IF NOT EXISTS memories_of ON memories (user_id, model);
"""
# The controller's default.
_TTL_DAYS: Final = 15
_DAY: Final = 86_400.0
# Of one person; the oldest make room. A search of so many takes a quarter of a second.
_MOST: Final = 5_000
_LOCK_SECONDS: Final = 5.0


def memories_path(settings: Settings, session_url: str = "") -> Path | None:
    """Return the file beside the one of the sessions (in the state folder where those are in PostgreSQL), or None."""
    sessions = database_path(settings, session_url if session_url.startswith("sqlite") else "")
    return sessions.with_name(f"{sessions.stem}-memories.db") if sessions else None


class SqliteMemories:
    """A MemoryStore on one file; ``None`` keeps all in memory, until this process ends."""

    def __init__(self, path: Path | None, model: str, *, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._model = model
        self._clock = clock
        self._lock = asyncio.Lock()
        self._only: sqlite3.Connection | None = None

    async def save_memory(self, user_id: str, content: str, vector: Sequence[float], ttl_days: int | None) -> None:
        now = self._clock()
        numbers = array("f", vector).tobytes()
        row = (str(uuid.uuid4()), user_id, self._model, content, numbers, now, now + (ttl_days or _TTL_DAYS) * _DAY)

        def write(db: sqlite3.Connection) -> None:
            with db:
                db.execute("DELETE FROM memories WHERE expires <= ?", (now,))
                # Said again, it lives longer and is not told twice.
                db.execute("DELETE FROM memories WHERE user_id = ? AND content = ?", (user_id, content))
                db.execute(
                    "INSERT INTO memories (id, user_id, model, content, vector, created, expires)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?)",
                    row,
                )
                db.execute(
                    "DELETE FROM memories WHERE user_id = ? AND position NOT IN"
                    " (SELECT position FROM memories WHERE user_id = ? ORDER BY position DESC LIMIT ?)",
                    (user_id, user_id, _MOST),
                )

        await self._in_thread(write)

    async def search_memories(
        self, user_id: str, vector: Sequence[float], *, limit: int, min_score: float
    ) -> list[JsonObject]:
        now = self._clock()

        def read(db: sqlite3.Connection) -> list[JsonObject]:
            rows = db.execute(
                "SELECT id, content, vector FROM memories WHERE user_id = ? AND model = ? AND expires > ?",
                (user_id, self._model, now),
            )
            scored = ((_likeness(vector, kept), place, content) for place, content, kept in rows)
            best = nlargest(limit, (hit for hit in scored if hit[0] >= min_score))
            return [{"id": place, "content": content, "score": score} for score, place, content in best]

        return await self._in_thread(read)

    async def aclose(self) -> None:
        async with self._lock:
            if self._only is not None:
                self._only.close()
                self._only = None

    async def _in_thread(self, work: Callable[[sqlite3.Connection], T]) -> T:
        async with self._lock:
            try:
                return await asyncio.to_thread(self._run, work)
            except sqlite3.Error as error:
                where = self._path or "in memory"
                raise StoreUnavailable(f"the memory store {where} failed: {error}") from error

    def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Memory is asked once or twice a session: a connection for each use costs less than one that stays open."""
        if self._path is None:
            if self._only is None:
                self._only = _open(":memory:")
            return work(self._only)
        with closing(_open(str(self._path))) as db:
            self._path.chmod(0o600)
            return work(db)


def _open(name: str) -> sqlite3.Connection:
    db = sqlite3.connect(name, check_same_thread=False, timeout=_LOCK_SECONDS)
    db.executescript(_SCHEMA)
    return db


def _likeness(vector: Sequence[float], kept: bytes) -> float:
    """Return the cosine of two unit vectors; 0 for vectors of different lengths."""
    other = array("f")
    other.frombytes(kept)
    return sum(map(mul, vector, other)) if len(other) == len(vector) else 0.0
