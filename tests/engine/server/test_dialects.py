"""One engine, one port, both dialects: what a raw client of each sees."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from kagent_api.engine_config import McpTools
from kagent_engine.models.base import (
    Message,
    ModelError,
    TextDelta,
    TextPart,
    ToolCall,
    ToolMessage,
    ToolSpec,
    UserMessage,
)
from kagent_engine.settings import PathMap
from kagent_engine.tools.base import CallContext, text_result
from kagent_engine.tools.mcp import McpServer

Json = dict[str, Any]
ACTIVITY = "https://kagent-tui.dev/a2a/activity/v1"


class Echo:
    """A tool that returns its argument."""

    def __init__(self, name: str = "echo") -> None:
        self.spec = ToolSpec(name, "Echo.", {"type": "object", "properties": {"text": {"type": "string"}}})
        self.calls: list[Json] = []

    async def call(self, call: ToolCall, context: CallContext, answer: Any = None) -> Any:
        self.calls.append(call.arguments)
        return text_result(f"echo: {call.arguments.get('text')}")


def _text(message: Message) -> str:
    if isinstance(message, UserMessage):
        (part,) = message.parts
        assert isinstance(part, TextPart)
        return part.text
    return message.content if isinstance(message, ToolMessage) else message.text


async def test_a_03_caller_gets_a_task_then_statuses_then_the_whole_text_and_one_artifact(
    serve_engine: Any, model: Any
) -> None:
    model.says("Hel", "lo")
    engine = await serve_engine()

    events = await engine.raw.stream_03("hi", contextId="session-1")

    kinds = [event["kind"] for event in events]
    assert kinds[0] == "task"
    assert events[0]["history"][0]["parts"] == [{"kind": "text", "text": "hi"}]
    said = [event for event in events if event["kind"] == "status-update" and "message" in event["status"]]
    partials = [event for event in said if event["metadata"]["kagent_adk_partial"]]
    assert "".join(event["status"]["message"]["parts"][0]["text"] for event in partials) == "Hello"
    whole = said[len(partials)]
    assert whole["status"]["message"]["parts"] == [{"kind": "text", "text": "Hello"}]
    assert whole["metadata"]["kagent_usage_metadata"]["totalTokenCount"] == 15
    assert whole["metadata"]["adk_usage_metadata"] == whole["metadata"]["kagent_usage_metadata"]
    assert kinds[-2:] == ["artifact-update", "status-update"]
    assert events[-2]["lastChunk"] is True
    assert events[-2]["artifact"]["parts"] == [{"kind": "text", "text": "Hello"}]
    assert events[-1]["status"]["state"] == "completed"
    assert events[-1]["final"] is True
    assert all(event["final"] is False for event in events[:-1] if event["kind"] == "status-update")


async def test_a_10_caller_gets_artifact_chunks_that_the_whole_text_replaces(serve_engine: Any, model: Any) -> None:
    model.says("Hel", "lo")
    engine = await serve_engine()

    events = await engine.raw.stream_10("hi")

    assert events[0]["task"]["status"]["state"] == "TASK_STATE_SUBMITTED"
    assert events[1]["statusUpdate"]["status"]["state"] == "TASK_STATE_WORKING"
    chunks = [event["artifactUpdate"] for event in events if "artifactUpdate" in event]
    assert len({chunk["artifact"]["artifactId"] for chunk in chunks}) == 1
    *deltas, whole = chunks
    assert "".join(chunk["artifact"]["parts"][0]["text"] for chunk in deltas) == "Hello"
    assert [chunk.get("append", False) for chunk in deltas] == [False] + [True] * (len(deltas) - 1)
    assert whole["lastChunk"] is True
    assert "append" not in whole
    assert whole["artifact"]["parts"] == [{"text": "Hello"}]
    last = events[-1]["statusUpdate"]
    assert last["status"]["state"] == "TASK_STATE_COMPLETED"
    assert last["metadata"]["kagent_usage_metadata"]["promptTokenCount"] == 10


async def test_tool_calls_and_results_are_data_parts_with_their_type_under_both_prefixes(
    serve_engine: Any, model: Any
) -> None:
    call = ToolCall("call_1", "echo", {"text": "x", "count": 3})
    model.calls(call).says("done").calls(call).says("done")
    engine = await serve_engine(tools=[Echo()])

    old = await engine.raw.stream_03("go")
    new = await engine.raw.stream_10("go")

    parts = [
        part
        for event in old
        if event["kind"] == "status-update"
        for part in event["status"].get("message", {"parts": []})["parts"]
        if part["kind"] == "data"
    ]
    parts_10 = [
        part
        for event in new
        if "artifactUpdate" in event
        for part in event["artifactUpdate"]["artifact"]["parts"]
        if "data" in part
    ]
    for found in (parts, parts_10):
        assert [part["metadata"]["kagent_type"] for part in found] == ["function_call", "function_response"]
        assert [part["metadata"]["adk_type"] for part in found] == ["function_call", "function_response"]
        assert found[0]["data"] == {"id": "call_1", "name": "echo", "args": {"text": "x", "count": 3}}
        assert found[1]["data"]["response"] == {"result": "echo: x"}
        activity = found[1]["metadata"][ACTIVITY]
        assert activity["duration_ms"] >= 0
        assert activity["is_error"] is False
    assert isinstance(parts_10[0]["data"]["args"]["count"], int)


async def test_the_next_turn_of_a_session_knows_what_was_said(serve_engine: Any, model: Any) -> None:
    model.says("first answer").says("second answer")
    engine = await serve_engine()

    await engine.raw.stream_03("one", contextId="s")
    await engine.raw.stream_10("two", contextId="s")

    texts = [_text(message) for message in model.requests[1].messages]
    assert texts == ["Be brief.", "one", "first answer", "two"]


async def test_the_end_of_a_turn_tells_what_the_whole_session_took(serve_engine: Any, model: Any) -> None:
    model.says("one").says("two")
    engine = await serve_engine()
    totals: list[tuple[int, int]] = []
    for _ in range(2):
        events = await engine.raw.stream_03("hi", contextId="counted")
        metadata = events[-1]["metadata"]
        counts = (metadata[f"kagent_{name}usage_metadata"]["totalTokenCount"] for name in ("", "session_"))
        totals.append((next(counts), next(counts)))
    assert totals == [(15, 15), (15, 30)]


async def test_a_message_that_is_not_streamed_returns_the_finished_task(serve_engine: Any, model: Any) -> None:
    model.says("a").says("b")
    engine = await serve_engine()
    old = {"kind": "message", "role": "user", "messageId": "m1", "parts": [{"kind": "text", "text": "x"}]}
    new = {"role": "ROLE_USER", "messageId": "m2", "parts": [{"text": "x"}]}

    sent_03 = (await engine.raw.call("message/send", message=old))["result"]
    sent_10 = (await engine.raw.call("SendMessage", message=new))["result"]["task"]

    assert (sent_03["kind"], sent_03["status"]["state"]) == ("task", "completed")
    assert sent_03["artifacts"][0]["parts"] == [{"kind": "text", "text": "a"}]
    assert sent_10["status"]["state"] == "TASK_STATE_COMPLETED"
    assert sent_10["artifacts"][0]["parts"] == [{"text": "b"}]


async def test_a_stored_task_has_no_partials_in_its_history(serve_engine: Any, model: Any) -> None:
    model.says(*"many small pieces of text")
    engine = await serve_engine()

    events = await engine.raw.stream_03("x")
    task = (await engine.raw.call("tasks/get", id=events[0]["id"]))["result"]

    assert [message["role"] for message in task["history"]] == ["user", "agent"]
    assert task["history"][1]["parts"][0]["text"] == "many small pieces of text"


async def test_another_user_does_not_find_the_task(serve_engine: Any, model: Any) -> None:
    model.says("x")
    engine = await serve_engine()
    events = await engine.raw.stream_10("x")
    task_id = events[0]["task"]["id"]

    raw = engine.raw
    raw.user = "mallory"

    assert (await raw.call("GetTask", id=task_id))["error"]["code"] == -32001
    assert (await engine.raw.call("GetTask", id=task_id))["result"]["id"] == task_id


async def test_a_model_error_ends_the_task_as_failed_with_its_words(serve_engine: Any, model: Any) -> None:
    model.plan.append([TextDelta("partly "), ModelError("the provider is down", code="API_ERROR")])
    engine = await serve_engine()

    events = await engine.raw.stream_03("x")

    assert events[-1]["status"]["state"] == "failed"
    assert "the provider is down" in events[-1]["status"]["message"]["parts"][0]["text"]
    assert events[-1]["metadata"]["kagent_error_code"] == "API_ERROR"


async def test_a_tool_server_that_is_down_is_a_warning_in_the_stream_and_the_turn_goes_on(
    serve_engine: Any, model: Any
) -> None:
    model.says("without tools").says("without tools")
    config = McpTools.model_validate({"params": {"url": "http://127.0.0.1:9/mcp"}})
    engine = await serve_engine(sources=[McpServer(config, sse=False, paths=PathMap())])

    old = await engine.raw.stream_03("x")
    new = [event.get("statusUpdate", {}) for event in await engine.raw.stream_10("x")]

    for events, last in ((old, "completed"), (new, "TASK_STATE_COMPLETED")):
        told = [event["metadata"][ACTIVITY] for event in events if ACTIVITY in event.get("metadata", {})]
        assert [(item["type"], item["code"], item["source"]) for item in told] == [
            ("warning", "mcp_unavailable", "127.0.0.1:9")
        ]
        assert events[-1]["status"]["state"] == last


async def test_cancel_ends_the_task_as_canceled_once_and_the_next_turn_goes_on(serve_engine: Any, model: Any) -> None:
    never = asyncio.Event()
    model.plan.append([TextDelta("thinking"), never])
    model.says("again")
    engine = await serve_engine()
    raw = engine.raw
    body = {
        "method": "SendStreamingMessage",
        "params": {
            "message": {"role": "ROLE_USER", "messageId": "m", "contextId": "s", "parts": [{"text": "x"}]},
        },
    }
    states: list[str] = []
    task_id = ""
    async with asyncio.timeout(30):
        async for event in raw.events(body, {"A2A-Version": "1.0"}):
            if "task" in event:
                task_id = event["task"]["id"]
            if "artifactUpdate" in event:
                canceled = await raw.call("CancelTask", id=task_id)
                assert canceled["result"]["status"]["state"] == "TASK_STATE_CANCELED"
            if "statusUpdate" in event:
                states.append(event["statusUpdate"]["status"]["state"])

    assert states == ["TASK_STATE_WORKING", "TASK_STATE_CANCELED"]
    assert (await raw.call("GetTask", id=task_id))["result"]["status"]["state"] == "TASK_STATE_CANCELED"
    assert (await raw.call("CancelTask", id=task_id))["error"]["code"] == -32002
    assert (await raw.stream_10("y", contextId="s"))[-1]["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"


async def test_a_client_that_goes_away_does_not_stop_the_turn_and_can_come_back(serve_engine: Any, model: Any) -> None:
    go_on = asyncio.Event()
    model.plan.append([TextDelta("one "), go_on])
    model.plan[0].extend(model.says("two").plan.pop())
    engine = await serve_engine()
    raw = engine.raw
    body = {
        "method": "message/stream",
        "params": {
            "message": {"kind": "message", "role": "user", "messageId": "m", "parts": [{"kind": "text", "text": "x"}]}
        },
    }
    task_id = ""
    async with asyncio.timeout(30):
        async for event in raw.events(body, {}):
            task_id = event.get("taskId", event.get("id"))
            if "message" in event.get("status", {}):
                break
        seen: list[Json] = []
        async for event in raw.events({"method": "tasks/resubscribe", "params": {"id": task_id}}, {}):
            if not seen:
                go_on.set()
            seen.append(event)

    assert seen[0]["kind"] == "task"
    assert seen[-1]["status"]["state"] == "completed"
    assert (await raw.call("tasks/get", id=task_id))["result"]["artifacts"][0]["parts"][0]["text"] == "one two"


async def test_errors_have_the_codes_of_the_protocol(serve_engine: Any, model: Any) -> None:
    model.says("x")
    engine = await serve_engine()
    raw = engine.raw
    task_id = (await raw.stream_10("x"))[0]["task"]["id"]
    empty: Json = {"role": "ROLE_USER", "messageId": "m", "parts": []}
    closed = {"role": "ROLE_USER", "messageId": "m", "taskId": task_id, "parts": [{"text": "x"}]}

    assert (await raw.call("NoSuchMethod"))["error"]["code"] == -32601
    assert (await raw.call("GetTask", id="unknown"))["error"]["code"] == -32001
    assert (await raw.call("SendMessage", message=empty))["error"]["code"] == -32602
    assert (await raw.call("SendMessage", message=closed))["error"]["code"] == -32004
    assert (await raw.call("tasks/get", id="unknown"))["error"]["code"] == -32001


async def test_list_tasks_pages_through_the_callers_tasks(serve_engine: Any, model: Any) -> None:
    for _ in range(3):
        model.says("x")
    engine = await serve_engine()
    for _ in range(3):
        await engine.raw.stream_10("x", contextId="s")

    first = (await engine.raw.call("ListTasks", contextId="s", pageSize=2))["result"]
    second = (await engine.raw.call("ListTasks", contextId="s", pageSize=2, pageToken=first["nextPageToken"]))["result"]

    assert (len(first["tasks"]), len(second["tasks"]), first["totalSize"]) == (2, 1, 3)
    assert second["nextPageToken"] == ""


async def test_the_card_lists_both_dialects_and_our_extensions_at_both_addresses(serve_engine: Any) -> None:
    engine = await serve_engine()
    async with httpx.AsyncClient(base_url=engine.url) as http:
        card = (await http.get("/.well-known/agent-card.json")).json()
        older = (await http.get("/.well-known/agent.json")).json()

    assert card == older
    assert [entry["protocolVersion"] for entry in card["supportedInterfaces"]] == ["1.0", "0.3"]
    assert card["url"] == "http://agent.test:8080"
    assert [entry["uri"] for entry in card["capabilities"]["extensions"]] == [
        "https://kagent.dev/extensions/hitl/v1",
        "https://kagent-tui.dev/a2a/activity/v1",
    ]


async def test_health_readiness_and_metrics_answer(serve_engine: Any, model: Any) -> None:
    model.calls(ToolCall("c", "echo", {})).says("x")
    engine = await serve_engine(tools=[Echo()])
    await engine.raw.stream_10("x")
    async with httpx.AsyncClient(base_url=engine.url) as http:
        assert (await http.get("/health")).text == "OK"
        assert (await http.get("/readyz")).status_code == 200
        metrics = (await http.get("/metrics")).text

    assert 'kagent_engine_turns_total{result="completed"} 1' in metrics
    assert 'kagent_engine_tool_calls_total{tool="echo",result="ok"} 1' in metrics
    assert 'kagent_engine_tokens_total{kind="input"} 30' in metrics


async def test_a_body_beyond_the_limit_is_refused(serve_engine: Any) -> None:
    engine = await serve_engine()
    async with httpx.AsyncClient(base_url=engine.url) as http:
        response = await http.post("/", content=b"x" * 1_000_001)

    assert response.status_code == 413
    assert "A2A_MAX_CONTENT_LENGTH" in response.json()["error"]["message"]


async def test_parameters_that_are_none_of_03_are_named(serve_engine: Any) -> None:
    engine = await serve_engine()

    error = (await engine.raw.call("message/send"))["error"]

    assert error["code"] == -32602
    assert "params.message: Field required" in error["message"]


async def test_the_version_may_stand_in_the_query(serve_engine: Any, model: Any) -> None:
    engine = await serve_engine()
    model.says("hi")
    message = {"role": "ROLE_USER", "messageId": "m", "parts": [{"text": "hi"}]}
    body = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": message}}

    async with httpx.AsyncClient(timeout=30) as http:
        answer = (await http.post(f"{engine.url}?A2A-Version=1.0", json=body)).json()

    assert answer["result"]["task"]["status"]["state"] == "TASK_STATE_COMPLETED"
