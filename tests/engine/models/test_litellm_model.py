from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from kagent_api.engine_config import ModelSettings
from kagent_engine.models.litellm_model import call_arguments

VERTEX = {"GOOGLE_CLOUD_PROJECT": "p", "GOOGLE_CLOUD_LOCATION": "europe-west1"}


def arguments(env: dict[str, str] | None = None, **given: Any) -> dict[str, Any]:
    return call_arguments(ModelSettings.model_validate({"model": "m", **given}), env or {})


@pytest.mark.parametrize(
    ("given", "env", "expected"),
    [
        ({"type": "anthropic", "base_url": "https://a", "max_tokens": 9, "temperature": 0.1, "top_p": 0.2, "top_k": 3,
          "timeout": 5, "headers": {"X": "y"}}, {"ANTHROPIC_API_KEY": "k"},
         {"model": "anthropic/m", "api_base": "https://a", "api_key": "k", "max_tokens": 9, "temperature": 0.1,
          "top_p": 0.2, "top_k": 3, "timeout": 5, "extra_headers": {"X": "y"}}),
        ({"type": "gemini", "max_output_tokens": 7}, {"GEMINI_API_KEY": "g"},
         {"model": "gemini/m", "api_key": "g", "max_tokens": 7}),
        ({"type": "gemini_vertex_ai"}, VERTEX,
         {"model": "vertex_ai/m", "vertex_project": "p", "vertex_location": "europe-west1"}),
        ({"type": "gemini_anthropic"}, VERTEX,
         {"model": "vertex_ai/m", "vertex_project": "p", "vertex_location": "europe-west1"}),
        ({"type": "bedrock", "additional_model_request_fields": {"x": 1}, "prompt_caching": True, "cache_ttl": "1h",
          "guardrail": {"identifier": "i", "version": "1", "trace": "enabled"}}, {"AWS_REGION": "eu-central-1"},
         {"model": "bedrock/m", "aws_region_name": "eu-central-1", "x": 1,
          "cache_control_injection_points": [
              {"location": "message", "role": "system", "control": {"type": "ephemeral", "ttl": "1h"}},
              {"location": "message", "index": -1, "control": {"type": "ephemeral", "ttl": "1h"}}],
          "guardrailConfig": {"guardrailIdentifier": "i", "guardrailVersion": "1", "trace": "enabled"}}),
    ],
)  # fmt: skip
def test_a_model_config_becomes_litellms_arguments(
    given: dict[str, Any], env: dict[str, str], expected: dict[str, Any]
) -> None:
    assert arguments(env, **given) == expected


def test_bedrocks_two_timeouts_are_both_kept() -> None:
    timeout = arguments(type="bedrock", read_timeout=30, connect_timeout=5)["timeout"]
    assert (timeout.read, timeout.connect) == (30, 5)


def test_sap_gets_one_service_key() -> None:
    env = {"SAP_AI_CORE_CLIENT_ID": "id", "SAP_AI_CORE_CLIENT_SECRET": "secret"}
    given = arguments(env, type="sap_ai_core", base_url="https://api", auth_url="https://auth", resource_group="team")
    assert given["model"] == "sap/m"
    assert json.loads(given["api_key"]) == {
        "clientid": "id", "clientsecret": "secret", "url": "https://auth",
        "serviceurls": {"AI_API_URL": "https://api"}, "resource_group": "team",
    }  # fmt: skip


# In a process of its own: importing LiteLLM takes seconds and 190 MiB, which the other tests should not see.
# ruff: noqa: E501
PROGRAM = """
import asyncio, json, sys
from kagent_api.engine_config import ModelSettings
from kagent_engine.models.base import *
from kagent_engine.models.factory import build_model

async def anthropic(reader, writer):
    head = (await reader.readuntil(b"\\r\\n\\r\\n")).decode()
    length = next(int(l.split(":")[1]) for l in head.split("\\r\\n") if l.lower().startswith("content-length"))
    seen.append((head, json.loads(await reader.readexactly(length))))
    if len(seen) > 1:
        body, status, kind = b'{"type":"error","error":{"type":"authentication_error","message":"bad key"}}', 401, "application/json"
    else:
        events = [
            {"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant", "content": [],
             "model": "claude", "stop_reason": None, "usage": {"input_tokens": 5, "output_tokens": 1}}},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hallo"}},
            {"type": "content_block_stop", "index": 0},
            {"type": "content_block_start", "index": 1,
             "content_block": {"type": "tool_use", "id": "t1", "name": "add", "input": {}}},
            {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '{"a": '}},
            {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "1}"}},
            {"type": "content_block_stop", "index": 1},
            {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}},
            {"type": "message_stop"},
        ]
        body = "".join(f"event: {e['type']}\\ndata: {json.dumps(e)}\\n\\n" for e in events).encode()
        status, kind = 200, "text/event-stream"
    writer.write(f"HTTP/1.1 {status} X\\r\\nContent-Type: {kind}\\r\\nContent-Length: {len(body)}\\r\\nConnection: close\\r\\n\\r\\n".encode() + body)
    await writer.drain()
    writer.close()

seen = []
async def main():
    server = await asyncio.start_server(anthropic, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    model = build_model(ModelSettings(type="anthropic", model="claude-haiku-4-5", base_url=url), {"ANTHROPIC_API_KEY": "k"})
    assert "litellm" not in sys.modules, "imported with the first call only"
    request = ModelRequest((SystemMessage("be brief"), UserMessage((TextPart("1+1"),))),
                           (ToolSpec("add", "Adds", {"type": "object", "properties": {"a": {"type": "number"}}}),))
    events = [event async for event in model.stream(request)]
    assert "".join(e.text for e in events if isinstance(e, TextDelta)) == "Hallo", events
    assert [e for e in events if isinstance(e, ToolCall)] == [ToolCall("t1", "add", {"a": 1})], events
    usage = [e for e in events if isinstance(e, Usage)]
    assert (usage[0].input_tokens, usage[0].output_tokens) == (5, 9), events
    assert events[-1].reason == "tool_calls", events
    head, body = seen[0]
    assert "x-api-key: k" in head.lower() and body["tools"][0]["name"] == "add" and body["stream"] is True
    try:
        async for _ in model.stream(request): pass
    except ModelError as error:
        assert error.status == 401 and "ANTHROPIC_API_KEY" in error.remedy and str(error).startswith("Anthropic model 'claude-haiku-4-5': bad key") and not error.retryable, error
    else:
        raise AssertionError("a refused key must be an error")
    await model.aclose()
    print("all well")

asyncio.run(main())
"""


def test_anthropic_streams_through_litellm_and_its_refusal_names_the_key() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=110, check=False)
    assert "all well" in done.stdout, done.stderr[-3000:]


def test_stop_sequences_are_passed_on() -> None:
    assert arguments(type="gemini_anthropic", stop_sequences=["END"])["stop"] == ["END"]
    assert "stop" not in arguments(type="gemini_anthropic")
