"""The A2A front: what it answers itself, what it hands on, and how it says that an agent is not there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from kagent_operator.gateway import GatewaySettings, create_app

Json = dict[str, Any]
FRONT = "/api/a2a/kagent/my-agent/"


class Agent:
    """A small agent that streams what it is told to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], Json]] = []
        self.more: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.closed = asyncio.Event()
        self.reply: Response | None = None
        routes = [
            Route("/", self.rpc, methods=["POST"]),
            Route("/.well-known/agent-card.json", self.card, methods=["GET"]),
        ]
        self.app = Starlette(routes=routes)

    async def card(self, _: Request) -> Response:
        return JSONResponse({"capabilities": {"extensions": [{"uri": "https://e"}]}, "skills": [{"id": "live"}]})

    async def rpc(self, request: Request) -> Response:
        self.requests.append((dict(request.headers), await request.json()))
        return self.reply or StreamingResponse(self.stream(), media_type="text/event-stream")

    async def stream(self) -> AsyncIterator[bytes]:
        try:
            while (chunk := await self.more.get()) is not None:
                yield chunk
        finally:
            self.closed.set()


@pytest.fixture
def agent() -> Agent:
    return Agent()


@pytest.fixture
async def front(agent: Agent, cluster: Any, store: Any, serve: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a served gateway in front of a served agent."""
    address = await serve(agent.app)
    cluster.add_agent("my-agent")
    settings = GatewaySettings(agent_address=address)
    url = await serve(create_app(agents=cluster, store=store, settings=settings))
    async with httpx.AsyncClient(base_url=url, headers={"X-User-Id": "ada"}, timeout=20) as client:
        yield client


def call(method: str, params: Json | None = None, id: Any = 1) -> Json:
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": params or {}}


async def test_a_stream_is_handed_on_piece_by_piece(front: httpx.AsyncClient, agent: Agent) -> None:
    async with asyncio.timeout(20), front.stream("POST", FRONT, json=call("message/stream")) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        pieces = reply.aiter_raw()
        for number in range(3):
            agent.more.put_nowait(f"data: {number}\n\n".encode())
            assert await anext(pieces) == f"data: {number}\n\n".encode()
        agent.more.put_nowait(None)
        assert [piece async for piece in pieces] == []


async def test_the_agents_side_is_closed_when_the_client_goes(front: httpx.AsyncClient, agent: Agent) -> None:
    async with asyncio.timeout(20):
        async with front.stream("POST", FRONT, json=call("SendStreamingMessage")) as reply:
            agent.more.put_nowait(b"data: 1\n\n")
            await anext(reply.aiter_raw())
        await agent.closed.wait()


async def test_both_dialects_are_handed_on_untouched_with_the_headers_that_matter(
    front: httpx.AsyncClient, agent: Agent, cluster: Any
) -> None:
    tool = {"mcpServer": {"name": "t", "allowedHeaders": ["X-Tenant"]}}
    cluster.agents["kagent", "my-agent"]["spec"]["declarative"]["tools"] = [tool]
    agent.reply = JSONResponse({"jsonrpc": "2.0", "id": 1, "result": {"kind": "message"}})
    sent = {
        "A2A-Version": "1.0", "A2A-Extensions": "https://e", "Authorization": "Bearer x", "traceparent": "00-1",
        "X-Kagent-Root-Context-Id": "root", "X-Kagent-Token": "secret", "Cookie": "secret", "X-Tenant": "acme",
        "X-Other": "dropped", "X-Share-Toke": "dropped",
    }  # fmt: skip
    body = call("SendMessage", {"message": {"messageId": "m", "parts": [{"text": "你好"}]}})
    assert (await front.post(FRONT, json=body, headers=sent)).json()["result"] == {"kind": "message"}
    headers, received = agent.requests[0]
    assert received == body
    kept = {"a2a-version", "a2a-extensions", "authorization", "traceparent", "x-kagent-root-context-id", "x-tenant"}
    assert kept <= headers.keys()
    assert headers["x-user-id"] == "ada"
    assert not {"x-kagent-token", "cookie", "x-other", "x-share-toke"} & headers.keys()
    await front.post(FRONT.rstrip("/"), json=call("message/send"))
    assert agent.requests[1][1]["method"] == "message/send"
    assert "a2a-version" not in agent.requests[1][0]


async def test_an_agents_own_refusals_pass_and_others_are_put_into_words(
    front: httpx.AsyncClient, agent: Agent
) -> None:
    agent.reply = JSONResponse({"jsonrpc": "2.0", "id": 1, "error": {"code": -32004, "message": "no"}})
    assert (await front.post(FRONT, json=call("message/send"))).json()["error"]["code"] == -32004
    agent.reply = PlainTextResponse("too large", 413)
    error = (await front.post(FRONT, json=call("message/send"))).json()["error"]
    assert error["message"] == "Agent kagent/my-agent answered HTTP 413: too large"
    agent.reply = PlainTextResponse("no endpoints for my-agent", 503)
    error = (await front.post(FRONT, json=call("message/send"))).json()["error"]
    assert "cannot be reached" in error["message"]
    assert "no endpoints for my-agent" in error["message"]


async def test_a_stream_that_breaks_ends_with_an_error_the_client_can_read(
    cluster: Any, store: Any, serve: Any
) -> None:
    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        writer.write(b"9\r\ndata: 1\n\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(break_off, "127.0.0.1", 0)
    cluster.add_agent("my-agent")
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    url = await serve(create_app(agents=cluster, store=store, settings=GatewaySettings(agent_address=address)))
    async with server, asyncio.timeout(20), httpx.AsyncClient(base_url=url) as client:
        reply = await client.post(FRONT, json=call("message/stream", id="abc"))
    first, last = reply.text.strip().split("\n\n")
    assert first == "data: 1"
    error = json.loads(last.removeprefix("data: "))
    assert error["id"] == "abc"
    assert "the agent's stream broke" in error["error"]["message"]


async def test_an_agent_that_is_not_there_is_named_with_its_state_and_what_to_do(gate: Any, cluster: Any) -> None:
    cluster.add_agent("my-agent")
    async with gate(GatewaySettings(agent_address="http://127.0.0.1:1")) as client:
        reply = await client.post(FRONT, json=call("message/send", id="x"))
    assert reply.status_code == 200
    body = reply.json()
    assert (body["id"], body["error"]["code"]) == ("x", -32603)
    for words in (
        "Agent kagent/my-agent cannot be reached at http://127.0.0.1:1",
        "0/1 pods ready",
        "kubectl describe",
    ):
        assert words in body["error"]["message"]


async def test_an_unknown_agent_is_a_plain_404(gate: Any) -> None:
    async with gate() as client:
        reply = await client.post(FRONT, json=call("message/send"))
    assert (reply.status_code, reply.text) == (404, "Agent kagent/my-agent not found")


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"{", -32700),
        (b"[]", -32600),
        (b'{"jsonrpc":"2.0","id":1}', -32600),
        (b'{"id":1,"method":"message/send"}', -32600),
        (b'{"jsonrpc":"1.0","id":1,"method":"message/send"}', -32600),
        (b'{"jsonrpc":"2.0","id":{},"method":"message/send"}', -32600),
        (b'{"jsonrpc":"2.0","method":"message/send","params":[]}', -32602),
    ],
)
async def test_what_is_no_call_is_refused_in_the_protocols_terms(
    gate: Any, cluster: Any, content: bytes, code: int
) -> None:
    cluster.add_agent("my-agent")
    async with gate() as client:
        assert (await client.post(FRONT, content=content)).json()["error"]["code"] == code


async def test_an_unknown_version_and_a_wrong_method_are_refused(gate: Any, cluster: Any) -> None:
    cluster.add_agent("my-agent")
    async with gate(GatewaySettings(max_body=100)) as client:
        wrong = await client.post(FRONT, json=call("message/send"), headers={"A2A-Version": "9.9"})
        error = wrong.json()["error"]
        assert (error["code"], error["data"][0]["reason"]) == (-32009, "VERSION_NOT_SUPPORTED")
        asked = await client.post(f"{FRONT}?A2A-Version=9.9", json=call("message/send"))
        assert asked.json()["error"]["code"] == -32009
        assert (await client.get(FRONT)).status_code == 405
        assert (await client.post(FRONT, content=b"x" * 101)).status_code == 413


async def test_the_card_points_to_the_gateway_and_works_while_the_agent_is_down(gate: Any, cluster: Any) -> None:
    cluster.add_agent("my-agent")
    for path in ("agent-card.json", "agent.json"):
        async with gate() as client:
            card = (await client.get(f"{FRONT}.well-known/{path}")).json()
        assert card["name"] == "my_agent"
        assert card["url"] == "http://gateway:8083/api/a2a/kagent/my-agent/"
        assert {entry["url"] for entry in card["supportedInterfaces"]} == {card["url"]}
    async with gate(GatewaySettings(a2a_base_url="https://agents.example/")) as client:
        card = (await client.get(f"{FRONT}.well-known/agent-card.json")).json()
    assert card["url"] == "https://agents.example/api/a2a/kagent/my-agent/"


async def test_a_card_of_a_spec_that_cannot_be_read_names_the_field(gate: Any, cluster: Any) -> None:
    cluster.add_agent("my-agent", description=["no"])
    async with gate() as client:
        reply = await client.get(f"{FRONT}.well-known/agent-card.json")
    assert reply.status_code == 422
    assert "Agent kagent/my-agent: spec.description" in reply.json()["error"]


async def test_the_card_tells_what_only_the_running_agent_knows(
    front: httpx.AsyncClient, cluster: Any, agent: Agent
) -> None:
    del agent
    cluster.add_agent("my-agent", ready=True)
    card = (await front.get(f"{FRONT}.well-known/agent-card.json")).json()
    assert card["capabilities"] == {"streaming": True, "extensions": [{"uri": "https://e"}]}
    assert card["skills"] == [{"id": "live"}]
    assert card["description"] == "d"


def stored(id: str, context: str = "s", state: str = "completed") -> Json:
    part = [{"kind": "text", "text": "x"}]
    return {
        "id": id, "contextId": context, "kind": "task", "status": {"state": state},
        "history": [{"kind": "message", "messageId": f"m{n}", "role": "user", "parts": part} for n in range(3)],
        "artifacts": [{"artifactId": "a", "parts": part}],
    }  # fmt: skip


@pytest.fixture
async def keeper(gate: Any, cluster: Any) -> httpx.AsyncClient:
    """A client of a gateway that keeps three of ada's tasks, two of them of this agent."""
    cluster.add_agent("my-agent")
    cluster.add_agent("other")
    client: httpx.AsyncClient = gate(x_user_id="ada")
    await client.post("/api/sessions", json={"agent_ref": "kagent/my-agent", "id": "s"})
    await client.post("/api/sessions", json={"agent_ref": "kagent/other", "id": "o"})
    for task in (stored("t1"), stored("t2", state="input-required"), stored("t3", "o")):
        assert (await client.post("/api/tasks", json=task)).status_code == 201
    return client


async def test_a_task_is_answered_from_the_store_in_either_dialect_to_its_user_only(keeper: httpx.AsyncClient) -> None:
    old = (await keeper.post(FRONT, json=call("tasks/get", {"id": "t2"}))).json()["result"]
    assert (old["kind"], old["status"]["state"]) == ("task", "input-required")
    current = {"A2A-Version": "1.0"}
    new = (await keeper.post(FRONT, json=call("GetTask", {"id": "t2"}), headers=current)).json()["result"]
    assert new["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
    hidden = await keeper.post(FRONT, json=call("GetTask", {"id": "t2"}), headers=current | {"X-User-Id": "bob"})
    assert hidden.json()["error"]["code"] == -32001


@pytest.mark.parametrize(
    ("method", "length", "kept"),
    [("GetTask", None, 3), ("GetTask", 2, 2), ("GetTask", 0, 0), ("tasks/get", 0, 3), ("tasks/get", 9, 3)],
)
async def test_history_is_as_long_as_asked_for(
    keeper: httpx.AsyncClient, method: str, length: int | None, kept: int
) -> None:
    headers = {"A2A-Version": "1.0"} if method == "GetTask" else {}
    params = {"id": "t1"} | ({} if length is None else {"historyLength": length})
    task = (await keeper.post(FRONT, json=call(method, params), headers=headers)).json()["result"]
    assert len(task["history"]) == kept
    if kept == 2:
        assert [message["messageId"] for message in task["history"]] == ["m1", "m2"]


async def test_tasks_are_listed_by_agent_state_and_page(keeper: httpx.AsyncClient) -> None:
    async def listed(**params: Any) -> Json:
        reply = await keeper.post(FRONT, json=call("ListTasks", params), headers={"A2A-Version": "1.0"})
        return reply.json()["result"]

    every = await listed()
    assert [task["id"] for task in every["tasks"]] == ["t2", "t1"], "the last changed comes first"
    assert (every["pageSize"], every["totalSize"], every["nextPageToken"]) == (50, 2, "")
    assert "artifacts" not in every["tasks"][0]
    assert "timestamp" in every["tasks"][0]["status"]
    assert "artifacts" in (await listed(includeArtifacts=True))["tasks"][0]
    assert [task["id"] for task in (await listed(status="TASK_STATE_INPUT_REQUIRED"))["tasks"]] == ["t2"]
    assert (await listed(contextId="elsewhere"))["tasks"] == []
    assert (await listed(statusTimestampAfter="2099-01-01T00:00:00Z"))["tasks"] == []
    assert (await listed(statusTimestampAfter="2001-01-01T00:00:00Z"))["totalSize"] == 2
    for wrong in ({"pageSize": 0}, {"pageSize": 101}, {"status": "TASK_STATE_NO"}, {"statusTimestampAfter": "soon"}):
        reply = await keeper.post(FRONT, json=call("ListTasks", wrong), headers={"A2A-Version": "1.0"})
        assert reply.json()["error"]["code"] == -32602, wrong
    first = await listed(pageSize=1)
    second = await listed(pageSize=1, pageToken=first["nextPageToken"])
    assert [first["tasks"][0]["id"], second["tasks"][0]["id"], second["nextPageToken"]] == ["t2", "t1", ""]
    legacy = (await keeper.post(FRONT, json=call("tasks/list", {"contextId": "s"}))).json()["result"]
    assert [task["kind"] for task in legacy["tasks"]] == ["task", "task"]


@pytest.mark.parametrize("params", [{"pageToken": "@@"}, {"pageSize": -1}, {"historyLength": "x"}])
async def test_parameters_that_make_no_sense_are_refused(keeper: httpx.AsyncClient, params: Json) -> None:
    reply = await keeper.post(FRONT, json=call("ListTasks", params), headers={"A2A-Version": "1.0"})
    assert reply.json()["error"]["code"] == -32602


async def test_a_share_link_lets_its_holder_talk_in_that_session_as_its_owner(
    front: httpx.AsyncClient, agent: Agent, store: Any
) -> None:
    agent.reply = JSONResponse({"jsonrpc": "2.0", "id": 1, "result": {}})
    await store.sessions.put("ada", "s", agent_id="kagent__NS__my_agent")
    for task, session in (("t", "s"), ("t2", "private")):
        data = json.dumps({"id": task, "status": {"state": "working"}})
        await store.tasks.put("ada", task, session_id=session, state="working", data=data, protocol_version="0.3")
    share = await store.shares.add("ada", "s", read_only=False)
    bob = {"X-User-Id": "bob", "X-Share-Token": share.token}
    message: Json = {"message": {"messageId": "m", "contextId": "s", "parts": []}}
    assert "result" in (await front.post(FRONT, json=call("message/send", message), headers=bob)).json()
    assert agent.requests[0][0]["x-user-id"] == "ada"
    elsewhere: Json = {"message": {"messageId": "m", "contextId": "other", "parts": []}}
    assert (await front.post(FRONT, json=call("message/send", elsewhere), headers=bob)).status_code == 403
    for method in ("tasks/get", "tasks/cancel", "tasks/resubscribe", "message/send"):
        for private in ({"id": "t2"}, {"id": "t2", "contextId": "s"}):
            params: Json = {"message": {"contextId": "s", "taskId": "t2"}} if "message" in method else private
            said = (await front.post(FRONT, json=call(method, params), headers=bob)).json()
            assert said["error"]["code"] == -32001, (method, params, said)
    assert "result" in (await front.post(FRONT, json=call("tasks/get", {"id": "t"}), headers=bob)).json()
    for params in ({}, {"contextId": "s"}):
        listed = (await front.post(FRONT, json=call("tasks/list", params), headers=bob)).json()["result"]["tasks"]
        assert [task["id"] for task in listed] == ["t"]
    reading = await store.shares.add("ada", "s", read_only=True)
    bob["X-Share-Token"] = reading.token
    assert "result" in (await front.post(FRONT, json=call("tasks/get", {"id": "t"}), headers=bob)).json()
    assert (await front.post(FRONT, json=call("message/send", message), headers=bob)).status_code == 403
    assert len(agent.requests) == 1


@pytest.mark.parametrize(
    "params",
    [
        {"message": {"messageId": "m", "contextId": "s", "CONTEXTID": "private", "parts": []}},
        {"message": {"messageId": "m", "contextId": "s", "taskid": "t2", "parts": []}},
        {"message": {"messageId": "m", "contextId": "s", "parts": []}, "Message": {"contextId": "private"}},
    ],
)
async def test_a_share_link_is_no_way_round_for_readers_that_ignore_letter_case(
    front: httpx.AsyncClient, agent: Agent, store: Any, params: Json
) -> None:
    agent.reply = JSONResponse({"jsonrpc": "2.0", "id": 1, "result": {}})
    await store.sessions.put("ada", "s", agent_id="kagent__NS__my_agent")
    share = await store.shares.add("ada", "s", read_only=False)
    bob = {"X-User-Id": "bob", "X-Share-Token": share.token}
    said = (await front.post(FRONT, json=call("message/send", params), headers=bob)).json()
    assert said["error"]["code"] == -32602
    assert agent.requests == []
    reading = await store.shares.add("ada", "s", read_only=True)
    bob["X-Share-Token"] = reading.token
    smuggled = call("tasks/resubscribe", {"contextId": "s"}) | {"METHOD": "message/send", "PARAMS": params}
    await front.post(FRONT, json=smuggled, headers=bob)
    ((_, body),) = agent.requests
    assert b"message/send" not in (body if isinstance(body, bytes) else json.dumps(body).encode())
