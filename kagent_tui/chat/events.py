"""What happens in a conversation, as one typed union: screen, command line, cache and tests read the same events.

Neither A2A dialect shows through here, nor any SDK's type. Text in events is as it came: whoever shows it cleans it.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final, TypeAlias

from kagent_tui.chat.jsonvalue import JsonObject

__all__ = [
    "ApprovalRequest",
    "ChatEvent",
    "Done",
    "Failed",
    "LinkChanged",
    "PendingCall",
    "Question",
    "QuestionItem",
    "StatusChanged",
    "SubAgentActivity",
    "TaskStarted",
    "TextDelta",
    "TextReplaced",
    "Thought",
    "ToolCall",
    "ToolProgress",
    "ToolResult",
    "TurnState",
    "TurnWarning",
    "Usage",
    "UserMessage",
    "to_json",
]


class TurnState(StrEnum):
    """Where a task stands; the names are A2A's."""

    SUBMITTED = "submitted"
    WORKING = "working"
    INPUT_REQUIRED = "input-required"
    AUTH_REQUIRED = "auth-required"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"
    REJECTED = "rejected"
    UNKNOWN = "unknown"

    @property
    def ended(self) -> bool:
        """No more events can come for this task."""
        return self in _ENDED

    @property
    def waiting(self) -> bool:
        """The task goes on only after somebody did something."""
        return self in (TurnState.INPUT_REQUIRED, TurnState.AUTH_REQUIRED)


_ENDED: Final = frozenset({TurnState.COMPLETED, TurnState.FAILED, TurnState.CANCELED, TurnState.REJECTED})


@dataclass(frozen=True, slots=True)
class TaskStarted:
    """The server gave the turn a task; with its id it can be cancelled and picked up again."""

    task_id: str
    context_id: str


@dataclass(frozen=True, slots=True)
class UserMessage:
    """Something the person wrote, as history tells it; ``decision`` marks the answer to an approval or a question."""

    text: str
    message_id: str = ""
    decision: bool = False


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More text for one block of the answer; a new block id starts a new block."""

    block: str
    text: str


@dataclass(frozen=True, slots=True)
class TextReplaced:
    """The whole text of a block that was shown before, where it differs from its deltas."""

    block: str
    text: str


@dataclass(frozen=True, slots=True)
class Thought:
    """The model's thinking: more text for a block, or all of it if ``replace``."""

    block: str
    text: str
    replace: bool = False


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The agent calls a tool; the same id again brings changed arguments."""

    call_id: str
    name: str
    arguments: JsonObject = field(default_factory=dict[str, Any])
    subagent_session: str = ""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool answered; ``seconds`` is how long it took, where the agent measured it."""

    call_id: str
    name: str
    result: Any
    failed: bool = False
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class ToolProgress:
    """How far a running tool is, in its own unit; ``total`` is None where it does not know."""

    call_id: str
    name: str
    progress: float
    total: float | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class PendingCall:
    """One tool call that waits for a decision. ``request_id`` answers it in A2A 1.0, ``call_id`` in 0.3."""

    request_id: str
    call_id: str
    name: str
    arguments: JsonObject = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """Calls that wait together, to be answered in one message: released kagent executes one that is left out."""

    calls: tuple[PendingCall, ...]
    hint: str = ""
    subagent: str = ""


@dataclass(frozen=True, slots=True)
class QuestionItem:
    """One question to the person; without choices the answer is free text."""

    text: str
    choices: tuple[str, ...] = ()
    multiple: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """The agent asks the person before it goes on."""

    request_id: str
    call_id: str
    items: tuple[QuestionItem, ...]
    subagent: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one model response; ``response`` tells responses of a turn apart."""

    response: str
    prompt: int
    completion: int
    total: int


@dataclass(frozen=True, slots=True)
class SubAgentActivity:
    """Something happened inside an agent that was called as a tool."""

    call_id: str
    agent: str
    session_id: str
    text: str


@dataclass(frozen=True, slots=True)
class TurnWarning:
    """Something the person should know although the turn goes on, such as a tool server that did not answer."""

    text: str
    code: str = ""


@dataclass(frozen=True, slots=True)
class StatusChanged:
    """The task moved to another state."""

    state: TurnState
    text: str = ""


@dataclass(frozen=True, slots=True)
class LinkChanged:
    """The stream broke (``up`` is false; ``attempt`` counts the tries to get it back), or is back."""

    up: bool
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Failed:
    """The turn failed; ``remedy`` says what the person can do, where that is known."""

    message: str
    code: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """The last event of a turn: the task ended, or waits for the person."""

    state: TurnState


ChatEvent: TypeAlias = (
    TaskStarted
    | UserMessage
    | TextDelta
    | TextReplaced
    | Thought
    | ToolCall
    | ToolResult
    | ToolProgress
    | ApprovalRequest
    | Question
    | Usage
    | SubAgentActivity
    | TurnWarning
    | StatusChanged
    | LinkChanged
    | Failed
    | Done
)

_WORD_START: Final = re.compile(r"(?<!^)(?=[A-Z])")


def to_json(event: ChatEvent) -> JsonObject:
    """Return an event as a JSON object whose ``type`` is the event's name in snake case (``text_delta``)."""
    return {"type": _WORD_START.sub("_", type(event).__name__).lower(), **asdict(event)}
