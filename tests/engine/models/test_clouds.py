"""What is peculiar to one provider: Anthropic, Google and SAP; Amazon's are in test_aws."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

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
    ToolCall,
    ToolMessage,
    ToolSpec,
    UserMessage,
)
from kagent_engine.models.factory import build_model

if TYPE_CHECKING:
    from .conftest import Wire

HELLO = (UserMessage((TextPart("hello"),)),)
CALLED = (
    *HELLO, AssistantMessage("", (ToolCall("c/1", "add", {"a": 1}), ToolCall("c2", "add", {"a": 2}))),
    ToolMessage("c/1", "add", "one"), ToolMessage("c2", "add", ""), UserMessage((TextPart("go on"),)),
)  # fmt: skip


async def ask(
    env: dict[str, str], *messages: Message, tools: tuple[ToolSpec, ...] = (), **settings: Any
) -> list[ModelEvent]:
    built = build_model(ModelSettings.model_validate({"model": "m", **settings}), env)
    try:
        async with asyncio.timeout(20):
            return [event async for event in built.stream(ModelRequest(messages or HELLO, tools))]
    finally:
        await built.aclose()


# Anthropic


def claude(wire: Wire, *events: dict[str, Any]) -> dict[str, str]:
    stop = ({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}, {"type": "message_stop"})
    wire.stream(*events, *stop, done=False)
    return {"ANTHROPIC_API_KEY": "k", "ANTHROPIC_BASE_URL": wire.url + "/v1"}


async def test_results_of_one_reply_are_one_message_and_ids_are_in_its_letters(wire: Wire) -> None:
    await ask(claude(wire), *CALLED, type="anthropic")
    roles = [
        (message["role"], [block["type"] for block in message["content"]]) for message in wire.seen[0].body["messages"]
    ]
    assert roles == [
        ("user", ["text"]), ("assistant", ["tool_use", "tool_use"]), ("user", ["tool_result", "tool_result", "text"]),
    ]  # fmt: skip
    calls, results = (wire.seen[0].body["messages"][at]["content"] for at in (1, 2))
    assert [call["id"] for call in calls] == [result["tool_use_id"] for result in results[:2]] == ["c_1", "c2"]
    assert "content" not in results[1], "an empty text block is refused"


async def test_a_limit_is_always_sent_and_the_first_claude_3_get_what_they_take(wire: Wire) -> None:
    for model in ("claude-sonnet-4-5", "claude-3-haiku-20240307"):
        await ask(claude(wire), type="anthropic", model=model)
    assert [seen.body["max_tokens"] for seen in wire.seen] == [8192, 4096]
    assert wire.seen[0].headers["anthropic-version"] == "2023-06-01"


async def test_a_conversation_that_begins_with_a_reply_gets_a_persons_word_first(wire: Wire) -> None:
    await ask(
        claude(wire), AssistantMessage("earlier"), UserMessage((TextPart("and?"), TextPart(" "))), type="anthropic"
    )
    assert [message["role"] for message in wire.seen[0].body["messages"]] == ["user", "assistant", "user"]
    assert wire.seen[0].body["messages"][-1]["content"] == [{"type": "text", "text": "and?"}]


async def test_pictures_documents_and_files_travel_in_its_shape(wire: Wire) -> None:
    message = UserMessage((
        FilePart("image/png", b"\x01"), FilePart("application/pdf", uri="https://x/a.pdf", name="a"),
        FilePart("text/plain", b"t", name="n"),
    ))  # fmt: skip
    await ask(claude(wire), message, type="anthropic")
    assert wire.seen[0].body["messages"][0]["content"] == [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AQ=="}},
        {"type": "document", "source": {"type": "url", "url": "https://x/a.pdf"}, "title": "a"},
        {"type": "text", "text": "n:\nt"},
    ]


async def test_thoughts_that_were_hidden_go_back_with_the_call_as_they_came(wire: Wire) -> None:
    hidden = {"type": "redacted_thinking", "data": "x+/="}
    env = claude(
        wire, {"type": "content_block_start", "index": 0, "content_block": hidden},
        {"type": "content_block_start", "index": 1,
         "content_block": {"type": "tool_use", "id": "t", "name": "add", "input": {}}},
    )  # fmt: skip
    call = next(event for event in await ask(env, type="anthropic") if isinstance(event, ToolCall))
    assert (call.arguments, call.error) == ({}, "")
    await ask(claude(wire), *HELLO, AssistantMessage("", (call,)), ToolMessage("t", "add", "1"), type="anthropic")
    assert wire.seen[1].body["messages"][1]["content"][0] == hidden


async def test_an_answer_that_a_gateway_did_not_stream_is_read_whole(wire: Wire) -> None:
    content = [{"type": "text", "text": "hi"}, {"type": "tool_use", "id": "t", "name": "add", "input": {"a": 1}}]
    usage = {"input_tokens": 3, "output_tokens": 2}
    wire.reply({"type": "message", "content": content, "stop_reason": "tool_use", "usage": usage})
    text, call, *_, finish = await ask({}, type="anthropic", base_url=wire.url)
    assert (text, call, finish) == (TextDelta("hi"), ToolCall("t", "add", {"a": 1}), Finish("tool_calls", "tool_use"))


# Google


def gemini(wire: Wire, *chunks: dict[str, Any]) -> dict[str, str]:
    wire.stream(*chunks, done=False)
    return {"GEMINI_API_KEY": "k", "GOOGLE_GEMINI_BASE_URL": wire.url}


DONE = {"candidates": [{"content": {"parts": [{"text": "ok"}]}, "finishReason": "STOP"}]}


async def test_a_blocked_prompt_is_told_with_googles_reason(wire: Wire) -> None:
    events = await ask(gemini(wire, {"promptFeedback": {"blockReason": "SAFETY"}}), type="gemini")
    assert events[-1] == Finish("content_filter", "SAFETY")


async def test_a_call_that_the_model_spoiled_may_be_asked_for_again(wire: Wire) -> None:
    spoiled = {"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL"}]}
    with pytest.raises(ModelError, match="spoiled its call") as caught:
        await ask(gemini(wire, spoiled), type="gemini")
    assert caught.value.retryable


async def test_the_delay_that_google_names_in_the_body_is_kept(wire: Wire) -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}]
    wire.reply({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "quota", "details": details}}, 429)
    with pytest.raises(ModelError, match="quota") as caught:
        await ask({"GEMINI_API_KEY": "k", "GOOGLE_GEMINI_BASE_URL": wire.url}, type="gemini")
    assert (caught.value.retry_after, caught.value.retryable) == (34.5, True)


async def test_a_bad_key_is_known_though_google_calls_it_a_bad_request(wire: Wire) -> None:
    wire.reply([{"error": {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT"}}], 400)
    with pytest.raises(ModelError, match="API key not valid") as caught:
        await ask({"GEMINI_API_KEY": "k", "GOOGLE_GEMINI_BASE_URL": wire.url}, type="gemini")
    assert "GOOGLE_API_KEY" in caught.value.remedy


async def test_calls_without_a_signature_pass_the_third_generations_check(wire: Wire) -> None:
    for model in ("gemini-2.5-flash", "gemini-3-pro-preview"):
        await ask(gemini(wire, DONE), *CALLED, type="gemini", model=model)
    old, new = ([part.get("thoughtSignature") for part in seen.body["contents"][1]["parts"]] for seen in wire.seen)
    assert (old, new) == ([None, None], ["skip_thought_signature_validator", None])
    assert [part["functionResponse"]["id"] for part in wire.seen[0].body["contents"][2]["parts"][:2]] == ["c/1", "c2"]


async def test_schemas_of_tools_travel_as_they_are(wire: Wire) -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/n"}},
        "$defs": {"n": {"type": ["integer", "null"]}},
    }
    await ask(gemini(wire, DONE), tools=(ToolSpec("add", "Adds", schema),), type="gemini")
    assert wire.seen[0].body["tools"] == [
        {"functionDeclarations": [{"name": "add", "description": "Adds", "parametersJsonSchema": schema}]}
    ]


def account(folder: Path, token_uri: str) -> str:
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / "account.json"
    file.write_text(json.dumps({
        "type": "service_account", "client_email": "a@p.iam.gserviceaccount.com", "private_key": key.decode(),
        "token_uri": token_uri,
    }))  # fmt: skip
    return str(file)


def vertex(wire: Wire, file: str) -> dict[str, str]:
    wire.stream(DONE, done=False)
    return {
        "GOOGLE_CLOUD_PROJECT": "p", "GOOGLE_CLOUD_LOCATION": "global", "GOOGLE_VERTEX_BASE_URL": wire.url,
        "GOOGLE_APPLICATION_CREDENTIALS": file,
    }  # fmt: skip


async def test_a_service_account_signs_for_its_token_which_is_kept(wire: Wire, tmp_path: Path) -> None:
    wire.token("/token", {"access_token": "ya29", "expires_in": 3600, "token_type": "Bearer"})
    env = vertex(wire, account(tmp_path, f"{wire.url}/token"))
    wire.stream(DONE, done=False)
    built = build_model(ModelSettings(type="gemini_vertex_ai", model="m"), env)
    for _ in range(2):
        assert [event async for event in built.stream(ModelRequest(CALLED))]
    await built.aclose()
    (asked,) = wire.asked_beside
    assert b"grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer" in asked.text
    assert asked.text.count(b".") == 2, "an assertion of three parts"
    assert [seen.headers["authorization"] for seen in wire.seen] == ["Bearer ya29"] * 2
    parts = wire.seen[0].body["contents"][1]["parts"]
    assert [part["functionCall"] for part in parts] == [
        {"name": "add", "args": {"a": 1}},
        {"name": "add", "args": {"a": 2}},
    ]


async def test_credentials_that_google_refuses_name_the_file(wire: Wire, tmp_path: Path) -> None:
    body = b'{"error": "invalid_grant", "error_description": "Invalid JWT Signature."}'
    wire.beside["/token"] = (
        b"HTTP/1.1 400 X\r\nContent-Type: application/json\r\nContent-Length: "
        + str(len(body)).encode()
        + b"\r\n\r\n"
        + body
    )
    file = account(tmp_path, f"{wire.url}/token")
    with pytest.raises(ModelError, match="Invalid JWT Signature") as caught:
        await ask(vertex(wire, file), type="gemini_vertex_ai")
    assert file in str(caught.value)
    assert not caught.value.retryable
    (tmp_path / "none.json").write_text("{}")
    with pytest.raises(ModelError, match="give no access token"):
        await ask(vertex(wire, str(tmp_path / "none.json")), type="gemini_anthropic")


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("global", "aiplatform.googleapis.com"),
        ("eu", "aiplatform.eu.rep.googleapis.com"),
        ("europe-west1", "europe-west1-aiplatform.googleapis.com"),
    ],
)
async def test_a_location_has_its_own_host(location: str, host: str) -> None:
    env = {"GOOGLE_CLOUD_PROJECT": "p", "GOOGLE_CLOUD_LOCATION": location}
    built = build_model(ModelSettings(type="gemini_anthropic", model="claude-sonnet-4-5"), env)
    assert built._connection.endpoint.url == (  # type: ignore[attr-defined]  # nothing else shows it without the network
        f"https://{host}/v1/projects/p/locations/{location}/publishers/anthropic/models/claude-sonnet-4-5:streamRawPredict"
    )


# SAP


def sap(wire: Wire) -> tuple[dict[str, str], dict[str, Any]]:
    wire.token("/oauth/token", {"access_token": "t1", "expires_in": 3600})
    place = {"scenarioId": "orchestration", "status": "RUNNING", "createdAt": "1", "deploymentUrl": f"{wire.url}/d"}
    wire.token("/v2/lm/deployments", {"resources": [place]})
    env = {"SAP_AI_CORE_CLIENT_ID": "id", "SAP_AI_CORE_CLIENT_SECRET": "hidden"}
    return env, {"type": "sap_ai_core", "base_url": f"{wire.url}/v2", "auth_url": f"{wire.url}/oauth/token"}


def orchestrated(wire: Wire) -> None:
    wire.stream({"final_result": {"choices": [{"index": 0, "delta": {"content": "ok"}, "finish_reason": "stop"}]}})


async def test_braces_of_a_person_are_never_read_as_a_template(wire: Wire) -> None:
    env, settings = sap(wire)
    orchestrated(wire)
    await ask(env, UserMessage((TextPart("{{?secret}} of {{ this }}"),)), **settings)
    body = wire.seen[0].body
    prompt = body["config"]["modules"]["prompt_templating"]["prompt"]
    assert prompt["template"] == [{"role": "user", "content": "{{?text_0}}"}]
    assert body["placeholder_values"] == {"text_0": "{{?secret}} of {{ this }}"}
    assert body["config"]["stream"] == {"enabled": True}


async def test_a_client_gets_its_token_and_both_are_renewed_when_they_are_refused(wire: Wire) -> None:
    env, settings = sap(wire)
    wire.raw(401, '{"error": {"message": "expired", "code": 401}}', "application/json")
    orchestrated(wire)
    orchestrated(wire)
    built = build_model(ModelSettings.model_validate({"model": "m", **settings}), env)
    assert TextDelta("ok") in [event async for event in built.stream(ModelRequest(HELLO))]
    wire.answers.clear()
    for _ in range(2):
        wire.raw(401, "{}", "application/json")
    with pytest.raises(ModelError, match="refused"):
        await anext(built.stream(ModelRequest(HELLO)))
    await built.aclose()
    tokens = [seen for seen in wire.asked_beside if seen.target == "/oauth/token"]
    assert len(tokens) == 3
    assert tokens[0].text == b"grant_type=client_credentials&client_id=id&client_secret=hidden"
    deployments = [seen for seen in wire.asked_beside if seen.target == "/v2/lm/deployments"]
    assert deployments[0].headers["ai-resource-group"] == wire.seen[0].headers["ai-resource-group"] == "default"


async def test_a_refused_client_and_a_group_without_deployment_say_so_without_the_secret(wire: Wire) -> None:
    env, settings = sap(wire)
    body = b'{"error": "invalid_client", "error_description": "Bad credentials: hidden"}'
    wire.beside["/oauth/token"] = (
        b"HTTP/1.1 401 X\r\nContent-Type: application/json\r\nContent-Length: "
        + str(len(body)).encode()
        + b"\r\n\r\n"
        + body
    )
    with pytest.raises(ModelError, match=r"invalid_client: Bad credentials: \*\*\*") as caught:
        await ask(env, **settings)
    assert "SAP_AI_CORE_CLIENT_ID" in caught.value.remedy
    env, settings = sap(wire)
    wire.token("/v2/lm/deployments", {"resources": []})
    with pytest.raises(ModelError, match="no orchestration deployment runs"):
        await ask(env, **settings)
