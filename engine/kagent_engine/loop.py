"""The conversation loop: ask the model, run the tools it wants, ask again, until it answers, pauses or fails.

Reads top to bottom. It knows no wire, no store and no provider: it gets a model and tools, tells what happens as
events and returns how the turn ended. It publishes nothing when it is cancelled: who cancels reports that.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final, assert_never

from kagent_api.prices import Price
from kagent_engine.errors import ToolFailed
from kagent_engine.events import (
    Ask,
    Completed,
    Emit,
    Failed,
    ModelReplied,
    Outcome,
    Paused,
    Pending,
    TextChunk,
    ThoughtChunk,
    ToolProgressed,
    ToolReturned,
    Warned,
)
from kagent_engine.models.base import (
    AssistantMessage,
    Finish,
    Message,
    Model,
    ModelError,
    ModelRequest,
    SystemMessage,
    TextDelta,
    ThoughtDelta,
    ToolCall,
    ToolMessage,
    Usage,
)
from kagent_engine.tools.base import Answer, CallContext, Progress, ToolResult, text_result
from kagent_engine.tools.toolbox import Toolbox

__all__ = ["DEFAULT_TOOL_ROUNDS", "Limits", "Turn", "run_turn"]

logger = logging.getLogger(__name__)

# Upstream stops after 500 model calls (google-adk's default); a conversation that needs more than 100 rounds of tools
# in one turn is a loop that burns money, and KAGENT_TUI_MAX_TOOL_ROUNDS raises it.
DEFAULT_TOOL_ROUNDS: Final = 100


@dataclass(frozen=True, slots=True)
class Limits:
    """``retries`` counts model calls repeated after a fault that may pass, before any text was shown."""

    tool_rounds: int = DEFAULT_TOOL_ROUNDS
    retries: int = 2
    retry_seconds: float = 1.0
    longest_retry_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Turn:
    """All that one turn needs. ``answers`` are a person's, by call id, when the turn goes on after a pause."""

    model: Model
    tools: Toolbox
    instruction: str
    history: Sequence[Message]
    context: CallContext
    api_key: str = ""
    limits: Limits = field(default_factory=Limits)
    waiting: Sequence[Pending] = ()
    answers: Mapping[str, Answer] = field(default_factory=dict[str, Answer])
    fallbacks: Sequence[Model] = ()
    prices: Mapping[str, Price] = field(default_factory=dict[str, Price])


@dataclass(slots=True)
class _Reply:
    """A model's reply while it arrives."""

    event_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    text: list[str] = field(default_factory=list[str])
    thought: list[str] = field(default_factory=list[str])
    calls: list[ToolCall] = field(default_factory=list[ToolCall])
    usage: Usage = field(default_factory=Usage)
    finish: Finish | None = None
    started: float = field(default_factory=time.monotonic)

    @property
    def begun(self) -> bool:
        return bool(self.text or self.thought or self.calls)


async def run_turn(turn: Turn, emit: Emit) -> Outcome:
    """Run one turn to its end; every event but the outcome has been emitted when this returns."""
    for warning in turn.tools.warnings:
        await emit(warning)
    messages: list[Message] = [*turn.history]
    if turn.instruction:
        messages.insert(0, SystemMessage(turn.instruction))
    usage = Usage()

    if turn.waiting:
        decided = [item.call for item in turn.waiting if item.call.id in turn.answers]
        undecided = tuple(item for item in turn.waiting if item.call.id not in turn.answers)
        results, pending = await _run_calls(turn, decided, emit)
        if undecided or pending:
            return Paused(undecided + pending, usage)
        messages.extend(results)

    for _ in range(turn.limits.tool_rounds):
        try:
            reply = await _ask_model(turn, messages, emit)
        except ModelError as error:
            return Failed(error.code or "MODEL_ERROR", str(error), usage)
        usage += reply.usage
        if ended_badly := _stopped_early(reply, usage):
            return ended_badly
        text = "".join(reply.text)
        if not reply.calls:
            if reply.finish and reply.finish.reason == "refusal":
                await emit(Warned("refusal", "The model declined to answer.", turn.model.name))
            return Completed(text, usage)
        messages.append(AssistantMessage(text, tuple(reply.calls), "".join(reply.thought)))
        results, pending = await _run_calls(turn, reply.calls, emit)
        if pending:
            return Paused(pending, usage)
        messages.extend(results)

    return Failed(
        "TOOL_ROUNDS_EXCEEDED",
        f"The model asked for tools {turn.limits.tool_rounds} times without answering; the turn was stopped. "
        "Set KAGENT_TUI_MAX_TOOL_ROUNDS to allow more.",
        usage,
    )


async def _ask_model(turn: Turn, messages: Sequence[Message], emit: Emit) -> _Reply:
    """Ask the model, and where it cannot answer the ones that stand in for it, in their order.

    What a model has begun to show is never said again by another: then its fault is the turn's.
    """
    models = (turn.model, *turn.fallbacks)
    for model, after in pairwise(models):
        try:
            return await _ask(turn, model, messages, emit)
        except _Unanswered as fault:
            note = f"{fault.error}; asking {after.name} instead"
            await emit(Warned("model_fallback", note, model.name))
    try:
        return await _ask(turn, models[-1], messages, emit)
    except _Unanswered as fault:
        raise fault.error from fault.error.__cause__


class _Unanswered(Exception):
    """A model could not answer, and nothing of an answer was shown."""

    def __init__(self, error: ModelError) -> None:
        super().__init__(str(error))
        self.error = error


async def _ask(turn: Turn, model: Model, messages: Sequence[Message], emit: Emit) -> _Reply:
    """Stream one model call; repeat it after a fault that may pass, as long as nothing was shown."""
    attempt = 0
    while True:
        reply = _Reply()
        try:
            await _stream(turn, model, messages, reply, emit)
        except ModelError as error:
            if reply.begun:
                await _publish(turn, reply, emit, broken=True)
                raise
            if not error.retryable or attempt >= turn.limits.retries:
                raise _Unanswered(error) from error
            delay = error.retry_after if error.retry_after is not None else turn.limits.retry_seconds * 2**attempt
            if delay > turn.limits.longest_retry_seconds:
                raise _Unanswered(error) from error
            attempt += 1
            await emit(Warned("model_retry", f"{error}; trying again in {delay:.1f} s", model.name))
            await asyncio.sleep(delay)
            continue
        await _publish(turn, reply, emit)
        return reply


async def _stream(turn: Turn, model: Model, messages: Sequence[Message], reply: _Reply, emit: Emit) -> None:
    request = ModelRequest(messages, turn.tools.specs, turn.api_key)
    async for event in model.stream(request):
        match event:
            case TextDelta(text):
                reply.text.append(text)
                await emit(TextChunk(text))
            case ThoughtDelta(text):
                reply.thought.append(text)
                await emit(ThoughtChunk(text))
            case ToolCall():
                reply.calls.append(event)
            case Usage():
                price = turn.prices.get(model.name)
                reply.usage = event if price is None else _priced(event, price)
            case Finish():
                reply.finish = event
            case _:
                assert_never(event)


def _priced(usage: Usage, price: Price) -> Usage:
    return replace(usage, cost=price.of(usage.input_tokens, usage.output_tokens, usage.cached_tokens))


async def _publish(turn: Turn, reply: _Reply, emit: Emit, *, broken: bool = False) -> None:
    finish = "error" if broken or reply.finish is None else reply.finish.reason
    calls = () if broken else tuple(reply.calls)
    sessions = {call.id: session for call in calls if (session := turn.tools.session_of(call, turn.context))}
    await emit(
        ModelReplied(
            event_id=reply.event_id,
            text="".join(reply.text),
            thought="".join(reply.thought),
            calls=calls,
            usage=reply.usage,
            finish=finish,
            seconds=time.monotonic() - reply.started,
            sessions=sessions,
        )
    )


def _stopped_early(reply: _Reply, usage: Usage) -> Failed | None:
    """Name an end that is no answer; the text so far has been published and stays in the history."""
    finish = reply.finish
    if finish is None:
        return Failed("INCOMPLETE", "The model's stream ended without saying why; the answer may be incomplete.", usage)
    detail = f" ({finish.detail})" if finish.detail else ""
    if finish.reason == "length":
        return Failed("MAX_TOKENS", f"The answer was cut off at the model's token limit{detail}.", usage)
    if finish.reason == "content_filter":
        return Failed("SAFETY", f"The model's provider stopped the answer for safety reasons{detail}.", usage)
    if not reply.calls and not "".join(reply.text).strip():
        return Failed("EMPTY_ANSWER", f"The model ended its turn without an answer{detail}.", usage)
    return None


async def _run_calls(
    turn: Turn, calls: Sequence[ToolCall], emit: Emit
) -> tuple[list[ToolMessage], tuple[Pending, ...]]:
    """Run the calls of one reply at once; results come back in the order of the calls, pauses beside them."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_run_call(turn, call, emit)) for call in calls]
    results: list[ToolMessage] = []
    pending: list[Pending] = []
    for task in tasks:
        match task.result():
            case Pending() as waiting:
                pending.append(waiting)
            case ToolMessage() as message:
                results.append(message)
    return results, tuple(pending)


async def _run_call(turn: Turn, call: ToolCall, emit: Emit) -> ToolMessage | Pending:
    started = time.monotonic()
    result = await _attempt(turn, call, emit)
    if isinstance(result, Ask):
        return Pending(f"adk-{uuid.uuid4()}", call, result)
    await emit(
        ToolReturned(
            call=call,
            content=result.content,
            response=result.response,
            is_error=result.is_error,
            seconds=time.monotonic() - started,
            truncated=result.truncated,
            usage=result.usage,
            session_id=result.session_id,
        )
    )
    return ToolMessage(call.id, call.name, result.content)


async def _attempt(turn: Turn, call: ToolCall, emit: Emit) -> ToolResult | Ask:
    """Run one call; whatever goes wrong becomes a result that the model can read and adapt to."""
    if call.error:
        return text_result(f"The arguments are not usable: {call.error}. Send one JSON object.", is_error=True)
    tool = turn.tools.find(call.name)
    if tool is None:
        known = ", ".join(turn.tools.by_name) or "none"
        return text_result(f"There is no tool named '{call.name}'. Available: {known}.", is_error=True)
    context = CallContext(
        user_id=turn.context.user_id,
        session_id=turn.context.session_id,
        task_id=turn.context.task_id,
        headers=turn.context.headers,
        progress=_progress(call, emit),
    )
    try:
        return await tool.call(call, context, turn.answers.get(call.id))
    except ToolFailed as error:
        return text_result(str(error), is_error=True)
    except Exception:
        logger.exception("tool %s crashed", call.name)
        return text_result(f"The tool '{call.name}' crashed; its log says why.", is_error=True)


def _progress(call: ToolCall, emit: Emit) -> Progress:
    async def report(progress: float, total: float | None, message: str) -> None:
        await emit(ToolProgressed(call, progress, total, message))

    return report
