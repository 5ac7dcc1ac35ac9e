"""What happens in a turn, said in the caller's dialect: 0.3 as status messages, 1.0 as artifacts.

Both follow upstream's engines of that generation, so that their clients show our turns. Deltas are gathered for a
few hundredths of a second; the whole text follows and replaces them. Publishes nothing by itself: the executor calls.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, assert_never

import orjson

from kagent_api.names import ACTIVITY_EXTENSION
from kagent_engine.events import (
    Completed,
    Failed,
    ModelReplied,
    Outcome,
    Paused,
    TextChunk,
    ThoughtChunk,
    ToolProgressed,
    ToolReturned,
    TurnEvent,
    Warned,
)
from kagent_engine.history import usage_metadata
from kagent_engine.models.base import ToolCall
from kagent_engine.server.codec import COMPLETED, FAILED, INPUT_REQUIRED, WORKING, Dialect
from kagent_engine.server.events import Event, now
from kagent_engine.server.hitl import pause_message
from kagent_engine.server.identity import TurnIdentity, both
from kagent_engine.server.tasks import LiveTask
from kagent_engine.shapes import JsonObject

__all__ = ["Publisher"]

# Reading speed sets the floor: 20 updates a second look smooth in a terminal.
_GATHER_SECONDS: Final = 0.05
_PROGRESS_SECONDS: Final = 0.1
_THOUGHT: Final = both({"thought": True})


class _Wire(Protocol):
    """One dialect's way to say what the publisher wants said."""

    def delta(self, reply_id: str, text: str, *, thought: bool) -> None: ...

    def replied(self, reply_id: str, event: ModelReplied) -> None: ...

    def returned(self, event: ToolReturned) -> None: ...

    def before_end(self) -> None: ...


class Publisher:
    """Tells one turn of one task. Without ``deltas`` only whole texts are told."""

    def __init__(self, live: LiveTask, identity: TurnIdentity, *, dialect: Dialect, deltas: bool = True) -> None:
        self._identity = identity
        self._out = _Out(live)
        self._wire: _Wire = _Wire03(self._out, identity) if dialect == "0.3" else _Wire10(self._out, identity)
        self._gather = _Gather(self._delta)
        self._deltas = deltas
        self._reply_id = str(uuid.uuid4())
        self._dialect: Dialect = dialect
        self._progressed: dict[str, float] = {}

    def start(self) -> None:
        """Say that the turn is being worked on."""
        self._out.live.publish(self.working())

    def working(self) -> Event:
        return self._out.status(WORKING, self._identity.session())

    async def emit(self, event: TurnEvent) -> None:
        """Say one event; outcomes go through ``end``."""
        if isinstance(event, TextChunk | ThoughtChunk):
            if self._deltas:
                self._gather.add(event.text, thought=isinstance(event, ThoughtChunk))
            return
        self._gather.flush()
        match event:
            case ModelReplied():
                self._wire.replied(self._reply_id, event)
                self._reply_id = str(uuid.uuid4())
            case ToolReturned():
                self._wire.returned(event)
            case ToolProgressed(call) if self._too_soon(call.id):
                pass
            case ToolProgressed(call, progress, total, message):
                facts: JsonObject = {"type": "progress", "call_id": call.id, "name": call.name, "progress": progress}
                self._activity(facts | {"total": total, "message": message})
            case Warned(code, message, source):
                self._activity({"type": "warning", "code": code, "message": message, "source": source})
            case Completed() | Failed() | Paused():
                raise AssertionError("outcomes go through end()")
            case _:
                assert_never(event)

    async def end(self, outcome: Outcome) -> None:
        """Say how the turn ended; nothing may follow."""
        self._gather.flush()
        metadata = self._identity.event(
            {
                "usage_metadata": usage_metadata(outcome.usage),
                "session_usage_metadata": usage_metadata(outcome.session_usage),
            }
        )
        match outcome:
            case Completed():
                self._wire.before_end()
                event = self._out.status(COMPLETED, metadata)
            case Failed(code, message):
                metadata |= both({"error_code": code})
                event = self._out.status(FAILED, metadata, self._out.message([{"text": message}]))
            case Paused(pending, _, note):
                parts, extension = pause_message(pending, note, dialect=self._dialect)
                asked = self._out.message(parts, self._identity.event() if self._dialect == "0.3" else None)
                if extension:
                    asked["extensions"] = list(extension)
                    asked["metadata"] = dict(extension)
                event = self._out.status(INPUT_REQUIRED, metadata, asked)
            case _:
                assert_never(outcome)
        await self._out.live.settle(event)

    def close(self) -> None:
        """Stop the timer; what it still holds is dropped. For a turn that was cancelled."""
        self._gather.close()

    def _too_soon(self, call_id: str) -> bool:
        """Tell whether this tool reported a moment ago: a server may report as often as it likes, a client reads."""
        moment = time.monotonic()
        if moment - self._progressed.get(call_id, float("-inf")) < _PROGRESS_SECONDS:
            return True
        self._progressed[call_id] = moment
        return False

    def _delta(self, text: str, thought: bool) -> None:
        self._wire.delta(self._reply_id, text, thought=thought)

    def _activity(self, facts: Mapping[str, Any]) -> None:
        metadata = self._identity.event() | {ACTIVITY_EXTENSION: dict(facts)}
        self._out.live.publish(self._out.status(WORKING, metadata))


class _Out:
    """Makes events of one task."""

    def __init__(self, live: LiveTask) -> None:
        self.live = live
        self._ids = {"taskId": live.id, "contextId": live.body["contextId"]}

    def message(self, parts: list[JsonObject], metadata: object = None) -> JsonObject:
        made: JsonObject = {"messageId": str(uuid.uuid4()), "role": "ROLE_AGENT", **self._ids, "parts": parts}
        return made if metadata is None else made | {"metadata": metadata}

    def status(
        self, state: str, metadata: object, message: JsonObject | None = None, *, partial: bool = False
    ) -> Event:
        status: JsonObject = {"state": state, "timestamp": now()}
        if message is not None:
            status["message"] = message
        return Event({"statusUpdate": {**self._ids, "status": status, "metadata": metadata}}, partial=partial)

    def artifact(
        self, artifact_id: str, parts: list[JsonObject], *, append: bool = False, last: bool = False,
        partial: bool = False, metadata: JsonObject | None = None, outer: object = None,
    ) -> Event:  # fmt: skip
        artifact: JsonObject = {"artifactId": artifact_id, "parts": parts}
        if metadata is not None:
            artifact["metadata"] = metadata
        update: JsonObject = {**self._ids, "artifact": artifact}
        if append:
            update["append"] = True
        if last:
            update["lastChunk"] = True
        if outer is not None:
            update["metadata"] = outer
        return Event({"artifactUpdate": update}, partial=partial)


class _Wire03:
    """Upstream 0.10: every event is a working status with a message; the last message comes again as an artifact."""

    def __init__(self, out: _Out, identity: TurnIdentity) -> None:
        self._out = out
        self._identity = identity
        # The same on every piece of a text: written once.
        partial = identity.event({"adk_partial": True}) | {"adk_partial": True}
        del partial["adk_adk_partial"]
        self._partial = orjson.Fragment(orjson.dumps(partial))
        self._last: list[JsonObject] = []

    def delta(self, reply_id: str, text: str, *, thought: bool) -> None:
        message = self._out.message([_text(text, thought=thought)], self._partial)
        self._out.live.publish(self._out.status(WORKING, self._partial, message, partial=True))

    def replied(self, reply_id: str, event: ModelReplied) -> None:
        parts = _reply_texts(event) + [_call_part(call, event.sessions.get(call.id, "")) for call in event.calls]
        if parts:
            self._whole(parts, {"usage_metadata": usage_metadata(event.usage)})

    def returned(self, event: ToolReturned) -> None:
        self._whole([_result_part(event)], {})

    def before_end(self) -> None:
        if self._last:
            self._out.live.publish(self._out.artifact(str(uuid.uuid4()), self._last, last=True))

    def _whole(self, parts: list[JsonObject], extra: Mapping[str, Any]) -> None:
        self._last = parts
        metadata = self._identity.event(extra) | {"kagent_adk_partial": False, "adk_partial": False}
        self._out.live.publish(self._out.status(WORKING, metadata, self._out.message(parts, metadata)))


class _Wire10:
    """Upstream main: an artifact per event; deltas append to it, the whole text replaces it."""

    def __init__(self, out: _Out, identity: TurnIdentity) -> None:
        self._out = out
        self._identity = identity
        self._outer = identity.session()
        self._begun: set[str] = set()

    def delta(self, reply_id: str, text: str, *, thought: bool) -> None:
        append = reply_id in self._begun
        self._begun.add(reply_id)
        part = _text(text, thought=thought)
        self._out.live.publish(self._out.artifact(reply_id, [part], append=append, partial=True, outer=self._outer))

    def replied(self, reply_id: str, event: ModelReplied) -> None:
        extra = {"usage_metadata": usage_metadata(event.usage), "event_id": event.event_id}
        metadata = self._identity.event(extra)
        if texts := _reply_texts(event):
            self._whole(reply_id, texts, metadata)
        for call in event.calls:
            self._whole(str(uuid.uuid4()), [_call_part(call, event.sessions.get(call.id, ""))], metadata)

    def returned(self, event: ToolReturned) -> None:
        self._whole(str(uuid.uuid4()), [_result_part(event)], self._identity.event())

    def before_end(self) -> None:
        return None

    def _whole(self, artifact_id: str, parts: list[JsonObject], metadata: JsonObject) -> None:
        self._out.live.publish(self._out.artifact(artifact_id, parts, last=True, metadata=metadata, outer=self._outer))


class _Gather:
    """Joins deltas that come within a moment; the first of a burst goes out at once."""

    def __init__(self, publish: Callable[[str, bool], None]) -> None:
        self._publish = publish
        self._held: list[tuple[str, bool]] = []
        self._sent_at = float("-inf")
        self._timer: asyncio.TimerHandle | None = None

    def add(self, text: str, *, thought: bool) -> None:
        self._held.append((text, thought))
        if self._timer is not None:
            return
        wait = self._sent_at + _GATHER_SECONDS - time.monotonic()
        if wait <= 0:
            self.flush()
        else:
            self._timer = asyncio.get_running_loop().call_later(wait, self.flush)

    def flush(self) -> None:
        """Send what is held, in order; thoughts and answer are never joined."""
        self._stop_timer()
        if not self._held:
            return
        held, self._held = self._held, []
        texts: list[str] = []
        thinking = held[0][1]
        for text, thought in held:
            if thought != thinking:
                self._publish("".join(texts), thinking)
                texts, thinking = [], thought
            texts.append(text)
        self._publish("".join(texts), thinking)
        self._sent_at = time.monotonic()

    def close(self) -> None:
        self._stop_timer()
        self._held.clear()

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()


def _text(text: str, *, thought: bool) -> JsonObject:
    return {"text": text, "metadata": _THOUGHT} if thought else {"text": text}


def _reply_texts(event: ModelReplied) -> list[JsonObject]:
    parts = [_text(event.thought, thought=True)] if event.thought else []
    return [*parts, _text(event.text, thought=False)] if event.text else parts


def _call_part(call: ToolCall, session_id: str) -> JsonObject:
    metadata: JsonObject = both({"type": "function_call"})
    if session_id:
        metadata |= both({"subagent_session_id": session_id})
    return {"data": {"id": call.id, "name": call.name, "args": call.arguments}, "metadata": metadata}


def _result_part(event: ToolReturned) -> JsonObject:
    metadata: JsonObject = both({"type": "function_response"})
    metadata[ACTIVITY_EXTENSION] = {
        "duration_ms": round(event.seconds * 1000),
        "is_error": event.is_error,
        "truncated": event.truncated,
    }
    response = dict(event.response)
    if event.session_id:
        metadata |= both({"subagent_session_id": event.session_id})
        response["subagent_session_id"] = event.session_id
    if event.usage is not None:
        response["kagent_usage_metadata"] = usage_metadata(event.usage)
    return {"data": {"id": event.call.id, "name": event.call.name, "response": response}, "metadata": metadata}
