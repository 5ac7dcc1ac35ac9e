"""Every provider against its own API, written out byte by byte: what any of them may answer, and what is made of it."""

from __future__ import annotations

import asyncio
import json
import ssl
import zlib
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from kagent_api.engine_config import ModelSettings
from kagent_engine.models.base import (
    AssistantMessage,
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

ADD = ToolSpec("add", "Adds", {"type": "object", "properties": {"a": {"type": "number"}}})
HELLO = (SystemMessage("be brief"), UserMessage((TextPart("hello"),)))
JsonObject = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What a provider is to say. ``end`` is ours: stop, length, safety, refusal; ``error`` breaks the stream off."""

    texts: Sequence[str] = ()
    thought: str = ""
    calls: Sequence[tuple[str, str, JsonObject]] = ()
    end: str = "stop"
    error: bool = False
    cut: bool = False


@dataclass(frozen=True)
class Provider:
    """One provider: how it is configured and how it speaks. ``usage`` is what its counts amount to."""

    name: str
    settings: JsonObject
    env: Callable[[str, Path], dict[str, str]]
    speak: Callable[[Answer], bytes]
    usage: Usage
    kind: str = "text/event-stream"
    path: str = ""
    key_header: tuple[str, str] = ("authorization", "Bearer sk-secret")
    refused: JsonObject = field(default_factory=dict[str, Any])
    thinks: bool = True
    refuses: bool = True


def sse(events: Sequence[object], *, named: bool = False, done: bool = False) -> bytes:
    def written(event: object) -> str:
        kind = f"event: {event['type']}\n" if named and isinstance(event, dict) else ""
        return f"{kind}data: {json.dumps(event, ensure_ascii=False)}\n\n"

    return ("".join(map(written, events)) + ("data: [DONE]\n\n" if done else "")).encode()


def halves(arguments: JsonObject) -> tuple[str, str]:
    text = json.dumps(arguments)
    return text[: len(text) // 2], text[len(text) // 2 :]


def speak_chat(answer: Answer) -> bytes:
    def chunk(delta: JsonObject, finish: str | None = None) -> JsonObject:
        return {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    events: list[object] = [chunk({"reasoning_content": answer.thought})] if answer.thought else []
    events += [chunk({"refusal" if answer.end == "refusal" else "content": text}) for text in answer.texts]
    for index, (identity, name, arguments) in enumerate(answer.calls):
        first, second = halves(arguments)
        start = {"index": index, "id": identity, "type": "function", "function": {"name": name, "arguments": first}}
        events.append(chunk({"tool_calls": [start]}))
        events.append(chunk({"tool_calls": [{"index": index, "function": {"arguments": second}}]}))
    if answer.error:
        events.append({"error": {"message": "overloaded", "type": "server_error"}})
        return sse(events)
    if answer.cut:
        return sse(events)
    ends = {"stop": "stop", "refusal": "stop", "length": "length", "safety": "content_filter"}
    events.append(chunk({}, "tool_calls" if answer.calls else ends[answer.end]))
    usage = {
        "prompt_tokens": 20, "completion_tokens": 9, "prompt_tokens_details": {"cached_tokens": 12},
        "completion_tokens_details": {"reasoning_tokens": 4},
    }  # fmt: skip
    events.append({"object": "chat.completion.chunk", "choices": [], "usage": usage})
    return sse(events, done=True)


def speak_responses(answer: Answer) -> bytes:
    events: list[JsonObject] = []
    if answer.thought:
        events.append({"type": "response.reasoning_summary_text.delta", "delta": answer.thought})
    what = "refusal" if answer.end == "refusal" else "output_text"
    events += [{"type": f"response.{what}.delta", "delta": text} for text in answer.texts]
    for identity, name, arguments in answer.calls:
        item = {"type": "function_call", "call_id": identity, "name": name, "arguments": json.dumps(arguments)}
        events += [{"type": "response.function_call_arguments.delta", "delta": piece} for piece in halves(arguments)]
        events.append({"type": "response.output_item.done", "item": item})
    if answer.error:
        events.append({"type": "error", "code": "server_error", "message": "overloaded"})
        return sse(events, named=True)
    if answer.cut:
        return sse(events, named=True)
    reasons = {"length": "max_output_tokens", "safety": "content_filter"}
    reason = {"incomplete_details": {"reason": reasons[answer.end]}} if answer.end in reasons else {}
    usage = {
        "input_tokens": 20, "output_tokens": 9, "input_tokens_details": {"cached_tokens": 12},
        "output_tokens_details": {"reasoning_tokens": 4},
    }  # fmt: skip
    kind = "response.incomplete" if reason else "response.completed"
    events.append({"type": kind, "response": {"usage": usage, **reason}})
    return sse(events, named=True)


def speak_anthropic(answer: Answer) -> bytes:
    usage = {"input_tokens": 6, "cache_read_input_tokens": 12, "cache_creation_input_tokens": 2, "output_tokens": 1}
    events: list[JsonObject] = [{"type": "message_start", "message": {"role": "assistant", "usage": usage}}]
    index = 0

    def block(start: JsonObject, *deltas: JsonObject) -> None:
        nonlocal index
        events.append({"type": "content_block_start", "index": index, "content_block": start})
        events.append({"type": "ping"})
        events.extend({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas)
        events.append({"type": "content_block_stop", "index": index})
        index += 1

    if answer.thought:
        block(
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": answer.thought}, {"type": "signature_delta", "signature": "c2ln"},
        )  # fmt: skip
    if answer.texts:
        block({"type": "text", "text": ""}, *({"type": "text_delta", "text": text} for text in answer.texts))
    for identity, name, arguments in answer.calls:
        pieces = ({"type": "input_json_delta", "partial_json": piece} for piece in ("", *halves(arguments)))
        block({"type": "tool_use", "id": identity, "name": name, "input": {}}, *pieces)
    if answer.error:
        events.append({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})
        return sse(events, named=True)
    if answer.cut:
        return sse(events, named=True)
    ends = {"stop": "end_turn", "length": "max_tokens", "refusal": "refusal", "safety": "refusal"}
    reason = "tool_use" if answer.calls else ends[answer.end]
    events.append({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 9}})
    events.append({"type": "message_stop"})
    return sse(events, named=True)


def speak_gemini(answer: Answer) -> bytes:
    def chunk(parts: list[JsonObject], **more: object) -> JsonObject:
        return {"candidates": [{"content": {"role": "model", "parts": parts}, "index": 0, **more}]}

    events = [chunk([{"text": answer.thought, "thought": True}])] if answer.thought else []
    events += [chunk([{"text": text}]) for text in answer.texts]
    if answer.calls:
        # Parallel calls come in one chunk; the first alone is signed.
        parts: list[JsonObject] = [
            {"functionCall": {"name": name, "args": arguments, "id": identity}}
            for identity, name, arguments in answer.calls
        ]
        parts[0]["thoughtSignature"] = "c2ln"
        events.append(chunk(parts))
    if answer.error:
        events.append({"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}})
        return sse(events)
    if answer.cut:
        return sse(events)
    ends = {"stop": "STOP", "length": "MAX_TOKENS", "safety": "SAFETY", "refusal": "PROHIBITED_CONTENT"}
    counts = {
        "promptTokenCount": 20, "candidatesTokenCount": 5, "thoughtsTokenCount": 4, "cachedContentTokenCount": 12,
        "totalTokenCount": 29,
    }  # fmt: skip
    events.append({**chunk([], finishReason=ends[answer.end]), "usageMetadata": counts})
    return sse(events)


def frame(kind: str, payload: JsonObject, *, message: str = "event") -> bytes:
    """One frame of Amazon's event stream."""
    name = ":event-type" if message == "event" else ":exception-type"
    head = b""
    for key, value in ((name, kind), (":content-type", "application/json"), (":message-type", message)):
        head += bytes((len(key),)) + key.encode() + b"\x07" + len(value).to_bytes(2) + value.encode()
    body = json.dumps(payload, ensure_ascii=False).encode()
    prelude = (16 + len(head) + len(body)).to_bytes(4) + len(head).to_bytes(4)
    prelude += zlib.crc32(prelude).to_bytes(4)
    whole = prelude + head + body
    return whole + zlib.crc32(whole).to_bytes(4)


def speak_bedrock(answer: Answer) -> bytes:
    frames = [frame("messageStart", {"role": "assistant", "p": "abc"})]
    index = 0

    def block(start: JsonObject | None, *deltas: JsonObject) -> None:
        nonlocal index
        if start:
            frames.append(frame("contentBlockStart", {"contentBlockIndex": index, "start": start}))
        frames.extend(frame("contentBlockDelta", {"contentBlockIndex": index, "delta": delta}) for delta in deltas)
        frames.append(frame("contentBlockStop", {"contentBlockIndex": index}))
        index += 1

    if answer.thought:
        block(None, {"reasoningContent": {"text": answer.thought}}, {"reasoningContent": {"signature": "c2ln"}})
    if answer.texts:
        block(None, *({"text": text} for text in answer.texts))
    for identity, name, arguments in answer.calls:
        pieces = ({"toolUse": {"input": piece}} for piece in halves(arguments))
        block({"toolUse": {"toolUseId": identity, "name": name}}, *pieces)
    if answer.error:
        return b"".join((*frames, frame("throttlingException", {"message": "Too many tokens"}, message="exception")))
    if answer.cut:
        return b"".join(frames)
    ends = {"stop": "end_turn", "length": "max_tokens", "safety": "guardrail_intervened", "refusal": "content_filtered"}
    frames.append(frame("messageStop", {"stopReason": "tool_use" if answer.calls else ends[answer.end]}))
    counts = {"inputTokens": 6, "outputTokens": 9, "cacheReadInputTokens": 12, "cacheWriteInputTokens": 2}
    frames.append(frame("metadata", {"usage": counts, "metrics": {"latencyMs": 3}}))
    return b"".join(frames)


def speak_ollama(answer: Answer) -> bytes:
    lines: list[JsonObject] = [{"message": {"thinking": answer.thought}, "done": False}] if answer.thought else []
    lines += [{"message": {"content": text}, "done": False} for text in answer.texts]
    calls = [{"id": identity, "function": {"name": n, "arguments": given}} for identity, n, given in answer.calls]
    if calls:
        lines.append({"message": {"content": "", "tool_calls": calls}, "done": False})
    if answer.error:
        lines.append({"error": "the runner is overloaded"})
    elif not answer.cut:
        reason = {"length": "length"}.get(answer.end, "stop")
        counts = {"prompt_eval_count": 20, "eval_count": 9}
        lines.append({"message": {"content": ""}, "done": True, "done_reason": reason, **counts})
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()


def speak_sap(answer: Answer) -> bytes:
    """OpenAI's chunks in the orchestration service's envelope."""
    events: list[object] = [
        {"request_id": "r", "intermediate_results": {"templating": []}, "final_result": {"choices": []}}
    ]
    for data in speak_chat(answer).decode().split("\n\n"):
        if not data or data == "data: [DONE]":
            continue
        chunk = json.loads(data.removeprefix("data: "))
        events.append({"request_id": "r", **({} if "error" in chunk else {"final_result": chunk})} | (
            {"error": {"code": 503, "message": "overloaded", "location": "LLM Module"}} if "error" in chunk else {}
        ))  # fmt: skip
    return sse(events, done=not answer.error and not answer.cut)


def plain(variables: Mapping[str, str]) -> Callable[[str, Path], dict[str, str]]:
    def env(url: str, _folder: Path) -> dict[str, str]:
        return {name: value.replace("URL", url) for name, value in variables.items()}

    return env


def google(base: str) -> Callable[[str, Path], dict[str, str]]:
    def env(url: str, folder: Path) -> dict[str, str]:
        file = folder / "service-account.json"
        if not file.exists():
            key = rsa.generate_private_key(65537, 2048).private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            account = {
                "type": "service_account", "client_email": "a@p.iam.gserviceaccount.com", "private_key": key.decode(),
                "private_key_id": "k", "project_id": "p", "token_uri": f"{url}/token",
            }  # fmt: skip
            file.write_text(json.dumps(account))
        return {
            "GOOGLE_CLOUD_PROJECT": "p", "GOOGLE_CLOUD_LOCATION": "europe-west1", base: url,
            "GOOGLE_APPLICATION_CREDENTIALS": str(file),
        }  # fmt: skip

    return env


OPENAI = Usage(20, 9, 12, 4)
OPENAI_REFUSED: JsonObject = {"error": {"message": "Incorrect API key: sk-secret", "code": "invalid_api_key"}}
GOOGLE_REFUSED: JsonObject = {"error": {"code": 401, "message": "bad credentials", "status": "UNAUTHENTICATED"}}
AZURE: JsonObject = {"endpoint": "URL", "api_version": "2024-10-21", "deployment": "m"}
PROVIDERS = [
    Provider("openai", {"type": "openai", "base_url": "URL/v1"}, plain({"OPENAI_API_KEY": "sk-secret"}), speak_chat,
             OPENAI, path="/v1/chat/completions", refused=OPENAI_REFUSED),
    Provider("responses", {"type": "openai", "base_url": "URL/v1", "api_format": "responses"},
             plain({"OPENAI_API_KEY": "sk-secret"}), speak_responses, OPENAI, path="/v1/responses",
             refused=OPENAI_REFUSED),
    Provider("azure", {"type": "azure_openai", **AZURE}, plain({"AZURE_OPENAI_API_KEY": "sk-secret"}), speak_chat,
             OPENAI,
             path="/openai/deployments/m/chat/completions?api-version=2024-10-21", key_header=("api-key", "sk-secret"),
             refused=OPENAI_REFUSED),
    Provider("foundry", {"type": "foundry", **AZURE, "endpoint": "URL/models"},
             plain({"FOUNDRY_API_KEY": "sk-secret"}), speak_chat, OPENAI,
             path="/models/chat/completions?api-version=2024-10-21", key_header=("api-key", "sk-secret"),
             refused=OPENAI_REFUSED),
    Provider("ollama", {"type": "ollama"}, plain({"OLLAMA_API_BASE": "URL", "OLLAMA_API_KEY": "sk-secret"}),
             speak_ollama, Usage(20, 9), kind="application/x-ndjson", path="/api/chat",
             refused={"error": "unauthorized"}, refuses=False),
    Provider("anthropic", {"type": "anthropic", "base_url": "URL"}, plain({"ANTHROPIC_API_KEY": "sk-secret"}),
             speak_anthropic, Usage(20, 9, 12), path="/v1/messages", key_header=("x-api-key", "sk-secret"),
             refused={"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key"}}),
    Provider("gemini", {"type": "gemini"}, plain({"GOOGLE_API_KEY": "sk-secret", "GOOGLE_GEMINI_BASE_URL": "URL"}),
             speak_gemini, OPENAI, path="/v1beta/models/m:streamGenerateContent?alt=sse",
             key_header=("x-goog-api-key", "sk-secret"), refused=GOOGLE_REFUSED, refuses=False),
    Provider("gemini_vertex_ai", {"type": "gemini_vertex_ai"}, google("GOOGLE_VERTEX_BASE_URL"), speak_gemini, OPENAI,
             path="/v1/projects/p/locations/europe-west1/publishers/google/models/m:streamGenerateContent?alt=sse",
             refused=GOOGLE_REFUSED, refuses=False),
    Provider("gemini_anthropic", {"type": "gemini_anthropic"}, google("ANTHROPIC_VERTEX_BASE_URL"), speak_anthropic,
             Usage(20, 9, 12),
             path="/v1/projects/p/locations/europe-west1/publishers/anthropic/models/m:streamRawPredict",
             refused=GOOGLE_REFUSED),
    Provider("bedrock", {"type": "bedrock", "region": "eu-central-1"},
             plain({"AWS_BEARER_TOKEN_BEDROCK": "sk-secret", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": "URL"}), speak_bedrock,
             Usage(20, 9, 12), kind="application/vnd.amazon.eventstream", path="/model/m/converse-stream",
             refused={"message": "The security token included in the request is invalid."}, refuses=False),
    Provider("sap_ai_core", {"type": "sap_ai_core", "base_url": "URL", "auth_url": "URL", "resource_group": "team"},
             plain({"SAP_AI_CORE_CLIENT_ID": "id", "SAP_AI_CORE_CLIENT_SECRET": "hidden"}), speak_sap, OPENAI,
             path="/inference/deployments/d1/v2/completion",
             refused={"error": {"message": "Unauthorized", "code": 401}}),
]  # fmt: skip
EACH = pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.name)


def tokens(wire: Wire) -> None:
    """What is asked of a provider beside the model: access tokens and SAP's deployments."""
    wire.token("/token", {"access_token": "sk-secret", "expires_in": 3600, "token_type": "Bearer"})
    wire.token("/oauth/token", {"access_token": "sk-secret", "expires_in": 3600})
    place = f"{wire.url}/inference/deployments"
    deployments = [
        {"scenarioId": "orchestration", "status": "RUNNING", "createdAt": "2025-01-01", "deploymentUrl": f"{place}/d0"},
        {"scenarioId": "orchestration", "status": "RUNNING", "createdAt": "2026-01-01", "deploymentUrl": f"{place}/d1"},
        {"scenarioId": "orchestration", "status": "STOPPED", "createdAt": "2026-02-01", "deploymentUrl": f"{place}/d2"},
        {"scenarioId": "foundation-models", "status": "RUNNING", "createdAt": "2026-03-01", "deploymentUrl": "x"},
    ]
    wire.token("/v2/lm/deployments", {"resources": deployments})


def refuse(wire: Wire, status: int, body: object, headers: Mapping[str, str] | None = None) -> None:
    wire.raw(status, json.dumps(body), "application/json", headers=headers)


@asynccontextmanager
async def model(provider: Provider, wire: Wire, folder: Path, **settings: Any) -> AsyncGenerator[Model]:
    tokens(wire)
    given = {"model": "m", **provider.settings, **settings}
    given = {name: value.replace("URL", wire.url) if isinstance(value, str) else value for name, value in given.items()}
    built = build_model(ModelSettings.model_validate(given), provider.env(wire.url, folder))
    try:
        yield built
    finally:
        await built.aclose()


async def ask(built: Model, messages: Sequence[Message] = HELLO, api_key: str = "") -> list[ModelEvent]:
    async with asyncio.timeout(20):
        return [event async for event in built.stream(ModelRequest(messages, (ADD,), api_key))]


async def collect(built: Model, events: list[ModelEvent]) -> None:
    async with asyncio.timeout(20):
        async for event in built.stream(ModelRequest(HELLO)):
            events.append(event)


@EACH
@pytest.mark.parametrize("size", [0, 1, 7])
async def test_thoughts_texts_and_parallel_calls_arrive_whatever_the_packets(
    provider: Provider, size: int, wire: Wire, tmp_path: Path
) -> None:
    calls = [("call_1", "add", {"a": 1, "文": '{"}'}), ("call_2", "add", {"a": [2.5, None]})]
    wire.raw(200, provider.speak(Answer(["Grüß ", "dich 你好"], "hm", calls)), provider.kind, size=size)
    async with model(provider, wire, tmp_path) as built:
        events = await ask(built)
    thoughts = "".join(event.text for event in events if isinstance(event, ThoughtDelta))
    texts = [event.text for event in events if isinstance(event, TextDelta)]
    found = [event for event in events if isinstance(event, ToolCall)]
    assert (thoughts, texts) == ("hm", ["Grüß ", "dich 你好"])
    assert [(call.id, call.name, call.arguments, call.error) for call in found] == [(*call, "") for call in calls]
    assert [event for event in events if isinstance(event, Usage)] == [provider.usage]
    assert isinstance(events[-1], Finish)
    assert events[-1].reason == "tool_calls"


@EACH
async def test_a_request_goes_where_the_provider_wants_it_with_key_and_headers(
    provider: Provider, wire: Wire, tmp_path: Path
) -> None:
    wire.raw(200, provider.speak(Answer(["hi"])), provider.kind)
    async with model(provider, wire, tmp_path, headers={"X-Team": "blue", "content-TYPE": "application/json"}) as built:
        await ask(built)
    (seen,) = wire.seen
    assert seen.target == provider.path
    name, value = provider.key_header
    assert seen.headers[name] == value
    assert seen.headers["x-team"] == "blue"
    assert seen.headers["content-type"] == "application/json"
    assert '"hello"' in json.dumps(seen.body)
    assert '"be brief"' in json.dumps(seen.body)
    assert '"add"' in json.dumps(seen.body)


@EACH
async def test_the_callers_own_key_goes_before_the_models_where_it_is_passed_through(
    provider: Provider, wire: Wire, tmp_path: Path
) -> None:
    """Elsewhere it is never sent: a model that stands in is another provider's, and must not see it."""
    for passed in (True, False):
        wire.raw(200, provider.speak(Answer(["hi"])), provider.kind)
        async with model(provider, wire, tmp_path, api_key_passthrough=passed) as built:
            await ask(built, api_key="callers")
    name, value = provider.key_header
    assert [seen.headers[name] for seen in wire.seen] == [value.replace("sk-secret", "callers"), value]


@EACH
@pytest.mark.parametrize("end", ["stop", "length", "safety", "refusal"])
async def test_an_end_is_told_as_what_it_is(provider: Provider, end: str, wire: Wire, tmp_path: Path) -> None:
    wire.raw(200, provider.speak(Answer(["well"], end=end)), provider.kind)
    async with model(provider, wire, tmp_path) as built:
        *_, finish = await ask(built)
    expected = {"stop": "stop", "length": "length", "safety": "content_filter", "refusal": "refusal"}[end]
    if provider.name == "ollama" and end in ("safety", "refusal"):
        expected = "stop"  # It knows no such end.
    elif end == "refusal" and not provider.refuses:
        expected = "content_filter"
    elif end == "safety" and provider.speak is speak_anthropic:
        expected = "refusal"
    assert isinstance(finish, Finish)
    assert finish.reason == expected


@EACH
@pytest.mark.parametrize(
    ("status", "retryable"),
    [(400, False), (401, False), (403, False), (404, False), (429, True), (500, True), (503, True)],
)
async def test_a_refusal_says_whether_waiting_helps_and_never_the_key(
    provider: Provider, status: int, retryable: bool, wire: Wire, tmp_path: Path
) -> None:
    for _ in range(2):
        refuse(wire, status, provider.refused, {"Retry-After": "7"} if status == 429 else None)
    async with model(provider, wire, tmp_path) as built:
        with pytest.raises(ModelError) as caught:
            await ask(built)
    error = caught.value
    assert (error.status, error.retryable) == (status, retryable)
    assert error.retry_after == (7.0 if status == 429 else None)
    assert "sk-secret" not in str(error)
    assert error.remedy or status not in (401, 403, 404)


@EACH
async def test_an_error_in_the_stream_ends_it_and_says_that_waiting_helps(
    provider: Provider, wire: Wire, tmp_path: Path
) -> None:
    wire.raw(200, provider.speak(Answer(["half an"], error=True)), provider.kind)
    events: list[ModelEvent] = []
    async with model(provider, wire, tmp_path) as built:
        with pytest.raises(ModelError, match=r"broke off: .*(?i:overloaded|too many)") as caught:
            await collect(built, events)
    assert events == [TextDelta("half an")]
    assert caught.value.retryable


@EACH
async def test_a_stream_that_ends_early_is_an_error(provider: Provider, wire: Wire, tmp_path: Path) -> None:
    wire.raw(200, provider.speak(Answer(["half an"], cut=True)), provider.kind)
    async with model(provider, wire, tmp_path) as built:
        with pytest.raises(ModelError, match="ended before the answer did") as caught:
            await ask(built)
    assert caught.value.retryable


@EACH
async def test_a_connection_that_breaks_is_an_error(provider: Provider, wire: Wire, tmp_path: Path) -> None:
    wire.raw(200, provider.speak(Answer(["half an"], cut=True)), provider.kind, length=999999)
    async with model(provider, wire, tmp_path) as built:
        with pytest.raises(ModelError, match="broke") as caught:
            await ask(built)
    assert (caught.value.code, caught.value.retryable) == ("connection", True)


@EACH
async def test_a_web_page_instead_of_an_api_is_told_as_such(provider: Provider, wire: Wire, tmp_path: Path) -> None:
    wire.reply("<html><title>Sign in</title></html>", 200)
    async with model(provider, wire, tmp_path) as built:
        with pytest.raises(ModelError):
            await ask(built)


@EACH
async def test_calls_and_results_go_back_in_the_providers_shape(provider: Provider, wire: Wire, tmp_path: Path) -> None:
    """What a model thought and signed goes back with its calls; another provider's signatures do not."""
    calls = [("call_1", "add", {"a": 1}), ("call_2", "add", {"a": 2})]
    for answer in (Answer(["so"], "hm", calls), Answer(["3"])):
        wire.raw(200, provider.speak(answer), provider.kind)
    async with model(provider, wire, tmp_path) as built:
        events = await ask(built)
        asked = tuple(event for event in events if isinstance(event, ToolCall))
        results = [ToolMessage(call.id, call.name, f"result {call.id}") for call in asked]
        earlier = replace(asked[0], id="odd/1", signature="WyJzb21lb25lIiwxXQ==")
        await ask(built, [
            *HELLO, AssistantMessage("", (earlier,)), ToolMessage("odd/1", "add", ""),
            AssistantMessage("so", asked, "hm"), *results,
        ])  # fmt: skip
    written = json.dumps(wire.seen[1].body)
    assert "result call_1" in written
    assert "result call_2" in written
    assert "someone" not in written
    assert "WyJ" not in written
    signs = provider.speak in (speak_anthropic, speak_gemini, speak_bedrock)
    assert ("c2ln" in written) == signs


@EACH
async def test_tls_is_checked_unless_it_is_said_otherwise(
    provider: Provider, secure_wire: Wire, authority: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Tokens of Google come from Google, by the machine's own authorities; here those are ours.
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    for options in ({"tls_ca_cert_path": str(authority)}, {"tls_insecure_skip_verify": True},
                    {"tls_ca_cert_path": str(authority), "tls_disable_system_cas": True}):  # fmt: skip
        secure_wire.raw(200, provider.speak(Answer(["hi"])), provider.kind)
        async with model(provider, secure_wire, tmp_path, **options) as built:
            assert TextDelta("hi") in await ask(built)
    if not provider.name.startswith("gemini_"):
        monkeypatch.delenv("SSL_CERT_FILE")
    async with model(provider, secure_wire, tmp_path, tls_disable_system_cas=True) as built:
        with pytest.raises(ModelError, match="certificate") as caught:
            await ask(built)
    assert "tls.caCertSecretRef" in caught.value.remedy


SAMPLING: dict[str, tuple[JsonObject, JsonObject]] = {
    "openai": (
        {"temperature": 0.1, "top_p": 0.2, "max_tokens": 9, "max_completion_tokens": 8, "frequency_penalty": 0.3,
         "presence_penalty": 0.4, "seed": 5, "n": 1, "reasoning_effort": "low"}, {}),
    "responses": (
        {"temperature": 0.1, "top_p": 0.2, "max_tokens": 9, "reasoning_effort": "low"},
        {"temperature": 0.1, "top_p": 0.2, "max_output_tokens": 9, "reasoning": {"effort": "low"}}),
    "azure": ({"temperature": 0.1, "top_p": 0.2, "max_tokens": 9}, {}),
    "foundry": ({"temperature": 0.1, "top_p": 0.2, "max_tokens": 9}, {}),
    "ollama": (
        {"options": {"temperature": "0.1", "num_ctx": "64000"}}, {"options": {"temperature": 0.1, "num_ctx": 64000}}),
    "anthropic": (
        {"temperature": 0.1, "top_p": 0.2, "top_k": 3, "max_tokens": 9, "stop_sequences": ["END"]}, {}),
    "gemini": (
        {"temperature": 0.1, "top_p": 0.2, "top_k": 3, "max_output_tokens": 9, "stop_sequences": ["END"]},
        {"generationConfig": {"temperature": 0.1, "topP": 0.2, "topK": 3, "maxOutputTokens": 9,
                              "stopSequences": ["END"]}}),
    "gemini_anthropic": (
        {"temperature": 0.1, "top_p": 0.2, "top_k": 3, "max_tokens": 9, "stop_sequences": ["END"]},
        {"temperature": 0.1, "top_p": 0.2, "top_k": 3, "max_tokens": 9, "stop_sequences": ["END"],
         "anthropic_version": "vertex-2023-10-16"}),
    "bedrock": (
        {"temperature": 0.1, "top_p": 0.2, "max_tokens": 9, "additional_model_request_fields": {"top_k": 3},
         "guardrail": {"identifier": "g", "version": "1", "trace": "enabled"}},
        {"inferenceConfig": {"temperature": 0.1, "topP": 0.2, "maxTokens": 9},
         "additionalModelRequestFields": {"top_k": 3},
         "guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1", "trace": "enabled"}}),
    "sap_ai_core": ({"temperature": 0.1, "top_p": 0.2, "max_tokens": 9}, {}),
}  # fmt: skip
SAMPLING["gemini_vertex_ai"] = SAMPLING["gemini"]


@EACH
async def test_every_sampling_parameter_reaches_the_wire(provider: Provider, wire: Wire, tmp_path: Path) -> None:
    given, expected = SAMPLING[provider.name]
    wire.raw(200, provider.speak(Answer(["hi"])), provider.kind)
    async with model(provider, wire, tmp_path, **given) as built:
        await ask(built)
    body = wire.seen[0].body
    if provider.name == "sap_ai_core":
        body = body["config"]["modules"]["prompt_templating"]["model"]["params"]
    expected = expected or given
    assert {name: body.get(name) for name in expected} == expected
    assert "m" in (body.get("model", "m"), wire.seen[0].target)


def test_the_simulated_certificate_is_one(authority: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(authority)
    assert context.cert_store_stats()["x509_ca"] == 1
