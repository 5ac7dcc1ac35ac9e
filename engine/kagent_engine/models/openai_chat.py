"""Reads a chat completion, streamed or whole, from OpenAI and from the many servers that nearly speak its wire.

Servers differ in how they send tool calls (in pieces, whole, without index, with an empty id, arguments as an object),
thoughts and usage; what they mean is decided here and nowhere else.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

import orjson

from kagent_engine.models.base import Finish, FinishReason, ModelEvent, TextDelta, ThoughtDelta, ToolCall, Usage
from kagent_engine.shapes import JsonObject, as_object, as_objects, as_text, is_object

__all__ = ["ChatReader", "finish_reason", "tool_call"]

_FINISHES: dict[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "end_turn": "stop",
    "tool_calls": "tool_calls",
    "tool_call": "tool_calls",
    "function_call": "tool_calls",
    "length": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
    "sensitive": "content_filter",
    "refusal": "refusal",
}


@dataclass(slots=True)
class _PartialCall:
    id: str = ""
    name: str = ""
    pieces: list[str] = field(default_factory=list[str])
    whole: JsonObject | None = None


@dataclass(slots=True)
class ChatReader:
    """Fed with chunks (or one whole completion) it yields deltas; ``end`` yields the rest. ``finished`` says that the
    server itself named an end."""

    finished: bool = False
    _reason: str = ""
    _refused: bool = False
    _usage: Usage | None = None
    _calls: list[_PartialCall] = field(default_factory=list[_PartialCall])
    _by_index: dict[int, _PartialCall] = field(default_factory=dict[int, _PartialCall])

    def feed(self, chunk: JsonObject) -> Iterator[ModelEvent]:
        if is_object(usage := chunk.get("usage")):
            self._usage = _usage(usage)
        for choice in as_objects(chunk.get("choices")):
            if choice.get("index", 0) != 0:
                continue
            delta = as_object(choice.get("delta")) or as_object(choice.get("message"))
            yield from self._delta(delta)
            if reason := choice.get("finish_reason"):
                self._reason = str(reason)
                self.finished = True

    def end(self) -> Iterator[ModelEvent]:
        """Yield the tool calls, the usage and the finish."""
        calls = [call for partial in self._calls if (call := _complete(partial)) is not None]
        yield from calls
        if self._usage is not None:
            yield self._usage
        if self._refused and not calls:
            yield Finish("refusal", self._reason)
        else:
            yield finish_reason(self._reason, bool(calls))

    def _delta(self, delta: JsonObject) -> Iterator[ModelEvent]:
        for key in ("reasoning_content", "reasoning", "thinking"):
            if thought := as_text(delta.get(key)):
                yield ThoughtDelta(thought)
                break
        if text := _content(delta.get("content")):
            yield TextDelta(text)
        if refusal := as_text(delta.get("refusal")):
            self._refused = True
            yield TextDelta(refusal)
        for piece in as_objects(delta.get("tool_calls")):
            self._collect(piece)

    def _collect(self, piece: JsonObject) -> None:
        function = as_object(piece.get("function"))
        identity, name = as_text(piece.get("id")), as_text(function.get("name"))
        call = self._slot(piece.get("index"), identity, name)
        call.id = call.id or identity
        # Some servers repeat the name with every piece, none sends a name in pieces.
        call.name = call.name or name
        arguments = function.get("arguments")
        if is_object(arguments):
            call.whole = arguments
        elif isinstance(arguments, str):
            call.pieces.append(arguments)

    def _slot(self, index: object, identity: str, name: str) -> _PartialCall:
        """Return the call that a piece belongs to: by index, else by id, else the last unless a new name begins."""
        known = self._by_index.get(index) if isinstance(index, int) else None
        if known is None and not isinstance(index, int) and self._calls:
            last = self._calls[-1]
            if (identity and identity == last.id) or (not identity and not name):
                known = last
        # Gemini's endpoint gives every parallel call the index 0.
        if known is not None and not (identity and known.id and identity != known.id and name):
            return known
        call = _PartialCall()
        self._calls.append(call)
        if isinstance(index, int):
            self._by_index[index] = call
        return call


def finish_reason(reason: str, called: bool) -> Finish:
    """Return the finish for a provider's own word; a turn with calls is one, whatever the server calls it."""
    mapped = _FINISHES.get(reason.lower(), "stop")
    if called and mapped == "stop":
        mapped = "tool_calls"
    return Finish(mapped, "" if reason == mapped else reason)


def tool_call(identity: str, name: str, arguments: str | JsonObject, *, signature: str = "") -> ToolCall:
    """Return a call; one without an id gets one, and arguments that are no JSON object are told as its ``error``."""
    identity = identity or f"call_{uuid.uuid4().hex[:24]}"
    if not isinstance(arguments, str):
        return ToolCall(identity, name, arguments, signature=signature)
    if not arguments.strip():
        return ToolCall(identity, name, {}, signature=signature)
    try:
        found: object = orjson.loads(arguments)
    except ValueError as error:
        return ToolCall(identity, name, {}, error=f"no JSON: {error}", signature=signature)
    # Some models answer "null" or a JSON text of the object.
    if found is None:
        return ToolCall(identity, name, {}, signature=signature)
    if isinstance(found, str) and found != arguments:
        return tool_call(identity, name, found, signature=signature)
    if not is_object(found):
        error = f"a {type(found).__name__}, no JSON object"
        return ToolCall(identity, name, {}, error=error, signature=signature)
    return ToolCall(identity, name, found, signature=signature)


def _complete(partial: _PartialCall) -> ToolCall | None:
    if not partial.name and not partial.pieces and partial.whole is None:
        return None
    return tool_call(partial.id, partial.name, partial.whole if partial.whole is not None else "".join(partial.pieces))


def _content(value: object) -> str:
    if isinstance(value, list):
        return "".join(as_text(block.get("text")) for block in as_objects(value))  # pyright: ignore[reportUnknownArgumentType]
    return as_text(value)


def _usage(usage: JsonObject) -> Usage:
    asked, answered = as_object(usage.get("prompt_tokens_details")), as_object(usage.get("completion_tokens_details"))
    return Usage(
        _count(usage.get("prompt_tokens")),
        _count(usage.get("completion_tokens")),
        _count(asked.get("cached_tokens")),
        _count(answered.get("reasoning_tokens")),
    )


def _count(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0
