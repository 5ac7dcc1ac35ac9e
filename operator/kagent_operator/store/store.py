"""Everything the gateway keeps, behind one object."""

from __future__ import annotations

from pathlib import Path

from kagent_operator.store.database import Database
from kagent_operator.store.feedback import Feedbacks
from kagent_operator.store.frameworks import Frameworks
from kagent_operator.store.memories import Memories
from kagent_operator.store.sessions import Sessions
from kagent_operator.store.shares import Shares
from kagent_operator.store.tasks import Tasks

__all__ = ["Store"]


class Store:
    """An open store. ``async with await Store.open(path_or_url) as store`` closes it at the end."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.sessions = Sessions(database)
        self.tasks = Tasks(database)
        self.feedback = Feedbacks(database)
        self.shares = Shares(database)
        self.memories = Memories(database)
        self.frameworks = Frameworks(database)

    @classmethod
    async def open(cls, address: str | Path) -> Store:
        """Open a SQLite file by path, or a database by URL; raise StoreError if it cannot be used."""
        store = cls(await Database.open(address))
        await store.memories.prepare()
        return store

    @property
    def shared(self) -> bool:
        """Whether others may write to the same database: replicas of this gateway."""
        return self._database.shared

    async def close(self) -> None:
        await self._database.close()

    async def __aenter__(self) -> Store:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
