from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from kagent_api.engine_config import ModelSettings
from kagent_engine.models.base import (
    AssistantMessage,
    FilePart,
    Finish,
    Message,
    ModelError,
    ModelEvent,
    ModelRequest,
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
from kagent_engine.models.ollama import parsed_options

if TYPE_CHECKING:
    from .conftest import Wire

LINES = "application/x-ndjson"


async def answer(wire: Wire, *messages: Message, **settings: Any) -> list[ModelEvent]:
    built = build_model(
        ModelSettings.model_validate({"type": "ollama", "model": "llama3.2", **settings}),
        {"OLLAMA_API_BASE": wire.url.removeprefix("http://")},
    )
    tools = (ToolSpec("add", "Adds", {"type": "object"}),)
    try:
        async with asyncio.timeout(10):
            given = messages or (UserMessage((TextPart("hi"),)),)
            return [event async for event in built.stream(ModelRequest(given, tools))]
    finally:
        await built.aclose()


@pytest.mark.parametrize("size", [0, 3])
async def test_text_thoughts_calls_and_counts_are_read_from_its_lines(wire: Wire, size: int) -> None:
    wire.stream(
        {"message": {"role": "assistant", "content": "", "thinking": "hm"}, "done": False},
        {"message": {"role": "assistant", "content": "Hi 你"}, "done": False},
        {"message": {"role": "assistant", "content": "",
                     "tool_calls": [{"function": {"name": "add", "arguments": {"a": 1}}}]}, "done": False},
        {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop",
         "prompt_eval_count": 7, "eval_count": 4},
        kind=LINES, size=size,
    )  # fmt: skip
    thought, text, call, usage, finish = await answer(wire)
    assert (thought, text) == (ThoughtDelta("hm"), TextDelta("Hi 你"))
    assert isinstance(call, ToolCall)
    assert (call.name, call.arguments) == ("add", {"a": 1})
    assert call.id
    assert (usage, finish) == (Usage(7, 4), Finish("tool_calls", "stop"))


async def test_options_travel_with_their_types_and_the_conversation_in_its_shape(wire: Wire) -> None:
    wire.stream({"message": {"content": "x"}, "done": True, "done_reason": "length"}, kind=LINES)
    events = await answer(
        wire,
        UserMessage((TextPart("look"), FilePart("image/png", b"\x01"), FilePart("text/plain", b"t", name="n"))),
        AssistantMessage("", (ToolCall("c", "add", {"a": 1}),)),
        ToolMessage("c", "add", "2"),
        options={"num_ctx": "64000", "temperature": "0.5", "stop": "END", "think": "true", "keep_alive": "5m"},
    )
    assert events[-1] == Finish("length")
    body = wire.seen[0].body
    assert wire.seen[0].target == "/api/chat"
    assert body["options"] == {"num_ctx": 64000, "temperature": 0.5, "stop": ["END"]}
    assert (body["think"], body["keep_alive"]) == (True, "5m")
    assert body["messages"] == [
        {"role": "user", "content": "look\nn:\nt", "images": ["AQ=="]},
        {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "add", "arguments": {"a": 1}}}]},
        {"role": "tool", "tool_name": "add", "content": "2"},
    ]
    assert body["tools"][0]["function"]["name"] == "add"


def test_options_are_texts_until_they_look_like_something_else() -> None:
    given = {"use_mmap": "True", "stop": '["a", "b"]', "seed": "1", "mirostat_tau": "5.5", "odd": "a, b"}
    assert parsed_options(given) == {
        "use_mmap": True, "stop": ["a", "b"], "seed": 1, "mirostat_tau": 5.5, "odd": "a, b",
    }  # fmt: skip


async def test_a_model_that_is_not_pulled_is_named(wire: Wire) -> None:
    wire.reply({"error": "model 'llama3.2' not found"}, 404)
    with pytest.raises(ModelError, match=r"Ollama model 'llama3\.2' refused \(404\): model 'llama3\.2' not found"):
        await answer(wire)


async def test_an_error_in_the_stream_and_a_stream_cut_short_are_errors(wire: Wire) -> None:
    wire.stream({"message": {"content": "ha"}}, {"error": "out of memory"}, kind=LINES)
    with pytest.raises(ModelError, match="broke off: out of memory"):
        await answer(wire)
    wire.stream({"message": {"content": "ha"}}, kind=LINES)
    with pytest.raises(ModelError, match="ended before the answer did") as caught:
        await answer(wire)
    assert caught.value.retryable
