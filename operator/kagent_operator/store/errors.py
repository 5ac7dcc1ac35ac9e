"""What the store refuses.

KagentError (kagent_api)
└── StoreError          somebody must look at the database: the message says which address, and what to do
    ├── NewerDatabase   made by a newer version of this program
    ├── StoreUnavailable  it does not answer now and may in a moment
    ├── TaskOwned       the task's id belongs to another user or session
    └── Unkeepable      a value that no database keeps as it is: the caller has to change it
"""

from __future__ import annotations

from kagent_api.errors import KagentError

__all__ = ["NewerDatabase", "StoreError", "StoreUnavailable", "TaskOwned", "Unkeepable"]


class StoreError(KagentError):
    """The database cannot be used as it is."""


class NewerDatabase(StoreError):
    """A newer version wrote this database; opening it could lose what that version knows."""


class StoreUnavailable(StoreError):
    """The database does not answer now: it is busy, restarting or away."""


class Unkeepable(StoreError):
    """A value is too long or too large, or holds characters that a database refuses."""


class TaskOwned(StoreError):
    """A task of this id exists and belongs to another user or session."""
