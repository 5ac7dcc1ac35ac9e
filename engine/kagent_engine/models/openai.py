"""The small client for everything that speaks OpenAI's wire: OpenAI, Azure, DashScope, Foundry, vLLM, any base URL.

One POST a call on a kept connection, its stream read as it comes. It never retries (the loop does) except once without
``stream_options``, which some servers refuse.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Literal

import aiohttp

from kagent_engine.models.base import ModelError, ModelEvent, ModelRequest
from kagent_engine.models.connection import Connection, parsed, server_sent
from kagent_engine.models.failures import error_in_stream
from kagent_engine.models.openai_chat import ChatReader
from kagent_engine.models.openai_messages import chat_messages, chat_tools, responses_input, responses_tools
from kagent_engine.models.openai_responses import ResponsesReader
from kagent_engine.shapes import JsonObject

__all__ = ["OpenAIModel"]

_DONE = b"[DONE]"


class OpenAIModel:
    """A model behind ``connection``; ``parameters`` go into every request as they are."""

    def __init__(
        self, connection: Connection, *, api: Literal["chat", "responses"] = "chat",
        parameters: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.name = connection.endpoint.model
        self._connection = connection
        self._api = api
        self._parameters = dict(parameters or {})
        self._usage_option = True

    async def aclose(self) -> None:
        await self._connection.aclose()

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """Yield what the model answers; see ``base.Model``."""
        key = self._connection.key(request.api_key)
        read = self._chat if self._api == "chat" else self._responses
        try:
            async for event in read(request, key):
                yield event
        except ModelError as error:
            # Nothing was yielded: an answer that refuses the request carries no event.
            if not self._refuses_usage(error):
                raise
            self._usage_option = False
            async for event in read(request, key):
                yield event

    async def _chat(self, request: ModelRequest, key: str) -> AsyncIterator[ModelEvent]:
        body: JsonObject = {
            "model": self.name, "messages": chat_messages(request.messages), "stream": True, **self._parameters,
        }  # fmt: skip
        if self._usage_option:
            body["stream_options"] = {"include_usage": True}
        if request.tools:
            body["tools"] = chat_tools(request.tools)
        reader = ChatReader()
        async with self._connection.post(body, key) as response:
            if self._streamed(response):
                async for data in server_sent(response.content.iter_any()):
                    if data == _DONE:
                        reader.finished = True
                        break
                    for event in reader.feed(self._checked(data, key)):
                        yield event
                self._complete(reader.finished)
            else:
                for event in reader.feed(self._checked(await response.read(), key)):
                    yield event
        for event in reader.end():
            yield event

    async def _responses(self, request: ModelRequest, key: str) -> AsyncIterator[ModelEvent]:
        instructions, items = responses_input(request.messages)
        # Sessions are ours: nothing of a conversation is left with the provider.
        body: JsonObject = {"model": self.name, "input": items, "stream": True, "store": False, **self._parameters}
        if instructions:
            body["instructions"] = instructions
        if request.tools:
            body["tools"] = responses_tools(request.tools)
        reader = ResponsesReader()
        async with self._connection.post(body, key) as response:
            if self._streamed(response):
                async for data in server_sent(response.content.iter_any()):
                    if data == _DONE:
                        break
                    for event in reader.feed(self._checked(data, key)):
                        yield event
                    if reader.failure is not None:
                        raise error_in_stream(reader.failure, self._connection.endpoint, key)
                self._complete(reader.finished)
            else:
                for event in reader.whole(self._checked(await response.read(), key)):
                    yield event
                if reader.failure is not None:
                    raise error_in_stream(reader.failure, self._connection.endpoint, key)
        for event in reader.end():
            yield event

    def _checked(self, data: bytes, key: str) -> JsonObject:
        """Return the object of one event.

        Raises:
            ModelError: the event is an error, or no JSON object.
        """
        found = parsed(data)
        endpoint = self._connection.endpoint
        if found is None:
            raise self._no_api("something that is no JSON object")
        if found.get("error") and found.get("type") not in ("response.completed", "response.incomplete"):
            raise error_in_stream(found, endpoint, key)
        return found

    def _streamed(self, response: aiohttp.ClientResponse) -> bool:
        if response.content_type == "text/html":
            raise self._no_api("a web page")
        return response.content_type != "application/json"

    def _no_api(self, what: str) -> ModelError:
        return ModelError(
            f"{self._connection.endpoint.provider} model {self.name!r}: {self._connection.endpoint.url} sent {what}",
            code="protocol", remedy="does the base URL of the ModelConfig point at an OpenAI-compatible API?",
        )  # fmt: skip

    def _complete(self, finished: bool) -> None:
        if not finished:
            raise ModelError(
                f"{self._connection.endpoint.provider} model {self.name!r}: the stream ended before the answer did",
                code="connection", retryable=True,
            )  # fmt: skip

    def _refuses_usage(self, error: ModelError) -> bool:
        return self._usage_option and error.status in (400, 422) and "stream_options" in error.message
