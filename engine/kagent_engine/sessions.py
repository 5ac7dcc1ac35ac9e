"""Where conversations and tasks are kept, as the rest of the engine sees it.

A session is a list of events (history.py knows their shape); a task is A2A 0.3 JSON, the shape in which upstream's
controller stores it. Stores never look inside either beyond ids, states and times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from kagent_engine.shapes import JsonObject

if TYPE_CHECKING:
    from kagent_engine.settings import Settings

__all__ = ["Session", "SessionStore", "TaskArchive", "open_store", "session_name"]


@dataclass(slots=True)
class Session:
    id: str
    user_id: str
    events: list[JsonObject] = field(default_factory=list[JsonObject])


class SessionStore(Protocol):
    """Conversations by id and user."""

    async def load(self, session_id: str, user_id: str) -> Session | None:
        """Return a session with all its events, oldest first, or None."""
        ...

    async def create(self, session_id: str, user_id: str, *, name: str, source: str) -> Session: ...

    async def append(self, session: Session, events: Sequence[JsonObject]) -> None:
        """Store events after those that are there; ``session`` has them as well when this returns."""
        ...


class TaskArchive(Protocol):
    """Finished and waiting tasks, for GetTask after a restart."""

    async def save_task(self, task: JsonObject, user_id: str) -> None: ...

    async def get_task(self, task_id: str, user_id: str) -> JsonObject | None: ...

    async def list_tasks(self, user_id: str, context_id: str) -> list[JsonObject]:
        """Return tasks of one session (of all where ``context_id`` is empty and the store can tell), newest first."""
        ...

    async def delete_task(self, task_id: str, user_id: str) -> None: ...

    async def unfinished_tasks(self) -> list[tuple[JsonObject, str]]:
        """Return the tasks that no process can be working on any more, each with its user; asked once, at start."""
        ...


class Store(SessionStore, TaskArchive, Protocol):
    """Both, from one place, with one lifetime."""

    async def aclose(self) -> None: ...


def session_name(text: str) -> str:
    """Name a session after its first message (upstream: 20 characters and three dots)."""
    line = " ".join(text.split())
    return line if len(line) <= 20 else line[:20] + "..."


def open_store(settings: Settings, *, database: str = "") -> Store:
    """Open the controller's store where there is a controller, else a SQLite file of this agent's own.

    ``database`` is config.json's ``session_db_url``: another SQLite file, or a PostgreSQL database.

    Raises:
        ConfigError: it names neither, or its driver is not installed.
    """
    if settings.controller_url:
        from kagent_engine.store_controller import ControllerStore

        return ControllerStore(settings)
    if database.startswith(("postgresql://", "postgres://", "postgresql+asyncpg://")):
        from kagent_engine.store_postgres import PostgresStore, check_driver

        check_driver()
        return PostgresStore(database, settings.agent_id)
    from kagent_engine.store_sqlite import SqliteStore, database_path

    return SqliteStore(database_path(settings, database))
