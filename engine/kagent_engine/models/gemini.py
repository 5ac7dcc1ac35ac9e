"""Gemini by ``streamGenerateContent``, at the Gemini API (by key) or at Vertex AI (by access token)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

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
from kagent_engine.models.connection import Connection, server_sent
from kagent_engine.models.failures import error_in_stream
from kagent_engine.models.gemini_messages import gemini_contents, gemini_tools
from kagent_engine.models.openai_chat import tool_call
from kagent_engine.shapes import JsonObject, as_object, as_objects, as_text, is_object

__all__ = ["GeminiModel", "GeminiReader"]

_FINISHES: dict[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    **dict.fromkeys(
        ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY", "LANGUAGE"),
        "content_filter",
    ),
}
# The model spoiled its own call; asked again it mostly does not.
_SPOILED = ("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "MALFORMED_RESPONSE")


class GeminiModel:
    """A model behind ``connection``; ``generation`` is the ``generationConfig`` of every request.

    ``token`` gives the key of a call where it is none of the configuration (Vertex AI's access tokens).
    """

    def __init__(
        self, connection: Connection, *, generation: Mapping[str, Any], ids: bool = True,
        token: Callable[[], Awaitable[str]] | None = None,
    ) -> None:  # fmt: skip
        self.name = connection.endpoint.model
        self._connection = connection
        self._generation = dict(generation)
        self._ids = ids
        self._token = token

    async def aclose(self) -> None:
        await self._connection.aclose()

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """Yield what the model answers; see ``base.Model``."""
        key = self._connection.callers(request.api_key)
        if not key:
            key = await self._token() if self._token else self._connection.key("")
        system, contents = gemini_contents(request.messages, self.name, ids=self._ids)
        body: JsonObject = {"contents": contents}
        if system:
            body["systemInstruction"] = system
        if self._generation:
            body["generationConfig"] = self._generation
        if request.tools:
            body["tools"] = gemini_tools(request.tools)
        reader = GeminiReader()
        async with self._connection.post(body, key) as response:
            if response.content_type == "application/json":
                # What comes unstreamed, from gateways, is one answer or the list of all.
                for chunk in self._chunks(await response.read(), key):
                    for event in reader.feed(chunk):
                        yield event
            else:
                async for data in server_sent(response.content.iter_any()):
                    for chunk in self._chunks(data, key):
                        for event in reader.feed(chunk):
                            yield event
        where = f"{self._connection.endpoint.provider} model {self.name!r}"
        if reader.reason in _SPOILED:
            raise ModelError(f"{where} spoiled its call of a tool", code=reader.reason, retryable=True)
        if not reader.reason:
            raise ModelError(f"{where}: the stream ended before the answer did", code="connection", retryable=True)
        for event in reader.end():
            yield event

    def _chunks(self, data: bytes, key: str) -> Iterator[JsonObject]:
        endpoint = self._connection.endpoint
        try:
            found: object = orjson.loads(data)
        except ValueError:
            found = None
        chunks = as_objects(found) or ([found] if is_object(found) else [])
        if not chunks:
            raise ModelError(
                f"{endpoint.provider} model {self.name!r}: {endpoint.url} sent something that is no JSON object",
                code="protocol", remedy="does the base URL of the ModelConfig point at Google's API?",
            )  # fmt: skip
        for chunk in chunks:
            if chunk.get("error"):
                raise error_in_stream(chunk, endpoint, key)
            yield chunk


@dataclass(slots=True)
class GeminiReader:
    """Fed with the answers of a stream it yields deltas; ``end`` yields the rest.

    ``reason`` is Google's own word for the end, empty until it came.
    """

    reason: str = ""
    _message: str = ""
    _usage: JsonObject = field(default_factory=JsonObject)
    _calls: list[ToolCall] = field(default_factory=list[ToolCall])
    _signature: str = ""

    def feed(self, chunk: JsonObject) -> Iterator[ModelEvent]:
        if is_object(usage := chunk.get("usageMetadata")):
            self._usage = usage
        if blocked := as_text(as_object(chunk.get("promptFeedback")).get("blockReason")):
            self.reason = blocked if _FINISHES.get(blocked) == "content_filter" else "PROHIBITED_CONTENT"
            self._message = as_text(as_object(chunk.get("promptFeedback")).get("blockReasonMessage"))
        for candidate in as_objects(chunk.get("candidates"))[:1]:
            for part in as_objects(as_object(candidate.get("content")).get("parts")):
                yield from self._part(part)
            if reason := as_text(candidate.get("finishReason")):
                self.reason = reason
                self._message = as_text(candidate.get("finishMessage"))

    def end(self) -> Iterator[ModelEvent]:
        """Yield the tool calls, the usage and the finish."""
        yield from self._calls
        if self._usage:
            yield _usage(self._usage)
        reason = _FINISHES.get(self.reason, "stop")
        detail = self._message or (self.reason if self.reason not in ("STOP", "MAX_TOKENS") else "")
        yield Finish("tool_calls" if self._calls and reason == "stop" else reason, detail)

    def _part(self, part: JsonObject) -> Iterator[ModelEvent]:
        call = as_object(part.get("functionCall"))
        signature = as_text(part.get("thoughtSignature"))
        if call:
            identity, name = as_text(call.get("id")), as_text(call.get("name"))
            # A thought of its own may carry the signature of the call that follows.
            signature = signature or (self._signature if not self._calls else "")
            self._calls.append(tool_call(identity, name, as_object(call.get("args")), signature=signature))
            return
        self._signature = signature or self._signature
        if text := as_text(part.get("text")):
            yield ThoughtDelta(text) if part.get("thought") is True else TextDelta(text)


def _usage(counts: JsonObject) -> Usage:
    """Return the usage; thoughts are billed as output, which the wire counts apart."""
    asked, answered, cached, thought, tools = (
        int(counts.get(name) or 0)
        for name in ("promptTokenCount", "candidatesTokenCount", "cachedContentTokenCount", "thoughtsTokenCount",
                     "toolUsePromptTokenCount")
    )  # fmt: skip
    return Usage(asked + tools, answered + thought, cached, thought)
