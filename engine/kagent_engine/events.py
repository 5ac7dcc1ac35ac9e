"""What a turn does, as one typed union. Wire, session history, metrics, log and tests read these and nothing else.

An event says what happened, never how it is shown: no dialect, no protobuf, no provider's shape appears here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from kagent_engine.models.base import FinishReason, ToolCall, Usage
from kagent_engine.shapes import JsonObject

__all__ = [
    "Ask",
    "AskKind",
    "Compacted",
    "Completed",
    "Emit",
    "Failed",
    "ModelReplied",
    "Nested",
    "NestedCall",
    "Outcome",
    "Paused",
    "Pending",
    "TextChunk",
    "ThoughtChunk",
    "ToolProgressed",
    "ToolReturned",
    "TurnEvent",
    "Warned",
]

AskKind = Literal["approval", "question"]


@dataclass(frozen=True, slots=True)
class TextChunk:
    """A piece of the answer as it is written; the whole text follows in ModelReplied."""

    text: str


@dataclass(frozen=True, slots=True)
class ThoughtChunk:
    """A piece of the model's thinking; never part of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ModelReplied:
    """One finished model call: its whole text, the tools it wants, and what it cost.

    ``finish`` is "error" when the call broke off after some text had been shown. ``sessions`` names, by call id, the
    session in which a sub-agent will work, so that it can be watched while it runs.
    """

    event_id: str
    text: str
    thought: str
    calls: tuple[ToolCall, ...]
    usage: Usage
    finish: FinishReason | Literal["error"]
    seconds: float = 0.0
    sessions: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class ToolProgressed:
    """A running tool reports how far it is; ``total`` is None where the tool does not know."""

    call: ToolCall
    progress: float
    total: float | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class ToolReturned:
    """One tool call is over. ``response`` is what the wire shows, ``content`` what the model reads."""

    call: ToolCall
    content: str
    response: JsonObject
    is_error: bool
    seconds: float
    truncated: bool = False
    usage: Usage | None = None
    session_id: str = ""


@dataclass(frozen=True, slots=True)
class NestedCall:
    """A call that a sub-agent wants a person to decide on; ``request_id`` is the id the sub-agent gave its question."""

    request_id: str
    call: ToolCall


@dataclass(frozen=True, slots=True)
class Nested:
    """The pause of a sub-agent behind one of our own calls."""

    agent: str
    task_id: str
    context_id: str
    calls: tuple[NestedCall, ...]


@dataclass(frozen=True, slots=True)
class Ask:
    """Why a tool cannot go on without a person."""

    kind: AskKind
    hint: str
    nested: Nested | None = None


@dataclass(frozen=True, slots=True)
class Pending:
    """A call that waits for a person. ``request_id`` is what an answer in dialect 1.0 refers to."""

    request_id: str
    call: ToolCall
    ask: Ask


@dataclass(frozen=True, slots=True)
class Warned:
    """Something the person should know that does not end the turn: a server that is down, a retry, a cut result."""

    code: str
    message: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class Compacted:
    """A summary that stands for the events from ``start`` to ``end``, both included; it is made between turns."""

    summary: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Completed:
    """The turn is over and has an answer. ``session_usage`` is what the whole session took, this turn included."""

    text: str
    usage: Usage = field(default_factory=Usage)
    session_usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class Paused:
    """The turn waits for a person; nothing in ``pending`` has been executed."""

    pending: tuple[Pending, ...]
    usage: Usage = field(default_factory=Usage)
    note: str = ""
    session_usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class Failed:
    """The turn is over without a usable answer; ``message`` is for the person."""

    code: str
    message: str
    usage: Usage = field(default_factory=Usage)
    session_usage: Usage = field(default_factory=Usage)


Outcome: TypeAlias = Completed | Paused | Failed
TurnEvent: TypeAlias = TextChunk | ThoughtChunk | ModelReplied | ToolProgressed | ToolReturned | Warned | Outcome
Emit: TypeAlias = Callable[[TurnEvent], Awaitable[None]]
