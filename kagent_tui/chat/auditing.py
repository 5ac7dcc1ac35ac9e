"""Turns an answer to a pause into records of the audit trail, wherever the answer was given."""

from __future__ import annotations

import json
from collections.abc import Callable

from kagent_api.errors import ObjectRef
from kagent_tui.chat.decisions import Answer, Pause
from kagent_tui.safety.audit import AuditRecord, cut_arguments, now_text

__all__ = ["records_of"]


def records_of(
    pause: Pause, answer: Answer, *, context: str, user: str, agent: ObjectRef, session: str, via: str,
    now: Callable[[], str] = now_text,
) -> list[AuditRecord]:  # fmt: skip
    """Return one record for each call and each question of a pause."""
    time, name = now(), f"{agent.namespace}/{agent.name}"
    records: list[AuditRecord] = []
    for request in pause.approvals:
        for call in request.calls:
            decision = answer.decisions[call.call_id]
            arguments = cut_arguments(json.dumps(call.arguments, ensure_ascii=False, default=str))
            verdict = "approved" if decision.approved else "rejected"
            records.append(
                AuditRecord(
                    time,
                    context,
                    user,
                    name,
                    session,
                    call.call_id,
                    call.name,
                    verdict,
                    decision.reason,
                    arguments,
                    via,
                )
            )
    for question in pause.questions:
        # What a person answers is theirs and the agent's; that they answered is what the trail is for.
        asked = cut_arguments(json.dumps([item.text for item in question.items], ensure_ascii=False))
        records.append(
            AuditRecord(time, context, user, name, session, question.call_id, "ask_user", "answered", "", asked, via)
        )
    return records
