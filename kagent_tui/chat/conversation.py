"""One person's conversation with one agent: sends, streams, answers, stops, and picks up what was left.

It knows no screen and keeps no transcript. A turn is an async generator of events that ends with ``Done``; a problem
before the turn began is raised, so that what was typed can stay in the prompt; afterwards it is a ``Failed`` event.
A message is never sent twice: a broken stream is rejoined by its task, not repeated.
"""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from enum import StrEnum
from typing import Final
from urllib.parse import quote

import httpx

from kagent_api.names import ACTIVITY_EXTENSION, HITL_EXTENSION
from kagent_tui.chat.card import CARD_PATHS, Card, read_card
from kagent_tui.chat.decisions import Answer, Pause, encode_answer
from kagent_tui.chat.errors import (
    AgentNotReady,
    AgentUnreachable,
    CallFailed,
    ChatError,
    DecisionIncomplete,
    DecisionNeeded,
    DecisionOutdated,
    LinkLost,
)
from kagent_tui.chat.events import (
    ApprovalRequest,
    ChatEvent,
    Done,
    Failed,
    LinkChanged,
    Question,
    TaskStarted,
    TurnState,
)
from kagent_tui.chat.jsonvalue import JsonObject, object_of, objects_in, text_of
from kagent_tui.chat.normaliser import Normaliser
from kagent_tui.chat.target import ChatTarget
from kagent_tui.chat.transport import CALL_TIMEOUT, JsonRpc, failure
from kagent_tui.chat.wire import Dialect, Outgoing, Part, TaskSnapshot, WireUpdate

__all__ = ["CancelOutcome", "Conversation"]

logger = logging.getLogger(__name__)

# Two minutes in all: a laptop's sleep or a gateway's restart is over by then.
_REJOIN_DELAYS: Final = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
# Longer than models think between two events as a rule, shorter than people wait; then the task is asked for.
SILENCE_SECONDS: Final = 45.0
# A fast server waits for the screen.
_MOST_AHEAD: Final = 256
_LOOK: Final[JsonObject] = {}
_TASK_NOT_FOUND: Final = -32001
_NOT_CANCELABLE: Final = -32002
_UNSUPPORTED: Final = -32004
_VERSION_NOT_SUPPORTED: Final = -32009
_METHOD_NOT_FOUND: Final = -32601
_WRONG_DIALECT: Final = frozenset({_METHOD_NOT_FOUND, _VERSION_NOT_SUPPORTED})


class CancelOutcome(StrEnum):
    """What came of asking an agent to stop."""

    CANCELED = "canceled"
    ENDED = "ended"
    UNSUPPORTED = "unsupported"
    NOTHING = "nothing"


class Conversation:
    """One session with one agent. Its ``session_id`` is A2A's contextId; one turn runs at a time."""

    def __init__(
        self,
        target: ChatTarget,
        *,
        session_id: str = "",
        decided: Callable[[Conversation, Pause, Answer], None] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """``decided`` is told of every answer that the agent has taken."""
        self.target = target
        self.session_id = session_id or str(uuid.uuid4())
        self.card: Card | None = None
        self.pause = Pause()
        self.busy = False
        # How the next decision is made, for the audit trail; empty: by a person where the conversation is shown.
        self.via = ""
        self._sleep = sleep
        self._decided = decided
        self._dialect: Dialect | None = None
        self._normaliser = Normaliser()
        self._came: asyncio.Queue[JsonObject | Exception | None] | None = None
        self._rpc = JsonRpc(target.http, target.url, target.ref, headers=target.headers)

    @property
    def task_id(self) -> str:
        """The current task, empty before the first."""
        return self._normaliser.task_id

    @property
    def state(self) -> TurnState:
        """Where the current task stands."""
        return self._normaliser.state

    async def connect(self) -> Card:
        """Read the agent's card, once. Raises AgentUnreachable, AgentNotFound, AgentNotReady or AccessRefused."""
        if self.card is None:
            self.card = await self._read_card()
            if self.target.via == "url" and self.card.path_url:
                self._rpc = JsonRpc(self.target.http, self.card.path_url, self.target.ref, headers=self.target.headers)
        return self.card

    @property
    def waits_since(self) -> str:
        """Since when the task waits (RFC 3339), as far as its server tells."""
        return self._normaliser.waits_since

    @property
    def takes_edits(self) -> bool:
        """The agent's card says that it takes edited arguments of an approval."""
        return self.card is not None and ACTIVITY_EXTENSION in self.card.extensions

    async def send(self, text: str, attached: Sequence[Part] = ()) -> AsyncGenerator[ChatEvent]:
        """Send a message and yield what comes of it. Raises DecisionNeeded while the agent waits for a decision."""
        if self.pause:
            raise DecisionNeeded(
                "the agent waits for your decision", ref=self.target.ref, remedy="approve or reject first"
            )
        # An agent that asked in plain words gets the reply in the same task.
        reply = self.state.waiting and self.task_id
        parts = (Part("text", text=text), *attached)
        outgoing = self._outgoing(parts, task_id=self.task_id if reply else "")
        async with aclosing(self._turn(outgoing, resume=bool(reply))) as events:
            async for event in events:
                yield event

    async def answer(self, answer: Answer) -> AsyncGenerator[ChatEvent]:
        """Answer everything the agent waits for and yield how it goes on.

        Raises:
            DecisionIncomplete: not everything is decided, or arguments are edited that this agent would not take.
            DecisionOutdated: it was decided elsewhere meanwhile; ``pause`` is then what waits now.
        """
        pause = self.pause
        parts, metadata = encode_answer(pause, answer)
        if ACTIVITY_EXTENSION in metadata and not self.takes_edits:
            raise DecisionIncomplete(
                "this agent does not take edited arguments",
                ref=self.target.ref,
                remedy="approve them as they are, or reject",
            )
        await self._check_still_waiting(pause)
        outgoing = self._outgoing(parts, task_id=self.task_id, metadata=metadata, extensions=tuple(metadata))
        told = False
        async with aclosing(self._turn(outgoing, resume=True)) as events:
            async for event in events:
                if not told and self._decided is not None:
                    self._decided(self, pause, answer)
                told = True
                yield event

    async def cancel(self) -> CancelOutcome:
        """Ask the agent to stop the current task; the running turn then tells how it ended."""
        if not self.task_id or self._dialect is None:
            return CancelOutcome.NOTHING
        if self.state.ended:
            return CancelOutcome.ENDED
        try:
            result = await self._rpc.call(self._dialect.cancel_task, {"id": self.task_id}, self._headers(self._dialect))
        except CallFailed as error:
            if error.code == _TASK_NOT_FOUND:
                return CancelOutcome.NOTHING
            return CancelOutcome.ENDED if error.code == _NOT_CANCELABLE else CancelOutcome.UNSUPPORTED
        except LinkLost:
            # Released 0.3 servers never answer a cancel of a running stream.
            return CancelOutcome.UNSUPPORTED
        # A running turn hears of it from its own stream.
        if not self.busy and (update := self._decode(self._dialect, result)) is not None:
            self._normaliser.feed(update)
        self.pause = Pause()
        return CancelOutcome.CANCELED

    def abandon(self) -> None:
        """Leave a waiting task as it is: the next message starts a new one in the same session."""
        self.pause = Pause()
        self._normaliser = Normaliser()

    async def history(self) -> list[ChatEvent]:
        """Return the session so far; afterwards ``pause`` and ``state`` are those of its last task.

        An empty list if the server keeps none, or knows no such session.
        """
        await self.connect()
        events: list[ChatEvent] = []
        for task in await self._stored_tasks():
            self._normaliser = Normaliser(replay=True)
            found = self._normaliser.feed(task)
            self._note(found)
            events += found
        return events

    async def rejoin(self) -> AsyncGenerator[ChatEvent]:
        """Follow the current task from where it is now; for a task that still runs when a session is opened."""
        if not self.task_id or self.state.ended or self.state.waiting:
            return
        dialect = self._dialect or (await self.connect()).dialects[0]
        self.busy = True
        try:
            async with aclosing(self._follow(dialect)) as events:
                async for event in events:
                    yield event
        finally:
            self.busy = False

    async def _check_still_waiting(self, pause: Pause) -> None:
        """Look at the task before it is answered: released kagent runs a call that an answer does not name."""
        dialect = self._dialect or (await self.connect()).dialects[0]
        try:
            result = await self._rpc.call(dialect.get_task, {"id": self.task_id}, self._headers(dialect))
        except CallFailed:
            return  # a server that cannot be asked judges the answer itself
        task = self._decode(dialect, result)
        if not isinstance(task, TaskSnapshot) or task.status.state is TurnState.UNKNOWN:
            return
        now = Normaliser(replay=True)
        found = now.feed(task)
        waiting = Pause(
            tuple(event for event in found if isinstance(event, ApprovalRequest)),
            tuple(event for event in found if isinstance(event, Question)),
        )
        if waiting.ids == pause.ids:
            return
        self._normaliser, self.pause = now, waiting
        what = "something else waits now" if waiting else "nothing waits any more"
        raise DecisionOutdated(
            f"this was decided elsewhere: {what}", ref=self.target.ref, remedy="look at the session; nothing was sent"
        )

    def nudge(self) -> None:
        """Look now whether the link is alive: the machine has slept, or the network has changed."""
        if self._came is not None and not self._came.full():
            self._came.put_nowait(_LOOK)

    async def aclose(self) -> None:
        """Give up the connection; a running task goes on at the agent."""
        await self.target.aclose()

    def _outgoing(
        self,
        parts: tuple[Part, ...],
        *,
        task_id: str,
        metadata: JsonObject | None = None,
        extensions: tuple[str, ...] = (),
    ) -> Outgoing:
        return Outgoing(uuid.uuid4().hex, self.session_id, task_id, parts, metadata or {}, extensions)

    async def _turn(self, outgoing: Outgoing, *, resume: bool) -> AsyncGenerator[ChatEvent]:
        if self.busy:
            raise ChatError("the agent is still at work", ref=self.target.ref, remedy="wait, or interrupt it")
        self.busy = True
        try:
            card = await self.connect()
            async with aclosing(self._first_results(outgoing, card)) as results:
                first = await anext(results, None)
                # Only now is the old task given up: a refused message must leave the pause answerable.
                if resume:
                    self._normaliser.resume()
                else:
                    self._normaliser = Normaliser()
                self.pause = Pause()
                assert self._dialect is not None
                if first is not None:
                    for event in self._take(first):
                        yield event
                try:
                    async with aclosing(self._watched(results)) as watched:
                        async for result in watched:
                            if self._over():
                                break
                            for event in self._take(result):
                                yield event
                except LinkLost as error:
                    logger.info("stream of %s broke: %s", self.target.ref, error)
                except CallFailed as error:
                    for event in self._failed(error):
                        yield event
            if not self._over():
                async with aclosing(self._follow(self._dialect)) as events:
                    async for event in events:
                        yield event
        finally:
            self.busy = False

    async def _first_results(self, outgoing: Outgoing, card: Card) -> AsyncGenerator[JsonObject]:
        """Yield the results of sending, in the first dialect that the agent understands."""
        dialects = (self._dialect,) if self._dialect is not None else card.dialects
        refused = CallFailed("the agent speaks no A2A version known here", code=0, ref=self.target.ref)
        for dialect in dialects:
            for streaming in (True, False) if card.streaming else (False,):
                method, params = dialect.send(outgoing, streaming=streaming)
                begun = False
                try:
                    async with aclosing(self._rpc.stream(method, params, self._headers(dialect))) as results:
                        async for result in results:
                            begun = True
                            self._dialect = dialect
                            yield result
                    self._dialect = dialect
                    return
                except CallFailed as error:
                    if begun or (error.code not in _WRONG_DIALECT and error.code != _UNSUPPORTED):
                        raise
                    refused = error
                    if error.code in _WRONG_DIALECT and dialect is not dialects[-1]:
                        break
        raise refused

    async def _follow(self, dialect: Dialect) -> AsyncGenerator[ChatEvent]:
        """Join the task's stream again, or look at the task, until it ends or waits."""
        if not self.task_id:
            yield Failed(
                "the connection broke before the agent took the message",
                remedy="look at the session before you send it again",
            )
            yield Done(TurnState.FAILED)
            return
        reason = "the stream ended"
        attempt = 0
        while attempt < len(_REJOIN_DELAYS):
            attempt += 1
            yield LinkChanged(up=False, attempt=attempt)
            await self._sleep(_REJOIN_DELAYS[attempt - 1])
            up = False
            try:
                async with aclosing(self._rejoined(dialect)) as results:
                    async for result in results:
                        if not up:
                            up = True
                            yield LinkChanged(up=True)
                        events = self._take(result)
                        # Only a live stream that brings something new starts the count again.
                        attempt = 0 if events else attempt
                        for event in events:
                            yield event
                        if self._over():
                            return
            except (LinkLost, AgentUnreachable, AgentNotReady) as error:
                reason = error.message
            except ChatError as error:
                for event in self._failed(error):
                    yield event
                return
        yield Failed(f"the link to the agent is lost: {reason}", remedy="its task may still run: reopen the session")
        yield Done(TurnState.UNKNOWN)

    async def _rejoined(self, dialect: Dialect) -> AsyncGenerator[JsonObject]:
        params: JsonObject = {"id": self.task_id}
        try:
            async with (
                aclosing(self._rpc.stream(dialect.subscribe, params, self._headers(dialect))) as results,
                aclosing(self._watched(results)) as watched,
            ):
                async for result in watched:
                    yield result
        except CallFailed as error:
            # Ended meanwhile, or a server without subscriptions: the task itself tells.
            logger.debug("no subscription to %s: %s", self.task_id, error)
        if not self._over():
            yield await self._rpc.call(dialect.get_task, params, self._headers(dialect))

    async def _watched(self, results: AsyncGenerator[JsonObject]) -> AsyncGenerator[JsonObject]:
        """Yield results; ask for the task when none has come for long.

        A connection that a sleep or a router has forgotten stays silent for ever. A task that goes on is left alone.

        Raises:
            LinkLost: the server cannot be asked, or the task is over although its stream does not say so.
        """
        came: asyncio.Queue[JsonObject | Exception | None] = asyncio.Queue(_MOST_AHEAD)

        async def read() -> None:
            try:
                async for result in results:
                    await came.put(result)
                await came.put(None)
            except Exception as error:  # handed on to whoever waits
                await came.put(error)

        reader = asyncio.create_task(read())
        self._came = came
        try:
            while (item := await self._next(came)) is not None:
                if isinstance(item, Exception):
                    raise item
                if item is not _LOOK:
                    yield item
                elif not await self._goes_on():
                    raise LinkLost("the stream fell silent", ref=self.target.ref)
        finally:
            self._came = None
            reader.cancel()
            await asyncio.wait({reader})

    async def _next(self, came: asyncio.Queue[JsonObject | Exception | None]) -> JsonObject | Exception | None:
        if not came.empty():
            return came.get_nowait()
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                return await came.get()
        except TimeoutError:
            return _LOOK

    async def _goes_on(self) -> bool:
        """Tell whether the task still runs and the server still answers."""
        dialect = self._dialect
        if dialect is None or not self.task_id:
            return True
        try:
            result = await self._rpc.call(dialect.get_task, {"id": self.task_id}, self._headers(dialect))
        except CallFailed:
            return True  # no such method here, or a task that is not kept yet: then only the stream can tell
        except ChatError:
            return False
        task = self._decode(dialect, result)
        return not (isinstance(task, TaskSnapshot) and (task.status.state.ended or task.status.state.waiting))

    def _take(self, result: JsonObject) -> list[ChatEvent]:
        assert self._dialect is not None or self.card is not None
        dialect = self._dialect or (self.card.dialects[0] if self.card else None)
        update = self._decode(dialect, result) if dialect else None
        if update is None:
            logger.debug("unknown update of %s: %s", self.target.ref, json.dumps(result)[:200])
            return []
        events = self._normaliser.feed(update)
        self._note(events)
        return events

    def _decode(self, dialect: Dialect, result: JsonObject) -> WireUpdate | None:
        """Read a result in the dialect asked for, else in any: gateways translate calls more often than answers."""
        for candidate in dict.fromkeys([dialect, *(self.card.dialects if self.card else ())]):
            if (update := candidate.decode(result)) is not None:
                return update
        return None

    def _note(self, events: list[ChatEvent]) -> None:
        for event in events:
            match event:
                case TaskStarted(context_id=context_id):
                    self.session_id = context_id or self.session_id
                case ApprovalRequest():
                    self.pause = Pause((*self.pause.approvals, event), self.pause.questions)
                case Question():
                    self.pause = Pause(self.pause.approvals, (*self.pause.questions, event))
                case _:
                    pass

    def _over(self) -> bool:
        return self.state.ended or self.state.waiting

    def _failed(self, error: ChatError) -> list[ChatEvent]:
        code = str(error.code) if isinstance(error, CallFailed) else ""
        return [Failed(error.message, code, error.remedy), Done(TurnState.FAILED)]

    def _headers(self, dialect: Dialect) -> dict[str, str]:
        listed = self.card.extensions if self.card else frozenset[str]()
        return dialect.headers((HITL_EXTENSION, *((ACTIVITY_EXTENSION,) if ACTIVITY_EXTENSION in listed else ())))

    async def _read_card(self) -> Card:
        for path in CARD_PATHS:
            url = self.target.url + path
            response = await self._get(url)
            if response.status_code == 200:
                return read_card(_json(response), self.target.url)
            # An agent may have no card; a gateway that answers 404 knows no such agent.
            if response.status_code != 404 or self.target.via != "url":
                raise failure(response.status_code, response.content, self.target.ref)
        return Card()

    async def _get(self, url: str) -> httpx.Response:
        try:
            return await self.target.http.get(
                url,
                headers={**self.target.headers, "A2A-Version": "1.0"},
                timeout=CALL_TIMEOUT,
                follow_redirects=True,
            )
        except httpx.RequestError as error:
            raise AgentUnreachable(
                f"nothing answers at {httpx.URL(url).netloc.decode()} ({error or type(error).__name__})",
                ref=self.target.ref,
                remedy="is it running?",
            ) from error

    async def tasks_of(self, session_id: str) -> list[TaskSnapshot]:
        """Return a session's tasks, oldest first: this one's, or one of a sub-agent's."""
        return await self._stored_tasks(session_id)

    async def _stored_tasks(self, session_id: str = "") -> list[TaskSnapshot]:
        """Return a session's tasks, oldest first; by the gateway's REST route, else by the agent's own list."""
        card = await self.connect()
        session_id = session_id or self.session_id
        if self.target.rest_url:
            response = await self._get(f"{self.target.rest_url}api/sessions/{quote(session_id, safe='')}/tasks")
            if response.status_code == 404:
                return []
            if response.status_code >= 400:
                raise failure(response.status_code, response.content, self.target.ref)
            listed = objects_in(_json(response).get("data"))
        else:
            try:
                params: JsonObject = {"contextId": session_id, "includeArtifacts": True, "historyLength": 1000}
                dialect = card.dialects[0]
                result = await self._rpc.call("ListTasks", params, self._headers(dialect))
            except CallFailed:
                return []
            listed = objects_in(result.get("tasks"))
        listed.sort(key=lambda task: text_of(object_of(task.get("status")).get("timestamp")))
        updates = [self._decode(card.dialects[0], task) for task in listed]
        return [update for update in updates if isinstance(update, TaskSnapshot)]


def _json(response: httpx.Response) -> JsonObject:
    try:
        return object_of(json.loads(response.content))
    except (ValueError, RecursionError):
        return {}
