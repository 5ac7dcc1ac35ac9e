"""The gateway as an MCP server, asked by the SDK's own client."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from kagent_operator.gateway import GatewaySettings, create_app

Json = dict[str, Any]


class Agent:
    def __init__(self) -> None:
        self.answer: Json = {}
        self.asked: list[tuple[str, Json]] = []
        self.app = Starlette(routes=[Route("/", self.rpc, methods=["POST"])])

    async def rpc(self, request: Request) -> Response:
        body = await request.json()
        self.asked.append((request.headers["x-user-id"], body["params"]["message"]))
        return JSONResponse({"jsonrpc": "2.0", "id": body["id"]} | self.answer)


@pytest.fixture
def agent() -> Agent:
    return Agent()


@pytest.fixture
async def address(agent: Agent, cluster: Any, store: Any, serve: Any) -> str:
    cluster.add_agent("my-agent")
    cluster.add_agent("b", "team")
    settings = GatewaySettings(agent_address=await serve(agent.app))
    return await serve(create_app(agents=cluster, store=store, settings=settings))


@asynccontextmanager
async def connected(address: str) -> AsyncGenerator[Client]:
    async with Client(streamable_http_client(f"{address}/mcp?user_id=ada")) as client:
        yield client


def task(state: str, **more: Any) -> Json:
    return {"result": {"kind": "task", "id": "t", "contextId": "c", "status": {"state": state} | more}}


async def test_agents_are_listed_as_a_tool_and_as_a_resource(address: str) -> None:
    async with connected(address) as client:
        tools = (await client.list_tools()).tools
        assert [tool.name for tool in tools] == ["list_agents", "invoke_agent"]
        listed = await client.call_tool("list_agents", {})
        agents = [{"ref": "kagent/my-agent", "description": "d"}, {"ref": "team/b", "description": "d"}]
        assert listed.structured_content == {"agents": agents}
        read = await client.read_resource("kagent://agents")
        assert "team/b" in str(read.contents[0])


async def test_an_agent_is_asked_as_the_caller_and_its_answer_is_text(address: str, agent: Agent) -> None:
    artifacts = [{"artifactId": "1", "parts": [{"kind": "text", "text": "It is "}, {"kind": "text", "text": "noon."}]}]
    agent.answer = task("completed")
    agent.answer["result"]["artifacts"] = artifacts
    async with connected(address) as client:
        arguments = {"agent": "kagent/my-agent", "task": "time?", "context_id": "c"}
        answered = await client.call_tool("invoke_agent", arguments)
    assert answered.structured_content == {"agent": "kagent/my-agent", "text": "It is noon.", "context_id": "c"}
    user, message = agent.asked[0]
    assert user == "ada"
    assert (message["contextId"], message["parts"]) == ("c", [{"kind": "text", "text": "time?"}])


@pytest.mark.parametrize(
    ("answer", "failed", "words"),
    [
        ({"result": {"kind": "message", "messageId": "m", "parts": [{"kind": "text", "text": "hi"}]}}, False, "hi"),
        (task("failed", message={"parts": [{"kind": "text", "text": "no model"}]}), True, "no model"),
        (task("canceled"), True, "the agent's task was canceled"),
        (task("input-required"), False, "waits for an approval"),
        ({"error": {"code": -32603, "message": "broken"}}, True, "broken"),
        ({}, True, "cannot be read"),
    ],
)
async def test_whatever_the_agent_answers_is_said(
    address: str, agent: Agent, answer: Json, failed: bool, words: str
) -> None:
    agent.answer = answer
    async with connected(address) as client:
        result = await client.call_tool("invoke_agent", {"agent": "kagent/my-agent", "task": "x"})
    assert result.is_error is failed
    assert words in str(result.content[0])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"agent": "kagent/nobody", "task": "x"}, "Agent kagent/nobody not found"),
        ({"agent": "my-agent", "task": "x"}, "agent must be namespace/name"),
        ({"agent": "", "task": ""}, "agent and task are required"),
    ],
)
async def test_a_call_that_makes_no_sense_is_refused_to_the_model(address: str, arguments: Json, words: str) -> None:
    async with connected(address) as client:
        result = await client.call_tool("invoke_agent", arguments)
    assert result.is_error
    assert words in str(result.content[0])


async def test_nobody_unknown_gets_in(cluster: Any, store: Any, serve: Any) -> None:
    url = await serve(create_app(agents=cluster, store=store, settings=GatewaySettings(auth_mode="trusted-proxy")))
    async with httpx.AsyncClient() as client:
        assert (await client.post(f"{url}/mcp", json={})).status_code == 401
