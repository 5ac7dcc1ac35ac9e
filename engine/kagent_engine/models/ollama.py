"""Ollama by its own API (``/api/chat``), since its OpenAI-compatible one takes no ``options``.

``num_ctx`` above all: without it Ollama cuts a conversation with tools to a few thousand tokens and says nothing.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import assert_never

import orjson

from kagent_engine.models.base import (
    AssistantMessage,
    Finish,
    Message,
    ModelError,
    ModelEvent,
    ModelRequest,
    SystemMessage,
    TextDelta,
    TextPart,
    ThoughtDelta,
    ToolCall,
    ToolMessage,
    Usage,
    UserMessage,
)
from kagent_engine.models.connection import Connection, json_lines
from kagent_engine.models.failures import error_in_stream
from kagent_engine.models.openai_chat import finish_reason, tool_call
from kagent_engine.models.openai_messages import chat_tools, file_text
from kagent_engine.shapes import JsonObject, as_object, as_objects, as_text

__all__ = ["OllamaModel", "parsed_options"]

# Keys that people put among the options though Ollama wants them beside.
_BESIDE = ("think", "keep_alive", "format")


class OllamaModel:
    """A model of an Ollama server; ``options`` as the ModelConfig holds them, all text."""

    def __init__(self, connection: Connection, *, options: Mapping[str, str] | None = None) -> None:
        self.name = connection.endpoint.model
        self._connection = connection
        given = parsed_options(options or {})
        self._beside = {key: given.pop(key) for key in _BESIDE if key in given}
        self._options = given

    async def aclose(self) -> None:
        await self._connection.aclose()

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """Yield what the model answers; see ``base.Model``."""
        key = self._connection.key(request.api_key)
        body: JsonObject = {
            "model": self.name, "messages": _messages(request.messages), "stream": True, **self._beside,
        }  # fmt: skip
        if self._options:
            body["options"] = self._options
        if request.tools:
            body["tools"] = chat_tools(request.tools)
        called = False
        async with self._connection.post(body, key) as response:
            async for chunk in json_lines(response.content.iter_any()):
                if chunk.get("error"):
                    raise error_in_stream(chunk, self._connection.endpoint, key)
                for event in _events(chunk):
                    called |= isinstance(event, ToolCall)
                    yield event
                if chunk.get("done") is True:
                    yield Usage(int(chunk.get("prompt_eval_count") or 0), int(chunk.get("eval_count") or 0))
                    yield _finish(as_text(chunk.get("done_reason")), called)
                    return
        raise ModelError(
            f"Ollama model {self.name!r}: the stream ended before the answer did", code="connection", retryable=True
        )


def _events(chunk: JsonObject) -> list[ModelEvent]:
    message = as_object(chunk.get("message"))
    events: list[ModelEvent] = []
    if thought := as_text(message.get("thinking")):
        events.append(ThoughtDelta(thought))
    if text := as_text(message.get("content")):
        events.append(TextDelta(text))
    for call in as_objects(message.get("tool_calls")):
        function = as_object(call.get("function"))
        arguments = function.get("arguments")
        given = arguments if isinstance(arguments, str) else as_object(arguments)
        events.append(tool_call(as_text(call.get("id")), as_text(function.get("name")), given))
    return events


def _finish(reason: str, called: bool) -> Finish:
    # "load" and "unload" are answers to empty prompts; both are an ordinary end here.
    return finish_reason(reason, called)


def _messages(messages: Sequence[Message]) -> list[JsonObject]:
    return [_message(message) for message in messages]


def _message(message: Message) -> JsonObject:
    match message:
        case SystemMessage(text):
            return {"role": "system", "content": text}
        case UserMessage(parts):
            images = [
                base64.b64encode(part.data).decode()
                for part in parts
                if not isinstance(part, TextPart) and part.mime_type.startswith("image/") and part.data
            ]
            texts = [
                part.text if isinstance(part, TextPart) else file_text(part)
                for part in parts
                if isinstance(part, TextPart) or not (part.mime_type.startswith("image/") and part.data)
            ]
            return {"role": "user", "content": "\n".join(texts), **({"images": images} if images else {})}
        case AssistantMessage(text, calls):
            spoken: JsonObject = {"role": "assistant", "content": text}
            if calls:
                spoken["tool_calls"] = [{"function": {"name": c.name, "arguments": c.arguments}} for c in calls]
            return spoken
        case ToolMessage(_, name, content):
            return {"role": "tool", "tool_name": name, "content": content}
        case _:
            assert_never(message)


def parsed_options(options: Mapping[str, str]) -> JsonObject:
    """Return options with the types Ollama wants: numbers, booleans and lists as JSON spells them, else text.

    ``stop`` is a list; a single text becomes a list of one.
    """
    typed: JsonObject = {}
    for name, text in options.items():
        try:
            value: object = orjson.loads(text.strip().lower() if text.strip().lower() in ("true", "false") else text)
        except ValueError:
            value = text
        typed[name] = [text] if name == "stop" and not isinstance(value, list) else value
    return typed
