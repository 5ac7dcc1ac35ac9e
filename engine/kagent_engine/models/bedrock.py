"""Amazon Bedrock by ``ConverseStream``, one wire for all its models; signed with AWS keys or a Bedrock API key."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kagent_engine.models.aws_credentials import AwsCredentials
from kagent_engine.models.aws_event_stream import Frame, frames
from kagent_engine.models.aws_signature import signed_headers
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
from kagent_engine.models.bedrock_messages import WIRE, converse_messages, converse_tools
from kagent_engine.models.connection import Connection, Signer, parsed
from kagent_engine.models.failures import error_in_stream
from kagent_engine.models.openai_chat import tool_call
from kagent_engine.models.signatures import pack_signature
from kagent_engine.shapes import JsonObject, as_object, as_text

__all__ = ["BedrockModel", "ConverseReader"]

_FINISHES: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "refusal": "refusal",
}
# The model spoiled its own call; asked again it mostly does not.
_SPOILED = ("malformed_tool_use", "malformed_model_output")


class BedrockModel:
    """A model behind ``connection``; ``parameters`` are the keys of every request beside messages and tools.

    ``cache_point`` is put behind the instruction, the tools and the last message where prompts are to be cached.
    """

    def __init__(
        self, connection: Connection, credentials: AwsCredentials, *, region: str, parameters: Mapping[str, Any],
        cache_point: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.name = connection.endpoint.model
        self._connection = connection
        self._credentials = credentials
        self._region = region
        self._parameters = dict(parameters)
        self._cache_point = cache_point

    async def aclose(self) -> None:
        await self._connection.aclose()

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """Yield what the model answers; see ``base.Model``."""
        key = self._connection.key(request.api_key)
        signer = None if key else await self._signer()
        reader = ConverseReader()
        endpoint = self._connection.endpoint
        async with self._connection.post(self._body(request), key, signer=signer) as response:
            if response.content_type != "application/vnd.amazon.eventstream":
                raise ModelError(
                    f"{endpoint.provider} model {self.name!r}: {endpoint.url} sent no event stream but "
                    f"{response.content_type}",
                    code="protocol", remedy="does AWS_ENDPOINT_URL_BEDROCK_RUNTIME point at Bedrock's runtime API?",
                )  # fmt: skip
            try:
                async for frame in frames(response.content.iter_any()):
                    for event in reader.feed(frame):
                        yield event
                    if reader.failure is not None:
                        raise error_in_stream(reader.failure, endpoint, key)
            except ValueError as error:
                raise ModelError(
                    f"{endpoint.provider} model {self.name!r}: {error}", code="protocol", retryable=True
                ) from error
        if reader.reason in _SPOILED:
            what = f"{endpoint.provider} model {self.name!r} spoiled its call of a tool"
            raise ModelError(what, code=reader.reason, retryable=True)
        if not reader.reason:
            raise ModelError(
                f"{endpoint.provider} model {self.name!r}: the stream ended before the answer did", code="connection",
                retryable=True,
            )  # fmt: skip
        for event in reader.end():
            yield event

    def _body(self, request: ModelRequest) -> JsonObject:
        system, messages = converse_messages(request.messages)
        tools = converse_tools(request.tools)
        if self._cache_point is not None:
            point: JsonObject = {"cachePoint": dict(self._cache_point)}
            for blocks in (system, tools, messages[-1]["content"] if messages else []):
                if blocks:
                    blocks.append(point)
        body: JsonObject = {**self._parameters, "messages": messages}
        if system:
            body["system"] = system
        if tools:
            body["toolConfig"] = {"tools": tools}
        return body

    async def _signer(self) -> Signer:
        keys = await self._credentials.keys()

        def sign(url: str, body: bytes) -> dict[str, str]:
            given = {"content-type": "application/json"}
            return signed_headers("POST", url, body, keys, region=self._region, service="bedrock", headers=given)

        return sign


@dataclass(slots=True)
class _Block:
    call: JsonObject = field(default_factory=JsonObject)
    pieces: list[str] = field(default_factory=list[str])
    thought: list[str] = field(default_factory=list[str])
    signature: list[str] = field(default_factory=list[str])
    redacted: str = ""


@dataclass(slots=True)
class ConverseReader:
    """Fed with frames it yields deltas; ``end`` yields the rest. ``failure`` holds what broke the stream off.

    ``reason`` is Bedrock's own word for the end, empty until it came.
    """

    reason: str = ""
    failure: JsonObject | None = None
    _usage: JsonObject = field(default_factory=JsonObject)
    _blocks: dict[object, _Block] = field(default_factory=dict[object, _Block])

    def feed(self, frame: Frame) -> Iterator[ModelEvent]:
        event = parsed(frame.payload) or {}
        if frame.headers.get(":message-type", "event") != "event":
            code = frame.headers.get(":exception-type") or frame.headers.get(":error-code", "")
            message = as_text(event.get("message")) or frame.headers.get(":error-message", "")
            self.failure = {"message": message or code, "code": code}
            return
        match frame.headers.get(":event-type"):
            case "contentBlockStart":
                start = as_object(event.get("start"))
                self._block(event).call = as_object(start.get("toolUse"))
            case "contentBlockDelta":
                yield from self._delta(self._block(event), as_object(event.get("delta")))
            case "messageStop":
                self.reason = as_text(event.get("stopReason")) or "end_turn"
            case "metadata":
                self._usage = as_object(event.get("usage"))
            case _:
                pass

    def end(self) -> Iterator[ModelEvent]:
        """Yield the tool calls, the usage and the finish."""
        calls = self._calls()
        yield from calls
        if self._usage:
            yield _usage(self._usage)
        reason = _FINISHES.get(self.reason, "stop")
        if calls and reason == "stop":
            reason = "tool_calls"
        yield Finish(reason, "" if self.reason == reason else self.reason)

    def _block(self, event: JsonObject) -> _Block:
        return self._blocks.setdefault(event.get("contentBlockIndex"), _Block())

    def _delta(self, block: _Block, delta: JsonObject) -> Iterator[ModelEvent]:
        if text := as_text(delta.get("text")):
            yield TextDelta(text)
        block.pieces.append(as_text(as_object(delta.get("toolUse")).get("input")))
        reasoning = as_object(delta.get("reasoningContent"))
        block.signature.append(as_text(reasoning.get("signature")))
        block.redacted += as_text(reasoning.get("redactedContent"))
        if thought := as_text(reasoning.get("text")):
            block.thought.append(thought)
            yield ThoughtDelta(thought)

    def _calls(self) -> list[ToolCall]:
        calls: list[ToolCall] = []
        thoughts: list[JsonObject] = []
        for block in self._blocks.values():
            if block.thought or "".join(block.signature):
                said = {"text": "".join(block.thought), "signature": "".join(block.signature)}
                thoughts.append({"reasoningContent": {"reasoningText": said}})
            elif block.redacted:
                thoughts.append({"reasoningContent": {"redactedContent": block.redacted}})
            elif block.call:
                identity, name = as_text(block.call.get("toolUseId")), as_text(block.call.get("name"))
                signature = pack_signature(WIRE, thoughts) if not calls else ""
                calls.append(tool_call(identity, name, "".join(block.pieces), signature=signature))
        return calls


def _usage(counts: JsonObject) -> Usage:
    """Return the usage; ``inputTokens`` on the wire are those that the cache had no part in."""
    asked, answered, read, written = (
        int(counts.get(name) or 0)
        for name in ("inputTokens", "outputTokens", "cacheReadInputTokens", "cacheWriteInputTokens")
    )
    return Usage(asked + read + written, answered, read)
