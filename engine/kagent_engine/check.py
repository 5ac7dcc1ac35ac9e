"""``kagent-engine check URL``: says hello to any agent in each dialect its card lists and tells what came back.

Speaks raw JSON-RPC, so that what it finds is the agent's doing and no SDK's.
"""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from dataclasses import dataclass
from typing import Final, Literal

import aiohttp
import orjson

from kagent_engine.errors import KagentError
from kagent_engine.shapes import JsonObject, as_object, as_objects, as_text, is_object

__all__ = ["run_check"]

_Dialect = Literal["1.0", "0.3"]
_METHODS: Final[dict[_Dialect, str]] = {"1.0": "SendStreamingMessage", "0.3": "message/stream"}


@dataclass(frozen=True, slots=True)
class _Finding:
    """What one dialect gave: ``problem`` is empty when a turn ended well."""

    dialect: _Dialect
    problem: str
    state: str = ""
    events: int = 0
    text: str = ""
    seconds: float = 0.0


def run_check(url: str, *, message: str, timeout: float) -> int:
    """Check one agent; return 0 when every dialect of its card answered, else 1."""
    return asyncio.run(_check(url.rstrip("/"), message, timeout))


async def _check(url: str, message: str, timeout: float) -> int:
    limits = aiohttp.ClientTimeout(total=timeout)
    async with aiohttp.ClientSession(timeout=limits, trust_env=True) as http:
        card = await _card(http, url)
        _say(f"card      {as_text(card.get('name'))} {as_text(card.get('version'))}".rstrip())
        dialects = _dialects(card)
        _say(f"dialects  {', '.join(dialects) or 'none of ours (no JSONRPC interface)'}")
        extensions = as_objects(as_object(card.get("capabilities")).get("extensions"))
        for extension in extensions:
            _say(f"extension {as_text(extension.get('uri'))}")
        findings = [await _hello(http, url, dialect, message) for dialect in dialects]
    for found in findings:
        if found.problem:
            _say(f"A2A {found.dialect}   FAILED: {found.problem}")
        else:
            facts = f"{found.state}, {found.events} events, {found.seconds:.2f} s"
            _say(f"A2A {found.dialect}   {facts}: {found.text[:200]}")
    return 0 if findings and not any(found.problem for found in findings) else 1


async def _card(http: aiohttp.ClientSession, url: str) -> JsonObject:
    address = f"{url}/.well-known/agent-card.json"
    try:
        async with http.get(address) as response:
            body = await response.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise KagentError(
            f"{address} did not answer: {error or 'timeout'}", remedy="is the agent running at this address?"
        ) from error
    if response.status != 200:
        raise KagentError(f"{address} answered {response.status}", remedy="an agent serves its card there")
    try:
        card: object = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise KagentError(f"{address} is not JSON: {error}") from error
    if not is_object(card):
        raise KagentError(f"{address} is no object")
    return card


def _dialects(card: JsonObject) -> list[_Dialect]:
    versions = [
        as_text(entry.get("protocolVersion"))
        for entry in as_objects(card.get("supportedInterfaces"))
        if entry.get("protocolBinding") == "JSONRPC"
    ]
    versions.append(as_text(card.get("protocolVersion")))
    found: list[_Dialect] = []
    if any(version.startswith("1.") for version in versions):
        found.append("1.0")
    if any(version.startswith("0.3") for version in versions):
        found.append("0.3")
    return found


async def _hello(http: aiohttp.ClientSession, url: str, dialect: _Dialect, text: str) -> _Finding:
    started = time.monotonic()
    message: JsonObject = {"messageId": str(uuid.uuid4())}
    if dialect == "1.0":
        message |= {"role": "ROLE_USER", "parts": [{"text": text}]}
    else:
        message |= {"kind": "message", "role": "user", "parts": [{"kind": "text", "text": text}]}
    body = {"jsonrpc": "2.0", "id": 1, "method": _METHODS[dialect], "params": {"message": message}}
    headers = {"Content-Type": "application/json"} | ({"A2A-Version": "1.0"} if dialect == "1.0" else {})
    heard = _Heard()
    try:
        async with http.post(url + "/", data=orjson.dumps(body), headers=headers) as response:
            if response.content_type != "text/event-stream":
                return _Finding(dialect, _refusal(response.status, await response.read()))
            async for line in response.content:
                if line.startswith(b"data:") and (problem := heard.take(orjson.loads(line[5:]))):
                    return _Finding(dialect, problem)
    except (aiohttp.ClientError, TimeoutError, orjson.JSONDecodeError) as error:
        return _Finding(dialect, f"the stream broke: {error or type(error).__name__}")
    if not heard.state:
        return _Finding(dialect, "the stream ended without a final state")
    problem = f"ended as {heard.state}: {heard.text}" if heard.state in {"failed", "rejected", "canceled"} else ""
    return _Finding(dialect, problem, heard.state, heard.events, heard.text, time.monotonic() - started)


class _Heard:
    """Follows a stream of either dialect as far as a check needs it."""

    def __init__(self) -> None:
        self.events = 0
        self.state = ""
        self.text = ""

    def take(self, answer: object) -> str:
        """Take one event; return what is wrong with it."""
        parsed = as_object(answer)
        if error := as_object(parsed.get("error")):
            return f"{error.get('code')} {as_text(error.get('message'))}"
        result = as_object(parsed.get("result"))
        update = as_object(result.get("statusUpdate")) or as_object(result.get("artifactUpdate")) or result
        self.events += 1
        status = as_object(update.get("status"))
        state = as_text(status.get("state")).removeprefix("TASK_STATE_").lower().replace("_", "-")
        if state and state not in {"submitted", "working"}:
            self.state = state
        for source in (as_object(update.get("artifact")), as_object(status.get("message"))):
            words = "".join(as_text(part.get("text")) for part in as_objects(source.get("parts")))
            if words and source.get("role") not in {"user", "ROLE_USER"}:
                self.text = words
        return ""


def _refusal(status: int, body: bytes) -> str:
    try:
        error = as_object(as_object(orjson.loads(body)).get("error"))
    except orjson.JSONDecodeError:
        return f"HTTP {status}: {body[:200].decode(errors='replace')}"
    return f"{error.get('code')} {as_text(error.get('message'))}"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
