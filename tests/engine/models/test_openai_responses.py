from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest

from kagent_api.engine_config import ModelSettings
from kagent_engine.models.base import (
    AssistantMessage,
    Finish,
    Message,
    ModelError,
    ModelEvent,
    ModelRequest,
    SystemMessage,
    TextDelta,
    TextPart,
    ThoughtDelta,
    ToolCall,
    ToolMessage,
    ToolSpec,
    Usage,
    UserMessage,
)
from kagent_engine.models.factory import build_model

if TYPE_CHECKING:
    from .conftest import Wire

USAGE = {
    "input_tokens": 5, "output_tokens": 3, "input_tokens_details": {"cached_tokens": 2},
    "output_tokens_details": {"reasoning_tokens": 1},
}  # fmt: skip
CONVERSATION: tuple[Message, ...] = (
    SystemMessage("be brief"),
    UserMessage((TextPart("1+1"),)),
    AssistantMessage("let me", (ToolCall("c1", "add", {"a": 1}),)),
    ToolMessage("c1", "add", "2"),
)


async def answer(wire: Wire, **settings: Any) -> list[ModelEvent]:
    given = {"type": "openai", "model": "m", "base_url": wire.url, "api_format": "responses", **settings}
    built = build_model(ModelSettings.model_validate(given), {"OPENAI_API_KEY": "k"})
    tool = ToolSpec("add", "Adds", {"type": "object"})
    try:
        async with asyncio.timeout(10):
            return [event async for event in built.stream(ModelRequest(CONVERSATION, (tool,)))]
    finally:
        await built.aclose()


async def test_events_of_the_responses_api_become_ours(wire: Wire) -> None:
    wire.stream(
        {"type": "response.created", "response": {"status": "in_progress", "error": None}},
        {"type": "response.reasoning_summary_text.delta", "delta": "hm"},
        {"type": "response.output_text.delta", "delta": "Two"},
        {"type": "response.output_item.done", "item": {"type": "message"}},
        {"type": "response.output_item.done",
         "item": {"type": "function_call", "id": "fc", "call_id": "c2", "name": "add", "arguments": '{"a":2}'}},
        {"type": "response.completed", "response": {"status": "completed", "usage": USAGE}},
        done=False,
    )  # fmt: skip
    assert await answer(wire) == [
        ThoughtDelta("hm"), TextDelta("Two"), ToolCall("c2", "add", {"a": 2}), Usage(5, 3, 2, 1), Finish("tool_calls"),
    ]  # fmt: skip
    seen = wire.seen[0]
    assert seen.target == "/responses"
    assert seen.body["store"] is False
    assert seen.body["instructions"] == "be brief"
    assert seen.body["input"] == [
        {"role": "user", "content": [{"type": "input_text", "text": "1+1"}]},
        {"role": "assistant", "content": [{"type": "output_text", "text": "let me"}]},
        {"type": "function_call", "call_id": "c1", "name": "add", "arguments": '{"a":1}'},
        {"type": "function_call_output", "call_id": "c1", "output": "2"},
    ]
    assert seen.body["tools"][0]["name"] == "add"


async def test_parameters_are_translated_and_those_it_has_not_are_named(
    wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    wire.stream({"type": "response.completed", "response": {"status": "completed"}}, done=False)
    with caplog.at_level(logging.WARNING):
        await answer(wire, max_tokens=9, reasoning_effort="low", temperature=0.1, seed=1)
    body = wire.seen[0].body
    assert (body["max_output_tokens"], body["reasoning"], body["temperature"]) == (9, {"effort": "low"}, 0.1)
    assert "seed" not in body
    assert "takes no seed" in caplog.text


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("max_output_tokens", Finish("length", "max_output_tokens")),
     ("content_filter", Finish("content_filter", "content_filter"))],
)  # fmt: skip
async def test_an_incomplete_response_says_why(wire: Wire, reason: str, finish: Finish) -> None:
    wire.stream(
        {"type": "response.output_text.delta", "delta": "hal"},
        {"type": "response.incomplete", "response": {"incomplete_details": {"reason": reason}}}, done=False,
    )  # fmt: skip
    assert await answer(wire) == [TextDelta("hal"), finish]


async def test_a_refusal_is_told_as_one(wire: Wire) -> None:
    wire.stream(
        {"type": "response.refusal.delta", "delta": "No."},
        {"type": "response.completed", "response": {"status": "completed"}}, done=False,
    )  # fmt: skip
    assert await answer(wire) == [TextDelta("No."), Finish("refusal")]


@pytest.mark.parametrize(
    "event",
    [
        {"type": "response.failed", "response": {"error": {"code": "server_error", "message": "sorry"}}},
        {"type": "error", "code": "server_error", "message": "sorry"},
    ],
)
async def test_a_failed_response_is_an_error(wire: Wire, event: dict[str, Any]) -> None:
    wire.stream(event, done=False)
    with pytest.raises(ModelError, match="broke off: sorry") as caught:
        await answer(wire)
    assert caught.value.code == "server_error"
    assert caught.value.retryable


async def test_a_response_that_was_not_streamed_is_read_whole(wire: Wire) -> None:
    output = [
        {"type": "message", "content": [{"type": "output_text", "text": "whole"}]},
        {"type": "function_call", "call_id": "c", "name": "add", "arguments": "{}"},
    ]
    wire.reply({"status": "completed", "output": output, "usage": USAGE, "error": None})
    assert await answer(wire) == [
        TextDelta("whole"), ToolCall("c", "add", {}), Usage(5, 3, 2, 1), Finish("tool_calls"),
    ]  # fmt: skip
