"""What agents remember of earlier conversations, found again by likeness of meaning.

Vectors are compared here, one by one: thousands per agent and user are a few milliseconds, and no vector extension is
needed in either database.
"""

from __future__ import annotations

import math
import uuid
from array import array
from dataclasses import dataclass
from operator import mul
from typing import Any

from sqlalchemy import Row, delete, insert, or_, select, update

from kagent_operator.store.database import Database
from kagent_operator.store.tables import memory

__all__ = ["Memories", "Memory", "NewMemory"]

_DAY = 86_400 * 1_000_000_000


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
        return [row["id"] for row in rows]

    async def search(
        self, agent_name: str, user_id: str, vector: list[float], *, limit: int, min_score: float
    ) -> list[tuple[Memory, float]]:
        """Return the likest memories with their cosine, best first, and count the visit."""
        wanted = _unit(vector)
        async with self._database.read() as connection:
            rows = (await connection.execute(self._living(agent_name, user_id))).all()
        found: list[tuple[Memory, float]] = []
        for row in rows:
            held = array("f", row.vector)
            score = sum(map(mul, wanted, held)) if len(held) == len(wanted) else 0.0
            if score >= min_score:
                found.append((_memory(row), score))
        best = sorted(found, key=lambda pair: -pair[1])[:limit]
        if best:
            async with self._database.write() as connection:
                await connection.execute(
                    update(memory)
                    .where(memory.c.id.in_([item.id for item, _ in best]))
                    .values(access_count=memory.c.access_count + 1)
                )
        return best

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
