"""A caller of 1.0 decides for an agent of upstream's 0.10 line, and never by leaving something out."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from kagent_operator.gateway import GatewaySettings

Json = dict[str, Any]
HITL = "https://kagent.dev/extensions/hitl/v1"
FRONT = "/api/a2a/kagent/my-agent/"


def confirmation(call_id: str, name: str, payload: Json | None = None) -> Json:
    asked: Json = {"hint": f"Run {name}?", "confirmed": False} | ({"payload": payload} if payload else {})
    original = {"id": call_id, "name": name, "args": {"a": 1}}
    data = {
        "name": "adk_request_confirmation",
        "id": f"adk-{call_id}",
        "args": {"originalFunctionCall": original, "toolConfirmation": asked},
    }
    return {"kind": "data", "data": data, "metadata": {"kagent_type": "function_call"}}


class PausedAgent:
    """Upstream 0.10 with calls that wait; it knows no 1.0."""

    def __init__(self, *parts: Json) -> None:
        self.parts = parts
        self.heard: list[Json] = []
        self.app = Starlette(routes=[Route("/", self.rpc, methods=["POST"])])

    @property
    def task(self) -> Json:
        message = {"kind": "message", "messageId": "q", "role": "agent", "parts": [*self.parts]}
        status = {"state": "input-required", "message": message}
        return {"kind": "task", "id": "t", "contextId": "s", "status": status}

    async def rpc(self, request: Request) -> Response:
        body = await request.json()
        if body["method"] != "message/send":
            return JSONResponse({"jsonrpc": "2.0", "id": body["id"], "error": {"code": -32601, "message": "unknown"}})
        self.heard.append(body["params"]["message"])
        return JSONResponse({"jsonrpc": "2.0", "id": body["id"], "result": self.task})


@pytest.fixture
async def front(cluster: Any, store: Any, serve: Any, gate: Any) -> Any:
    """Return a function that gives a 1.0 caller of an agent whose paused task is stored."""
    cluster.add_agent("my-agent")

    async def start(agent: PausedAgent) -> httpx.AsyncClient:
        data = json.dumps(agent.task)
        await store.tasks.put("ada", "t", session_id="s", state="input-required", data=data, protocol_version="0.3")
        settings = GatewaySettings(agent_address=await serve(agent.app))
        return gate(settings, A2A_Version="1.0", A2A_Extensions=HITL, X_User_Id="ada")

    return start


def rpc(method: str, params: Json) -> Json:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


def answer(body: Json) -> Json:
    message: Json = {"messageId": "m", "contextId": "s", "taskId": "t", "role": "ROLE_USER"}
    message |= {"parts": [{"text": "decided"}], "extensions": [HITL], "metadata": {HITL: body}}
    return rpc("SendMessage", {"message": message})


async def test_two_calls_are_asked_and_decided_by_their_own_ids(front: Any) -> None:
    agent = PausedAgent(confirmation("c1", "drop"), confirmation("c2", "delete"))
    async with await front(agent) as client:
        shown = (await client.post(FRONT, json=rpc("GetTask", {"id": "t"}))).json()["result"]["status"]["message"]
        approvals = [{"id": "c1", "approved": True}, {"id": "c2", "approved": False, "rejection_reason": "no"}]
        await client.post(FRONT, json=answer({"type": "tool_approval_response", "approvals": approvals}))
    assert shown["extensions"] == [HITL]
    assert shown["parts"] == [{"text": "Run drop?\nRun delete?"}]
    assert shown["metadata"][HITL] == {
        "type": "tool_approval_request",
        "hint": "Run drop?\nRun delete?",
        "tools": [
            {"id": "c1", "call_id": "c1", "name": "drop", "args": {"a": 1}},
            {"id": "c2", "call_id": "c2", "name": "delete", "args": {"a": 1}},
        ],
    }
    data = agent.heard[0]["parts"][-1]["data"]
    assert data == {
        "decision_type": "batch",
        "decisions": {"c1": "approve", "c2": "reject"},
        "rejection_reasons": {"c2": "no"},
    }


async def test_an_answer_that_leaves_a_call_out_reaches_no_agent(front: Any) -> None:
    agent = PausedAgent(confirmation("c1", "drop"), confirmation("c2", "delete"))
    async with await front(agent) as client:
        body = {"type": "tool_approval_response", "approvals": [{"id": "c1", "approved": True}]}
        refused = (await client.post(FRONT, json=answer(body))).json()
    assert refused["error"] == {"code": -32602, "message": "nothing was run: the answer does not decide on delete"}
    assert agent.heard == []


async def test_a_sub_agents_calls_are_asked_as_nested(front: Any) -> None:
    inner = {"name": "adk_request_confirmation", "id": "x", "originalFunctionCall": {"id": "i1", "name": "drop"}}
    payload = {"subagent_name": "helper", "task_id": "t2", "context_id": "s2", "hitl_parts": [inner]}
    agent = PausedAgent(confirmation("c1", "helper", payload))
    async with await front(agent) as client:
        shown = (await client.post(FRONT, json=rpc("GetTask", {"id": "t"}))).json()["result"]["status"]["message"]
        body = {"type": "tool_approval_response", "approvals": [{"id": "i1", "approved": True}]}
        await client.post(FRONT, json=answer(body))
    request = shown["metadata"][HITL]
    assert [tool["name"] for tool in request["tools"]] == ["helper"]
    assert request["nested"] == {
        "subagent_name": "helper",
        "task_id": "t2",
        "context_id": "s2",
        "tools": [{"id": "i1", "call_id": "i1", "name": "drop", "args": {}}],
    }
    assert agent.heard[0]["parts"][-1]["data"] == {"decision_type": "batch", "decisions": {"i1": "approve"}}


async def test_a_question_is_asked_and_answered(front: Any) -> None:
    part = confirmation("c1", "ask_user")
    questions = [{"question": "Which?", "choices": ["a", "b"], "multiple": False}]
    part["data"]["args"]["originalFunctionCall"]["args"] = {"questions": questions}
    agent = PausedAgent(part)
    async with await front(agent) as client:
        shown = (await client.post(FRONT, json=rpc("GetTask", {"id": "t"}))).json()["result"]["status"]["message"]
        body = {"type": "ask_user_response", "id": "c1", "answers": [{"answer": ["a"]}]}
        await client.post(FRONT, json=answer(body))
    assert shown["metadata"][HITL] == {"type": "ask_user_request", "id": "c1", "questions": questions}
    data = agent.heard[0]["parts"][-1]["data"]
    assert data == {"decision_type": "approve", "ask_user_answers": [{"answer": ["a"]}]}
