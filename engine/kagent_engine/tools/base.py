"""The one shape every tool has, whatever stands behind it: an MCP server, another agent, a person.

A tool returns what happened; it raises ToolFailed only for what the model can act on, and never decides by itself
that a person's approval is not needed (that is approval.py's).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from kagent_engine.events import Ask, Warned
from kagent_engine.models.base import ToolCall, ToolSpec, Usage
from kagent_engine.shapes import JsonObject
from kagent_engine.tools.results import model_text

__all__ = [
    "Answer",
    "CallContext",
    "Decision",
    "HasSession",
    "Progress",
    "Tool",
    "ToolResult",
    "ToolSource",
    "text_result",
]

Progress = Callable[[float, float | None, str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class CallContext:
    """Who asks and on whose behalf. ``headers`` are the request's, keys in lower case."""

    user_id: str
    session_id: str
    task_id: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    progress: Progress | None = None

    @property
    def root_session_id(self) -> str:
        """The session the person sees: the caller's root where another agent called us, else our own."""
        return self.headers.get("x-kagent-root-context-id") or self.session_id


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decided on one call. ``arguments`` replaces the model's where the person edited them."""

    approved: bool
    reason: str = ""
    arguments: JsonObject | None = None
    answers: tuple[tuple[str, ...], ...] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A person's answer to one pending call: the question it belongs to, and the decision.

    ``nested`` holds the decisions by the sub-agent's own request ids where the question came from a sub-agent.
    """

    ask: Ask
    decision: Decision
    nested: Mapping[str, Decision] = field(default_factory=dict[str, Decision])


@dataclass(frozen=True, slots=True)
class ToolResult:
    """``content`` is for the model, ``response`` for the wire and the history."""

    content: str
    response: JsonObject
    is_error: bool = False
    truncated: bool = False
    usage: Usage | None = None
    session_id: str = ""


def text_result(text: str, *, is_error: bool = False) -> ToolResult:
    """Make the result of a tool that speaks plain text, shaped as upstream shows such tools."""
    response = {"error" if is_error else "result": text}
    content, truncated = model_text(response)
    return ToolResult(content, response, is_error=is_error, truncated=truncated)


class Tool(Protocol):
    """Something the model may call."""

    @property
    def spec(self) -> ToolSpec: ...

    async def call(self, call: ToolCall, context: CallContext, answer: Answer | None = None) -> ToolResult | Ask:
        """Run once, or return the question that a person has to answer first.

        Raises:
            ToolFailed: with a message for the model.
        """
        ...


@runtime_checkable
class HasSession(Protocol):
    """A tool that works in a session of its own, which can be named before the call."""

    def session_of(self, call: ToolCall, context: CallContext) -> str: ...


class ToolSource(Protocol):
    """A place that tools come from and that may be away for a while."""

    async def tools(self, context: CallContext) -> tuple[Sequence[Tool], Sequence[Warned]]:
        """Return the tools that this caller can use now, and a warning for what is missing."""
        ...

    async def aclose(self) -> None: ...
