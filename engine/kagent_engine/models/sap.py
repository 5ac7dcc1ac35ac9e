"""SAP AI Core by its orchestration service (``/v2/completion``), which puts every vendor's models behind one wire.

Its answers are OpenAI's chunks in an envelope. A prompt there is a template in which ``{{?name}}`` stands for a value,
so whatever a person or a tool wrote with braces travels as a value and is never read as a template.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, cast

from kagent_engine.models.base import Message, ModelError, ModelEvent, ModelRequest
from kagent_engine.models.connection import Connection, parsed, server_sent
from kagent_engine.models.failures import error_in_stream
from kagent_engine.models.openai_chat import ChatReader
from kagent_engine.models.openai_messages import chat_messages, chat_tools
from kagent_engine.shapes import JsonObject, as_object, as_objects, as_text

__all__ = ["SapLogin", "SapModel"]

_MARGIN_SECONDS = 120.0
# Upstream release 0.10 looks for the deployment again after an hour.
_DEPLOYMENT_SECONDS = 3600.0
# What an answer of the orchestration service may mean: the deployment has moved, or the token was withdrawn.
_STALE = frozenset({401, 403, 404})


class SapLogin:
    """OAuth client credentials at ``url``; a token is kept until shortly before its end."""

    def __init__(self, connection: Connection, url: str, client: str, secret: str) -> None:
        base = url.rstrip("/")
        self._url = base if base.endswith("/oauth/token") else f"{base}/oauth/token"
        self._connection = connection
        self._client = client
        self._secret = secret
        self._token = ""
        self._ends = 0.0
        self._lock = asyncio.Lock()

    async def token(self) -> str:
        """Return an access token.

        Raises:
            ModelError: it is refused, or cannot be asked for.
        """
        async with self._lock:
            if time.monotonic() >= self._ends:
                form = {"grant_type": "client_credentials", "client_id": self._client, "client_secret": self._secret}
                headers = {"Content-Type": "application/x-www-form-urlencoded"}
                answer = parsed(
                    await self._connection.fetch("POST", self._url, form=form, headers=headers, secret=self._secret)
                )
                self._token = as_text((answer or {}).get("access_token"))
                if not self._token:
                    raise ModelError(f"SAP AI Core: {self._url} gave no access token", code="no_key", status=401)
                seconds = (answer or {}).get("expires_in")
                seconds = float(seconds) if isinstance(seconds, int | float) else 3600.0
                self._ends = time.monotonic() + max(0.0, seconds - _MARGIN_SECONDS)
            return self._token

    def forget(self) -> None:
        self._ends = 0.0


class SapModel:
    """A model of the resource group in ``connection``'s headers; its endpoint is the AI API's base."""

    def __init__(self, connection: Connection, login: SapLogin, *, parameters: Mapping[str, Any]) -> None:
        self.name = connection.endpoint.model
        self._connection = connection
        self._login = login
        self._parameters = dict(parameters)
        self._deployment = ""
        self._found = float("-inf")

    async def aclose(self) -> None:
        await self._connection.aclose()

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """Yield what the model answers; see ``base.Model``."""
        begun = False
        try:
            async for event in self._stream(request):
                begun = True
                yield event
        except ModelError as error:
            if begun or error.status not in _STALE or not self._deployment:
                raise
            self._deployment = ""
            self._login.forget()
            async for event in self._stream(request):
                yield event

    async def _stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        key = self._connection.callers(request.api_key) or await self._login.token()
        url = f"{await self._deployed(key)}/v2/completion"
        reader = ChatReader()
        async with self._connection.post(self._body(request), key, url=url) as response:
            if response.content_type == "application/json":
                for event in reader.feed(self._chunk(await response.read(), key)):
                    yield event
            else:
                async for data in server_sent(response.content.iter_any()):
                    if data == b"[DONE]":
                        break
                    for event in reader.feed(self._chunk(data, key)):
                        yield event
        if not reader.finished:
            raise ModelError(
                f"SAP AI Core model {self.name!r}: the stream ended before the answer did", code="connection",
                retryable=True,
            )  # fmt: skip
        for event in reader.end():
            yield event

    def _body(self, request: ModelRequest) -> JsonObject:
        template, values = _template(request.messages)
        prompt: JsonObject = {"template": template}
        if request.tools:
            prompt["tools"] = chat_tools(request.tools)
        model = {"name": self.name, "version": "latest", "params": self._parameters}
        modules = {"prompt_templating": {"prompt": prompt, "model": model}}
        body: JsonObject = {"config": {"modules": modules, "stream": {"enabled": True}}}
        if values:
            body["placeholder_values"] = values
        return body

    def _chunk(self, data: bytes, key: str) -> JsonObject:
        found = parsed(data)
        if found is None:
            raise ModelError(
                f"SAP AI Core model {self.name!r} sent something that is no JSON object", code="protocol",
                remedy="does the base URL of the ModelConfig point at the AI API?",
            )  # fmt: skip
        if found.get("error") or "code" in found:
            raise error_in_stream(found, self._connection.endpoint, key)
        return as_object(found.get("final_result")) or as_object(found.get("orchestration_result")) or found

    async def _deployed(self, key: str) -> str:
        """Return the address of the newest orchestration deployment that runs."""
        if self._deployment and time.monotonic() - self._found < _DEPLOYMENT_SECONDS:
            return self._deployment
        endpoint = self._connection.endpoint
        url = f"{endpoint.url}/v2/lm/deployments"
        answer = parsed(await self._connection.fetch("GET", url, headers=endpoint.headers_with(key), secret=key))
        running = [
            (as_text(each.get("createdAt")), as_text(each.get("deploymentUrl")))
            for each in as_objects((answer or {}).get("resources"))
            if each.get("scenarioId") == "orchestration" and each.get("status") == "RUNNING"
        ]
        address = max(running)[1] if running else ""
        if not address:
            raise ModelError(
                f"SAP AI Core model {self.name!r}: no orchestration deployment runs in this resource group",
                code="no_deployment", remedy="create one in SAP AI Launchpad, or correct resourceGroup",
            )  # fmt: skip
        self._deployment, self._found = address.rstrip("/"), time.monotonic()
        return self._deployment


def _template(messages: Sequence[Message]) -> tuple[list[JsonObject], dict[str, str]]:
    """Return the messages with every text that holds two braces replaced by a name, and the texts by name."""
    values: dict[str, str] = {}

    def held(value: object) -> object:
        if isinstance(value, str) and "{{" in value:
            name = f"text_{len(values)}"
            values[name] = value
            return "{{?" + name + "}}"
        if isinstance(value, list):
            return [held(item) for item in cast("list[object]", value)]
        if isinstance(value, dict):
            return {key: held(item) for key, item in cast("dict[str, object]", value).items()}
        return value

    template = chat_messages(messages)
    for message in template:
        message["content"] = held(message.get("content") or "")
    return template, values
