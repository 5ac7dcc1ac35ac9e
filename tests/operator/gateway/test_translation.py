"""Callers and agents of different A2A dialects, with recorded streams of the real upstream engines."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from a2a.client import ClientConfig, create_client
from a2a.types import (
    AgentCapabilities,
    AgentCard,
    AgentInterface,
    Message,
    Part,
    Role,
    SendMessageRequest,
    StreamResponse,
)
from google.protobuf.json_format import ParseDict
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from kagent_operator.gateway import GatewaySettings, create_app
from kagent_operator.gateway.dialect_memory import DialectMemory

Json = dict[str, Any]
FRONT = "/api/a2a/kagent/my-agent/"
WIRE = Path(__file__).parents[3].parent / "shared/fixtures/wire"


class OneDialect:
    """An agent that knows one dialect's methods only, and plays a recorded turn."""

    def __init__(self, methods: tuple[str, str], turn: list[Json]) -> None:
        self.send, self.stream = methods
        self.turn = turn
        self.asked: list[tuple[str, str, Json]] = []
        self.app = Starlette(routes=[Route("/", self.rpc, methods=["POST"])])

    async def rpc(self, request: Request) -> Response:
        body = await request.json()
        self.asked.append((request.headers.get("a2a-version", ""), body["method"], body["params"]))
        if body["method"] == self.stream:
            return StreamingResponse(self.events(body["id"]), media_type="text/event-stream")
        if body["method"] == self.send:
            result = {"kind": "message", "messageId": "m", "role": "agent", "parts": [{"kind": "text", "text": "hi"}]}
            return JSONResponse({"jsonrpc": "2.0", "id": body["id"], "result": result})
        return JSONResponse({"jsonrpc": "2.0", "id": body["id"], "error": {"code": -32601, "message": "unknown"}})

    async def events(self, id: Any) -> AsyncIterator[bytes]:
        yield b": hello\n\n"
        for result in self.turn:
            text = json.dumps({"jsonrpc": "2.0", "id": id, "result": result})
            yield f"id: 7\ndata: {text}\r\n\r\n".encode()


def turn(name: str) -> list[Json]:
    if not WIRE.is_dir():
        pytest.skip("the folder ../shared with recorded streams is not on this machine")
    return [event["result"] for event in json.loads((WIRE / name).read_text())]


def old_agent(name: str = "a2a-0.3-tool.json") -> OneDialect:
    return OneDialect(("message/send", "message/stream"), turn(name))


def new_agent(name: str = "a2a-1.0-tool.json") -> OneDialect:
    return OneDialect(("SendMessage", "SendStreamingMessage"), turn(name))


@pytest.fixture
def front(cluster: Any, store: Any, serve: Any) -> Any:
    """Return a function that puts a gateway in front of an agent and returns its address."""
    cluster.add_agent("my-agent")

    async def start(agent: OneDialect) -> str:
        address = await serve(agent.app)
        return await serve(create_app(agents=cluster, store=store, settings=GatewaySettings(agent_address=address)))

    return start


NEW_MESSAGE = {"messageId": "q", "role": "ROLE_USER", "parts": [{"text": "你好"}], "metadata": {"k": 1}}
OLD_MESSAGE = {
    "kind": "message", "messageId": "q", "role": "user", "parts": [{"kind": "text", "text": "你好"}],
    "metadata": {"k": 1},
}  # fmt: skip


def call(method: str, message: Json) -> Json:
    return {"jsonrpc": "2.0", "id": "c", "method": method, "params": {"message": message}}


def events_of(reply: httpx.Response) -> list[Json]:
    lines = [line.removeprefix("data: ") for line in reply.text.splitlines() if line.startswith("data: ")]
    return [json.loads(line)["result"] for line in lines]


async def test_a_new_caller_understands_an_old_agent(front: Any) -> None:
    agent = old_agent()
    headers = {"A2A-Version": "1.0", "A2A-Extensions": "https://e"}
    async with httpx.AsyncClient(base_url=await front(agent), headers=headers) as client:
        reply = await client.post(FRONT, json=call("SendStreamingMessage", NEW_MESSAGE))
    assert [(version, method) for version, method, _ in agent.asked] == [
        ("1.0", "SendStreamingMessage"), ("0.3", "message/stream"),
    ]  # fmt: skip
    assert agent.asked[1][2]["message"] == OLD_MESSAGE
    events = events_of(reply)
    assert events[0]["task"]["history"] == [NEW_MESSAGE]
    assert len(events) == len(agent.turn) + 1
    for event in events:
        ParseDict(event, StreamResponse())
    assert ": hello\n\n" in reply.text
    assert "id: 7\n" in reply.text


async def test_an_old_caller_understands_a_new_agent(front: Any) -> None:
    agent = new_agent()
    async with httpx.AsyncClient(base_url=await front(agent)) as client:
        reply = await client.post(FRONT, json=call("message/stream", OLD_MESSAGE))
    assert [(version, method) for version, method, _ in agent.asked] == [
        ("", "message/stream"), ("1.0", "SendStreamingMessage"),
    ]  # fmt: skip
    assert agent.asked[1][2]["message"] == NEW_MESSAGE
    events = events_of(reply)
    assert [event["kind"] for event in events][:2] == ["task", "status-update"]
    assert events[-1]["final"] is True


async def test_what_was_learnt_spares_the_second_question(front: Any) -> None:
    agent = old_agent()
    async with httpx.AsyncClient(base_url=await front(agent), headers={"A2A-Version": "1.0"}) as client:
        for _ in range(2):
            reply = await client.post(FRONT, json=call("SendMessage", NEW_MESSAGE))
            assert reply.json()["result"] == {
                "message": {"messageId": "m", "role": "ROLE_AGENT", "parts": [{"text": "hi"}]}
            }
    assert [method for _, method, _ in agent.asked] == ["SendMessage", "message/send", "message/send"]


async def test_a_method_nobody_knows_is_named(front: Any) -> None:
    agent = old_agent()
    async with httpx.AsyncClient(base_url=await front(agent), headers={"A2A-Version": "1.0"}) as client:
        cancelled = await client.post(FRONT, json=call("CancelTask", NEW_MESSAGE))
        pushed = await client.post(FRONT, json=call("CreateTaskPushNotificationConfig", NEW_MESSAGE))
    error = cancelled.json()["error"]
    assert error == {"code": -32601, "message": "Agent kagent/my-agent does not know CancelTask in any dialect"}
    assert "does not know CreateTaskPushNotificationConfig in any dialect" in pushed.json()["error"]["message"]


async def test_the_sdks_client_talks_to_an_old_agent_in_its_own_dialect(front: Any) -> None:
    agent = old_agent("a2a-0.3-ask_user.json")
    url = await front(agent) + FRONT
    interface = AgentInterface(url=url, protocol_binding="JSONRPC", protocol_version="1.0")
    card = AgentCard(name="a", capabilities=AgentCapabilities(streaming=True), supported_interfaces=[interface])
    async with httpx.AsyncClient(timeout=20) as http:
        client = await create_client(card, ClientConfig(streaming=True, httpx_client=http))
        message = Message(message_id="q", role=Role.ROLE_USER, parts=[Part(text="go")])
        kinds = [
            event.WhichOneof("payload") async for event in client.send_message(SendMessageRequest(message=message))
        ]
    assert kinds[0] == "task"
    assert set(kinds[1:]) == {"status_update"}


def test_what_was_learnt_is_forgotten_after_a_while() -> None:
    now = [0.0]
    memory = DialectMemory(lambda: now[0])
    memory.learn("http://a", "1.0")
    assert memory.lacks("http://a", "1.0")
    assert not memory.lacks("http://a", "0.3")
    now[0] = 61.0
    assert not memory.lacks("http://a", "1.0")
