from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from kagent_api.engine_config import ModelSettings
from kagent_engine.models.base import (
    AssistantMessage,
    FilePart,
    Finish,
    Message,
    Model,
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

HELLO = (UserMessage((TextPart("hello"),)),)
ADD = ToolSpec("add", "Adds", {"type": "object", "properties": {"a": {"type": "number"}}})


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **more: object) -> dict[str, object]:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return {"id": "c", "object": "chat.completion.chunk", "choices": choices, **more}


def calls(*pieces: dict[str, Any]) -> dict[str, Any]:
    return {"tool_calls": list(pieces)}


@asynccontextmanager
async def model(wire: Wire, env: dict[str, str] | None = None, **settings: Any) -> AsyncGenerator[Model]:
    given = {"type": "openai", "model": "m", "base_url": wire.url + "/v1", **settings}
    built = build_model(ModelSettings.model_validate(given), {"OPENAI_API_KEY": "sk-secret"} if env is None else env)
    try:
        yield built
    finally:
        await built.aclose()


async def answer(
    built: Model, messages: tuple[Message, ...] = HELLO, tools: tuple[ToolSpec, ...] = (), api_key: str = ""
) -> list[ModelEvent]:
    async with asyncio.timeout(10):
        return [event async for event in built.stream(ModelRequest(messages, tools, api_key))]


@pytest.mark.parametrize("size", [0, 1, 5])
async def test_text_streams_as_it_comes_whatever_the_packets(wire: Wire, size: int) -> None:
    usage = {
        "prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 1},
    }  # fmt: skip
    wire.stream(
        chunk({"role": "assistant", "content": ""}), chunk({"content": "Grüß "}), chunk({"content": "dich 你好"}),
        chunk({}, "stop"), chunk(usage=usage), size=size,
    )  # fmt: skip
    async with model(wire) as built:
        assert await answer(built) == [
            TextDelta("Grüß "), TextDelta("dich 你好"), Usage(9, 2, 4, 1), Finish("stop"),
        ]  # fmt: skip
    assert wire.seen[0].target == "/v1/chat/completions"
    assert wire.seen[0].headers["authorization"] == "Bearer sk-secret"
    assert wire.seen[0].body == {
        "model": "m", "messages": [{"role": "user", "content": "hello"}], "stream": True,
        "stream_options": {"include_usage": True},
    }  # fmt: skip


async def test_a_conversation_with_tools_and_files_takes_openais_shape(wire: Wire) -> None:
    wire.stream(chunk({"content": "ok"}, "stop"))
    history: tuple[Message, ...] = (
        SystemMessage("be brief"),
        UserMessage((
            TextPart("look"), FilePart("image/png", b"\x01"), FilePart("image/png", uri="https://x/y.png"),
            FilePart("text/plain", b"notes", name="a.txt"), FilePart("application/zip", b"zz", name="b.zip"),
            FilePart("application/pdf", b"%PDF", name="c.pdf"),
        )),
        AssistantMessage("", (ToolCall("c1", "add", {"a": 1}),), thought="hm"),
        ToolMessage("c1", "add", "2"),
    )  # fmt: skip
    async with model(wire) as built:
        await answer(built, history, (ADD,))
    body = wire.seen[0].body
    system, user, assistant, tool = body["messages"]
    assert system == {"role": "system", "content": "be brief"}
    assert user["content"] == [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AQ=="}},
        {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
        {"type": "text", "text": "a.txt:\nnotes"},
        {"type": "text", "text": "[The user attached b.zip (application/zip, 2 bytes); it cannot be shown to you.]"},
        {"type": "file", "file": {"filename": "c.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}},
    ]
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}
    assert assistant == {"role": "assistant", "content": None, "tool_calls": [call]}
    assert tool == {"role": "tool", "tool_call_id": "c1", "content": "2"}
    assert body["tools"] == [
        {"type": "function", "function": {"name": "add", "description": "Adds", "parameters": dict(ADD.parameters)}}
    ]


async def test_every_sampling_parameter_and_header_is_sent(wire: Wire) -> None:
    wire.stream(chunk({"content": "ok"}, "stop"))
    parameters = {
        "temperature": 0.5, "top_p": 0.9, "max_tokens": 10, "max_completion_tokens": 20, "frequency_penalty": 0.1,
        "presence_penalty": 0.2, "seed": 7, "n": 1, "reasoning_effort": "low",
    }  # fmt: skip
    env = {"OPENAI_API_KEY": "k", "OPENAI_ORGANIZATION": "org"}
    async with model(wire, env, headers={"X-Team": "a"}, **parameters) as built:
        await answer(built)
    assert wire.seen[0].body.items() >= parameters.items()
    assert wire.seen[0].headers["x-team"] == "a"
    assert wire.seen[0].headers["openai-organization"] == "org"


Expected = list[tuple[str, str, dict[str, Any]]]


def piece(index: int | None, identity: str | None, name: str | None, arguments: object) -> dict[str, Any]:
    """Return one tool call of a delta; None leaves the key out."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    keys = (("index", index), ("id", identity), ("function", function))
    return {key: value for key, value in keys if value is not None}


# How servers were seen to send tool calls: the deltas of a stream, and the calls they mean.
TOOL_CALLS: dict[str, tuple[list[dict[str, Any]], Expected]] = {
    "in pieces": (
        [calls(piece(0, "a", "f", "")), calls(piece(0, None, None, '{"a"')), calls(piece(0, None, None, ":1}"))],
        [("a", "f", {"a": 1})],
    ),
    "two, interleaved": (
        [
            calls(piece(0, "a", "f", ""), piece(1, "b", "g", "")),
            calls(piece(1, None, None, '{"x":2}')),
            calls(piece(0, None, None, "{}")),
        ],
        [("a", "f", {}), ("b", "g", {"x": 2})],
    ),
    "whole, without index": (
        [calls(piece(None, "a", "f", '{"x":1}'), piece(None, "b", "f", '{"x":2}'))],
        [("a", "f", {"x": 1}), ("b", "f", {"x": 2})],
    ),
    "whole, without index and id": (
        [calls(piece(None, "", "f", '{"x":1}'), piece(None, "", "f", '{"x":2}'))],
        [("", "f", {"x": 1}), ("", "f", {"x": 2})],
    ),
    "in pieces, without index": (
        [
            calls(piece(None, "a", "f", '{"x"')),
            calls(piece(None, None, None, ":1}")),
            calls(piece(None, "a", None, " ")),
        ],
        [("a", "f", {"x": 1})],
    ),
    "all with index 0": (
        [calls(piece(0, "a", "f", "{}")), calls(piece(0, "b", "g", "{}"))],
        [("a", "f", {}), ("b", "g", {})],
    ),
    "arguments as an object": ([calls(piece(0, "a", "f", {"x": [1]}))], [("a", "f", {"x": [1]})]),
    "arguments as JSON in JSON": ([calls(piece(0, "a", "f", '"{\\"x\\": 1}"'))], [("a", "f", {"x": 1})]),
    "no arguments": ([calls(piece(0, "a", "f", None))], [("a", "f", {})]),
    "null arguments": ([calls(piece(0, "a", "f", "null"))], [("a", "f", {})]),
    "name repeated with every piece": (
        [calls(piece(0, "a", "f", "{")), calls(piece(0, "a", "f", "}"))],
        [("a", "f", {})],
    ),
}


@pytest.mark.parametrize(("chunks", "expected"), TOOL_CALLS.values(), ids=TOOL_CALLS.keys())
async def test_tool_calls_are_put_together_however_they_are_sent(
    wire: Wire, chunks: list[dict[str, Any]], expected: Expected
) -> None:
    wire.stream(*(chunk(delta) for delta in chunks), chunk({}, "stop"))
    async with model(wire) as built:
        events = await answer(built, HELLO, (ADD,))
    found = [event for event in events if isinstance(event, ToolCall)]
    assert [(call.name, call.arguments) for call in found] == [(name, arguments) for _, name, arguments in expected]
    assert all(call.id == identity or not identity for call, (identity, _, _) in zip(found, expected, strict=True))
    assert len({call.id for call in found}) == len(found)
    assert events[-1] == Finish("tool_calls", "stop"), "a turn with calls is one, whatever the server calls it"


@pytest.mark.parametrize("arguments", ['{"a": ', "[1, 2]", "7"])
async def test_arguments_that_are_no_object_are_told_with_the_call(wire: Wire, arguments: str) -> None:
    wire.stream(chunk(calls({"index": 0, "id": "a", "function": {"name": "f", "arguments": arguments}}), "tool_calls"))
    async with model(wire) as built:
        call = (await answer(built))[0]
    assert isinstance(call, ToolCall)
    assert call.arguments == {}
    assert "JSON" in call.error


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning", "thinking"])
async def test_thoughts_are_kept_apart_from_text(wire: Wire, key: str) -> None:
    wire.stream(chunk({key: "let me see", "content": ""}), chunk({"content": "yes"}, "stop"))
    async with model(wire) as built:
        assert await answer(built) == [ThoughtDelta("let me see"), TextDelta("yes"), Finish("stop")]


@pytest.mark.parametrize(
    ("delta", "word", "finish"),
    [
        ({"content": "x"}, "length", Finish("length")),
        ({"content": "x"}, "content_filter", Finish("content_filter")),
        ({"refusal": "No."}, "stop", Finish("refusal", "stop")),
        ({"content": "x"}, "MAX_TOKENS", Finish("length", "MAX_TOKENS")),
        ({"content": "x"}, "whatever", Finish("stop", "whatever")),
    ],
)
async def test_the_end_is_named_in_our_words_and_theirs(
    wire: Wire, delta: dict[str, str], word: str, finish: Finish
) -> None:
    wire.stream(chunk(delta), chunk({}, word))
    async with model(wire) as built:
        assert (await answer(built))[-1] == finish


async def test_an_answer_that_was_not_streamed_is_read_whole(wire: Wire) -> None:
    message = {"role": "assistant", "content": "all at once"}
    wire.reply({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": {"prompt_tokens": 1}})
    async with model(wire) as built:
        assert await answer(built) == [TextDelta("all at once"), Usage(1), Finish("stop")]


async def test_a_stream_that_ends_early_is_an_error_worth_a_retry(wire: Wire) -> None:
    wire.stream(chunk({"content": "half"}), done=False)
    async with model(wire) as built:
        with pytest.raises(ModelError, match="ended before the answer did") as caught:
            await answer(built)
    assert caught.value.retryable


async def test_a_connection_that_breaks_in_the_stream_is_told_as_such(wire: Wire) -> None:
    body = 'data: {"choices": [{"index": 0, "delta": {"content": "half"}}]}\n\n'
    wire.raw(200, body, "text/event-stream", length=999999)
    async with model(wire) as built:
        with pytest.raises(ModelError, match="broke") as caught:
            await answer(built)
    assert caught.value.retryable


async def test_a_server_without_the_usage_option_is_asked_once_without_and_remembered(wire: Wire) -> None:
    wire.reply({"error": {"message": "Unknown parameter: stream_options", "type": "invalid_request_error"}}, 400)
    wire.stream(chunk({"content": "ok"}, "stop"))
    wire.stream(chunk({"content": "ok"}, "stop"))
    async with model(wire) as built:
        assert await answer(built) == [TextDelta("ok"), Finish("stop")]
        await answer(built)
    assert ["stream_options" in seen.body for seen in wire.seen] == [True, False, False]
    assert wire.connections == 1, "the connection is kept between calls"


async def test_the_callers_own_key_replaces_the_models(wire: Wire) -> None:
    wire.stream(chunk({"content": "ok"}, "stop"))
    async with model(wire, {}, api_key_passthrough=True) as built:
        await answer(built, api_key="callers-key")
    assert wire.seen[0].headers["authorization"] == "Bearer callers-key"


async def test_openai_itself_is_not_called_without_a_key() -> None:
    built = build_model(ModelSettings(type="openai", model="gpt"), {})
    with pytest.raises(ModelError, match=r"no API key \(give the ModelConfig an apiKeySecret \(OPENAI_API_KEY\)\)"):
        await answer(built)
    await built.aclose()


async def test_two_models_of_one_provider_have_their_own_keys_in_one_environment(wire: Wire) -> None:
    env = {"OPENAI_API_KEY": "first", "OPENAI_ORGANIZATION": "org", "MODEL_2_OPENAI_API_KEY": "second"}
    own = {"OPENAI_API_KEY": "MODEL_2_OPENAI_API_KEY", "OPENAI_ORGANIZATION": ""}
    for variables, key, organization in (({}, "Bearer first", "org"), (own, "Bearer second", None)):
        wire.stream(chunk({"content": "ok"}, "stop"))
        async with model(wire, env, variables=variables) as built:
            await answer(built)
        assert wire.seen[-1].headers["authorization"] == key
        assert wire.seen[-1].headers.get("openai-organization") == organization


async def test_azure_asks_its_deployment_with_its_own_header(wire: Wire) -> None:
    wire.stream(chunk({"content": "ok"}, "stop"))
    env = {"AZURE_OPENAI_API_KEY": "az"}
    async with model(
        wire,
        env,
        type="azure_openai",
        endpoint=wire.url + "/",
        deployment="dep",
        api_version="2024-10-21",
        temperature=0.2,
    ) as built:
        await answer(built)
    assert wire.seen[0].target == "/openai/deployments/dep/chat/completions?api-version=2024-10-21"
    assert wire.seen[0].headers["api-key"] == "az"
    assert "authorization" not in wire.seen[0].headers
    assert wire.seen[0].body["temperature"] == 0.2


async def test_azure_takes_a_directory_token_where_there_is_no_key(wire: Wire) -> None:
    wire.stream(chunk({"content": "ok"}, "stop"))
    env = {"AZURE_AD_TOKEN": "aad", "AZURE_OPENAI_ENDPOINT": wire.url, "OPENAI_API_VERSION": "v1"}
    async with model(wire, env, type="azure_openai") as built:
        await answer(built)
    assert wire.seen[0].target == "/openai/deployments/m/chat/completions?api-version=v1"
    assert wire.seen[0].headers["authorization"] == "Bearer aad"


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("", "/openai/deployments/d/chat/completions?api-version=v"),
        ("/models", "/models/chat/completions?api-version=v"),
        ("/openai/v1", "/openai/v1/chat/completions"),
    ],
)
async def test_foundry_is_reached_in_each_of_its_forms(wire: Wire, path: str, target: str) -> None:
    wire.stream(chunk({"content": "ok"}, "stop"))
    env = {"FOUNDRY_API_KEY": "f"}
    async with model(wire, env, type="foundry", endpoint=wire.url + path, deployment="d", api_version="v") as built:
        await answer(built)
    assert wire.seen[0].target == target
    assert wire.seen[0].headers["api-key"] == "f"
    assert wire.seen[0].body["model"] == "d"


async def test_a_cluster_name_is_reached_through_the_environments_proxy(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire.stream(chunk({"content": "ok"}, "stop"))
    monkeypatch.setenv("http_proxy", wire.url.replace("http://", "http://kagent%2Fpod-1:token@"))
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    async with model(wire, base_url="http://scripted-model.kagent:8080/v1") as built:
        assert await answer(built) == [TextDelta("ok"), Finish("stop")]
    assert wire.seen[0].target == "http://scripted-model.kagent:8080/v1/chat/completions"
    sent = base64.b64decode(wire.seen[0].headers["proxy-authorization"].removeprefix("Basic "))
    assert sent == b"kagent/pod-1:token"
