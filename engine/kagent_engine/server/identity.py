"""Who calls, who answers, and the metadata that says so under both of upstream's prefixes.

The user is settled before any store is touched (trap G5): a task must be found again by whoever made it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from kagent_engine.server.codec import Dialect
from kagent_engine.shapes import JsonObject

__all__ = ["Caller", "TurnIdentity", "both"]

_PREFIXES: Final = ("kagent_", "adk_")


@dataclass(frozen=True, slots=True)
class Caller:
    """The user of a request (from ``x-user-id``, which the gateway sets from whom it authenticated), and its way in.

    ``user`` is empty where no one said who it is; ``headers`` have their keys in lower case.
    """

    user: str
    dialect: Dialect
    headers: Mapping[str, str]


def both(metadata: Mapping[str, Any]) -> JsonObject:
    """Return metadata under upstream's Python prefix and its Go and main prefix."""
    return {prefix + key: item for key, item in metadata.items() for prefix in _PREFIXES}


@dataclass(frozen=True, slots=True)
class TurnIdentity:
    """The names that go with every event of one turn."""

    app_name: str
    author: str
    user_id: str
    session_id: str
    invocation_id: str

    def session(self) -> JsonObject:
        """Return what upstream puts on events that belong to no model or tool event."""
        return both({"app_name": self.app_name, "user_id": self.user_id, "session_id": self.session_id})

    def event(self, extra: Mapping[str, Any] | None = None) -> JsonObject:
        """Return the metadata of one event of the turn; ``extra`` is written under both prefixes too."""
        return self.session() | both({"invocation_id": self.invocation_id, "author": self.author} | dict(extra or {}))
