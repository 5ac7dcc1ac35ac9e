"""The gateway's memory: sessions, tasks, feedback, shares and memories, in SQLite or PostgreSQL.

It holds what people said; nothing here logs content, and every read is scoped to a user.
"""

from kagent_operator.store.errors import NewerDatabase, StoreError, StoreUnavailable, TaskOwned, Unkeepable
from kagent_operator.store.store import Store

__all__ = ["NewerDatabase", "Store", "StoreError", "StoreUnavailable", "TaskOwned", "Unkeepable"]
