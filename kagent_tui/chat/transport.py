"""JSON-RPC over HTTP with streams: the one module that puts A2A requests on a wire.

Why not a2a-sdk's client: importing it takes half a second (a second and a half on a busy laptop) before the first
frame, it turns each token into protobuf and back, and its 0.3 side wants a card that matches. The wire is small; the
tests hold it against a2a-sdk's own server, in both versions.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Final

import httpx

from kagent_api.errors import ObjectRef
from kagent_tui.chat.errors import (
    AccessRefused,
    AgentNotFound,
    AgentNotReady,
    AgentUnreachable,
    CallFailed,
    ChatError,
    LinkLost,
)
from kagent_tui.chat.jsonvalue import JsonObject, object_of, text_of
from kagent_tui.chat.sse import EventTooLarge, data_of_events

__all__ = ["CALL_TIMEOUT", "STREAM_TIMEOUT", "JsonRpc", "failure"]

# A model may think for minutes between two events; the person sees the clock and can stop.
STREAM_TIMEOUT: Final = httpx.Timeout(10.0, read=None, write=30.0, pool=None)
CALL_TIMEOUT: Final = httpx.Timeout(10.0, read=30.0, pool=None)
_MAX_ERROR_TEXT: Final = 400


class JsonRpc:
    """One endpoint. ``ref`` names the agent in errors."""

    def __init__(
        self, http: httpx.AsyncClient, url: str, ref: ObjectRef, *, headers: Mapping[str, str] | None = None
    ) -> None:
        self._http = http
        self._url = url
        self._ref = ref
        self._headers = dict(headers or {})

    async def call(self, method: str, params: JsonObject, headers: Mapping[str, str]) -> JsonObject:
        """Return the result of a call that does not stream."""
        async with aclosing(self.stream(method, params, headers, timeout=CALL_TIMEOUT)) as results:
            async for result in results:
                return result
        raise LinkLost("the agent closed the connection without an answer", ref=self._ref, remedy="try again")

    async def stream(
        self, method: str, params: JsonObject, headers: Mapping[str, str], *, timeout: httpx.Timeout = STREAM_TIMEOUT
    ) -> AsyncGenerator[JsonObject]:
        """Yield each result. An error before the first event comes as plain JSON with status 200 (a2a-sdk).

        Raises:
            AgentUnreachable, AgentNotFound, AgentNotReady, AccessRefused: before the first result.
            CallFailed: the agent answered with an error.
            LinkLost: the connection broke after the request was sent.
        """
        body = {"jsonrpc": "2.0", "id": uuid.uuid4().hex, "method": method, "params": params}
        content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        request = self._http.build_request(
            "POST",
            self._url,
            content=content,
            headers={
                **self._headers,
                **headers,
                "Content-Type": "application/json",
                "Accept": "text/event-stream, application/json",
                # A compressing proxy would hold events back until its block is full.
                "Accept-Encoding": "identity",
            },
            timeout=timeout,
        )
        try:
            response = await self._http.send(request, stream=True, follow_redirects=True)
        except httpx.RequestError as error:
            raise _no_answer(error, self._url, self._ref) from error
        try:
            if response.status_code >= 400:
                raise failure(response.status_code, await response.aread(), self._ref)
            if "text/event-stream" not in response.headers.get("content-type", ""):
                yield self._result(_parse(await response.aread()))
                return
            async with aclosing(data_of_events(response.aiter_bytes())) as events:
                async for data in events:
                    yield self._result(_parse(data))
        except (httpx.RequestError, httpx.StreamError) as error:
            raise LinkLost(f"the connection broke ({_reason(error)})", ref=self._ref, remedy="try again") from error
        except EventTooLarge as error:
            raise ChatError(f"the agent sent {error}", ref=self._ref) from error
        finally:
            await response.aclose()

    def _result(self, message: JsonObject) -> JsonObject:
        error = object_of(message.get("error"))
        if error:
            code = error.get("code")
            raise CallFailed(
                text_of(error.get("message")) or "the agent gave no reason",
                code=code if isinstance(code, int) else 0,
                ref=self._ref,
                remedy=_detail(error.get("data")),
            )
        return object_of(message.get("result"))


def failure(status: int, body: bytes, ref: ObjectRef) -> ChatError:
    """Return the error for an HTTP status: of the agent, of a gateway, or of an API server's proxy on the way."""
    message = _words(body) or f"HTTP {status}"
    where = f"kagent-tui describe agent {ref.name} -n {ref.namespace}" if ref.namespace else ""
    match status:
        case 401 | 403:
            return AccessRefused(message, ref=ref, remedy="check the credentials of this context")
        case 404:
            return AgentNotFound(message, ref=ref, remedy="check name and namespace: kagent-tui get agents -A")
        case 502 | 503 | 504:
            return AgentNotReady(message, ref=ref, remedy=f"no Pod answers: {where}" if where else "try again later")
        case _:
            return ChatError(message, ref=ref)


def _no_answer(error: httpx.RequestError, url: str, ref: ObjectRef) -> ChatError:
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.UnsupportedProtocol | httpx.ProxyError):
        host = httpx.URL(url).netloc.decode("ascii", "replace")
        return AgentUnreachable(f"nothing answers at {host} ({_reason(error)})", ref=ref, remedy="is it running?")
    return LinkLost(f"the connection broke ({_reason(error)})", ref=ref, remedy="try again")


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _parse(data: str | bytes) -> JsonObject:
    try:
        return object_of(json.loads(data))
    except (ValueError, RecursionError):
        return {}


def _words(body: bytes) -> str:
    """Return the message of a metav1.Status, a JSON-RPC error, kagent's envelope, or the first words of plain text."""
    answer = _parse(body)
    message = text_of(answer.get("message")) or text_of(object_of(answer.get("error")).get("message"))
    message = message or text_of(answer.get("error")) or text_of(answer.get("detail"))
    return message or ("" if answer else body.decode("utf-8", "replace").strip()[:_MAX_ERROR_TEXT])


def _detail(data: object) -> str:
    return data[:_MAX_ERROR_TEXT] if isinstance(data, str) else ""
