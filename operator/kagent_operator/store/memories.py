"""What agents remember of earlier conversations, found again by likeness of meaning.

PostgreSQL compares vectors itself where its pgvector extension is there. Elsewhere they are compared here, one by one:
thousands per agent and user are a few milliseconds.
"""

from __future__ import annotations

import logging
import math
import uuid
from array import array
from dataclasses import dataclass
from operator import mul
from typing import Any

from sqlalchemy import Row, delete, insert, or_, select, text, update
from sqlalchemy.exc import ProgrammingError

from kagent_operator.store.database import Database
from kagent_operator.store.tables import memory

__all__ = ["Memories", "Memory", "NewMemory"]

_log = logging.getLogger(__name__)

_DAY = 86_400 * 1_000_000_000
_AVAILABLE = "SELECT 1 FROM pg_available_extensions WHERE name = 'vector'"
# Replicas that start at once take turns; the number is this step's own.
_PREPARE = (
    "SELECT pg_advisory_xact_lock(1970498669)",
    "CREATE EXTENSION IF NOT EXISTS vector",
    "ALTER TABLE memory ADD COLUMN IF NOT EXISTS embedding vector",
)
_EMBED = "UPDATE memory SET embedding = CAST(:vector AS vector) WHERE id = :id"
# As the comparison here: vectors of another size, and those without a direction, are like nothing.
_SCORE = (
    "CASE WHEN vector_dims(embedding) = :size "
    "THEN COALESCE(NULLIF(1 - (embedding <=> CAST(:wanted AS vector)), 'NaN'), 0) ELSE 0 END"
)


@dataclass(frozen=True, slots=True)
class NewMemory:
    """``extra`` is JSON text; ``ttl_days`` 0 keeps it for ever."""

    agent_name: str
    user_id: str
    content: str
    vector: list[float]
    extra: str | None = None
    ttl_days: int = 15


@dataclass(frozen=True, slots=True)
class Memory:
    id: str
    agent_name: str
    user_id: str
    content: str
    extra: str | None
    access_count: int
    created_at: int
    expires_at: int | None


class Memories:
    """Reads and writes memories. Expired ones are never shown, and go at the next write."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pgvector = False

    @property
    def pgvector(self) -> bool:
        """Whether the database compares."""
        return self._pgvector

    async def prepare(self) -> None:
        """Use pgvector where the server has it and lets us; what was kept without it is given to it."""
        if not self._database.shared:
            return
        async with self._database.read() as connection:
            if not (await connection.execute(text(_AVAILABLE))).scalar():
                return
        try:
            async with self._database.write() as connection:
                for statement in _PREPARE:
                    await connection.execute(text(statement))
                kept = (await connection.execute(text("SELECT id, vector FROM memory WHERE embedding IS NULL"))).all()
                for row in kept:
                    await connection.execute(text(_EMBED), {"id": row.id, "vector": _written(array("f", row.vector))})
        except ProgrammingError as error:
            # Only a role that may create extensions can; a database's owner may where the extension is trusted.
            _log.warning("memories are compared here, pgvector is not used: %s", error.orig)
            return
        self._pgvector = True

    async def add(self, items: list[NewMemory]) -> list[str]:
        """Save memories; return their ids."""
        rows: list[dict[str, Any]] = []
        for item in items:
            now = self._database.now()
            rows.append(
                {
                    "id": str(uuid.uuid4()),
                    "agent_name": item.agent_name,
                    "user_id": item.user_id,
                    "content": item.content,
                    "vector": array("f", _unit(item.vector)).tobytes(),
                    "extra": item.extra,
                    "access_count": 0,
                    "created_at": now,
                    "expires_at": now + item.ttl_days * _DAY if item.ttl_days > 0 else None,
                }
            )
        async with self._database.write() as connection:
            await connection.execute(delete(memory).where(memory.c.expires_at <= self._database.now()))
            await connection.execute(insert(memory), rows)
            if self._pgvector:
                given = [{"id": row["id"], "vector": _written(array("f", row["vector"]))} for row in rows]
                await connection.execute(text(_EMBED), given)
        return [row["id"] for row in rows]

    async def search(
        self, agent_name: str, user_id: str, vector: list[float], *, limit: int, min_score: float
    ) -> list[tuple[Memory, float]]:
        """Return the likest memories with their cosine, best first, and count the visit."""
        look = self._asked_of_server if self._pgvector else self._compared
        best = await look(self._living(agent_name, user_id), _unit(vector), limit, min_score)
        if best:
            async with self._database.write() as connection:
                await connection.execute(
                    update(memory)
                    .where(memory.c.id.in_([item.id for item, _ in best]))
                    .values(access_count=memory.c.access_count + 1)
                )
        return best

    async def _compared(self, living: Any, wanted: list[float], limit: int, least: float) -> list[tuple[Memory, float]]:
        async with self._database.read() as connection:
            rows = (await connection.execute(living)).all()
        found: list[tuple[Memory, float]] = []
        for row in rows:
            held = array("f", row.vector)
            score = sum(map(mul, wanted, held)) if len(held) == len(wanted) else 0.0
            if score >= least:
                found.append((_memory(row), score))
        return sorted(found, key=lambda pair: -pair[1])[:limit]

    async def _asked_of_server(
        self, living: Any, wanted: list[float], limit: int, least: float
    ) -> list[tuple[Memory, float]]:
        query = (
            living.add_columns(text(f"{_SCORE} AS score"))
            .where(text(f"{_SCORE} >= :least"))
            .order_by(text("score DESC"))
            .limit(limit)
        )
        values = {"wanted": _written(array("f", wanted)), "size": len(wanted), "least": least}
        async with self._database.read() as connection:
            rows = (await connection.execute(query, values)).all()
        return [(_memory(row), row.score) for row in rows]

    async def list(self, agent_name: str, user_id: str) -> list[Memory]:
        """Return all memories of an agent about a user, newest first."""
        query = self._living(agent_name, user_id).order_by(memory.c.created_at.desc())
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [_memory(row) for row in rows]

    async def forget(self, agent_name: str, user_id: str) -> int:
        """Delete all memories of an agent about a user; return how many there were."""
        mine = (memory.c.agent_name == agent_name, memory.c.user_id == user_id)
        async with self._database.write() as connection:
            return (await connection.execute(delete(memory).where(*mine))).rowcount

    def _living(self, agent_name: str, user_id: str) -> Any:
        return select(memory).where(
            memory.c.agent_name == agent_name,
            memory.c.user_id == user_id,
            or_(memory.c.expires_at.is_(None), memory.c.expires_at > self._database.now()),
        )


def _written(vector: array[float]) -> str:
    """Write a vector as pgvector reads it."""
    return f"[{','.join(map(repr, vector))}]"


def _unit(vector: list[float]) -> list[float]:
    length = math.sqrt(sum(map(mul, vector, vector)))
    return [value / length for value in vector] if length else vector


def _memory(row: Row[Any]) -> Memory:
    return Memory(
        row.id,
        row.agent_name,
        row.user_id,
        row.content,
        row.extra,
        row.access_count,
        row.created_at,
        row.expires_at,
    )
