"""A2A's updates in one neutral shape, between the two dialects and the normaliser. Nothing here knows JSON or HTTP."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from kagent_tui.chat.events import TurnState
from kagent_tui.chat.jsonvalue import JsonObject

__all__ = [
    "Artifact",
    "ArtifactUpdate",
    "Dialect",
    "Message",
    "Outgoing",
    "Part",
    "StatusUpdate",
    "TaskSnapshot",
    "WireUpdate",
]


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a message or an artifact. Of a file, ``text`` is the name, ``data`` the media type and ``raw`` the
    content in base64, which only messages on their way out carry."""

    kind: Literal["text", "data", "file"]
    text: str = ""
    data: Any = None
    metadata: JsonObject = field(default_factory=dict[str, Any])
    raw: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """A message of either side."""

    message_id: str
    role: Literal["user", "agent"]
    parts: tuple[Part, ...]
    metadata: JsonObject = field(default_factory=dict[str, Any])
    task_id: str = ""
    context_id: str = ""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A piece of the agent's output."""

    artifact_id: str
    parts: tuple[Part, ...]
    metadata: JsonObject = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class StatusUpdate:
    """The task's state, possibly with a message. ``time`` is RFC 3339, empty where the server tells none."""

    task_id: str
    context_id: str
    state: TurnState
    message: Message | None = None
    metadata: JsonObject = field(default_factory=dict[str, Any])
    time: str = ""


@dataclass(frozen=True, slots=True)
class ArtifactUpdate:
    """Output, either more of an artifact or (``append`` false) all of it."""

    task_id: str
    context_id: str
    artifact: Artifact
    append: bool = False
    last_chunk: bool = False
    metadata: JsonObject = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class TaskSnapshot:
    """A whole task: the first event of a 1.0 stream, the first after a resubscription, and what history is made of."""

    status: StatusUpdate
    artifacts: tuple[Artifact, ...] = ()
    history: tuple[Message, ...] = ()


WireUpdate: TypeAlias = StatusUpdate | ArtifactUpdate | TaskSnapshot | Message


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message on its way to an agent."""

    message_id: str
    context_id: str
    task_id: str
    parts: tuple[Part, ...]
    metadata: JsonObject = field(default_factory=dict[str, Any])
    extensions: tuple[str, ...] = ()


class Dialect(Protocol):
    """One version of the protocol: names of methods, headers, and both directions of translation."""

    version: str
    get_task: str
    cancel_task: str
    subscribe: str

    def send(self, message: Outgoing, *, streaming: bool) -> tuple[str, JsonObject]:
        """Return method and params that send ``message``."""
        ...

    def headers(self, extensions: tuple[str, ...]) -> dict[str, str]:
        """Return the headers every request of this dialect carries."""
        ...

    def decode(self, result: JsonObject) -> WireUpdate | None:
        """Return the update in a result or stream event; None if it is none that is known."""
        ...
