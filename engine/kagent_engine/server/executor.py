"""Works on messages: takes one, lets the agent answer it, and tells in its task what happens and how it ended.

A turn that is cancelled tells nothing here: whoever cancelled has said CANCELED already, once (upstream says FAILED
after it). A client that goes away stops nothing.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import uuid
from collections.abc import Mapping
from typing import Final

from kagent_engine.agent import Agent, TurnRequest
from kagent_engine.errors import StoreUnavailable
from kagent_engine.events import Failed, Outcome, Paused
from kagent_engine.metrics import Metrics
from kagent_engine.models.base import FilePart, TextPart
from kagent_engine.server.codec import CANCELED, INPUT_REQUIRED, SUBMITTED, TERMINAL, Dialect
from kagent_engine.server.events import Event, Subscriber, now
from kagent_engine.server.faults import NOT_CANCELABLE, PARAMS, UNSUPPORTED, RpcError
from kagent_engine.server.hitl import Incomplete, read_answers
from kagent_engine.server.identity import Caller, TurnIdentity
from kagent_engine.server.publish import Publisher
from kagent_engine.server.requests import SendRequest, whole
from kagent_engine.server.tasks import LiveTask, TaskBoard
from kagent_engine.shapes import JsonObject
from kagent_engine.tools.base import CallContext

__all__ = ["Executor"]

logger = logging.getLogger(__name__)

_CRASHED: Final = "The agent ran into an error of its own; its log says which."


class Executor:
    """One agent behind its task board."""

    def __init__(
        self, agent: Agent, board: TaskBoard, *, app_name: str, metrics: Metrics, key_passthrough: bool = False,
        deltas: bool = True,
    ) -> None:  # fmt: skip
        self._agent = agent
        self._board = board
        self._app_name = app_name
        self._metrics = metrics
        self._key_passthrough = key_passthrough
        self._deltas = deltas
        self._working: dict[str, set[asyncio.Task[None]]] = {}

    async def submit(self, request: SendRequest, caller: Caller) -> tuple[LiveTask, Subscriber]:
        """Begin to work on a message; return its task and a listener that hears all of it.

        Raises:
            RpcError: the message names a task that cannot take it.
        """
        message = request.message
        if task_id := message.get("taskId"):
            live = await self._board.take(task_id, caller.user)
            self._check(live, message)
        else:
            task_id, context_id = str(uuid.uuid4()), message.get("contextId") or str(uuid.uuid4())
            message |= {"taskId": task_id, "contextId": context_id}
            body: JsonObject = {"id": task_id, "contextId": context_id, "history": [message]}
            live = self._board.add(body | {"status": {"state": SUBMITTED, "timestamp": now()}}, caller.user)
        if request.hook is not None:
            try:
                await self._board.hooks.add(task_id, caller.user, request.hook, caller.dialect)
            except RpcError:
                self._board.release(live)
                raise
            live.hooked = True
        listener = live.subscribe(until_pause=True)
        work = asyncio.create_task(self._work(live, message, caller, listener))
        working = self._working.setdefault(live.id, set())
        working.add(work)
        live.works += 1

        def ended(done: asyncio.Task[None]) -> None:
            live.works -= 1
            working.discard(done)
            if not working:
                self._working.pop(live.id, None)
            listener.close()
            self._board.release(live)

        work.add_done_callback(ended)
        return live, listener

    async def cancel(self, task_id: str, caller: Caller) -> JsonObject:
        """End a task as canceled; return it.

        Raises:
            RpcError: this user has no such task, or it has ended.
        """
        live = await self._board.take(task_id, caller.user)
        if live.state in TERMINAL:
            self._board.release(live)
            raise RpcError(NOT_CANCELABLE, f"Task {task_id} has ended already")
        status = {"state": CANCELED, "timestamp": now()}
        ids = {"taskId": live.id, "contextId": live.body["contextId"]}
        await live.settle(Event({"statusUpdate": ids | {"status": status}}))
        for work in self._working.get(task_id, ()):
            work.cancel()
        self._board.release(live)
        return live.body

    async def aclose(self) -> None:
        """Stop what is still worked on and wait until its sessions are written."""
        working = [work for works in self._working.values() for work in works]
        for work in working:
            work.cancel()
        if working:
            await asyncio.wait(working)

    def _check(self, live: LiveTask, message: JsonObject) -> None:
        """Refuse a message that its task cannot take."""
        context_id = live.body["contextId"]
        wrong: RpcError | None = None
        if live.state in TERMINAL:
            wrong = RpcError(UNSUPPORTED, f"Task {live.id} has ended ({live.state}); send the message without a taskId")
        elif message.get("contextId", context_id) != context_id:
            wrong = RpcError(PARAMS, fields=[("message.contextId", f"is not the context of task {live.id}")])
        if wrong is not None:
            self._board.release(live)
            raise wrong
        message["contextId"] = context_id

    async def _work(self, live: LiveTask, message: JsonObject, caller: Caller, listener: Subscriber) -> None:
        """Work on one message; messages to the same task are worked on one after the other."""
        async with live.lock:
            if live.closed:
                listener.error = RpcError(UNSUPPORTED, f"Task {live.id} ended before this message was worked on")
                return
            session_id, user_id = live.body["contextId"], caller.user or f"A2A_USER_{live.body['contextId']}"
            request = TurnRequest(
                context=CallContext(user_id, session_id, live.id, caller.headers),
                parts=read_parts(message),
                api_key=_bearer(caller.headers) if self._key_passthrough else "",
                source=caller.headers.get("x-kagent-source", ""),
            )
            identity = TurnIdentity(self._app_name, self._agent.name, user_id, session_id, request.invocation_id)
            publisher = Publisher(live, identity, dialect=caller.dialect, deltas=self._deltas)
            waiting = live.state == INPUT_REQUIRED
            if live.state == SUBMITTED:
                live.body["metadata"] = identity.session()
                live.begin(Event({"task": live.snapshot()}))
                publisher.start()
            else:
                live.resume(publisher.working(), message)
            with self._metrics.turn() as measured:
                try:
                    outcome = await self._answer(waiting, message, request, publisher, caller.dialect)
                    await publisher.end(outcome)
                    measured.ended(outcome)
                finally:
                    publisher.close()

    async def _answer(
        self, waiting: bool, message: JsonObject, request: TurnRequest, publisher: Publisher, dialect: Dialect
    ) -> Outcome:
        """Run the turn, or go on with one that waits; whatever breaks ends as Failed, never as a bare error."""
        try:
            if waiting:
                decided = await self._decisions(message, request, dialect)
                if not isinstance(decided, TurnRequest):
                    return decided
                request = decided
            return await self._agent.run(request, self._metrics.counting(publisher.emit))
        except StoreUnavailable as error:
            return Failed("SESSION_UNAVAILABLE", str(error))
        except Exception:
            logger.exception("turn of task %s crashed", request.context.task_id)
            return Failed("INTERNAL_ERROR", _CRASHED)

    async def _decisions(self, message: JsonObject, request: TurnRequest, dialect: Dialect) -> TurnRequest | Paused:
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


def read_parts(message: JsonObject) -> tuple[TextPart | FilePart, ...]:
    """Return a message's parts for the model; data without a meaning of its own is shown to it as JSON."""
    return tuple(_part(part) for part in message["parts"])


def _part(part: JsonObject) -> TextPart | FilePart:
    kind, name = part.get("mediaType") or "application/octet-stream", part.get("filename", "")
    if "text" in part:
        return TextPart(part["text"])
    if "raw" in part:
        return FilePart(kind, data=base64.b64decode(part["raw"]), name=name)
    if "url" in part:
        return FilePart(kind, uri=part["url"], name=name)
    return TextPart(json.dumps(whole(part.get("data")), ensure_ascii=False))


def _bearer(headers: Mapping[str, str]) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
