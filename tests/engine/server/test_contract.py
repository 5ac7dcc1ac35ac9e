"""Streams captured from upstream's engines, both ways: we understand them, and ours hold all that theirs do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from kagent_api.engine_config import AgentTool
from kagent_engine.events import Ask
from kagent_engine.models.base import ToolCall, ToolSpec
from kagent_engine.settings import Settings
from kagent_engine.tools.agents import AgentAsTool
from kagent_engine.tools.base import CallContext, ToolResult, text_result

Json = dict[str, Any]
CAPTURED = Path(__file__).resolve().parents[4] / "shared" / "fixtures" / "wire"

pytestmark = pytest.mark.skipif(
    not CAPTURED.is_dir(), reason="the captured streams (../shared/fixtures/wire) are not here"
)


def captured(name: str) -> list[Json]:
    return json.loads((CAPTURED / f"{name}.json").read_text())


def upstream(name: str, version: str) -> Starlette:
    """An agent that plays a captured stream, with the card of its generation."""

    async def card(_: Request) -> Response:
        if version == "0.3":
            return JSONResponse(
                {"name": "g1", "url": "http://x", "protocolVersion": "0.3.0", "capabilities": {"streaming": True}}
            )
        entry = {"url": "http://x", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
        return JSONResponse({"name": "g2", "supportedInterfaces": [entry], "capabilities": {"streaming": True}})

    async def rpc(request: Request) -> Response:
        body = await request.json()
        assert body["method"] == ("message/stream" if version == "0.3" else "SendStreamingMessage")
        events = [event | {"id": body["id"]} for event in captured(name)]
        return Response("".join(f"data: {json.dumps(event)}\n\n" for event in events), media_type="text/event-stream")

    return Starlette(routes=[Route("/.well-known/agent-card.json", card), Route("/", rpc, methods=["POST"])])


async def ask(serve: Any, name: str, version: str) -> ToolResult | Ask:
    async with serve(upstream(name, version)) as url:
        tool = AgentAsTool(AgentTool.model_validate({"name": "helper", "url": url}), Settings())
        try:
            return await tool.call(ToolCall("c", "helper", {"request": "x"}), CallContext("alice", "s"))
        finally:
            await tool.aclose()


@pytest.mark.parametrize("version", ["0.3", "1.0"])
async def test_an_answer_of_upstreams_engine_is_read_once(serve: Any, version: str) -> None:
    result = await ask(serve, f"a2a-{version}-hello", version)

    assert isinstance(result, ToolResult)
    assert result.content == "Hello from the fake model, this is streamed text. "
    assert result.usage is not None
    assert (result.usage.input_tokens, result.usage.output_tokens) == (11, 7)


@pytest.mark.parametrize("version", ["0.3", "1.0"])
async def test_an_approval_of_upstreams_engine_becomes_ours(serve: Any, version: str) -> None:
    asked = await ask(serve, f"a2a-{version}-tool", version)

    assert isinstance(asked, Ask)
    assert asked.kind == "approval"
    assert asked.nested is not None
    (inner,) = asked.nested.calls
    assert inner.request_id.startswith("adk-")
    assert inner.call.id.startswith("call_")
    assert (inner.call.name, inner.call.arguments) == ("echo", {"message": "hi"})


@pytest.mark.parametrize("version", ["0.3", "1.0"])
async def test_a_question_of_upstreams_engine_becomes_ours(serve: Any, version: str) -> None:
    asked = await ask(serve, f"a2a-{version}-ask_user", version)

    assert isinstance(asked, Ask)
    assert asked.kind == "question"
    assert asked.nested is not None
    (question,) = asked.nested.calls[0].call.arguments["questions"]
    assert (question["question"], question["choices"]) == ("Which env?", ["dev", "prod"])


def shape(value: Any) -> set[str]:
    """All paths of a JSON value; list items share one. Keys that hold null say nothing and are left out."""
    found: set[str] = set()
    if isinstance(value, dict):
        for key, item in value.items():  # pyright: ignore[reportUnknownVariableType]
            if item is not None:
                found.add(str(key))  # pyright: ignore[reportUnknownArgumentType]
                found |= {f"{key}.{path}" for path in shape(item)}
    elif isinstance(value, list):
        for item in value:  # pyright: ignore[reportUnknownVariableType]
            found |= shape(item)
    return found


class Echo:
    spec = ToolSpec("echo", "Echo.", {"type": "object"})

    async def call(self, call: ToolCall, context: CallContext, answer: Any = None) -> Any:
        return text_result(str(call.arguments))


def by_state(events: list[Json]) -> dict[str, set[str]]:
    """The shapes of a stream's events, joined by what kind of event they are."""
    joined: dict[str, set[str]] = {}
    for event in events:
        update = event.get("statusUpdate", event)
        kind = event.get("kind", next(iter(event)))
        key = f"{kind} {update.get('status', {}).get('state', '')}"
        joined[key] = joined.get(key, set()) | shape(event)
    return joined


def left_out(event: Json) -> bool:
    """What upstream sends and we do not: the message echoed as a status (a Task comes first), a pause told twice, and
    the noise of its executor (an empty message, a result that only says that a confirmation was requested)."""
    update = event.get("statusUpdate", event)
    status = update.get("status", {})
    text = json.dumps(event)
    working = status.get("state") in {"working", "TASK_STATE_WORKING"}
    return (
        status.get("state") == "submitted"
        or (working and "adk_request_confirmation" in text)
        or (working and "statusUpdate" in event and "message" in status)
        or "confirmation_requested" in text
    )


# google-adk's mark of its own executor, and what it keeps for itself.
ADKS_OWN = ("google.github.io", "adk_actions", "adk_event_id")


@pytest.mark.parametrize(
    ("version", "scenario"), [(version, name) for version in ("0.3", "1.0") for name in ("hello", "tool", "ask_user")]
)
async def test_our_stream_holds_every_field_of_upstreams(
    serve_engine: Any, model: Any, version: str, scenario: str
) -> None:
    questions = {"questions": [{"question": "Which env?", "choices": ["dev", "prod"], "multiple": False}]}
    if scenario == "hello":
        model.says("Hello ", "from ", "here")
    else:
        name, arguments = ("echo", {"message": "hi"}) if scenario == "tool" else ("ask_user", questions)
        model.calls(ToolCall("call_1", name, arguments))
    engine = await serve_engine(tools=[Echo()], approve=["echo"])
    ours = by_state(await (engine.raw.stream_03("x") if version == "0.3" else engine.raw.stream_10("x")))
    events = [event["result"] for event in captured(f"a2a-{version}-{scenario}")]

    theirs = by_state([event for event in events if not left_out(event)])

    assert theirs
    for kind, fields in theirs.items():
        missing = fields - ours.get(kind, set[str]())
        assert not {path for path in missing if not any(word in path for word in ADKS_OWN)}, kind
