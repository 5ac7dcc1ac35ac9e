"""Long conversations: what is summarised when, and that the model then reads the summary instead."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kagent_engine.agent import Agent, TurnRequest
from kagent_engine.compaction import CompactionRules, plan
from kagent_engine.events import Compacted, Completed, ModelReplied, ToolReturned
from kagent_engine.history import Author, compactions
from kagent_engine.models.base import ModelError, TextPart, ToolCall, Usage, UserMessage
from kagent_engine.store_sqlite import SqliteStore
from kagent_engine.tools.base import CallContext

Json = dict[str, Any]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each event a second of its own."""
    ticks = iter(range(1, 10_000))
    monkeypatch.setattr("kagent_engine.history.time.time", lambda: float(next(ticks)))


def turn(name: str, prompt_tokens: int = 1, *, tool: bool = False) -> list[Json]:
    author = Author("tester", name)
    call = ToolCall(f"c-{name}", "add", {})
    calls = (call,) if tool else ()
    events = [
        author.user([TextPart(f"ask {name}")]),
        author.model(ModelReplied(name, "" if tool else f"answer {name}", "", calls, Usage(prompt_tokens, 1), "stop")),
    ]
    return [*events, author.results([ToolReturned(call, "2", {"result": "2"}, False, 0.1)])] if tool else events


def names(events: list[Json]) -> list[str]:
    return list(dict.fromkeys(event["invocation_id"] for event in events))


@pytest.mark.usefixtures("clock")
def test_every_so_many_turns_are_summarised_with_some_before_them() -> None:
    rules = CompactionRules(interval=2, overlap=1)
    events = turn("1")
    assert plan(events, rules) == []

    events += turn("2")
    first = plan(events, rules)
    assert names(first) == ["1", "2"]

    summary = Author("tester", "s").compaction(Compacted("so far", first[0]["timestamp"], first[-1]["timestamp"]))
    events += [summary, *turn("3")]
    assert plan(events, rules) == []
    events += turn("4")
    assert names(plan(events, rules)) == ["2", "3", "4"]


@pytest.mark.usefixtures("clock")
def test_a_prompt_that_grew_too_long_is_cut_before_the_last_events_and_never_inside_a_call() -> None:
    rules = CompactionRules(token_threshold=100, retention=1)
    events = [*turn("1"), *turn("2", 50)]
    assert plan(events, rules) == []

    events += turn("3", 150, tool=True)
    covered = plan(events, rules)

    assert covered == events[:5]
    assert "function_call" not in str(covered[-1])


async def test_the_next_turn_reads_the_summary_in_place_of_what_it_covers(model: Any, tmp_path: Any) -> None:
    store = SqliteStore(tmp_path / "s.db")
    agent = Agent(
        name="tester", instruction="", model=model, store=store, compaction=CompactionRules(interval=1),
    )  # fmt: skip
    context = CallContext("alice", "s")

    async def emit(_: Any) -> None: ...

    model.says("long answer").says("THE SUMMARY").says("short")
    async with asyncio.timeout(30):
        first = TurnRequest(context, (TextPart("first"),), api_key="callers")
        assert isinstance(await agent.run(first, emit), Completed)
        assert isinstance(await agent.run(TurnRequest(context, (TextPart("second"),)), emit), Completed)
        session = await store.load("s", "alice")
        await agent.aclose()
    await store.aclose()

    assert "long answer" in str(model.requests[1].messages)
    assert model.requests[1].api_key == "callers"
    summary, question = model.requests[2].messages
    assert isinstance(summary, UserMessage)
    assert "THE SUMMARY" in str(summary)
    assert "long answer" not in str(summary)
    assert question == UserMessage((TextPart("second"),))
    assert session is not None
    assert len(compactions(session.events)) == 1


async def test_a_summary_that_fails_costs_only_itself(
    model: Any, tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    store = SqliteStore(tmp_path / "s.db")
    agent = Agent(name="t", instruction="", model=model, store=store, compaction=CompactionRules(interval=1))

    async def emit(_: Any) -> None: ...

    model.says("one")
    model.plan.append([ModelError("down")])
    model.says("two")
    context = CallContext("alice", "s")
    async with asyncio.timeout(30):
        await agent.run(TurnRequest(context, (TextPart("x"),)), emit)
        outcome = await agent.run(TurnRequest(context, (TextPart("y"),)), emit)
        await agent.aclose()
    await store.aclose()

    assert isinstance(outcome, Completed)
    assert "not summarised: down" in caplog.text
