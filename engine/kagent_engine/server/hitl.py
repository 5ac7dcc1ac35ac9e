"""A pause and its answer in both wire forms: upstream 0.10's DataParts and the hitl/v1 extension of its main.

An answer counts only if it decides on everything that was asked. A missing decision is never a yes (upstream 0.10 runs
such a tool); the pause is asked again, saying what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from kagent_api.names import ACTIVITY_EXTENSION, HITL_EXTENSION
from kagent_engine.events import Nested, Pending
from kagent_engine.history import confirmation
from kagent_engine.models.base import ToolCall
from kagent_engine.server.codec import Dialect
from kagent_engine.server.identity import both
from kagent_engine.server.requests import whole
from kagent_engine.shapes import JsonObject, as_object, as_objects, as_text, is_object
from kagent_engine.tools.base import Answer, Decision

__all__ = ["Incomplete", "pause_message", "presented", "read_answers"]


@dataclass(frozen=True, slots=True)
class Incomplete:
    """The message does not decide on all that was asked; ``note`` says what is missing."""

    note: str


def presented(pending: Sequence[Pending]) -> tuple[Pending, ...]:
    """Return what one hitl/v1 request can ask for: all approvals, or one sub-agent's pause, or one question."""
    approvals = tuple(item for item in pending if item.ask.kind == "approval" and item.ask.nested is None)
    return approvals or tuple(pending[:1])


def pause_message(
    pending: Sequence[Pending], note: str, *, dialect: Dialect
) -> tuple[list[JsonObject], Mapping[str, JsonObject]]:
    """Return the parts of the status message of a pause, and the bodies of the extensions it uses."""
    if dialect == "0.3":
        parts: list[JsonObject] = [{"text": note}] if note else []
        metadata = both({"type": "function_call", "is_long_running": True})
        parts.extend({"data": confirmation(item), "metadata": metadata} for item in pending)
        return parts, {}
    asked = presented(pending)
    hint = "\n".join(filter(None, [note, *(item.ask.hint for item in asked)]))
    return [{"text": hint}], {HITL_EXTENSION: _request(asked, hint)}


def read_answers(
    message: JsonObject, pending: Sequence[Pending], *, dialect: Dialect
) -> dict[str, Answer] | Incomplete:
    """Return a person's answers by call id, or say what the message leaves open.

    Either form is understood in either dialect, because clients may send both at once; hitl/v1 wins.
    """
    body = as_object(as_object(message.get("metadata")).get(HITL_EXTENSION))
    edits = _edits(message)
    if body:
        return _from_extension(body, presented(pending), edits)
    for part in as_objects(message["parts"]):
        data = as_object(part.get("data"))
        if data.get("decision_type"):
            asked = pending if dialect == "0.3" else presented(pending)
            return _from_data(data, asked, edits)
    return _from_text(message, presented(pending))


def _request(asked: Sequence[Pending], hint: str) -> JsonObject:
    first = asked[0]
    nested = first.ask.nested
    if first.ask.kind == "question":
        inner = nested.calls[0] if nested else None
        call = inner.call if inner else first.call
        made: JsonObject = {
            "type": "ask_user_request",
            "id": first.request_id,
            "questions": [_question(item) for item in as_objects(call.arguments.get("questions"))],
        }
    else:
        tools = [_tool(item.request_id, item.call) for item in asked]
        made = {"type": "tool_approval_request", "hint": hint, "tools": tools}
    if nested:
        made["nested"] = _nested(nested)
    return made


def _nested(nested: Nested) -> JsonObject:
    return {
        "subagent_name": nested.agent,
        "task_id": nested.task_id,
        "context_id": nested.context_id,
        "tools": [_tool(inner.request_id, inner.call) for inner in nested.calls],
    }


def _tool(request_id: str, call: ToolCall) -> JsonObject:
    return {"id": request_id, "call_id": call.id, "name": call.name, "args": call.arguments}


def _question(item: JsonObject) -> JsonObject:
    choices = item.get("choices")
    return {
        "question": as_text(item.get("question")),
        "choices": cast("list[Any]", choices) if isinstance(choices, list) else [],
        "multiple": bool(item.get("multiple")),
    }


def _edits(message: JsonObject) -> Mapping[str, JsonObject]:
    """Return edited arguments by request id or call id (the activity extension)."""
    body = as_object(as_object(message.get("metadata")).get(ACTIVITY_EXTENSION))
    edited = as_object(body.get("arguments"))
    return {key: whole(item) for key, item in edited.items() if is_object(item)}


def _from_extension(
    body: JsonObject, asked: Sequence[Pending], edits: Mapping[str, JsonObject]
) -> dict[str, Answer] | Incomplete:
    first = asked[0]
    if body.get("type") == "ask_user_response":
        return _questions_answered([first], _answers(body.get("answers")))
    decisions = {
        as_text(item.get("id")): Decision(bool(item.get("approved") is True), as_text(item.get("rejection_reason")))
        for item in as_objects(body.get("approvals"))
    }
    return _decided(asked, decisions, edits)


def _from_data(
    data: JsonObject, asked: Sequence[Pending], edits: Mapping[str, JsonObject]
) -> dict[str, Answer] | Incomplete:
    kind = data.get("decision_type")
    if "ask_user_answers" in data:
        return _questions_answered(asked, _answers(data.get("ask_user_answers")))
    if kind == "batch":
        reasons = as_object(data.get("rejection_reasons"))
        decisions = {
            key: Decision(verdict == "approve", as_text(reasons.get(key)))
            for key, verdict in as_object(data.get("decisions")).items()
        }
        return _decided(asked, decisions, edits)
    one = Decision(kind == "approve", as_text(data.get("rejection_reason")))
    return _decided(asked, {key: one for item in asked for key in _keys(item)}, edits)


def _from_text(message: JsonObject, asked: Sequence[Pending]) -> dict[str, Answer] | Incomplete:
    """Take plain text as the answer to a single question; for anything else it decides nothing."""
    text = "\n".join(as_text(part.get("text")) for part in as_objects(message["parts"]) if "text" in part).strip()
    if text and asked[0].ask.kind == "question" and len(_asked_questions(asked[0])) == 1:
        return _questions_answered(asked, ((text,),))
    return Incomplete(f"Nothing was run. Still waiting for a decision on: {_names(asked)}.")


def _decided(
    asked: Sequence[Pending], decisions: Mapping[str, Decision], edits: Mapping[str, JsonObject]
) -> dict[str, Answer] | Incomplete:
    answers: dict[str, Answer] = {}
    missing: list[Pending] = []
    for item in asked:
        if item.ask.nested:
            inner = {call.request_id: _find(decisions, call.request_id, call.call.id) for call in item.ask.nested.calls}
            known = {key: decision for key, decision in inner.items() if decision}
            if len(known) < len(inner):
                missing.append(item)
            else:
                answers[item.call.id] = Answer(item.ask, next(iter(known.values())), known)
            continue
        decision = _find(decisions, item.request_id, item.call.id)
        # An approval alone is no answer to a question; a rejection cancels it.
        if decision is None or (item.ask.kind == "question" and decision.approved):
            missing.append(item)
            continue
        edited = edits.get(item.request_id, edits.get(item.call.id))
        answers[item.call.id] = Answer(item.ask, Decision(decision.approved, decision.reason, edited))
    if missing:
        return Incomplete(f"Nothing was run: the answer does not decide on {_names(missing)}.")
    return answers


def _questions_answered(asked: Sequence[Pending], given: tuple[tuple[str, ...], ...]) -> dict[str, Answer] | Incomplete:
    waiting = [item for item in asked if item.ask.kind == "question"]
    if not waiting:
        return Incomplete(f"Nothing was run: {_names(asked)} wait for an approval, not for an answer.")
    item = waiting[0]
    expected = len(_asked_questions(item))
    if len(given) != expected:
        return Incomplete(f"{expected} answers were expected, {len(given)} came.")
    decision = Decision(True, answers=given)
    nested = {call.request_id: decision for call in item.ask.nested.calls} if item.ask.nested else {}
    return {item.call.id: Answer(item.ask, decision, nested)}


def _answers(given: object) -> tuple[tuple[str, ...], ...]:
    answers: list[tuple[str, ...]] = []
    for item in as_objects(given):
        chosen = item.get("answer")
        values = cast("list[object]", chosen) if isinstance(chosen, list) else [chosen]
        answers.append(tuple(str(choice) for choice in values if choice is not None))
    return tuple(answers)


def _asked_questions(item: Pending) -> list[JsonObject]:
    call = item.ask.nested.calls[0].call if item.ask.nested else item.call
    return as_objects(call.arguments.get("questions"))


def _find(decisions: Mapping[str, Decision], *keys: str) -> Decision | None:
    return next((decisions[key] for key in keys if key in decisions), None)


def _keys(item: Pending) -> list[str]:
    if item.ask.nested:
        return [inner.request_id for inner in item.ask.nested.calls]
    return [item.request_id]


def _names(items: Sequence[Pending]) -> str:
    return ", ".join(f"'{item.call.name}'" for item in items)
