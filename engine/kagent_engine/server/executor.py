"""Runs turns for the A2A SDK: reads the request, lets the agent work, publishes what happens in the caller's dialect.

A turn that is cancelled publishes nothing here: ``cancel`` has said CANCELED already, once (upstream says FAILED after
it). A client that goes away stops nothing.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import cast

from kagent_engine.agent import Agent, TurnRequest
from kagent_engine.errors import StoreUnavailable
from kagent_engine.events import Failed, Outcome, Paused
from kagent_engine.metrics import Metrics
from kagent_engine.models.base import FilePart, TextPart
from kagent_engine.protobuf import plain
from kagent_engine.server.codec import Dialect
from kagent_engine.server.hitl import Incomplete, read_answers
from kagent_engine.server.identity import TurnIdentity
from kagent_engine.server.publish import Publisher, dialect_of
from kagent_engine.server.sdk import (
    AgentExecutor,
    EventQueue,
    Message,
    Part,
    RequestContext,
    Task,
    TaskState,
    TaskStatus,
    TaskStatusUpdateEvent,
    new_task_from_user_message,
)
from kagent_engine.tools.base import CallContext

__all__ = ["TurnExecutor"]

logger = logging.getLogger(__name__)


class TurnExecutor(AgentExecutor):
    """One agent behind the SDK's request handler."""

    def __init__(
        self, agent: Agent, *, app_name: str, metrics: Metrics, key_passthrough: bool = False, deltas: bool = True
    ) -> None:
        self._agent = agent
        self._app_name = app_name
        self._metrics = metrics
        self._key_passthrough = key_passthrough
        self._deltas = deltas

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        message, task_id, session_id = context.message, context.task_id, context.context_id
        if message is None or task_id is None or session_id is None:
            raise ValueError("a turn needs a message, a task id and a context id")
        state = context.call_context.state
        headers = cast("Mapping[str, str]", state.get("headers", {}))
        dialect = dialect_of(str(state.get("method", "")))
        user_id = context.call_context.user.user_name or f"A2A_USER_{session_id}"
        request = TurnRequest(
            context=CallContext(user_id, session_id, task_id, headers),
            parts=read_parts(message),
            api_key=_bearer(headers) if self._key_passthrough else "",
            source=headers.get("x-kagent-source", ""),
        )
        identity = TurnIdentity(self._app_name, self._agent.name, user_id, session_id, request.invocation_id)
        publisher = Publisher(event_queue, task_id, identity, dialect=dialect, deltas=self._deltas)
        if context.current_task is None:
            task = new_task_from_user_message(message)
            task.metadata.CopyFrom(identity.session())
            task.status.timestamp.GetCurrentTime()
            await event_queue.enqueue_event(task)
        with self._metrics.turn() as measured:
            try:
                await publisher.start()
                outcome = await self._answer(context.current_task, message, request, publisher, dialect)
                await publisher.end(outcome)
                measured.ended(outcome)
            finally:
                await publisher.aclose()

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        status = TaskStatus(state=TaskState.TASK_STATE_CANCELED)
        status.timestamp.GetCurrentTime()
        await event_queue.enqueue_event(
            TaskStatusUpdateEvent(task_id=context.task_id, context_id=context.context_id, status=status)
        )

    async def _answer(
        self, task: Task | None, message: Message, request: TurnRequest, publisher: Publisher, dialect: Dialect
    ) -> Outcome:
        """Run the turn, or go on with one that waits; whatever breaks ends as Failed, never as a bare error."""
        try:
            if task is not None and task.status.state == TaskState.TASK_STATE_INPUT_REQUIRED:
                decided = await self._decisions(message, request, dialect)
                if not isinstance(decided, TurnRequest):
                    return decided
                request = decided
            return await self._agent.run(request, self._metrics.counting(publisher.emit))
        except StoreUnavailable as error:
            return Failed("SESSION_UNAVAILABLE", str(error))
        except Exception:
            logger.exception("turn of task %s crashed", request.context.task_id)
            return Failed("INTERNAL_ERROR", "The agent ran into an error of its own; its log says which.")

    async def _decisions(self, message: Message, request: TurnRequest, dialect: Dialect) -> TurnRequest | Paused:
        """Read what the person decided; the turn stays paused where the message leaves something open."""
        context = request.context
        pending = await self._agent.pending(context.session_id, context.user_id)
        if not pending:
            return request
        answers = read_answers(message, pending, dialect=dialect)
        if isinstance(answers, Incomplete):
            return Paused(pending, note=answers.note)
        return TurnRequest(
            context=context,
            answers=answers,
            api_key=request.api_key,
            source=request.source,
            invocation_id=request.invocation_id,
        )


def read_parts(message: Message) -> tuple[TextPart | FilePart, ...]:
    """Return a message's parts for the model; data without a meaning of its own is shown to it as JSON."""
    return tuple(_part(part) for part in message.parts)


def _part(part: Part) -> TextPart | FilePart:
    match part.WhichOneof("content"):
        case "text":
            return TextPart(part.text)
        case "raw":
            return FilePart(part.media_type or "application/octet-stream", data=part.raw, name=part.filename)
        case "url":
            return FilePart(part.media_type or "application/octet-stream", uri=part.url, name=part.filename)
        case _:
            return TextPart(json.dumps(plain(part.data), ensure_ascii=False))


def _bearer(headers: Mapping[str, str]) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
