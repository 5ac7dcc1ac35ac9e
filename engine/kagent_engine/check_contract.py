"""The contract of docs/own-agents.md as questions to one agent, each with its letter there; asked over raw JSON-RPC."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final, Literal

import aiohttp
import orjson

from kagent_engine.shapes import JsonObject, as_object, as_objects, as_text

__all__ = ["Dialect", "Finding", "card_findings", "dialect_findings"]

Dialect = Literal["1.0", "0.3"]
_STREAM: Final[dict[Dialect, str]] = {"1.0": "SendStreamingMessage", "0.3": "message/stream"}
_SEND: Final[dict[Dialect, str]] = {"1.0": "SendMessage", "0.3": "message/send"}
_GET: Final[dict[Dialect, str]] = {"1.0": "GetTask", "0.3": "tasks/get"}
_BAD_ENDS: Final = frozenset({"failed", "rejected", "canceled"})


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer to one question; ``problem`` is empty where all is well. kagent needs what is ``required``."""

    rule: str
    what: str
    problem: str = ""
    required: bool = True


def card_findings(card: JsonObject) -> list[Finding]:
    """Judge the card (rules A and B)."""
    capabilities = as_object(card.get("capabilities"))
    skills = as_objects(card.get("skills"))
    incomplete = [skill for skill in skills if not all(skill.get(key) for key in ("id", "name", "description"))]
    missing = [key for key in ("name", "description", "version") if not as_text(card.get(key))]
    return [
        Finding("A", "the card has name, description and version", _listed("it lacks", missing), "name" in missing),
        Finding("A", "skills have id, name and description", "some do not" if incomplete else "", required=False),
        Finding(
            "B", "capabilities.streaming is true", "it is not" * (not capabilities.get("streaming")), required=False
        ),
    ]


def _listed(prefix: str, names: list[str]) -> str:
    return f"{prefix} {', '.join(names)}" if names else ""


async def dialect_findings(
    http: aiohttp.ClientSession, url: str, dialect: Dialect, text: str
) -> AsyncIterator[Finding]:
    """Ask all questions in one dialect (rules C to G). It costs the agent two turns."""
    caller = _Caller(http, url, dialect)
    context = str(uuid.uuid4())
    started = time.monotonic()
    heard = await caller.stream(text, context)
    seconds, words = time.monotonic() - started, " ".join(heard.text.split())[:200]
    facts = f"{heard.state}, {heard.events} events, {seconds:.2f} s: {words}"
    yield Finding("C", f"a streamed turn {facts}" if not heard.problem else "a streamed turn", heard.problem)
    if heard.problem:
        return
    told = "" if heard.first == "task" or dialect == "0.3" else f"the first event is a {heard.first or 'mystery'}"
    yield Finding("C", "the stream begins with the task", told, required=False)
    kept = "" if heard.context == context else f"{context} became {heard.context or 'nothing'}"
    yield Finding("D", "it keeps the caller's contextId, which is the session", kept)
    yield Finding("D", "a second message in the session is answered", await caller.second(text, context))
    for finding in await caller.tasks(heard.task):
        yield finding
    for rule, what, method, params, code in (
        ("F", "an unknown task is -32001", _GET[dialect], {"id": str(uuid.uuid4())}, -32001),
        ("F", "an unknown method is -32601", "no/such" if dialect == "0.3" else "NoSuch", {}, -32601),
        ("F", "a message without parts is -32602", _SEND[dialect], {"message": {"messageId": "x"}}, -32602),
    ):
        answer = await caller.call(method, params)
        found = as_object(answer.get("error")).get("code")
        problem = "" if found == code else f"it answered {found if found is not None else 'without an error'}"
        yield Finding(rule, what, problem, required=code == -32001)


@dataclass(slots=True)
class _Caller:
    http: aiohttp.ClientSession
    url: str
    dialect: Dialect

    async def stream(self, text: str, context: str) -> _Heard:
        """Say something and hear the answer."""
        heard = _Heard()
        request = self._request(_STREAM[self.dialect], {"message": self._message(text, context)})
        try:
            async with self.http.post(self.url + "/", data=request, headers=self._headers()) as response:
                if response.content_type != "text/event-stream":
                    heard.problem = _refusal(response.status, await response.read())
                    return heard
                async for line in response.content:
                    if line.startswith(b"data:"):
                        heard.take(orjson.loads(line[5:]))
        except (aiohttp.ClientError, TimeoutError, orjson.JSONDecodeError) as error:
            heard.problem = f"the stream broke: {error or type(error).__name__}"
            return heard
        if not heard.problem and not heard.state:
            heard.problem = "the stream ended without a final state"
        elif not heard.problem and heard.state in _BAD_ENDS:
            heard.problem = f"ended as {heard.state}: {heard.text}"
        return heard

    async def second(self, text: str, context: str) -> str:
        """Say something in a session that is there, unstreamed; return what is wrong with the answer."""
        answer = await self.call(_SEND[self.dialect], {"message": self._message(text, context)})
        if problem := _fault(answer):
            return problem
        result = as_object(answer.get("result"))
        task = as_object(result.get("task")) or result
        if as_object(result.get("message")) or result.get("kind") == "message":
            return ""
        state = _state(as_object(task.get("status")))
        return f"it ended as {state or 'nothing'}" if not state or state in _BAD_ENDS else ""

    async def tasks(self, task_id: str) -> list[Finding]:
        """Ask for a task that has ended, and to end it once more."""
        if not task_id:
            return [Finding("E", "its events name their task", "none has a task's id")]
        answer = await self.call(_GET[self.dialect], {"id": task_id})
        problem = _fault(answer)
        if not problem and not _state(as_object(as_object(answer.get("result")).get("status"))):
            problem = "it has no state"
        cancel = await self.call("CancelTask" if self.dialect == "1.0" else "tasks/cancel", {"id": task_id})
        code = as_object(cancel.get("error")).get("code")
        refused = "" if code in (-32002, -32004) else f"it answered {code if code is not None else 'without an error'}"
        return [
            Finding("E", "a task that has ended can be read", problem),
            Finding("E", "a task that has ended cannot be canceled (-32002)", refused, required=False),
        ]

    async def call(self, method: str, params: JsonObject) -> JsonObject:
        """Return the answer to one request, an error where there is none."""
        try:
            async with self.http.post(
                self.url + "/", data=self._request(method, params), headers=self._headers()
            ) as response:
                status, body = response.status, await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            return {"error": {"message": f"no answer: {error or type(error).__name__}"}}
        try:
            return as_object(orjson.loads(body))
        except orjson.JSONDecodeError:
            return {"error": {"message": f"HTTP {status} and no JSON"}}

    def _request(self, method: str, params: JsonObject) -> bytes:
        return orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})

    def _headers(self) -> dict[str, str]:
        return {"Content-Type": "application/json"} | ({"A2A-Version": "1.0"} if self.dialect == "1.0" else {})

    def _message(self, text: str, context: str) -> JsonObject:
        message: JsonObject = {"messageId": str(uuid.uuid4()), "contextId": context}
        if self.dialect == "1.0":
            return message | {"role": "ROLE_USER", "parts": [{"text": text}]}
        return message | {"kind": "message", "role": "user", "parts": [{"kind": "text", "text": text}]}


@dataclass(slots=True)
class _Heard:
    """Follows a stream of either dialect as far as the contract needs it. ``first`` is the kind of the first event."""

    problem: str = ""
    events: int = 0
    state: str = ""
    text: str = ""
    first: str = ""
    task: str = ""
    context: str = ""

    def take(self, answer: object) -> None:
        parsed = as_object(answer)
        if problem := _fault(parsed):
            self.problem = self.problem or problem
            return
        result = as_object(parsed.get("result"))
        kind = next((name for name in ("task", "message", "statusUpdate", "artifactUpdate") if name in result), "")
        update = as_object(result.get(kind)) or result
        self.events += 1
        self.first = self.first or kind or as_text(result.get("kind"))
        self.task = self.task or as_text(update.get("taskId"))
        if (kind or result.get("kind")) == "task":
            self.task = as_text(update.get("id")) or self.task
        self.context = self.context or as_text(update.get("contextId"))
        status = as_object(update.get("status"))
        if (state := _state(status)) not in {"", "submitted", "working"}:
            self.state = state
        sources = [as_object(update.get("artifact")), as_object(status.get("message"))]
        if kind == "message" or result.get("kind") == "message":
            # An agent may answer with a message alone.
            self.state = self.state or "completed"
            sources.append(update)
        for source in sources:
            words = "".join(as_text(part.get("text")) for part in as_objects(source.get("parts")))
            if words and source.get("role") not in {"user", "ROLE_USER"}:
                self.text = words


def _state(status: JsonObject) -> str:
    return as_text(status.get("state")).removeprefix("TASK_STATE_").lower().replace("_", "-")


def _fault(answer: JsonObject) -> str:
    error = as_object(answer.get("error"))
    return f"{error.get('code', '')} {as_text(error.get('message'))}".strip() if error else ""


def _refusal(status: int, body: bytes) -> str:
    try:
        found = _fault(as_object(orjson.loads(body)))
    except orjson.JSONDecodeError:
        found = ""
    return found or f"HTTP {status} and no stream: {body[:200].decode(errors='replace')}"
