"""A2A tasks as the engines saved them, in the dialect they came in. A task belongs to the user who began it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, and_, func, select, update

from kagent_operator.store.database import Database
from kagent_operator.store.errors import TaskOwned
from kagent_operator.store.sessions import Session, session_of
from kagent_operator.store.tables import session, task

__all__ = ["WAITING_STATES", "StoredTask", "TaskPage", "Tasks"]

WAITING_STATES: Final = ("input-required", "auth-required")


@dataclass(frozen=True, slots=True)
class StoredTask:
    """``data`` is the task's JSON text in the shape of ``protocol_version``; ``state`` is written as A2A 0.3 does."""

    id: str
    user_id: str
    session_id: str
    state: str
    data: str
    protocol_version: str
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class TaskPage:
    tasks: list[StoredTask]
    total: int


class Tasks:
    """Reads and writes tasks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def now(self) -> int:
        """Return this moment as tasks' times are written: nanoseconds, never the same twice."""
        return self._database.now()

    async def put(
        self, user_id: str, id: str, *, session_id: str, state: str, data: str, protocol_version: str
    ) -> StoredTask:
        """Save a task; raise TaskOwned when the id belongs to another user, or to another session of this one.

        A task stays in the session it began in (A2A): whoever reaches one session overwrites no task of another.
        """
        now = self._database.now()
        values = {
            "id": id, "user_id": user_id, "session_id": session_id, "state": state, "data": data,
            "protocol_version": protocol_version, "created_at": now, "updated_at": now, "deleted_at": None,
        }  # fmt: skip
        async with self._database.write() as connection:
            # One statement: between a look and a write another replica could give the id to somebody else.
            same = and_(task.c.user_id == user_id, task.c.session_id.in_(("", session_id)))
            mine = self._database.upsert(task, values, keep=("created_at",), where=same)
            row = (await connection.execute(mine.returning(*task.c))).first()
        if row is None:
            raise TaskOwned(f"task {id} belongs to another user or session", remedy="give the task a new id")
        return _task(row)

    async def get(self, user_id: str, id: str) -> StoredTask | None:
        query = select(task).where(task.c.id == id, task.c.user_id == user_id, task.c.deleted_at.is_(None))
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        return _task(row) if row else None

    async def owner(self, id: str) -> str | None:
        """Return the user a task belongs to."""
        query = select(task.c.user_id).where(task.c.id == id, task.c.deleted_at.is_(None))
        async with self._database.read() as connection:
            return (await connection.execute(query)).scalar()

    async def delete(self, user_id: str, id: str) -> bool:
        """Delete a task; say if there was one."""
        mine = (task.c.id == id, task.c.user_id == user_id, task.c.deleted_at.is_(None))
        async with self._database.write() as connection:
            result = await connection.execute(update(task).where(*mine).values(deleted_at=self._database.now()))
        return result.rowcount > 0

    async def of_session(self, user_id: str, session_id: str) -> list[StoredTask]:
        """Return a session's tasks in the order they began."""
        query = select(task).where(
            task.c.session_id == session_id, task.c.user_id == user_id, task.c.deleted_at.is_(None)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(task.c.created_at))).all()
        return [_task(row) for row in rows]

    async def waiting(self, user_id: str, limit: int = 500) -> list[tuple[StoredTask, Session]]:
        """Return a user's tasks that wait for somebody, the longest first, without those of sub-agents' sessions."""
        query = (
            select(task.c.id, session.c.id)
            .join(session, and_(session.c.id == task.c.session_id, session.c.user_id == task.c.user_id))
            .where(
                task.c.user_id == user_id,
                task.c.state.in_(WAITING_STATES),
                task.c.deleted_at.is_(None),
                session.c.deleted_at.is_(None),
                session.c.source != "agent",
            )
            .order_by(task.c.updated_at)
            .limit(limit)
        )
        async with self._database.read() as connection:
            found = (await connection.execute(query)).all()
            tasks = await connection.execute(select(task).where(task.c.id.in_([pair[0] for pair in found])))
            sessions = await connection.execute(
                select(session).where(session.c.user_id == user_id, session.c.id.in_([pair[1] for pair in found]))
            )
            task_of = {row.id: _task(row) for row in tasks.all()}
            opened = {row.id: session_of(row) for row in sessions.all()}
        return [(task_of[pair[0]], opened[pair[1]]) for pair in found if pair[0] in task_of and pair[1] in opened]

    async def page(
        self,
        user_id: str,
        *,
        agent_id: str = "",
        session_id: str = "",
        state: str = "",
        after: int | None = None,
        offset: int = 0,
        limit: int = 50,
    ) -> TaskPage:
        """Return a user's tasks, last changed first, with the total number.

        ``after`` is a moment: only what changed later. Agent, session and state narrow it where they are given.
        """
        conditions: list[Any] = [task.c.user_id == user_id, task.c.deleted_at.is_(None)]
        if agent_id:
            of_agent = select(session.c.id).where(session.c.user_id == user_id, session.c.agent_id == agent_id)
            conditions.append(task.c.session_id.in_(of_agent))
        if session_id:
            conditions.append(task.c.session_id == session_id)
        if state:
            conditions.append(task.c.state == state)
        if after is not None:
            conditions.append(task.c.updated_at > after)
        latest = (task.c.updated_at.desc(), task.c.id)
        query = select(task).where(*conditions).order_by(*latest).offset(offset).limit(limit)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
            total = (await connection.execute(select(func.count()).select_from(task).where(*conditions))).scalar_one()
        return TaskPage([_task(row) for row in rows], total)


def _task(row: Row[Any]) -> StoredTask:
    return StoredTask(
        row.id,
        row.user_id,
        row.session_id,
        row.state,
        row.data,
        row.protocol_version,
        row.created_at,
        row.updated_at,
    )
