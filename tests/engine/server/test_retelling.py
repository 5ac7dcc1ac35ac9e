"""Turns of 1.0 callers, as readers of stored 0.3 tasks find them: upstream's web UI and a later 0.3 client."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kagent_engine.models.base import Finish, TextDelta, ToolCall, ToolSpec
from kagent_engine.server.events import now
from kagent_engine.tools.base import text_result

Json = dict[str, Any]
HITL = "https://kagent.dev/extensions/hitl/v1"


MESSAGE: Json = {"messageId": "m", "role": "ROLE_USER", "contextId": "s", "parts": [{"text": "hi"}]}


class Drop:
    spec = ToolSpec("drop", "Dangerous.", {"type": "object", "properties": {}})

    async def call(self, call: ToolCall, context: Any, answer: Any = None) -> Any:
        del call, context, answer
        return text_result("dropped")


def told(task: Json) -> list[str]:
    """Return who said what, in the order of the history."""
    lines: list[str] = []
    for message in task["history"]:
        for part in message["parts"]:
            data = part.get("data", {})
            lines.append(f"{message['role']}: {part.get('text') or data.get('name') or data}")
    return lines


async def test_a_10_turn_is_found_in_the_history_of_its_stored_task(serve_engine: Any, model: Any) -> None:
    engine = await serve_engine()
    model.says("Hello ", "there")
    events = await engine.raw.stream_10("hi", contextId="s")
    task_id = events[0]["task"]["id"]

    stored = await engine.store.get_task(task_id, "alice")

    assert told(stored) == ["user: hi", "agent: Hello there"]
    assert stored["history"][1]["metadata"]["kagent_author"] == "tester"


async def test_a_task_that_a_former_process_of_this_host_left_is_closed_when_asked_for(
    serve_engine: Any, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that others share cannot tell at start what was left; the task itself says whose it was."""
    monkeypatch.setenv("HOSTNAME", "pod-1")
    engine = await serve_engine()
    model.says("hi")
    sent = (await engine.raw.call("SendMessage", message=MESSAGE))["result"]["task"]
    stored = await engine.store.get_task(sent["id"], "alice")
    assert stored["metadata"]["kagent_tui_process"].startswith("pod-1/")
    for task_id, process, alive in (
        ("mine", "pod-1/before", ""), ("anothers", "pod-2/now", now()), ("silent", "pod-2/now", "2026-01-01T00:00:00Z"),
        ("odd", "pod-2/now", "yesterday"),
    ):  # fmt: skip
        metadata = {"kagent_tui_process": process, "kagent_tui_alive": alive}
        left = {"id": task_id, "status": {"state": "working"}, "metadata": metadata}
        await engine.store.save_task(stored | left, "alice")

    listed = (await engine.raw.call("ListTasks", contextId=sent["contextId"]))["result"]["tasks"]
    assert {task["id"]: task["status"]["state"].removeprefix("TASK_STATE_") for task in listed} == {
        sent["id"]: "COMPLETED", "mine": "FAILED", "silent": "FAILED", "anothers": "WORKING", "odd": "WORKING",
    }  # fmt: skip
    mine, anothers = [(await engine.raw.call("GetTask", id=name))["result"] for name in ("mine", "anothers")]

    assert mine["status"]["state"] == "TASK_STATE_FAILED"
    assert mine["metadata"]["kagent_error_code"] == "INTERRUPTED"
    assert anothers["status"]["state"] == "TASK_STATE_WORKING"
    assert (await engine.store.get_task("mine", "alice"))["status"]["state"] == "failed"


async def test_work_that_lasts_gives_signs_of_life(
    serve_engine: Any, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By them another Pod tells a turn that works from one whose Pod was lost."""
    monkeypatch.setattr("kagent_engine.server.tasks._BEAT_SECONDS", 0.001)
    engine = await serve_engine()
    goes_on = asyncio.Event()
    model.plan.append([goes_on, TextDelta("done"), Finish("stop")])
    sent = await engine.raw.call("SendMessage", message=MESSAGE, configuration={"returnImmediately": True})
    task_id = sent["result"]["task"]["id"]
    seen: set[str] = set()
    stored: Json = {}
    async with asyncio.timeout(20):
        while len(seen) < 3:
            stored = await engine.store.get_task(task_id, "alice") or {}
            seen.add(stored.get("metadata", {}).get("kagent_tui_alive", ""))
            await asyncio.sleep(0.001)
        goes_on.set()
        while stored["status"]["state"] != "completed":
            stored = await engine.store.get_task(task_id, "alice")
            await asyncio.sleep(0.001)
    assert "kagent_tui_alive" not in stored["metadata"]


async def test_a_03_turn_is_told_once(serve_engine: Any, model: Any) -> None:
    engine = await serve_engine()
    model.says("Hello ", "there")
    events = await engine.raw.stream_03("hi", contextId="s")

    stored = await engine.store.get_task(events[-1]["taskId"], "alice")

    assert [line for line in told(stored) if line.startswith("agent")] == ["agent: Hello there"]


async def test_a_pause_asked_over_10_can_be_seen_and_decided_over_03(serve_engine: Any, model: Any) -> None:
    engine = await serve_engine(tools=[Drop()], approve=["drop"])
    model.calls(ToolCall("c1", "drop", {"a": 1})).says("gone")
    events = await engine.raw.stream_10("go", contextId="s")
    task_id = events[0]["task"]["id"]

    stored = await engine.store.get_task(task_id, "alice")

    text, asked = stored["status"]["message"]["parts"]
    assert text["kind"] == "text"
    assert asked["metadata"]["kagent_is_long_running"] is True
    assert asked["data"]["name"] == "adk_request_confirmation"
    assert asked["data"]["args"]["originalFunctionCall"] == {"id": "c1", "name": "drop", "args": {"a": 1}}
    assert told(stored) == ["user: go", "agent: drop"]

    done = await engine.raw.stream_03({"decision_type": "approve"}, contextId="s", taskId=task_id)

    assert done[-1]["status"]["state"] == "completed"
    stored = await engine.store.get_task(task_id, "alice")
    assert "agent: gone" in told(stored)
    assert told(stored).count("agent: gone") == 1


async def test_what_was_said_before_a_pause_comes_before_its_answer(serve_engine: Any, model: Any) -> None:
    engine = await serve_engine(tools=[Drop()], approve=["drop"])
    model.calls(ToolCall("c1", "drop", {})).says("gone")
    events = await engine.raw.stream_10("go", contextId="s")
    task_id = events[0]["task"]["id"]
    request = events[-1]["statusUpdate"]["status"]["message"]["metadata"][HITL]
    decision = {"type": "tool_approval_response", "approvals": [{"id": request["tools"][0]["id"], "approved": True}]}

    await engine.raw.stream_10("yes", metadata={HITL: decision}, contextId="s", taskId=task_id)

    lines = told(await engine.store.get_task(task_id, "alice"))
    assert lines[:2] == ["user: go", "agent: drop"]
    assert lines[-3:] == ["user: yes", "agent: drop", "agent: gone"]
