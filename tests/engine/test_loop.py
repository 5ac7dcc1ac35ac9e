"""The loop: rounds, parallel calls in order, faults told to the model, ends called what they are."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kagent_api.prices import Price
from kagent_engine.events import Completed, Failed, ModelReplied, Paused, TextChunk, ToolReturned, Warned
from kagent_engine.loop import Limits, Turn, run_turn
from kagent_engine.models.base import (
    Finish,
    ModelError,
    TextDelta,
    TextPart,
    ThoughtDelta,
    ToolCall,
    ToolMessage,
    ToolSpec,
    Usage,
    UserMessage,
)
from kagent_engine.tools.approval import NeedsApproval
from kagent_engine.tools.base import Answer, CallContext, Decision, text_result
from kagent_engine.tools.toolbox import Toolbox

HISTORY = (UserMessage((TextPart("hi"),)),)


class Waits:
    """A tool that ends when its turn in ``order`` comes; the last call may end first."""

    def __init__(self, name: str, before: asyncio.Event | None = None, after: asyncio.Event | None = None) -> None:
        self.spec = ToolSpec(name, "", {"type": "object"})
        self.before, self.after = before, after

    async def call(self, call: ToolCall, context: CallContext, answer: Any = None) -> Any:
        if self.before:
            await self.before.wait()
        if self.after:
            self.after.set()
        return text_result(f"{self.spec.name} done")


class Crashes:
    spec = ToolSpec("crash", "", {"type": "object"})

    async def call(self, call: ToolCall, context: CallContext, answer: Any = None) -> Any:
        raise LookupError("inner secret")


async def run(model: Any, *tools: Any, **more: Any) -> tuple[Any, list[Any]]:
    events: list[Any] = []

    async def emit(event: Any) -> None:
        events.append(event)

    box = Toolbox({tool.spec.name: tool for tool in tools})
    limits = more.pop("limits", Limits(retry_seconds=0.0))
    turn = Turn(model, box, "Be brief.", HISTORY, CallContext("u", "s"), limits=limits, **more)
    async with asyncio.timeout(30):
        return await run_turn(turn, emit), events


def told(model: Any) -> list[str]:
    return [item.content for item in model.requests[-1].messages if isinstance(item, ToolMessage)]


async def test_an_answer_is_streamed_and_then_told_whole_with_its_cost(model: Any) -> None:
    outcome, events = await run(model.says("a", "b"))

    assert outcome == Completed("ab", Usage(10, 5))
    assert [event.text for event in events if isinstance(event, TextChunk)] == ["a", "b"]
    (reply,) = [event for event in events if isinstance(event, ModelReplied)]
    assert (reply.text, reply.usage, reply.finish) == ("ab", Usage(10, 5), "stop")


async def test_thoughts_stay_apart_from_the_answer(model: Any) -> None:
    model.plan.append([ThoughtDelta("hm"), TextDelta("yes"), Finish("stop")])

    outcome, events = await run(model)

    assert outcome.text == "yes"
    assert events[-1].thought == "hm"


async def test_calls_of_one_reply_run_together_and_their_results_keep_the_order_of_the_calls(model: Any) -> None:
    second_began = asyncio.Event()
    slow, quick = Waits("slow", before=second_began), Waits("quick", after=second_began)
    model.calls(ToolCall("1", "slow", {}), ToolCall("2", "quick", {})).says("ok")

    outcome, events = await run(model, slow, quick)

    assert isinstance(outcome, Completed)
    assert outcome.usage == Usage(30, 12)
    assert [event.call.id for event in events if isinstance(event, ToolReturned)] == ["2", "1"]
    assert told(model) == ["slow done", "quick done"]
    assert [type(item).__name__ for item in model.requests[1].messages] == [
        "SystemMessage", "UserMessage", "AssistantMessage", "ToolMessage", "ToolMessage",
    ]  # fmt: skip


async def test_what_is_wrong_with_a_call_is_told_to_the_model(model: Any, caplog: pytest.LogCaptureFixture) -> None:
    model.calls(
        ToolCall("1", "nothing", {}), ToolCall("2", "crash", {}), ToolCall("3", "crash", {}, error="line 1: no JSON")
    ).says("sorry")

    outcome, events = await run(model, Crashes())

    assert isinstance(outcome, Completed)
    unknown, crashed, garbled = told(model)
    assert "no tool named 'nothing'" in unknown
    assert "crash" in unknown
    assert "inner secret" not in crashed
    assert "line 1: no JSON" in garbled
    assert all(event.is_error for event in events if isinstance(event, ToolReturned))
    assert "inner secret" in caplog.text


async def test_a_model_that_never_stops_calling_is_stopped(model: Any) -> None:
    for number in range(3):
        model.calls(ToolCall(str(number), "quick", {}))

    outcome, _ = await run(model, Waits("quick"), limits=Limits(tool_rounds=3))

    assert isinstance(outcome, Failed)
    assert outcome.code == "TOOL_ROUNDS_EXCEEDED"
    assert outcome.usage == Usage(60, 21)


@pytest.mark.parametrize(
    ("finish", "code"),
    [(Finish("length"), "MAX_TOKENS"), (Finish("content_filter", "violence"), "SAFETY")],
)
async def test_an_answer_that_was_cut_is_no_success_and_its_text_is_kept(model: Any, finish: Finish, code: str) -> None:
    model.plan.append([TextDelta("part"), finish])

    outcome, events = await run(model)

    assert isinstance(outcome, Failed)
    assert outcome.code == code
    assert finish.detail in outcome.message
    assert [event.text for event in events if isinstance(event, ModelReplied)] == ["part"]


async def test_a_refusal_is_an_answer_with_a_warning(model: Any) -> None:
    model.plan.append([TextDelta("I will not."), Finish("refusal")])

    outcome, events = await run(model)

    assert outcome == Completed("I will not.")
    assert [event.code for event in events if isinstance(event, Warned)] == ["refusal"]


async def test_an_empty_answer_is_a_failure(model: Any) -> None:
    model.plan.append([Finish("stop")])

    outcome, _ = await run(model)

    assert isinstance(outcome, Failed)
    assert outcome.code == "EMPTY_ANSWER"


async def test_a_fault_that_may_pass_is_tried_again_and_shown(model: Any) -> None:
    model.plan.append([ModelError("busy", status=503, retryable=True, retry_after=0.0)])
    model.says("ok")

    outcome, events = await run(model)

    assert outcome.text == "ok"
    assert [event.code for event in events if isinstance(event, Warned)] == ["model_retry"]


async def test_a_fault_after_some_text_is_not_tried_again_and_the_text_is_kept(model: Any) -> None:
    model.plan.append([TextDelta("half"), ModelError("gone", retryable=True, code="API_ERROR")])

    outcome, events = await run(model)

    assert isinstance(outcome, Failed)
    assert (outcome.code, len(model.requests)) == ("API_ERROR", 1)
    assert (events[-1].text, events[-1].finish, events[-1].calls) == ("half", "error", ())


async def test_retries_end_and_a_wait_that_is_too_long_is_not_waited(model: Any) -> None:
    for _ in range(3):
        model.plan.append([ModelError("busy", retryable=True)])
    outcome, _ = await run(model)
    assert isinstance(outcome, Failed)
    assert len(model.requests) == 3

    model.plan.append([ModelError("busy", retryable=True, retry_after=3600.0)])
    outcome, _ = await run(model)
    assert isinstance(outcome, Failed)
    assert len(model.requests) == 4


async def test_a_model_that_cannot_answer_is_stood_in_for_by_the_next(model: Any) -> None:
    model.plan.append([ModelError("no such key", status=401, code="AUTH")])
    second, third = type(model)(name="second"), type(model)(name="third")
    for _ in range(3):
        second.plan.append([ModelError("busy", status=503, retryable=True, retry_after=0.0)])
    third.says("from the third")

    outcome, events = await run(model, fallbacks=[second, third], prices={"third": Price(2.0, 8.0)})

    assert outcome == Completed("from the third", Usage(10, 5, cost=60 / 1_000_000))
    warned = [(event.code, event.source) for event in events if isinstance(event, Warned)]
    assert warned == [
        ("model_fallback", "planned"),
        ("model_retry", "second"),
        ("model_retry", "second"),
        ("model_fallback", "second"),
    ]
    assert "no such key; asking second instead" in next(e.message for e in events if isinstance(e, Warned))


async def test_what_a_model_began_to_show_is_not_said_again_by_another_and_the_last_fault_is_told(model: Any) -> None:
    second = type(model)(name="second")
    model.plan.append([TextDelta("half"), ModelError("gone", code="API_ERROR")])
    outcome, _ = await run(model, fallbacks=[second])
    assert isinstance(outcome, Failed)
    assert (outcome.code, second.requests) == ("API_ERROR", [])

    model.plan.append([ModelError("gone", code="API_ERROR")])
    second.plan.append([ModelError("refused too", code="AUTH")])
    outcome, _ = await run(model, fallbacks=[second])
    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.message) == ("AUTH", "refused too")


async def test_a_pause_keeps_what_needs_no_approval_and_resumes_without_running_it_again(model: Any) -> None:
    free, guarded = Waits("free"), NeedsApproval(Waits("guarded"))
    model.calls(ToolCall("1", "free", {}), ToolCall("2", "guarded", {}))

    paused, events = await run(model, free, guarded)

    assert isinstance(paused, Paused)
    assert [item.call.id for item in paused.pending] == ["2"]
    assert [event.call.id for event in events if isinstance(event, ToolReturned)] == ["1"]

    (pending,) = paused.pending
    answers = {"2": Answer(pending.ask, Decision(True))}
    model.says("ok")
    outcome, events = await run(model, free, guarded, waiting=paused.pending, answers=answers)

    assert isinstance(outcome, Completed)
    assert [event.call.id for event in events if isinstance(event, ToolReturned)] == ["2"]


async def test_a_call_without_an_answer_stays_pending_under_the_same_id(model: Any) -> None:
    first, second = NeedsApproval(Waits("first")), NeedsApproval(Waits("second"))
    model.calls(ToolCall("1", "first", {}), ToolCall("2", "second", {}))
    paused, _ = await run(model, first, second)
    one, two = paused.pending

    again, events = await run(
        model, first, second, waiting=paused.pending, answers={"1": Answer(one.ask, Decision(True))}
    )

    assert again == Paused((two,))
    assert [event.call.id for event in events] == ["1"]


async def test_cancelling_a_turn_cancels_its_tools_and_says_nothing(model: Any) -> None:
    never = asyncio.Event()
    model.calls(ToolCall("1", "slow", {}))
    events: list[Any] = []
    asked = asyncio.Event()

    async def emit(event: Any) -> None:
        events.append(event)
        asked.set()

    turn = Turn(model, Toolbox({"slow": Waits("slow", before=never)}), "", HISTORY, CallContext("u", "s"))
    running = asyncio.create_task(run_turn(turn, emit))
    async with asyncio.timeout(30):
        await asked.wait()
        running.cancel()
        await asyncio.wait([running])

    assert running.cancelled()
    assert [type(event) for event in events] == [ModelReplied]
