"""The person's answer to approvals and questions, in both wire forms at once; both engines take such a message.

Every id is answered or nothing is sent: released kagent executes a call whose id is missing, upstream's main fails the
whole task. A text part always comes along, because a2a-sdk refuses a message without one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kagent_api.names import ACTIVITY_EXTENSION, HITL_EXTENSION
from kagent_tui.chat.errors import DecisionIncomplete
from kagent_tui.chat.events import ApprovalRequest, PendingCall, Question
from kagent_tui.chat.jsonvalue import JsonObject
from kagent_tui.chat.wire import Part

__all__ = ["Answer", "Decision", "Pause", "encode_answer"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What the person says to one call. ``arguments`` replaces the model's, where the agent takes that."""

    approved: bool
    reason: str = ""
    arguments: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Decisions by call id, and for each question its answers, one list for each of its items."""

    decisions: Mapping[str, Decision] = field(default_factory=dict[str, Decision])
    answers: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict[str, Sequence[Sequence[str]]])

    @staticmethod
    def to_all(pause: Pause, decision: Decision) -> Answer:
        """Return the same decision for every call of a pause."""
        return Answer({call.call_id: decision for call in pause.calls})


@dataclass(frozen=True, slots=True)
class Pause:
    """Everything one task waits for."""

    approvals: tuple[ApprovalRequest, ...] = ()
    questions: tuple[Question, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.approvals or self.questions)

    @property
    def calls(self) -> tuple[PendingCall, ...]:
        """Every call that waits, of all requests."""
        return tuple(call for request in self.approvals for call in request.calls)

    @property
    def ids(self) -> frozenset[str]:
        """What tells this pause from another one of the same task."""
        return frozenset((*(call.call_id for call in self.calls), *(each.request_id for each in self.questions)))


def encode_answer(pause: Pause, answer: Answer) -> tuple[tuple[Part, ...], JsonObject]:
    """Return parts and metadata that answer ``pause``; raise DecisionIncomplete if ids are missing or unknown."""
    calls = pause.calls
    _check({call.call_id for call in calls}, set(answer.decisions), "tool call")
    _check({question.request_id for question in pause.questions}, set(answer.answers), "question")
    for question in pause.questions:
        if len(answer.answers[question.request_id]) != len(question.items):
            raise DecisionIncomplete("each question needs one answer", remedy="answer all questions, then send")

    data: JsonObject = {}
    metadata: JsonObject = {}
    if calls:
        reasons = {
            call.call_id: answer.decisions[call.call_id].reason
            for call in calls
            if not answer.decisions[call.call_id].approved and answer.decisions[call.call_id].reason
        }
        data = {
            "decision_type": "batch",
            "decisions": {
                call.call_id: "approve" if answer.decisions[call.call_id].approved else "reject" for call in calls
            },
            **({"rejection_reasons": reasons} if reasons else {}),
        }
        approvals: dict[str, JsonObject] = {}
        for call in calls:
            decision = answer.decisions[call.call_id]
            # Released kagent's nested calls share one request id, and the extension wants each id once.
            if decision.approved:
                approvals.setdefault(call.request_id, {"id": call.request_id, "approved": True})
            else:
                why = {"rejection_reason": decision.reason} if decision.reason else {}
                approvals[call.request_id] = {"id": call.request_id, "approved": False, **why}
        metadata = {HITL_EXTENSION: {"type": "tool_approval_response", "approvals": list(approvals.values())}}
        edited = {
            call.request_id: decision.arguments
            for call in calls
            if (decision := answer.decisions[call.call_id]).approved and decision.arguments is not None
        }
        if edited:
            metadata[ACTIVITY_EXTENSION] = {"arguments": edited}
    for question in pause.questions:
        replies = [{"answer": list(given)} for given in answer.answers[question.request_id]]
        if calls:
            data["decisions"][question.call_id] = "approve"
        else:
            data["decision_type"] = "approve"
            metadata = {HITL_EXTENSION: {"type": "ask_user_response", "id": question.request_id, "answers": replies}}
        data["ask_user_answers"] = [*data.get("ask_user_answers", []), *replies]
    return (Part("text", text=_summary(pause, answer)), Part("data", data=data)), metadata


def _check(expected: set[str], given: set[str], what: str) -> None:
    if missing := sorted(expected - given):
        raise DecisionIncomplete(f"no decision for {what} {', '.join(missing)}", remedy="decide every one, then send")
    if unknown := sorted(given - expected):
        raise DecisionIncomplete(f"{what} {', '.join(unknown)} does not wait for a decision")


def _summary(pause: Pause, answer: Answer) -> str:
    lines: list[str] = []
    for request in pause.approvals:
        for call in request.calls:
            decision = answer.decisions[call.call_id]
            verdict = "Approved" if decision.approved else "Rejected"
            lines.append(f"{verdict}: {call.name}{f' ({decision.reason})' if decision.reason else ''}")
    for question in pause.questions:
        for item, given in zip(question.items, answer.answers[question.request_id], strict=True):
            lines.append(f"{item.text} {', '.join(given)}")
    return "\n".join(lines)
