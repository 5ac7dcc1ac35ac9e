"""One agent at work: takes a message, gives the loop its history and tools, and writes down what came of it.

Knows neither A2A nor HTTP. A session is written twice a turn: the person's message before the model is asked, all the
rest when the turn ends, however it ends.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol
from weakref import WeakValueDictionary

from kagent_api.prices import Price
from kagent_engine.compaction import CompactionRules, plan, summarise
from kagent_engine.errors import StoreUnavailable
from kagent_engine.events import (
    Completed,
    Emit,
    Failed,
    ModelReplied,
    Outcome,
    Paused,
    Pending,
    ToolReturned,
    TurnEvent,
    Warned,
)
from kagent_engine.history import Author, conversation, open_pause, spent
from kagent_engine.loop import Limits, Turn, run_turn
from kagent_engine.memory import Recollection
from kagent_engine.models.base import FilePart, Model, ModelError, TextPart
from kagent_engine.secrets import NOTHING, Secrets
from kagent_engine.sessions import Session, SessionStore, session_name
from kagent_engine.shapes import JsonObject
from kagent_engine.tools.base import Answer, CallContext, Tool, ToolSource
from kagent_engine.tools.toolbox import collect

__all__ = ["Agent", "TurnRequest"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TurnRequest:
    """A person's message, or (``answers``, by call id) their decisions on a turn that waits for them."""

    context: CallContext
    parts: tuple[TextPart | FilePart, ...] = ()
    answers: Mapping[str, Answer] = field(default_factory=dict[str, Answer])
    api_key: str = ""
    source: str = ""
    invocation_id: str = field(default_factory=lambda: f"e-{uuid.uuid4()}")


class KeepsFiles(Protocol):
    """Puts the files of a message where tools can read them."""

    async def keep(self, files: Sequence[FilePart], context: CallContext) -> TextPart:
        """Return the words that tell the model where they are.

        Raises:
            OSError: they cannot be written.
        """
        ...


class Recorder(Protocol):
    """Watches turns from outside, as tracing does."""

    async def turn(self, context: CallContext, emit: Emit, work: Callable[[Emit], Awaitable[Outcome]]) -> Outcome: ...

    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Agent:
    """What an agent is made of. ``require_approval`` names tools of any source that a person has to approve."""

    name: str
    instruction: str
    model: Model
    store: SessionStore
    sources: Sequence[ToolSource] = ()
    own_tools: Sequence[Tool] = ()
    require_approval: frozenset[str] = frozenset()
    secrets: Secrets = NOTHING
    limits: Limits = field(default_factory=Limits)
    memory: Recollection | None = None
    uploads: KeepsFiles | None = None
    compaction: CompactionRules | None = None
    summarizer: Model | None = None
    fallbacks: Sequence[Model] = ()
    prices: Mapping[str, Price] = field(default_factory=dict[str, Price])
    tracing: Recorder | None = None
    _compacting: dict[tuple[str, str], asyncio.Task[None]] = field(
        default_factory=dict[tuple[str, str], asyncio.Task[None]], repr=False
    )
    _locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = field(
        default_factory=WeakValueDictionary[tuple[str, str], asyncio.Lock], repr=False
    )

    async def run(self, request: TurnRequest, emit: Emit) -> Outcome:
        """Run one turn; turns of one session run one after the other, in the order they came."""
        if self.tracing is None:
            return await self._run_in_order(request, emit)
        return await self.tracing.turn(request.context, emit, partial(self._run_in_order, request))

    async def _run_in_order(self, request: TurnRequest, emit: Emit) -> Outcome:
        key = (request.context.session_id, request.context.user_id)
        if compacting := self._compacting.get(key):
            await asyncio.wait([compacting])
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            try:
                session = await self._open(request)
            except StoreUnavailable as error:
                return Failed("SESSION_UNAVAILABLE", str(error))
            outcome = await self._run(session, request, emit)
        if self.compaction is not None and not isinstance(outcome, Paused):
            self._compacting[key] = asyncio.create_task(self._compact(request, self.compaction))
            self._compacting[key].add_done_callback(lambda _: self._compacting.pop(key, None))
        return outcome

    async def pending(self, session_id: str, user_id: str) -> tuple[Pending, ...]:
        """Return what the last turn of a session waits for.

        Raises:
            StoreUnavailable: the session cannot be read.
        """
        session = await self.store.load(session_id, user_id)
        return open_pause(session.events) if session else ()

    async def aclose(self) -> None:
        compacting = list(self._compacting.values())
        for task in compacting:
            task.cancel()
        await asyncio.gather(*compacting, return_exceptions=True)
        for source in self.sources:
            await source.aclose()
        for model in (self.model, *self.fallbacks):
            await model.aclose()
        if self.memory is not None:
            await self.memory.aclose()
        if self.tracing is not None:
            await self.tracing.aclose()
        if self.summarizer is not None:
            await self.summarizer.aclose()

    async def _compact(self, request: TurnRequest, rules: CompactionRules) -> None:
        """Summarise what has grown old; the session's next turn waits until this is done."""
        context = request.context
        lock = self._locks.setdefault((context.session_id, context.user_id), asyncio.Lock())
        async with lock:
            try:
                session = await self.store.load(context.session_id, context.user_id)
                events = plan(session.events, rules) if session else []
                if session is None or not events or open_pause(session.events):
                    return
                summary = await summarise(self.summarizer or self.model, events, rules, request.api_key)
                if summary is not None:
                    author = Author(self.name, f"e-{uuid.uuid4()}")
                    await self.store.append(session, [author.compaction(summary)])
                    logger.info("session %s: %d events are summarised", session.id, len(events))
            except (ModelError, StoreUnavailable) as error:
                logger.warning("session %s is not summarised: %s", context.session_id, error)

    async def _open(self, request: TurnRequest) -> Session:
        context = request.context
        session = await self.store.load(context.session_id, context.user_id)
        if session is None:
            first = next((part.text for part in request.parts if isinstance(part, TextPart)), "")
            session = await self.store.create(
                context.session_id, context.user_id, name=session_name(first), source=request.source
            )
        return session

    async def _run(self, session: Session, request: TurnRequest, emit: Emit) -> Outcome:
        record = _Record(Author(self.name, request.invocation_id))
        before = spent(session.events)
        waiting = open_pause(session.events) if request.answers else ()
        parts = await self._received(request, emit)
        opening = self._opening(record.author, replace(request, parts=parts), waiting)
        history = conversation([*session.events, opening], waiting=[item.call.id for item in waiting])
        saved = asyncio.create_task(self._save(session, [opening]))

        async def note(event: TurnEvent) -> None:
            record.add(event)
            await emit(event)

        outcome: Outcome | None = None
        try:
            tools = await collect(
                self.sources,
                request.context,
                own=self.own_tools,
                require_approval=self.require_approval,
                secrets=self.secrets,
            )
            notes = await self._notes(session, request, note)
            turn = Turn(
                model=self.model,
                tools=tools,
                instruction=self.instruction + notes,
                history=history,
                context=request.context,
                api_key=request.api_key,
                limits=self.limits,
                waiting=waiting,
                answers=request.answers,
                fallbacks=self.fallbacks,
                prices=self.prices,
            )
            outcome = ended = await run_turn(turn, note)
        finally:
            record.end(outcome)
            complaint = await saved or await self._save(session, record.events)
        if complaint:
            await emit(complaint)
        return replace(ended, session_usage=before + ended.usage)

    async def _notes(self, session: Session, request: TurnRequest, emit: Emit) -> str:
        """Return what a session's first message brings back to memory; a memory that is away costs only that."""
        if self.memory is None or len(session.events) > 1 or request.answers:
            return ""
        text = "\n".join(part.text for part in request.parts if isinstance(part, TextPart))
        try:
            return await self.memory.notes(text, request.context)
        except (ModelError, StoreUnavailable) as error:
            await emit(Warned("memory_unavailable", f"Nothing could be remembered: {error}", "memory"))
            return ""

    async def _received(self, request: TurnRequest, emit: Emit) -> tuple[TextPart | FilePart, ...]:
        """Return the message's parts, and where its files now lie for the tools."""
        files = [part for part in request.parts if isinstance(part, FilePart) and part.data]
        if self.uploads is None or not files:
            return request.parts
        try:
            return (*request.parts, await self.uploads.keep(files, request.context))
        except OSError as error:
            told = f"Files of this message could not be kept for the tools: {error.strerror}"
            await emit(Warned("upload_not_kept", told, "uploads"))
            return request.parts

    def _opening(self, author: Author, request: TurnRequest, waiting: Sequence[Pending]) -> JsonObject:
        if not request.answers:
            return author.user(request.parts)
        decided = [(item, request.answers[item.call.id]) for item in waiting if item.call.id in request.answers]
        return author.decisions(decided)

    async def _save(self, session: Session, events: Sequence[JsonObject]) -> Warned | None:
        """Write events; a store that is away costs the history of this turn, not the answer."""
        if not events:
            return None
        try:
            await self.store.append(session, events)
        except StoreUnavailable as error:
            logger.error("session %s: %d events are not saved: %s", session.id, len(events), error)
            return Warned("history_not_saved", f"This turn could not be saved: {error}", "sessions")
        return None


class _Record:
    """Turns what happens into the session's events; results of one reply become one event, in the order of calls."""

    def __init__(self, author: Author) -> None:
        self.author = author
        self.events: list[JsonObject] = []
        self._order: list[str] = []
        self._results: dict[str, ToolReturned] = {}

    def add(self, event: TurnEvent) -> None:
        match event:
            case ModelReplied():
                self._flush()
                self._order = [call.id for call in event.calls]
                self.events.append(self.author.model(event))
            case ToolReturned():
                self._results[event.call.id] = event
            case _:
                pass

    def end(self, outcome: Outcome | None) -> None:
        """Close the record; ``None`` means that the turn was cancelled or crashed."""
        self._flush()
        match outcome:
            case Paused(pending):
                self.events.append(self.author.pause(pending))
            case Failed(code, message):
                self.events.append(self.author.failure(code, message))
            case Completed():
                pass
            case None:
                self.events.append(self.author.failure("INTERRUPTED", "The turn was stopped before it ended."))

    def _flush(self) -> None:
        ordered = [self._results.pop(call_id) for call_id in self._order if call_id in self._results]
        ordered.extend(self._results.values())
        self._results.clear()
        if ordered:
            self.events.append(self.author.results(ordered))
