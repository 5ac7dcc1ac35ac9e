"""Claude by Anthropic's Messages API: at Anthropic, at whoever speaks its wire, or at Google (``streamRawPredict``).

At Google the model stands in the address and the version in the body; all else is the same.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kagent_engine.models.anthropic_messages import WIRE, anthropic_messages, anthropic_tools
from kagent_engine.models.base import (
    Finish,
    FinishReason,
    ModelError,
    ModelEvent,
    ModelRequest,
    TextDelta,
    ThoughtDelta,
    ToolCall,
    Usage,
)
from kagent_engine.models.connection import Connection, parsed, server_sent
from kagent_engine.models.failures import error_in_stream
from kagent_engine.models.openai_chat import tool_call
from kagent_engine.models.signatures import pack_signature
from kagent_engine.shapes import JsonObject, as_object, as_objects, as_text

__all__ = ["AnthropicModel", "AnthropicReader"]

_FINISHES: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refusal",
}


class AnthropicModel:
    """A model behind ``connection``; ``parameters`` go into every request as they are.

    ``token`` gives the key of a call where it is none of the configuration (Google's access tokens).
    """

    def __init__(
        self, connection: Connection, *, parameters: Mapping[str, Any],
        token: Callable[[], Awaitable[str]] | None = None,
    ) -> None:  # fmt: skip
        self.name = connection.endpoint.model
        self._connection = connection
        self._parameters = dict(parameters)
        self._token = token

    async def aclose(self) -> None:
        await self._connection.aclose()

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """Yield what the model answers; see ``base.Model``."""
        key = self._connection.callers(request.api_key)
        if not key:
            key = await self._token() if self._token else self._connection.key("")
        system, messages = anthropic_messages(request.messages)
        body: JsonObject = {**self._parameters, "messages": messages, "stream": True}
        if system:
            body["system"] = system
        if request.tools:
            body["tools"] = anthropic_tools(request.tools)
        reader = AnthropicReader()
        async with self._connection.post(body, key) as response:
            if response.content_type == "application/json":
                for event in reader.whole(self._checked(await response.read(), key)):
                    yield event
            else:
                async for data in server_sent(response.content.iter_any()):
                    for event in reader.feed(self._checked(data, key)):
                        yield event
                    if reader.finished:
                        break
        if not reader.finished:
            raise ModelError(
                f"{self._connection.endpoint.provider} model {self.name!r}: the stream ended before the answer did",
                code="connection", retryable=True,
            )  # fmt: skip
        for event in reader.end():
            yield event

    def _checked(self, data: bytes, key: str) -> JsonObject:
        endpoint = self._connection.endpoint
        found = parsed(data)
        if found is None:
            raise ModelError(
                f"{endpoint.provider} model {self.name!r}: {endpoint.url} sent something that is no JSON object",
                code="protocol", remedy="does the base URL of the ModelConfig point at Anthropic's API?",
            )  # fmt: skip
        if found.get("type") == "error" or (found.get("error") and "type" not in found):
            raise error_in_stream(found, endpoint, key)
        return found


@dataclass(slots=True)
class _Block:
    start: JsonObject
    pieces: list[str] = field(default_factory=list[str])
    signature: list[str] = field(default_factory=list[str])


@dataclass(slots=True)
class AnthropicReader:
    """Fed with the stream's events (or one whole message) it yields deltas; ``end`` yields the rest."""

    finished: bool = False
    _reason: str = ""
    _detail: str = ""
    _counts: JsonObject = field(default_factory=JsonObject)
    _blocks: dict[object, _Block] = field(default_factory=dict[object, _Block])

    def feed(self, event: JsonObject) -> Iterator[ModelEvent]:
        match event.get("type"):
            case "message_start":
                self._count(as_object(as_object(event.get("message")).get("usage")))
            case "content_block_start":
                block = self._blocks[event.get("index")] = _Block(as_object(event.get("content_block")))
                yield from _begun(block.start)
            case "content_block_delta":
                yield from self._delta(event.get("index"), as_object(event.get("delta")))
            case "message_delta":
                self._ended(as_object(event.get("delta")))
                self._count(as_object(event.get("usage")))
            case "message_stop":
                self.finished = True
            case _:
                pass

    def whole(self, message: JsonObject) -> Iterator[ModelEvent]:
        """Read a message that came unstreamed."""
        for index, content in enumerate(as_objects(message.get("content"))):
            self._blocks[index] = _Block(content)
            yield from _begun(content)
        self._ended(message)
        self._count(as_object(message.get("usage")))
        self.finished = True

    def end(self) -> Iterator[ModelEvent]:
        """Yield the tool calls, the usage and the finish."""
        calls = self._calls()
        yield from calls
        if self._counts:
            yield _usage(self._counts)
        reason = _FINISHES.get(self._reason, "stop")
        if calls and reason == "stop":
            reason = "tool_calls"
        yield Finish(reason, self._detail or ("" if self._reason == reason else self._reason))

    def _delta(self, index: object, delta: JsonObject) -> Iterator[ModelEvent]:
        block = self._blocks.setdefault(index, _Block({}))
        match delta.get("type"):
            case "text_delta":
                yield TextDelta(as_text(delta.get("text")))
            case "thinking_delta":
                thought = as_text(delta.get("thinking"))
                block.pieces.append(thought)
                yield ThoughtDelta(thought)
            case "signature_delta":
                block.signature.append(as_text(delta.get("signature")))
            case "input_json_delta":
                block.pieces.append(as_text(delta.get("partial_json")))
            case _:
                pass

    def _ended(self, holder: JsonObject) -> None:
        self._reason = as_text(holder.get("stop_reason")) or self._reason
        self._detail = as_text(as_object(holder.get("stop_details")).get("explanation"))

    def _count(self, usage: JsonObject) -> None:
        # Counts of later events are totals, and only those that changed are there.
        self._counts |= {name: value for name, value in usage.items() if isinstance(value, int)}

    def _calls(self) -> list[ToolCall]:
        calls: list[ToolCall] = []
        thoughts: list[JsonObject] = []
        for block in self._blocks.values():
            match block.start.get("type"):
                case "thinking":
                    thoughts.append({
                        "type": "thinking",
                        "thinking": as_text(block.start.get("thinking")) + "".join(block.pieces),
                        "signature": as_text(block.start.get("signature")) + "".join(block.signature),
                    })  # fmt: skip
                case "redacted_thinking":
                    thoughts.append(block.start)
                case "tool_use":
                    # The provider checks the thoughts again when results come; all stand with the first call.
                    signature = pack_signature(WIRE, thoughts) if not calls else ""
                    start = block.start
                    given = "".join(block.pieces) or as_object(start.get("input"))
                    identity, name = as_text(start.get("id")), as_text(start.get("name"))
                    calls.append(tool_call(identity, name, given, signature=signature))
                case _:
                    pass
        return calls


def _begun(block: JsonObject) -> Iterator[ModelEvent]:
    if text := as_text(block.get("text")):
        yield TextDelta(text)
    if thought := as_text(block.get("thinking")):
        yield ThoughtDelta(thought)


def _usage(counts: JsonObject) -> Usage:
    """Return the usage; ``input_tokens`` on the wire are those that the cache had no part in."""
    cached = counts.get("cache_read_input_tokens", 0)
    asked = counts.get("input_tokens", 0) + cached + counts.get("cache_creation_input_tokens", 0)
    return Usage(asked, counts.get("output_tokens", 0), cached)
