"""Pauses and their answers in the words of the other dialect.

Upstream 0.10 asks with ``adk_request_confirmation`` parts and is answered with a ``decision_type`` part; its main
line does both with the hitl/v1 extension. Here the first is said as the second, and an answer in the second as the
first, so that a 1.0 caller can decide for a 0.3 agent. The ids handed out are those of the calls themselves: nothing
has to be remembered. An answer that leaves a call out is never passed on, because 0.10 runs such a call.
"""

from __future__ import annotations

from typing import Any, Final, cast

from kagent_api.kube.resources import JsonObject
from kagent_api.names import HITL_EXTENSION
from kagent_operator.gateway.directory import field, rows

__all__ = ["ask_in_words_of_1_0", "decide_in_words_of_0_3", "left_out"]

_CONFIRM: Final = "adk_request_confirmation"
_ASK_USER: Final = "ask_user"


def ask_in_words_of_1_0(result: JsonObject) -> JsonObject:
    """Return a 1.0 task or streamed result with the confirmation parts of its pause as a hitl/v1 request."""
    for name in ("task", "statusUpdate"):
        if isinstance(result.get(name), dict):
            return result | {name: ask_in_words_of_1_0(result[name])}
    message = field(result, "status", "message")
    if field(result, "status", "state") != "TASK_STATE_INPUT_REQUIRED" or not isinstance(message, dict):
        return result
    return result | {"status": result["status"] | {"message": _asking(cast("JsonObject", message))}}


def decide_in_words_of_0_3(message: JsonObject) -> JsonObject:
    """Return a 0.3 message with a hitl/v1 answer of its metadata as a part that 0.10 engines read."""
    answer = _answer(message)
    if not answer or any("decision_type" in _data(part) for part in rows(message, "parts")):
        return message
    if answer.get("type") == "ask_user_response":
        data: JsonObject = {"decision_type": "approve", "ask_user_answers": _list(answer.get("answers"))}
    else:
        approvals = rows(answer, "approvals")
        data = {
            "decision_type": "batch",
            "decisions": {
                str(item.get("id")): "approve" if item.get("approved") is True else "reject" for item in approvals
            },
        }
        reasons = {str(item.get("id")): item["rejection_reason"] for item in approvals if item.get("rejection_reason")}
        data |= {"rejection_reasons": reasons} if reasons else {}
    return message | {"parts": [*rows(message, "parts"), {"kind": "data", "data": data}]}


def left_out(message: JsonObject, task: JsonObject) -> list[str]:
    """Return the names of the calls of a paused 0.3 task that a hitl/v1 answer of a message does not decide on."""
    answer = _answer(message)
    if answer.get("type") != "tool_approval_response":
        return []
    parts = rows(task, "status", "message", "parts")
    decided = {str(item.get("id")) for item in rows(answer, "approvals")}
    waiting = [call for part in parts if _is_confirmation(part) for call in _calls(_data(part))]
    return [str(call.get("name")) for call in waiting if str(call.get("id")) not in decided]


def _asking(message: JsonObject) -> JsonObject:
    parts = rows(message, "parts")
    confirmations = [_data(part) for part in parts if _is_confirmation(part)]
    given = message.get("metadata")
    metadata = cast("JsonObject", given) if isinstance(given, dict) else {}
    if not confirmations or HITL_EXTENSION in metadata:
        return message
    request = _request(confirmations)
    kept = [part for part in parts if not _is_confirmation(part)]
    if not any(part.get("text") for part in kept):
        kept.insert(0, {"text": str(request.get("hint") or "The agent waits for an answer.")})
    return message | {
        "parts": kept,
        "extensions": [*_list(message.get("extensions")), HITL_EXTENSION],
        "metadata": metadata | {HITL_EXTENSION: request},
    }


def _request(confirmations: list[JsonObject]) -> JsonObject:
    hints = [str(field(item, "args", "toolConfirmation", "hint") or "") for item in confirmations]
    hint = "\n".join(filter(None, hints))
    calls = [call for item in confirmations for call in _calls(item)]
    payload = field(confirmations[0], "args", "toolConfirmation", "payload")
    nested: JsonObject = {}
    if rows(confirmations[0], "args", "toolConfirmation", "payload", "hitl_parts"):
        kept = {key: field(payload, key) or "" for key in ("subagent_name", "task_id", "context_id")}
        nested = {"nested": kept | {"tools": [_tool(call) for call in calls]}}
    if calls and all(call.get("name") == _ASK_USER for call in calls):
        questions: Any = field(calls[0], "args", "questions") or []
        return {"type": "ask_user_request", "id": calls[0].get("id", ""), "questions": questions} | nested
    tools = [_tool(_object(field(item, "args", "originalFunctionCall"))) for item in confirmations]
    names = ", ".join(str(call.get("name")) for call in calls)
    return {
        "type": "tool_approval_request",
        "hint": hint or f"Waiting for a decision on {names}",
        "tools": tools,
    } | nested


def _calls(confirmation: JsonObject) -> list[JsonObject]:
    """Return the calls a confirmation is about: those of a sub-agent where it has asked."""
    inner = rows(confirmation, "args", "toolConfirmation", "payload", "hitl_parts")
    outer = field(confirmation, "args", "originalFunctionCall")
    asked: list[Any] = [field(item, "originalFunctionCall") for item in inner] or [outer]
    return [cast("JsonObject", call) for call in asked if isinstance(call, dict)]


def _tool(call: JsonObject) -> JsonObject:
    call_id = call.get("id", "")
    return {"id": call_id, "call_id": call_id, "name": call.get("name", ""), "args": call.get("args") or {}}


def _is_confirmation(part: JsonObject) -> bool:
    return _data(part).get("name") == _CONFIRM


def _data(part: JsonObject) -> JsonObject:
    return _object(part.get("data"))


def _object(value: Any) -> JsonObject:
    return cast("JsonObject", value) if isinstance(value, dict) else {}


def _answer(message: JsonObject) -> JsonObject:
    answer = field(message, "metadata", HITL_EXTENSION)
    return cast("JsonObject", answer) if isinstance(answer, dict) else {}


def _list(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []
