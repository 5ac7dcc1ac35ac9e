"""``kagent-engine check``: what it says of an agent that keeps the contract, of ones that break it, and of none."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from kagent_engine.check import run_check
from kagent_engine.errors import KagentError
from kagent_engine.models.base import ModelError

CARD: dict[str, Any] = {
    "name": "own", "url": "http://x", "protocolVersion": "0.3.0", "preferredTransport": "JSONRPC",
    "capabilities": {}, "skills": [{"id": "s"}],
}  # fmt: skip


async def check(url: str) -> int:
    return await asyncio.to_thread(run_check, url, message="hello", timeout=20)


def own_agent(*broken: str, said: str = "hi") -> Starlette:
    """A small agent of 0.3 that breaks the rules named."""

    async def card(_: Request) -> Response:
        return JSONResponse(CARD)

    async def rpc(request: Request) -> Response:
        body = await request.json()
        method, params = body["method"], body["params"]
        context = params.get("message", {}).get("contextId")
        context = "mine" if "context" in broken else context
        task: dict[str, Any] = {"kind": "task", "id": "t", "contextId": context, "status": {"state": "completed"}}

        def error(code: int) -> Response:
            code = -32000 if "codes" in broken else code
            return JSONResponse({"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": "no"}})

        match method:
            case "message/stream" if "stream" in broken:
                return Response("<html>", media_type="text/html", status_code=502)
            case "message/stream":
                message = {"kind": "message", "role": "agent", "parts": [{"kind": "text", "text": said}]}
                state = "working" if "end" in broken else "completed"
                update = {"kind": "status-update", "contextId": context, "final": True}
                update |= {"status": {"state": state, "message": message}}
                update |= {} if "task" in broken else {"taskId": "t"}
                event = json.dumps({"jsonrpc": "2.0", "id": 1, "result": update})
                return Response(f"data: {event}\n\n", media_type="text/event-stream")
            case "message/send" if not params["message"].get("parts"):
                return error(-32602)
            case "message/send" if "second" in broken:
                return error(-32603)
            case "tasks/get" if params["id"] != "t" or "forgets" in broken:
                return error(-32001)
            case "message/send" | "tasks/get":
                return JSONResponse({"jsonrpc": "2.0", "id": 1, "result": task})
            case "tasks/cancel":
                return error(-32002)
            case _:
                return error(-32601)

    return Starlette(routes=[Route("/.well-known/agent-card.json", card), Route("/", rpc, methods=["POST"])])


async def test_both_dialects_of_an_agent_that_keeps_all_of_it(
    serve_engine: Any, model: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    for text in ("one", "two", "three", "four"):
        model.says(text)
    engine = await serve_engine()

    code = await check(engine.url)

    said = capsys.readouterr().out
    assert code == 0, said
    assert "dialects  1.0, 0.3" in said
    assert "A2A 1.0   ok      C  a streamed turn completed" in said
    assert "A2A 0.3   ok      C  a streamed turn completed" in said
    assert ": one\n" in said
    assert "FAILED" not in said


async def test_an_agent_whose_turn_fails_is_reported_with_its_words(
    serve_engine: Any, model: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    model.plan.append([ModelError("the key was refused")])
    model.says("two").says("three")
    engine = await serve_engine()

    assert await check(engine.url) == 1
    assert "FAILED  C  a streamed turn: ended as failed: the key was refused" in capsys.readouterr().out


async def test_an_own_agent_that_does_what_is_needed_passes_with_warnings(
    serve: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serve(own_agent()) as url:
        assert await check(url) == 0
    said = capsys.readouterr().out
    assert "card      warning A  the card has name, description and version: it lacks description, version" in said
    assert "card      warning A  skills have id, name and description" in said
    assert "card      warning B" in said


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ("stream", "FAILED  C  a streamed turn: HTTP 502 and no stream: <html>"),
        ("end", "FAILED  C  a streamed turn: the stream ended without a final state"),
        ("context", "FAILED  D  it keeps the caller's contextId, which is the session"),
        ("second", "FAILED  D  a second message in the session is answered: -32603 no"),
        ("task", "FAILED  E  its events name their task"),
        ("forgets", "FAILED  E  a task that has ended can be read: -32001 no"),
        ("codes", "FAILED  F  an unknown task is -32001: it answered -32000"),
        ("codes", "warning F  an unknown method is -32601: it answered -32000"),
    ],
)
async def test_each_rule_that_is_broken_is_named(
    serve: Any, broken: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serve(own_agent(broken)) as url:
        assert await check(url) == 1
    assert says in capsys.readouterr().out


async def test_what_an_agent_says_does_not_reach_the_terminal_as_it_is(
    serve: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serve(own_agent(said="\x1b[2Jhi\u202e\nA2A 0.3   ok forged")) as url:
        await check(url)
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "\u202e" not in said
    assert "\nA2A 0.3   ok forged" not in said


async def test_no_agent_at_all_is_an_error_that_names_the_address() -> None:
    with pytest.raises(KagentError, match=r"http://127\.0\.0\.1:9/\.well-known/agent-card\.json"):
        await check("http://127.0.0.1:9")
