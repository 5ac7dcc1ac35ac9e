"""Events as JSON and back, and a recorder that keeps a turn's events small: deltas of a moment become one.

What comes from a file is judged like what comes from a wire: anything odd is left out, nothing raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from kagent_tui.chat import events as union
from kagent_tui.chat.events import (
    ApprovalRequest,
    ChatEvent,
    Done,
    LinkChanged,
    PendingCall,
    Question,
    QuestionItem,
    StatusChanged,
    TextDelta,
    Thought,
    ToolResult,
    TurnState,
    to_json,
)
from kagent_tui.chat.jsonvalue import JsonObject, objects_in, text_of

__all__ = ["Recorder", "Timed", "from_json"]

# Deltas closer together than this are one when a session is replayed.
_MOMENT: Final = 0.25
# A tool's result beyond this is kept by the server, not by the cache.
_LONGEST_RESULT: Final = 200_000
_NAMES: Final = {
    "task_started": "TaskStarted", "user_message": "UserMessage", "text_delta": "TextDelta",
    "text_replaced": "TextReplaced", "thought": "Thought", "tool_call": "ToolCall", "tool_result": "ToolResult",
    "tool_progress": "ToolProgress", "usage": "Usage", "sub_agent_activity": "SubAgentActivity",
    "turn_warning": "TurnWarning", "failed": "Failed",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Timed:
    """An event and when it came, in seconds since its turn began."""

    at: float
    event: ChatEvent


def from_json(value: JsonObject) -> ChatEvent | None:
    """Return the event that ``to_json`` wrote; None for anything else."""
    body = {key: item for key, item in value.items() if key != "type"}
    try:
        match value.get("type"):
            case "approval_request":
                calls = tuple(PendingCall(**call) for call in objects_in(body.get("calls")))
                return ApprovalRequest(calls, text_of(body.get("hint")), text_of(body.get("subagent")))
            case "question":
                items = tuple(
                    QuestionItem(text_of(item.get("text")), _texts(item.get("choices")), item.get("multiple") is True)
                    for item in objects_in(body.get("items"))
                )
                return Question(text_of(body.get("request_id")), text_of(body.get("call_id")), items)
            case "status_changed":
                return StatusChanged(TurnState(text_of(body.get("state"))), text_of(body.get("text")))
            case "done":
                return Done(TurnState(text_of(body.get("state"))))
            case str(name) if name in _NAMES:
                make = cast("Callable[..., ChatEvent]", getattr(union, _NAMES[name]))
                return make(**body)
            case _:
                return None
    except (TypeError, ValueError):
        return None


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(str(item) for item in cast("list[object]", value)) if isinstance(value, list) else ()


class Recorder:
    """Collects the events of a session; ``take`` hands out what is new and whole."""

    def __init__(self) -> None:
        self._done: list[Timed] = []
        self._open: Timed | None = None

    def add(self, event: ChatEvent, at: float) -> None:
        """Take in an event; what only tells how the connection is doing is left out."""
        if isinstance(event, LinkChanged):
            return
        last = self._open
        if last is not None and at - last.at < _MOMENT and (joined := _joined(last.event, event)) is not None:
            self._open = Timed(last.at, joined)
            return
        if last is not None:
            self._done.append(last)
        self._open = Timed(at, _short(event))

    def take(self) -> list[Timed]:
        """Return what came since the last time."""
        found = [*self._done, *([self._open] if self._open is not None else [])]
        self._done, self._open = [], None
        return found


def _joined(first: ChatEvent, second: ChatEvent) -> ChatEvent | None:
    match first, second:
        case TextDelta(block, text), TextDelta(other, more) if block == other:
            return TextDelta(block, text + more)
        case Thought(block, text, replaced), Thought(other, more, False) if block == other:
            return Thought(block, text + more, replaced)
        case _:
            return None


def _short(event: ChatEvent) -> ChatEvent:
    if not isinstance(event, ToolResult) or not _long(event.result):
        return event
    text = str(event.result)[:_LONGEST_RESULT]
    return replace(event, result={"result": f"{text}…\n(cut: the server has all of it)"})


def _long(value: Any, depth: int = 0) -> bool:
    if isinstance(value, str):
        return len(value) > _LONGEST_RESULT
    if depth > 8:
        return True
    inner: Iterable[Any] = ()
    if isinstance(value, dict):
        inner = cast("JsonObject", value).values()
    elif isinstance(value, list):
        inner = cast("list[Any]", value)
    return any(_long(item, depth + 1) for item in inner)


def as_json(timed: Timed) -> JsonObject:
    """Return an event for a file."""
    return to_json(timed.event)
