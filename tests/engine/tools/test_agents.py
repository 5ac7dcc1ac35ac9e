"""Other agents as tools: two real engines on two ports, in both dialects."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kagent_api.engine_config import AgentTool
from kagent_engine.errors import RemoteAgentFailed
from kagent_engine.events import Ask
from kagent_engine.models.base import ModelError, TextDelta, ToolCall, ToolMessage, ToolSpec
from kagent_engine.settings import Settings
from kagent_engine.tools.agents import AgentAsTool
from kagent_engine.tools.base import CallContext, ToolResult, text_result

Json = dict[str, Any]
HITL = "https://kagent.dev/extensions/hitl/v1"
CONTEXT = CallContext("alice", "parent", "task-1")


class Drop:
    def __init__(self) -> None:
        self.spec = ToolSpec("drop", "Drop it.", {"type": "object", "properties": {}})
        self.ran: list[Json] = []
        self.headers: list[dict[str, str]] = []

    async def call(self, call: ToolCall, context: CallContext, answer: Any = None) -> Any:
        self.ran.append(call.arguments)
        self.headers.append(dict(context.headers))
        return text_result("dropped")


def agent_tool(url: str, **more: Any) -> AgentAsTool:
    return AgentAsTool(AgentTool.model_validate({"name": "test__NS__helper", "url": url, **more}), Settings())


def ask(text: str = "do it") -> ToolCall:
    return ToolCall("call-1", "test__NS__helper", {"request": text})


@pytest.fixture
def helper_model(model: Any) -> Any:
    return type(model)()


async def test_the_answer_usage_and_session_of_a_sub_agent_come_back(serve_engine: Any, helper_model: Any) -> None:
    helper_model.says("first ", "answer").says("second")
    helper = await serve_engine(planned=helper_model, name="helper")
    tool = agent_tool(helper.url)

    result = await tool.call(ask(), CONTEXT)
    again = await tool.call(ask("and now?"), CONTEXT)
    await tool.aclose()

    assert isinstance(result, ToolResult)
    assert isinstance(again, ToolResult)
    assert (result.content, result.response) == ("first answer", {"result": "first answer"})
    assert result.usage is not None
    assert (result.usage.input_tokens, result.usage.output_tokens) == (10, 5)
    assert result.session_id == tool.session_of(ask(), CONTEXT) == again.session_id
    assert [type(item).__name__ for item in helper_model.requests[1].messages] == [
        "SystemMessage", "UserMessage", "AssistantMessage", "UserMessage",
    ]  # fmt: skip


async def test_isolated_sessions_share_nothing(serve_engine: Any, helper_model: Any) -> None:
    helper_model.says("one").says("two")
    helper = await serve_engine(planned=helper_model, name="helper")
    tool = agent_tool(helper.url, isolate_sessions=True)

    first = await tool.call(ToolCall("a", "h", {"request": "x"}), CONTEXT)
    second = await tool.call(ToolCall("b", "h", {"request": "x"}), CONTEXT)
    await tool.aclose()

    assert isinstance(first, ToolResult)
    assert isinstance(second, ToolResult)
    assert first.session_id != second.session_id
    assert len(helper_model.requests[1].messages) == 2


async def test_a_sub_agent_hears_who_asks_and_for_whom(serve_engine: Any, helper_model: Any) -> None:
    drop = Drop()
    helper_model.calls(ToolCall("c", "drop", {})).says("ok")
    helper = await serve_engine(planned=helper_model, name="helper", tools=[drop])
    tool = agent_tool(helper.url, headers={"x-team": "blue"})

    await tool.call(ask(), CallContext("alice", "parent", headers={"x-kagent-root-context-id": "root"}))
    await tool.aclose()

    (headers,) = drop.headers
    assert headers["x-user-id"] == "alice"
    assert headers["x-kagent-source"] == "agent"
    assert headers["x-kagent-parent-context-id"] == "parent"
    assert headers["x-kagent-root-context-id"] == "root"
    assert headers["x-team"] == "blue"
    assert "authorization" not in headers


async def test_a_sub_agent_that_fails_is_an_error_with_its_words(serve_engine: Any, helper_model: Any) -> None:
    helper_model.plan.append([ModelError("no quota left", code="API_ERROR")])
    helper = await serve_engine(planned=helper_model, name="helper")
    tool = agent_tool(helper.url)

    with pytest.raises(RemoteAgentFailed, match="no quota left"):
        await tool.call(ask(), CONTEXT)
    await tool.aclose()


async def test_a_sub_agent_that_is_not_there_is_an_error_and_is_found_later(serve: Any, serve_engine: Any) -> None:
    tool = agent_tool("http://127.0.0.1:9")

    with pytest.raises(RemoteAgentFailed, match="cannot be reached"):
        await tool.call(ask(), CONTEXT)
    await tool.aclose()


async def test_a_cancelled_caller_cancels_the_sub_agents_task(serve_engine: Any, helper_model: Any) -> None:
    busy = asyncio.Event()
    helper_model.calls(ToolCall("c", "drop", {}))
    helper_model.plan.append([TextDelta("working"), asyncio.Event()])
    helper = await serve_engine(planned=helper_model, name="helper", tools=[Drop()])
    tool = agent_tool(helper.url)

    async def progress(_: float, __: float | None, note: str) -> None:
        assert note == "calls drop"
        busy.set()

    async with asyncio.timeout(30):
        calling = asyncio.create_task(tool.call(ask(), CallContext("alice", "parent", progress=progress)))
        await busy.wait()
        calling.cancel()
        await asyncio.wait([calling])
        (task,) = (await helper.raw.call("ListTasks"))["result"]["tasks"]
    await tool.aclose()

    assert calling.cancelled()
    assert task["status"]["state"] == "TASK_STATE_CANCELED"


@pytest.mark.parametrize("dialect", ["0.3", "1.0"])
async def test_an_approval_inside_a_sub_agent_is_asked_above_and_handed_down(
    serve_engine: Any, model: Any, helper_model: Any, dialect: str
) -> None:
    drop = Drop()
    helper_model.calls(ToolCall("inner", "drop", {"a": 1})).says("it is gone")
    helper = await serve_engine(planned=helper_model, name="helper", tools=[drop], approve=["drop"])
    tool = agent_tool(helper.url)
    model.calls(ask()).says("all done")
    top = await serve_engine(tools=[tool])

    if dialect == "0.3":
        asked = (await top.raw.stream_03("go", contextId="s"))[-1]
        (part,) = asked["status"]["message"]["parts"]
        payload = part["data"]["args"]["toolConfirmation"]["payload"]
        assert payload["subagent_name"] == "test__NS__helper"
        (inner,) = payload["hitl_parts"]
        assert inner["originalFunctionCall"] == {"id": "inner", "name": "drop", "args": {"a": 1}}
        assert drop.ran == []
        batch = {"decision_type": "batch", "decisions": {"inner": "approve"}}
        done = await top.raw.stream_03(batch, contextId="s", taskId=asked["taskId"])
        state = done[-1]["status"]["state"]
    else:
        update = (await top.raw.stream_10("go", contextId="s"))[-1]["statusUpdate"]
        request = update["status"]["message"]["metadata"][HITL]
        assert request["nested"]["subagent_name"] == "test__NS__helper"
        (inner,) = request["nested"]["tools"]
        assert (inner["name"], inner["args"]) == ("drop", {"a": 1})
        assert drop.ran == []
        answer = {HITL: {"type": "tool_approval_response", "approvals": [{"id": inner["id"], "approved": True}]}}
        done = await top.raw.stream_10("yes", metadata=answer, contextId="s", taskId=update["taskId"])
        state = done[-1]["statusUpdate"]["status"]["state"]
    await tool.aclose()

    assert state in {"completed", "TASK_STATE_COMPLETED"}
    assert drop.ran == [{"a": 1}]
    told = [item.content for item in model.requests[-1].messages if isinstance(item, ToolMessage)]
    assert told == ["it is gone"]


async def test_a_rejection_is_handed_down_with_its_reason(serve_engine: Any, helper_model: Any) -> None:
    drop = Drop()
    helper_model.calls(ToolCall("inner", "drop", {})).says("left alone")
    helper = await serve_engine(planned=helper_model, name="helper", tools=[drop], approve=["drop"])
    top_model = type(helper_model)().calls(ask()).says("fine")
    tool = agent_tool(helper.url)
    top = await serve_engine(planned=top_model, name="top", tools=[tool])
    asked = (await top.raw.stream_03("go", contextId="s"))[-1]

    reject = {"decision_type": "reject", "rejection_reason": "not today"}
    done = await top.raw.stream_03(reject, contextId="s", taskId=asked["taskId"])
    await tool.aclose()

    assert done[-1]["status"]["state"] == "completed"
    assert drop.ran == []
    told = [item.content for item in helper_model.requests[-1].messages if isinstance(item, ToolMessage)]
    assert "not today" in told[0]


async def test_a_question_of_a_sub_agent_is_asked_above(serve_engine: Any, helper_model: Any) -> None:
    questions = {"questions": [{"question": "Which?", "choices": ["a", "b"]}]}
    helper_model.calls(ToolCall("q", "ask_user", questions)).says("chosen")
    helper = await serve_engine(planned=helper_model, name="helper")
    top_model = type(helper_model)().calls(ask()).says("fine")
    tool = agent_tool(helper.url)
    top = await serve_engine(planned=top_model, name="top", tools=[tool])

    update = (await top.raw.stream_10("go", contextId="s"))[-1]["statusUpdate"]
    request = update["status"]["message"]["metadata"][HITL]
    assert request["type"] == "ask_user_request"
    assert request["questions"][0]["question"] == "Which?"
    inner = request["nested"]["tools"][0]["id"]
    answer = {HITL: {"type": "ask_user_response", "id": inner, "answers": [{"answer": ["b"]}]}}
    done = await top.raw.stream_10("b", metadata=answer, contextId="s", taskId=update["taskId"])
    await tool.aclose()

    assert done[-1]["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"
    told = [item.content for item in helper_model.requests[-1].messages if isinstance(item, ToolMessage)]
    assert '"answer": ["b"]' in told[0]


async def test_an_agent_of_the_older_dialect_alone_is_spoken_to_in_it(serve: Any) -> None:
    """Upstream 0.10 lists 1.0 in the cards of Pods that know 0.3 only."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    methods: list[str] = []

    async def card(_: Request) -> Response:
        entries = [{"url": "http://x", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}]
        return JSONResponse({"name": "old", "supportedInterfaces": entries, "capabilities": {"streaming": False}})

    async def rpc(request: Request) -> Response:
        body = await request.json()
        methods.append(body["method"])
        answer: Json = {"jsonrpc": "2.0", "id": body["id"]}
        if "/" not in body["method"]:
            return JSONResponse(answer | {"error": {"code": -32601, "message": "Method not found"}})
        message = {"kind": "message", "role": "agent", "messageId": "m", "parts": [{"kind": "text", "text": "hello"}]}
        event = (answer | {"result": message}).__repr__().replace("'", '"')
        return Response(f"data: {event}\n\n", media_type="text/event-stream")

    routes = [Route("/.well-known/agent-card.json", card), Route("/", rpc, methods=["POST"])]
    async with serve(Starlette(routes=routes)) as url:
        tool = agent_tool(url)
        result = await tool.call(ask(), CONTEXT)
        await tool.aclose()

    assert isinstance(result, ToolResult)
    assert not isinstance(result, Ask)
    assert result.content == "hello"
    assert methods == ["SendMessage", "message/stream"]
