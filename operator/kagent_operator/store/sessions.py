"""Sessions and their events. A session belongs to one user; the same id may exist for several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from kagent_operator.store.database import Database
from kagent_operator.store.tables import (
    crewai_flow_state,
    crewai_memory,
    event,
    lg_checkpoint,
    lg_checkpoint_write,
    session,
    share,
    share_access,
    task,
)

__all__ = ["Session", "SessionEvent", "Sessions", "living_session", "session_of"]


@dataclass(frozen=True, slots=True)
class Session:
    id: str
    user_id: str
    name: str
    agent_id: str
    source: str
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class SessionEvent:
    """One event; ``data`` is the engine's JSON text, kept as it came."""

    id: str
    user_id: str
    session_id: str
    data: str
    created_at: int
    updated_at: int


class Sessions:
    """Reads and writes sessions. Deleting is soft, and takes a session's events and tasks along."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, user_id: str, id: str, *, agent_id: str, name: str = "", source: str = "") -> Session:
        """Create a session, or take up an existing one of this id and user; an empty name leaves the old one."""
        now = self._database.now()
        async with self._database.write() as connection:
            row = (await connection.execute(select(session).where(*_is(user_id, id)))).first()
            if row is None:
                created = {
                    "id": id, "user_id": user_id, "name": name, "agent_id": agent_id, "source": source,
                    "created_at": now, "updated_at": now, "deleted_at": None,
                }  # fmt: skip
                await connection.execute(self._database.upsert(session, created))
            else:
                named = {key: value for key, value in (("name", name), ("source", source)) if value}
                await self._touch(connection, user_id, id, agent_id=agent_id, **named)
            row = (await connection.execute(select(session).where(*_is(user_id, id)))).one()
        return session_of(row)

    async def get(self, user_id: str, id: str) -> Session | None:
        async with self._database.read() as connection:
            row = (await connection.execute(select(session).where(*_is(user_id, id)))).first()
        return session_of(row) if row else None

    async def owner(self, id: str) -> str | None:
        """Return the user a session belongs to if it is exactly one."""
        query = select(session.c.user_id).where(session.c.id == id, session.c.deleted_at.is_(None)).limit(2)
        async with self._database.read() as connection:
            owners = (await connection.execute(query)).scalars().all()
        return str(owners[0]) if len(owners) == 1 else None

    async def list(self, user_id: str, *, agent_id: str = "", without_source: str = "") -> list[Session]:
        """Return a user's sessions, newest first; of one agent, and without those of a source, where given."""
        query = select(session).where(session.c.user_id == user_id, session.c.deleted_at.is_(None))
        if agent_id:
            query = query.where(session.c.agent_id == agent_id)
        if without_source:
            query = query.where(session.c.source != without_source)
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(session.c.created_at.desc()))).all()
        return [session_of(row) for row in rows]

    async def change(self, user_id: str, id: str, *, name: str = "", agent_id: str = "") -> Session | None:
        """Rename a session or move it to another agent; None when there is none."""
        values = {key: value for key, value in (("name", name), ("agent_id", agent_id)) if value}
        async with self._database.write() as connection:
            await self._touch(connection, user_id, id, **values)
            row = (await connection.execute(select(session).where(*_is(user_id, id)))).first()
        return session_of(row) if row else None

    async def delete(self, user_id: str, id: str) -> bool:
        """Delete a session with all that hangs on it; say if there was one.

        Its share links end, so that none of them opens a later session of the same id.
        """
        gone = {"deleted_at": self._database.now()}
        async with self._database.write() as connection:
            result = await connection.execute(update(session).where(*_is(user_id, id)).values(gone))
            for table in (event, task):
                of_session = (table.c.session_id == id, table.c.user_id == user_id, table.c.deleted_at.is_(None))
                await connection.execute(update(table).where(*of_session).values(gone))
            links = (share.c.session_id == id, share.c.user_id == user_id)
            of_links = share_access.c.token.in_(select(share.c.token).where(*links))
            await connection.execute(delete(share_access).where(of_links))
            await connection.execute(delete(share).where(*links))
            for table in (lg_checkpoint, lg_checkpoint_write, crewai_memory, crewai_flow_state):
                of_thread = (table.c.thread_id == id, table.c.user_id == user_id)
                await connection.execute(delete(table).where(*of_thread))
        return result.rowcount > 0

    async def add_event(self, user_id: str, session_id: str, id: str, data: str) -> SessionEvent:
        """Append an event; one of the same id is replaced in its place.

        It comes after what the session holds, though it came by a replica whose clock is behind.
        """
        async with self._database.write() as connection:
            # First, since it makes replicas that append to one session wait for each other.
            now = await self._touch(connection, user_id, session_id)
            values = {
                "id": id, "user_id": user_id, "session_id": session_id, "data": data,
                "created_at": now, "updated_at": now, "deleted_at": None,
            }  # fmt: skip
            await connection.execute(self._database.upsert(event, values, keep=("created_at",)))
        return SessionEvent(id, user_id, session_id, data, now, now)

    async def events(
        self, user_id: str, session_id: str, *, ascending: bool = False, after: int | None = None, limit: int = 0
    ) -> list[SessionEvent]:
        """Return a session's events, newest first unless ``ascending``; ``limit`` 0 or less means all."""
        query = select(event).where(
            event.c.session_id == session_id, event.c.user_id == user_id, event.c.deleted_at.is_(None)
        )
        if after is not None:
            query = query.where(event.c.created_at > after)
        query = query.order_by(event.c.created_at if ascending else event.c.created_at.desc())
        if limit > 0:
            query = query.limit(limit)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [
            SessionEvent(row.id, row.user_id, row.session_id, row.data, row.created_at, row.updated_at) for row in rows
        ]

    async def _touch(self, connection: AsyncConnection, user_id: str, id: str, **values: str) -> int:
        """Change a session and return the moment of it: later than any before, whatever the replicas' clocks say."""
        now = self._database.now()
        later = self._database.greatest(session.c.updated_at + 1, now)
        changed = update(session).where(*_is(user_id, id)).values(updated_at=later, **values)
        return (await connection.execute(changed.returning(session.c.updated_at))).scalar() or now


def _is(user_id: str, id: str) -> tuple[Any, ...]:
    return (session.c.id == id, session.c.user_id == user_id, session.c.deleted_at.is_(None))


def living_session(user_id: str, id: str) -> Select[Any]:
    """Return the query of one session that was not deleted."""
    return select(session).where(*_is(user_id, id))


def session_of(row: Row[Any]) -> Session:
    """Read a session from its row."""
    return Session(row.id, row.user_id, row.name, row.agent_id, row.source, row.created_at, row.updated_at)
