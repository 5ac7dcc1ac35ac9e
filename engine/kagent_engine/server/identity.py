"""Who calls, who answers, and the metadata that says so under both of upstream's prefixes.

The user is settled before any store is touched (trap G5): a task must be found again by whoever made it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from kagent_engine.protobuf import Struct, struct
from kagent_engine.server.sdk import DefaultServerCallContextBuilder, ServerCallContext, User
from kagent_engine.shapes import JsonObject

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["Caller", "CallerContextBuilder", "TurnIdentity", "both"]

_PREFIXES: Final = ("kagent_", "adk_")


@dataclass(frozen=True, slots=True)
class Caller(User):
    """The user of a request; the name is empty where no one said who it is."""

    name: str

    @property
    def is_authenticated(self) -> bool:
        return bool(self.name)

    @property
    def user_name(self) -> str:
        return self.name


class CallerContextBuilder(DefaultServerCallContextBuilder):
    """Takes the user from ``x-user-id``, which the gateway sets from whom it authenticated.

    The version may stand in the query instead of the header, for callers that cannot set one (A2A 1.0, 3.6.1).
    """

    def build(self, request: Request) -> ServerCallContext:
        context = super().build(request)
        version = request.query_params.get("A2A-Version", "")
        if version:
            context.state["headers"].setdefault("a2a-version", version)
        return context

    def build_user(self, request: Request) -> User:
        return Caller(request.headers.get("x-user-id", ""))


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

    def session(self) -> Struct:
        """Return what upstream puts on events that belong to no model or tool event."""
        return struct(both({"app_name": self.app_name, "user_id": self.user_id, "session_id": self.session_id}))

    def event(self, extra: Mapping[str, Any] | None = None) -> Struct:
        """Return the metadata of one event of the turn; ``extra`` is written under both prefixes too."""
        made = self.session()
        made.update(both({"invocation_id": self.invocation_id, "author": self.author} | dict(extra or {})))
        return made
