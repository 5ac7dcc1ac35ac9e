"""Turns what a provider (or the network) answers instead of a stream into one ModelError that says what to do.

Providers agree on no shape: OpenAI, Azure, DashScope, Gemini, FastAPI servers and plain proxies are all read here. A
key that a provider echoes is masked.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import cast
from urllib.parse import urlsplit

import aiohttp
import orjson

from kagent_engine.models.base import ModelError
from kagent_engine.models.endpoint import Endpoint
from kagent_engine.shapes import JsonObject, as_object, as_text, is_object

__all__ = ["error_in_stream", "from_network", "from_response", "said"]

_RETRYABLE = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
# Codes that come with a retryable status though waiting helps nobody.
_FINAL_CODES = frozenset({"insufficient_quota", "billing_not_active", "Arrearage", "access_terminated"})
# Codes in a stream or body that say "later", whatever the status.
_LATER_CODES = re.compile(
    r"rate.?limit|throttl|overload|too.?many|unavailable|timeout|server_error|api_error|internal.?server|"
    r"resource_exhausted|modelStreamError|model_error",
    re.IGNORECASE,
)
_TOO_LONG = re.compile(r"context.{0,20}length|maximum context|too many tokens|prompt is too long", re.IGNORECASE)
_RETRY_DELAY = re.compile(rb'"retryDelay":\s*"(\d+(?:\.\d+)?)s"')
_MAX_MESSAGE = 500


def from_response(status: int, headers: Mapping[str, str], body: bytes, endpoint: Endpoint, key: str) -> ModelError:
    """Return the error for an answer with an error status."""
    message, code = said(body)
    # Amazon names the kind of an error in a header, followed by an address.
    code = headers.get("x-amzn-errortype", "").partition(":")[0] or code
    message = _masked(message or _phrase(status), key)
    final = code in _FINAL_CODES
    remedy = _remedy(status, code, message, endpoint, key)
    if status < 400:
        remedy = f"it points to {headers.get('Location', 'nowhere')!r}; if that is right, set it as the base URL"
    return ModelError(
        f"{endpoint.provider} model {endpoint.model!r} refused ({status}): {message}",
        status=status,
        code=code or str(status),
        retryable=status in _RETRYABLE and not final,
        retry_after=_retry_after(headers, body),
        remedy=remedy,
    )


def error_in_stream(event: JsonObject, endpoint: Endpoint, key: str) -> ModelError:
    """Return the error that a provider sent as an event, after it had answered 200."""
    message, code = _described(event)
    return ModelError(
        f"{endpoint.provider} model {endpoint.model!r} broke off: {_masked(message or 'no reason given', key)}",
        code=code,
        retryable=_passes(code) or bool(_LATER_CODES.search(message)),
        remedy=_remedy(0, code, message, endpoint, key),
    )


def from_network(error: Exception, endpoint: Endpoint) -> ModelError:
    """Return the error for a connection that could not be made or broke."""
    where = f"{endpoint.provider} model {endpoint.model!r}"
    origin = _origin(endpoint.url)
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        reason = getattr(error, "certificate_error", error)
        return ModelError(
            f"{where}: the TLS certificate of {origin} is not accepted: {reason}", code="tls",
            remedy="set tls.caCertSecretRef of the ModelConfig, or tls.disableVerify for a test",
        )  # fmt: skip
    if isinstance(error, aiohttp.ClientProxyConnectionError | aiohttp.ClientHttpProxyError):
        return ModelError(
            f"{where}: the proxy to {origin} refused: {error}", code="proxy", retryable=True,
            remedy="check HTTP_PROXY, HTTPS_PROXY and NO_PROXY of the agent",
        )  # fmt: skip
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return ModelError(
            f"{where}: no such host: {urlsplit(endpoint.url).hostname}", code="dns", retryable=True,
            remedy="check the base URL of the ModelConfig",
        )  # fmt: skip
    if isinstance(error, aiohttp.ClientConnectorError):
        return ModelError(
            f"{where}: cannot connect to {origin}: {error.strerror or error.os_error}", code="unreachable",
            retryable=True, remedy="is it running there? check the base URL of the ModelConfig",
        )  # fmt: skip
    if isinstance(error, aiohttp.InvalidURL):
        return ModelError(f"{where}: {endpoint.url!r} is no URL", code="url", remedy="correct the base URL")
    if isinstance(error, asyncio.TimeoutError):
        return ModelError(
            f"{where}: {origin} was silent for too long", code="timeout", retryable=True,
            remedy="raise openAI.timeout of the ModelConfig if the model is that slow",
        )  # fmt: skip
    detail = str(error) or type(error).__name__
    return ModelError(f"{where}: the connection to {origin} broke: {detail}", code="connection", retryable=True)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "no reason given"


def said(body: bytes) -> tuple[str, str]:
    """Return message and code of an error body of any shape."""
    try:
        parsed: object = orjson.loads(body)
    except ValueError:
        text = body.decode(errors="replace").strip()
        title = re.search(r"<title>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
        return (title.group(1) if title else re.sub(r"\s+", " ", text))[:_MAX_MESSAGE], ""
    # Gemini's endpoint wraps the object in a list.
    first: object = cast("list[object]", parsed)[0] if isinstance(parsed, list) and parsed else cast("object", parsed)
    return _described(first) if is_object(first) else (body.decode(errors="replace")[:_MAX_MESSAGE], "")


def _described(answer: JsonObject) -> tuple[str, str]:
    error = answer.get("error")
    if isinstance(error, str) and error:
        # OAuth's form (RFC 6749 section 5.2), and plain ones.
        message = ": ".join(filter(None, (error, as_text(answer.get("error_description")))))
        return message[:_MAX_MESSAGE], _code(answer)
    inner = as_object(error) or answer
    message = next(filter(None, (inner.get(name) for name in ("message", "Message", "detail", "msg"))), None)
    if isinstance(message, list):
        found = [as_object(item) for item in cast("list[object]", message)]
        message = "; ".join(f"{item.get('loc', '')}: {item.get('msg', '')}" for item in found)
    return str(message or "")[:_MAX_MESSAGE], _code(inner)


def _code(entry: JsonObject) -> str:
    for key in ("code", "type", "status"):
        value = entry.get(key)
        if isinstance(value, str | int) and value not in ("", "error"):
            return str(value)
    return ""


def _remedy(status: int, code: str, message: str, endpoint: Endpoint, key: str) -> str:
    host = urlsplit(endpoint.url).hostname or ""
    if "dashscope" in host and "/compatible-mode/" not in endpoint.url:
        return f"DashScope speaks OpenAI's wire under https://{host}/compatible-mode/v1; set that as baseUrl"
    if status in (401, 403) or (status == HTTPStatus.BAD_REQUEST and "API key" in message):
        if not key:
            return f"no key was sent: give the ModelConfig an apiKeySecret ({endpoint.key_variable})"
        return f"check the key in the ModelConfig's apiKeySecret ({endpoint.key_variable})"
    if status == HTTPStatus.NOT_FOUND:
        return f"check the model name and the base URL of the ModelConfig; {_path(endpoint.url)} was asked"
    if code in _FINAL_CODES:
        return "the account has no quota left; check its billing"
    if _TOO_LONG.search(message) or status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return "the conversation is too long for this model; start a new session or use a larger model"
    return ""


def _passes(code: str) -> bool:
    """Tell whether a fault of this code, a word or a status, may be gone later."""
    return bool(_LATER_CODES.search(code)) or (code.isdigit() and int(code) in _RETRYABLE)


def _retry_after(headers: Mapping[str, str], body: bytes) -> float | None:
    # Google says it in the body alone (google.rpc.RetryInfo).
    if delay := _RETRY_DELAY.search(body):
        return float(delay.group(1))
    if (milliseconds := headers.get("retry-after-ms", "")).isdigit():
        return float(milliseconds) / 1000
    value = headers.get("Retry-After", "").strip()
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _masked(text: str, key: str) -> str:
    return text.replace(key, "***") if len(key) > 3 else text


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rsplit('@', 1)[-1]}"


def _path(url: str) -> str:
    return f"{_origin(url)}{urlsplit(url).path}"
