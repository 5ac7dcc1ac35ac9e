"""Approvals and questions in both wire forms: nothing runs without a decision, and a pause outlives the process."""

from __future__ import annotations

from typing import Any

import pytest

from kagent_engine.models.base import ToolCall, ToolMessage, ToolSpec
from kagent_engine.tools.base import CallContext, text_result

Json = dict[str, Any]
HITL = "https://kagent.dev/extensions/hitl/v1"
ACTIVITY = "https://kagent-tui.dev/a2a/activity/v1"


class Danger:
    """A tool that says what it was run with."""

    def __init__(self, name: str) -> None:
        self.spec = ToolSpec(name, "Dangerous.", {"type": "object", "properties": {}})
        self.ran: list[Json] = []

    async def call(self, call: ToolCall, context: CallContext, answer: Any = None) -> Any:
        self.ran.append(call.arguments)
        return text_result("done")


@pytest.fixture
def tools() -> tuple[Danger, Danger, Danger]:
    return Danger("drop"), Danger("delete"), Danger("read")


@pytest.fixture
async def engine(serve_engine: Any, model: Any, tools: Any) -> Any:
    return await serve_engine(tools=tools, approve=["drop", "delete"])


def results(model: Any) -> dict[str, str]:
    """What the model was told about each call in its last request."""
    return {item.call_id: item.content for item in model.requests[-1].messages if isinstance(item, ToolMessage)}


async def test_a_03_caller_is_asked_with_confirmation_parts_and_approves_all(
    engine: Any, model: Any, tools: Any
) -> None:
    model.calls(ToolCall("c1", "drop", {"a": 1}), ToolCall("c2", "read", {})).says("ok")

    asked = await engine.raw.stream_03("go", contextId="s")

    last = asked[-1]
    assert (last["status"]["state"], last["final"]) == ("input-required", True)
    (part,) = last["status"]["message"]["parts"]
    assert part["metadata"]["kagent_type"] == "function_call"
    assert part["metadata"]["kagent_is_long_running"] is True
    assert part["data"]["name"] == "adk_request_confirmation"
    assert part["data"]["args"]["originalFunctionCall"] == {"id": "c1", "name": "drop", "args": {"a": 1}}
    assert part["data"]["args"]["toolConfirmation"]["confirmed"] is False
    assert tools[0].ran == []
    assert len(tools[2].ran) == 1

    done = await engine.raw.stream_03({"decision_type": "approve"}, contextId="s", taskId=last["taskId"])

    assert done[-1]["status"]["state"] == "completed"
    assert tools[0].ran == [{"a": 1}]
    assert len(tools[2].ran) == 1
    assert results(model) == {"c1": "done", "c2": "done"}


async def test_a_03_batch_runs_what_was_approved_and_tells_the_model_why_not(
    engine: Any, model: Any, tools: Any
) -> None:
    model.calls(ToolCall("c1", "drop", {}), ToolCall("c2", "delete", {})).says("ok")
    asked = await engine.raw.stream_03("go", contextId="s")
    batch = {
        "decision_type": "batch",
        "decisions": {"c1": "approve", "c2": "reject"},
        "rejection_reasons": {"c2": "too risky"},
    }

    done = await engine.raw.stream_03(batch, contextId="s", taskId=asked[-1]["taskId"])

    assert done[-1]["status"]["state"] == "completed"
    assert (len(tools[0].ran), tools[1].ran) == (1, [])
    assert "too risky" in results(model)["c2"]


async def test_a_batch_that_misses_a_decision_runs_nothing_and_says_what_is_missing(
    engine: Any, model: Any, tools: Any
) -> None:
    model.calls(ToolCall("c1", "drop", {}), ToolCall("c2", "delete", {})).says("ok")
    asked = await engine.raw.stream_03("go", contextId="s")
    half = {"decision_type": "batch", "decisions": {"c1": "approve"}}

    again = await engine.raw.stream_03(half, contextId="s", taskId=asked[-1]["taskId"])

    assert again[-1]["status"]["state"] == "input-required"
    assert "'delete'" in again[-1]["status"]["message"]["parts"][0]["text"]
    assert (tools[0].ran, tools[1].ran) == ([], [])
    both = {"decision_type": "batch", "decisions": {"c1": "approve", "c2": "approve"}}
    done = await engine.raw.stream_03(both, contextId="s", taskId=asked[-1]["taskId"])
    assert done[-1]["status"]["state"] == "completed"
    assert (len(tools[0].ran), len(tools[1].ran)) == (1, 1)


async def test_plain_text_decides_nothing(engine: Any, model: Any, tools: Any) -> None:
    model.calls(ToolCall("c1", "drop", {}))
    asked = await engine.raw.stream_10("go", contextId="s")
    task_id = asked[-1]["statusUpdate"]["taskId"]

    again = await engine.raw.stream_10("yes please", contextId="s", taskId=task_id)

    assert again[-1]["statusUpdate"]["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
    assert tools[0].ran == []


async def test_a_10_caller_is_asked_by_extension_and_may_edit_arguments(engine: Any, model: Any, tools: Any) -> None:
    model.calls(ToolCall("c1", "drop", {"a": 1}), ToolCall("c2", "delete", {})).says("ok")

    asked = await engine.raw.stream_10("go", contextId="s")

    last = asked[-1]["statusUpdate"]
    assert last["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
    message = last["status"]["message"]
    assert message["extensions"] == [HITL]
    assert message["parts"][0]["text"]
    request = message["metadata"][HITL]
    assert request["type"] == "tool_approval_request"
    assert [(tool["call_id"], tool["name"], tool["args"]) for tool in request["tools"]] == [
        ("c1", "drop", {"a": 1}),
        ("c2", "delete", {}),
    ]
    ids = [tool["id"] for tool in request["tools"]]
    answer = {
        HITL: {
            "type": "tool_approval_response",
            "approvals": [
                {"id": ids[0], "approved": True},
                {"id": ids[1], "approved": False, "rejection_reason": "no"},
            ],
        },
        ACTIVITY: {"arguments": {ids[0]: {"a": 2}}},
    }

    done = await engine.raw.stream_10("decided", metadata=answer, contextId="s", taskId=last["taskId"])

    assert done[-1]["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"
    assert (tools[0].ran, tools[1].ran) == ([{"a": 2}], [])
    assert "no" in results(model)["c2"]


async def test_a_question_is_asked_in_both_forms_and_answered(engine: Any, model: Any) -> None:
    questions = {"questions": [{"question": "Which?", "choices": ["dev", "prod"], "multiple": False}]}
    for _ in range(2):
        model.calls(ToolCall("q1", "ask_user", questions)).says("thanks")

    old = (await engine.raw.stream_03("go", contextId="old"))[-1]
    (part,) = old["status"]["message"]["parts"]
    assert part["data"]["args"]["originalFunctionCall"]["args"] == questions
    answer = {"decision_type": "approve", "ask_user_answers": [{"answer": ["dev"]}]}
    done = await engine.raw.stream_03("dev", answer, contextId="old", taskId=old["taskId"])
    assert done[-1]["status"]["state"] == "completed"
    assert '"answer": ["dev"]' in results(model)["q1"]

    new = (await engine.raw.stream_10("go", contextId="new"))[-1]["statusUpdate"]
    request = new["status"]["message"]["metadata"][HITL]
    assert request["type"] == "ask_user_request"
    assert request["questions"] == [{"question": "Which?", "choices": ["dev", "prod"], "multiple": False}]
    body = {HITL: {"type": "ask_user_response", "id": request["id"], "answers": [{"answer": ["prod"]}]}}
    done = await engine.raw.stream_10("prod", metadata=body, contextId="new", taskId=new["taskId"])
    assert done[-1]["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"
    assert '"answer": ["prod"]' in results(model)["q1"]


async def test_a_single_question_takes_plain_text_as_its_answer(engine: Any, model: Any) -> None:
    model.calls(ToolCall("q1", "ask_user", {"questions": [{"question": "Name?"}]})).says("hello")
    asked = (await engine.raw.stream_10("go", contextId="s"))[-1]["statusUpdate"]

    done = await engine.raw.stream_10("Ada", contextId="s", taskId=asked["taskId"])

    assert done[-1]["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"
    assert '"answer": ["Ada"]' in results(model)["q1"]


async def test_a_pause_is_answered_after_a_restart(serve_engine: Any, model: Any, tools: Any) -> None:
    model.calls(ToolCall("c1", "drop", {"a": 1})).says("ok")
    first = await serve_engine(tools=tools, approve=["drop"])
    asked = (await first.raw.stream_03("go", contextId="s"))[-1]

    second = await serve_engine(tools=tools, approve=["drop"])
    done = await second.raw.stream_03({"decision_type": "approve"}, contextId="s", taskId=asked["taskId"])

    assert done[-1]["status"]["state"] == "completed"
    assert tools[0].ran == [{"a": 1}]


async def test_a_new_message_leaves_the_pause_undecided_and_the_model_is_told(
    engine: Any, model: Any, tools: Any
) -> None:
    model.calls(ToolCall("c1", "drop", {})).says("never mind")
    await engine.raw.stream_10("go", contextId="s")

    done = await engine.raw.stream_10("something else", contextId="s")

    assert done[-1]["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"
    assert tools[0].ran == []
    assert "not executed" in results(model)["c1"]
