"""What the store refuses.

KagentError (kagent_api)
└── StoreError          somebody must look at the database: the message says which address, and what to do
    ├── NewerDatabase   made by a newer version of this program
    └── TaskOwned       the task's id belongs to another user
"""

from __future__ import annotations

from kagent_api.errors import KagentError

__all__ = ["NewerDatabase", "StoreError", "TaskOwned"]


class StoreError(KagentError):
    """The database cannot be used as it is."""


class NewerDatabase(StoreError):
    """A newer version wrote this database; opening it could lose what that version knows."""


class TaskOwned(StoreError):
    """A task of this id exists and belongs to another user."""
