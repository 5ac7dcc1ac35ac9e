from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from typing import Any

import httpx
import pytest

from kagent_api.engine_config import ModelSettings
from kagent_engine.models.base import Finish, ModelRequest, TextDelta, TextPart, ToolCall, ToolSpec, Usage, UserMessage
from kagent_engine.models.factory import build_model
from kagent_engine.models.scripted_server import run_scripted_model, serve_scripted

ZONE = {"type": "object", "properties": {"timezone": {"type": "string"}}, "required": ["timezone"]}
TOOL = ToolSpec("get_current_time", "Get current time", ZONE)


async def test_our_own_client_reads_it_as_any_provider() -> None:
    async with serve_scripted() as url:
        built = build_model(ModelSettings(type="openai", model="scripted", base_url=url), {})
        request = ModelRequest((UserMessage((TextPart("time in Tokyo"),)),), (TOOL,))
        events = [event async for event in built.stream(request)]
        plain = [event async for event in built.stream(ModelRequest((UserMessage((TextPart("hello"),)),)))]
        await built.aclose()
    call, usage, finish = events
    assert isinstance(call, ToolCall)
    assert (call.name, call.arguments) == ("get_current_time", {"timezone": "Asia/Tokyo"})
    assert isinstance(usage, Usage)
    assert (usage.input_tokens, finish) == (3, Finish("tool_calls"))
    words = [event.text for event in plain if isinstance(event, TextDelta)]
    assert len(words) > 10, "it streams word by word"
    assert "You wrote: hello" in "".join(words)
    assert plain[-1] == Finish("stop")


async def test_whole_answers_models_and_health_have_openais_shape() -> None:
    async with serve_scripted() as url, httpx.AsyncClient(base_url=url, trust_env=False) as http:
        body: dict[str, Any] = {"model": "any", "messages": [{"role": "user", "content": "hello"}]}
        streamed = (await http.post("/chat/completions", json={**body, "stream": True})).text
        whole = (await http.post("/chat/completions", json=body)).json()
        called = (await http.post("/chat/completions", json={
            "messages": [{"role": "user", "content": "time in Rome"}],
            "tools": [{"type": "function", "function": {"name": "get_current_time", "parameters": ZONE}}],
        })).json()  # fmt: skip
        models = (await http.get("/models")).json()
        health = await http.get(url.removesuffix("/v1") + "/health")
    assert (whole["object"], whole["model"]) == ("chat.completion", "any")
    assert whole["usage"]["total_tokens"] == whole["usage"]["prompt_tokens"] + whole["usage"]["completion_tokens"]
    lines = [line.removeprefix("data: ") for line in streamed.split("\n\n") if line]
    assert lines.pop() == "[DONE]"
    deltas = [json.loads(line)["choices"][0]["delta"] for line in lines]
    assert "".join(delta.get("content", "") for delta in deltas) == whole["choices"][0]["message"]["content"]
    choice = called["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert json.loads(choice["message"]["tool_calls"][0]["function"]["arguments"]) == {"timezone": "Europe/Rome"}
    assert models["data"][0]["id"] == "scripted"
    assert health.text == "OK"


@pytest.mark.parametrize(("body", "says"), [("{", "no JSON"), ("[]", "no JSON object"), ("{}", "'messages'")])
async def test_a_request_that_is_none_is_refused_as_openai_does(body: str, says: str) -> None:
    async with serve_scripted() as url, httpx.AsyncClient(base_url=url, trust_env=False) as http:
        answer = await http.post("/chat/completions", content=body)
    assert answer.status_code == 400
    assert says in answer.json()["error"]["message"]


async def test_the_pace_is_kept() -> None:
    loop = asyncio.get_running_loop()
    async with serve_scripted(pace=100.0) as url, httpx.AsyncClient(base_url=url, trust_env=False) as http:
        began = loop.time()
        body = {"stream": True, "messages": [{"role": "user", "content": "hello"}]}
        answer = await http.post("/chat/completions", json=body)
    words = answer.text.count("data: ") - 3
    assert loop.time() - began >= words / 100.0


async def test_the_command_serves_until_sigterm_and_ends_well() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    code = f"from kagent_engine.models.scripted_server import run_scripted_model as r; raise SystemExit(r(port={port}))"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, env=dict(os.environ))
    try:
        async with asyncio.timeout(30), httpx.AsyncClient(trust_env=False) as http:
            while True:
                try:
                    assert (await http.get(f"http://127.0.0.1:{port}/health")).text == "OK"
                    break
                except httpx.TransportError:
                    await asyncio.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def test_a_port_in_use_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert run_scripted_model(port=taken.getsockname()[1]) == 1
    assert "choose another --port" in capsys.readouterr().err


@pytest.mark.parametrize("pace", ["fast", "-1", "nan", "inf"])
def test_a_pace_that_is_none_is_told(pace: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_scripted_model(port=0, env={"KAGENT_TUI_SCRIPTED_PACE": pace}) == 1
    assert "words a second" in capsys.readouterr().err
