"""What happens in a turn, said in the caller's dialect: 0.3 as status messages, 1.0 as artifacts.

Both follow upstream's engines of that generation, so that their clients show our turns. Deltas are gathered for a
few hundredths of a second; the whole text follows and replaces them. Publishes nothing by itself: the executor calls.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol, assert_never

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
from kagent_engine.protobuf import Struct, struct, value
from kagent_engine.server.codec import Dialect
from kagent_engine.server.hitl import pause_message
from kagent_engine.server.identity import TurnIdentity, both
from kagent_engine.server.sdk import (
    Artifact,
    EventQueue,
    Message,
    Part,
    Role,
    TaskArtifactUpdateEvent,
    TaskState,
    TaskStatus,
    TaskStatusUpdateEvent,
)
from kagent_engine.shapes import JsonObject

__all__ = ["Publisher", "dialect_of"]

# Reading speed sets the floor: 20 updates a second look smooth in a terminal, and each one costs half a millisecond.
_GATHER_SECONDS: Final = 0.05
_PROGRESS_SECONDS: Final = 0.1


class _Wire(Protocol):
    """One dialect's way to say what the publisher wants said."""

    async def delta(self, reply_id: str, text: str, *, thought: bool) -> None: ...

    async def replied(self, reply_id: str, event: ModelReplied) -> None: ...

    async def returned(self, event: ToolReturned) -> None: ...

    async def before_end(self) -> None: ...


class Publisher:
    """Writes one turn of one task to the SDK's event queue. Without ``deltas`` only whole texts are sent."""

    def __init__(
        self, queue: EventQueue, task_id: str, identity: TurnIdentity, *, dialect: Dialect, deltas: bool = True
    ) -> None:
        self._identity = identity
        self._out = _Out(queue, task_id, identity.session_id)
        self._wire: _Wire = _Wire03(self._out, identity) if dialect == "0.3" else _Wire10(self._out, identity)
        self._gather = _Gather(self._delta)
        self._deltas = deltas
        self._reply_id = str(uuid.uuid4())
        self._dialect: Dialect = dialect
        self._progressed: dict[str, float] = {}

    async def start(self) -> None:
        """Say that the turn is being worked on."""
        await self._out.status(TaskState.TASK_STATE_WORKING, self._identity.session())

    async def emit(self, event: TurnEvent) -> None:
        """Say one event; outcomes go through ``end``."""
        if isinstance(event, TextChunk | ThoughtChunk):
            if self._deltas:
                await self._gather.add(event.text, thought=isinstance(event, ThoughtChunk))
            return
        await self._gather.flush()
        match event:
            case ModelReplied():
                await self._wire.replied(self._reply_id, event)
                self._reply_id = str(uuid.uuid4())
            case ToolReturned():
                await self._wire.returned(event)
            case ToolProgressed(call) if self._too_soon(call.id):
                pass
            case ToolProgressed(call, progress, total, message):
                facts: JsonObject = {"type": "progress", "call_id": call.id, "name": call.name, "progress": progress}
                await self._activity(facts | {"total": total, "message": message})
            case Warned(code, message, source):
                await self._activity({"type": "warning", "code": code, "message": message, "source": source})
            case Completed() | Failed() | Paused():
                raise AssertionError("outcomes go through end()")
            case _:
                assert_never(event)

    async def end(self, outcome: Outcome) -> None:
        """Say how the turn ended; nothing may follow."""
        await self._gather.flush()
        metadata = self._identity.event({"usage_metadata": usage_metadata(outcome.usage)})
        match outcome:
            case Completed():
                await self._wire.before_end()
                await self._out.status(TaskState.TASK_STATE_COMPLETED, metadata)
            case Failed(code, message):
                metadata.update(both({"error_code": code}))
                await self._out.status(TaskState.TASK_STATE_FAILED, metadata, self._out.message([Part(text=message)]))
            case Paused(pending, _, note):
                parts, extension = pause_message(pending, note, dialect=self._dialect)
                message = self._out.message(parts, self._identity.event() if self._dialect == "0.3" else None)
                for uri, body in extension.items():
                    message.extensions.append(uri)
                    message.metadata.update({uri: body})
                await self._out.status(TaskState.TASK_STATE_INPUT_REQUIRED, metadata, message)
            case _:
                assert_never(outcome)

    async def aclose(self) -> None:
        """Stop the timer; what it still holds is dropped. For a turn that was cancelled."""
        await self._gather.aclose()

    def _too_soon(self, call_id: str) -> bool:
        """Tell whether this tool reported a moment ago: a server may report as often as it likes, a client reads."""
        now = time.monotonic()
        if now - self._progressed.get(call_id, float("-inf")) < _PROGRESS_SECONDS:
            return True
        self._progressed[call_id] = now
        return False

    async def _delta(self, text: str, thought: bool) -> None:
        await self._wire.delta(self._reply_id, text, thought=thought)

    async def _activity(self, facts: Mapping[str, Any]) -> None:
        metadata = self._identity.event()
        metadata.update({ACTIVITY_EXTENSION: dict(facts)})
        await self._out.status(TaskState.TASK_STATE_WORKING, metadata)


def dialect_of(method: str) -> Dialect:
    """Return the dialect that a JSON-RPC method belongs to: 0.3 methods have a slash, 1.0 methods are CamelCase."""
    return "0.3" if "/" in method else "1.0"


class _Out:
    """Puts SDK events on the queue."""

    def __init__(self, queue: EventQueue, task_id: str, context_id: str) -> None:
        self._queue = queue
        self.task_id = task_id
        self.context_id = context_id

    def message(self, parts: Sequence[Part], metadata: Struct | None = None) -> Message:
        return Message(
            message_id=str(uuid.uuid4()),
            role=Role.ROLE_AGENT,
            task_id=self.task_id,
            context_id=self.context_id,
            parts=parts,
            metadata=metadata,
        )

    async def status(self, state: TaskState, metadata: Struct, message: Message | None = None) -> None:
        status = TaskStatus(state=state, message=message)
        status.timestamp.GetCurrentTime()
        event = TaskStatusUpdateEvent(
            task_id=self.task_id, context_id=self.context_id, status=status, metadata=metadata
        )
        await self._queue.enqueue_event(event)

    async def artifact(
        self, artifact_id: str, parts: Sequence[Part], *, append: bool = False, last: bool = False,
        metadata: Struct | None = None, outer: Struct | None = None,
    ) -> None:  # fmt: skip
        artifact = Artifact(artifact_id=artifact_id, parts=parts, metadata=metadata)
        event = TaskArtifactUpdateEvent(
            task_id=self.task_id,
            context_id=self.context_id,
            artifact=artifact,
            append=append,
            last_chunk=last,
            metadata=outer,
        )
        await self._queue.enqueue_event(event)


class _Wire03:
    """Upstream 0.10: every event is a working status with a message; the last message comes again as an artifact."""

    def __init__(self, out: _Out, identity: TurnIdentity) -> None:
        self._out = out
        self._identity = identity
        self._partial = identity.event()
        self._partial.update({"kagent_adk_partial": True, "adk_partial": True})
        self._last: list[Part] = []

    async def delta(self, reply_id: str, text: str, *, thought: bool) -> None:
        await self._say([_text(text, thought=thought)], self._partial)

    async def replied(self, reply_id: str, event: ModelReplied) -> None:
        parts = _reply_texts(event) + [_call_part(call, event.sessions.get(call.id, "")) for call in event.calls]
        if parts:
            await self._whole(parts, {"usage_metadata": usage_metadata(event.usage)})

    async def returned(self, event: ToolReturned) -> None:
        await self._whole([_result_part(event)], {})

    async def before_end(self) -> None:
        if self._last:
            await self._out.artifact(str(uuid.uuid4()), self._last, last=True)

    async def _whole(self, parts: list[Part], extra: Mapping[str, Any]) -> None:
        self._last = parts
        metadata = self._identity.event(extra)
        metadata.update({"kagent_adk_partial": False, "adk_partial": False})
        await self._say(parts, metadata)

    async def _say(self, parts: Sequence[Part], metadata: Struct) -> None:
        await self._out.status(TaskState.TASK_STATE_WORKING, metadata, self._out.message(parts, metadata))


class _Wire10:
    """Upstream main: an artifact per event; deltas append to it, the whole text replaces it."""

    def __init__(self, out: _Out, identity: TurnIdentity) -> None:
        self._out = out
        self._identity = identity
        self._outer = identity.session()
        self._begun: set[str] = set()

    async def delta(self, reply_id: str, text: str, *, thought: bool) -> None:
        part = _text(text, thought=thought)
        append = reply_id in self._begun
        self._begun.add(reply_id)
        await self._out.artifact(reply_id, [part], append=append, outer=self._outer)

    async def replied(self, reply_id: str, event: ModelReplied) -> None:
        extra = {"usage_metadata": usage_metadata(event.usage), "event_id": event.event_id}
        metadata = self._identity.event(extra)
        if texts := _reply_texts(event):
            await self._out.artifact(reply_id, texts, last=True, metadata=metadata, outer=self._outer)
        for call in event.calls:
            part = _call_part(call, event.sessions.get(call.id, ""))
            await self._out.artifact(str(uuid.uuid4()), [part], last=True, metadata=metadata, outer=self._outer)

    async def returned(self, event: ToolReturned) -> None:
        metadata = self._identity.event()
        await self._out.artifact(
            str(uuid.uuid4()), [_result_part(event)], last=True, metadata=metadata, outer=self._outer
        )

    async def before_end(self) -> None:
        return None


class _Gather:
    """Joins deltas that come within a moment; the first of a burst goes out at once."""

    def __init__(self, publish: Any) -> None:
        self._publish = publish
        self._held: list[tuple[str, bool]] = []
        self._sent_at = float("-inf")
        self._timer: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()

    async def add(self, text: str, *, thought: bool) -> None:
        self._held.append((text, thought))
        if self._timer is not None:
            return
        wait = self._sent_at + _GATHER_SECONDS - time.monotonic()
        if wait <= 0:
            await self.flush()
        else:
            self._timer = asyncio.create_task(self._later(wait))

    async def flush(self) -> None:
        """Send what is held, in order; thoughts and answer are never joined."""
        await self._stop_timer()
        await self._send()

    async def aclose(self) -> None:
        await self._stop_timer()
        self._held.clear()

    async def _later(self, wait: float) -> None:
        await asyncio.sleep(wait)
        self._timer = None
        await self._send()

    async def _send(self) -> None:
        async with self._lock:
            held, self._held = self._held, []
            joined: list[tuple[str, bool]] = []
            for text, thought in held:
                if joined and joined[-1][1] == thought:
                    joined[-1] = (joined[-1][0] + text, thought)
                else:
                    joined.append((text, thought))
            for text, thought in joined:
                await self._publish(text, thought)
            self._sent_at = time.monotonic()

    async def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
            await asyncio.wait([timer])


def _text(text: str, *, thought: bool) -> Part:
    return Part(text=text, metadata=struct(both({"thought": True}))) if thought else Part(text=text)


def _reply_texts(event: ModelReplied) -> list[Part]:
    parts = [_text(event.thought, thought=True)] if event.thought else []
    return [*parts, _text(event.text, thought=False)] if event.text else parts


def _call_part(call: ToolCall, session_id: str) -> Part:
    metadata: JsonObject = both({"type": "function_call"})
    if session_id:
        metadata |= both({"subagent_session_id": session_id})
    data = {"id": call.id, "name": call.name, "args": call.arguments}
    return Part(data=value(data), metadata=struct(metadata))


def _result_part(event: ToolReturned) -> Part:
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
    data = {"id": event.call.id, "name": event.call.name, "response": response}
    return Part(data=value(data), metadata=struct(metadata))
