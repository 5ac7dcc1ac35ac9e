"""Answers carry both wire forms and every id, or are not sent."""

from __future__ import annotations

import pytest

from kagent_api.names import HITL_EXTENSION
from kagent_tui.chat.decisions import Answer, Decision, Pause, encode_answer
from kagent_tui.chat.errors import DecisionIncomplete
from kagent_tui.chat.events import ApprovalRequest, PendingCall, Question, QuestionItem

TWO = Pause((ApprovalRequest((PendingCall("adk-1", "call-1", "delete"), PendingCall("adk-2", "call-2", "scale"))),))
ASK = Pause(questions=(Question("adk-9", "call-9", (QuestionItem("Which?", ("dev", "prod")), QuestionItem("Why?"))),))


def test_each_call_is_named_in_both_forms_and_a_text_comes_along() -> None:
    parts, metadata = encode_answer(TWO, Answer({"call-1": Decision(True), "call-2": Decision(False, "not now")}))
    assert [part.kind for part in parts] == ["text", "data"]
    assert parts[0].text == "Approved: delete\nRejected: scale (not now)"
    assert parts[1].data == {
        "decision_type": "batch",
        "decisions": {"call-1": "approve", "call-2": "reject"},
        "rejection_reasons": {"call-2": "not now"},
    }
    assert metadata[HITL_EXTENSION] == {
        "type": "tool_approval_response",
        "approvals": [
            {"id": "adk-1", "approved": True},
            {"id": "adk-2", "approved": False, "rejection_reason": "not now"},
        ],
    }


@pytest.mark.parametrize("decisions", [{}, {"call-1": Decision(True)}, {"call-1": Decision(True), "x": Decision(True)}])
def test_a_missing_or_unknown_id_is_refused(decisions: dict[str, Decision]) -> None:
    with pytest.raises(DecisionIncomplete):
        encode_answer(TWO, Answer(decisions))


def test_one_decision_for_all() -> None:
    parts, _ = encode_answer(TWO, Answer.to_all(TWO, Decision(True)))
    assert parts[1].data["decisions"] == {"call-1": "approve", "call-2": "approve"}


def test_questions_are_answered_one_by_one() -> None:
    parts, metadata = encode_answer(ASK, Answer(answers={"adk-9": [["prod"], ["because"]]}))
    replies = [{"answer": ["prod"]}, {"answer": ["because"]}]
    assert parts[1].data == {"decision_type": "approve", "ask_user_answers": replies}
    assert metadata[HITL_EXTENSION] == {"type": "ask_user_response", "id": "adk-9", "answers": replies}
    with pytest.raises(DecisionIncomplete):
        encode_answer(ASK, Answer(answers={"adk-9": [["prod"]]}))


def test_inner_calls_that_share_a_request_are_approved_there_only_together() -> None:
    nested = Pause((ApprovalRequest((PendingCall("adk-1", "in-1", "a"), PendingCall("adk-1", "in-2", "b"))),))
    _, metadata = encode_answer(nested, Answer({"in-1": Decision(True), "in-2": Decision(False)}))
    assert metadata[HITL_EXTENSION]["approvals"] == [{"id": "adk-1", "approved": False}]
