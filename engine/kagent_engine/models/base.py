"""What the loop asks of a model and what it gets back. No provider's shape appears here or above."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

from kagent_api.errors import KagentError

__all__ = [
    "AssistantMessage", "FilePart", "Finish", "FinishReason", "Message", "Model", "ModelError", "ModelEvent",
    "ModelRequest", "SystemMessage", "TextDelta", "TextPart", "ThoughtDelta", "ToolCall", "ToolMessage", "ToolSpec",
    "Usage", "UserMessage",
]  # fmt: skip

FinishReason = Literal["stop", "tool_calls", "length", "content_filter", "refusal"]


@dataclass(frozen=True, slots=True)
class TextPart:
    text: str


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file of a message: bytes or an address, never both."""

    mime_type: str
    data: bytes = b""
    uri: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call the model asks for. ``arguments`` is the parsed object; ``error`` is set when it was no JSON object.

    ``signature`` is what the provider wants to see again with the call, as base64: ``signatures`` makes and reads it.
    """

    id: str
    name: str
    arguments: dict[str, Any]
    error: str = ""
    signature: str = ""


@dataclass(frozen=True, slots=True)
class SystemMessage:
    text: str


@dataclass(frozen=True, slots=True)
class UserMessage:
    parts: tuple[TextPart | FilePart, ...]


@dataclass(frozen=True, slots=True)
class AssistantMessage:
    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    thought: str = ""


@dataclass(frozen=True, slots=True)
class ToolMessage:
    """A tool's result as the model reads it."""

    call_id: str
    name: str
    content: str


Message: TypeAlias = SystemMessage | UserMessage | AssistantMessage | ToolMessage


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as offered to the model; ``parameters`` is a JSON schema of type object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One call. ``api_key`` is the caller's own key where the config passes it through, else empty."""

    messages: Sequence[Message]
    tools: Sequence[ToolSpec] = ()
    api_key: str = ""


@dataclass(frozen=True, slots=True)
class TextDelta:
    text: str


@dataclass(frozen=True, slots=True)
class ThoughtDelta:
    text: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call, as the provider counted them, and their list price in US dollars where it is known."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    thought_tokens: int = 0
    cost: float | None = None

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
            self.thought_tokens + other.thought_tokens,
            self.cost if other.cost is None else (self.cost or 0.0) + other.cost,
        )


@dataclass(frozen=True, slots=True)
class Finish:
    """The last event of a call. ``detail`` is the provider's own word where it says more than the reason."""

    reason: FinishReason
    detail: str = ""


ModelEvent: TypeAlias = TextDelta | ThoughtDelta | ToolCall | Usage | Finish


class ModelError(KagentError):
    """The model could not answer. ``retry_after`` is in seconds, None where the provider named none."""

    def __init__(
        self, message: str, *, status: int = 0, code: str = "", retryable: bool = False,
        retry_after: float | None = None, remedy: str = "",
    ) -> None:  # fmt: skip
        self.status = status
        self.code = code
        self.retryable = retryable
        self.retry_after = retry_after
        super().__init__(message, remedy=remedy)


class Model(Protocol):
    """A model that streams. Implementations keep their connection open between calls."""

    name: str

    def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """Yield deltas and complete tool calls, then Usage where known, then exactly one Finish.

        Raises:
            ModelError: before or during the stream.
        """
        ...

    async def aclose(self) -> None: ...
