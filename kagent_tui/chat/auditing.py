"""Turns an answer to a pause into records of the audit trail, wherever the answer was given."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable

from kagent_api.errors import ObjectRef
from kagent_tui.chat.conversation import Conversation
from kagent_tui.chat.decisions import Answer, Pause
from kagent_tui.safety.audit import AuditRecord, AuditTrail, cut_arguments, now_text

__all__ = ["audited", "records_of"]


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
            edited = decision.approved and decision.arguments is not None
            decided_on = decision.arguments if edited else call.arguments
            arguments = cut_arguments(json.dumps(decided_on, ensure_ascii=False, default=str))
            verdict = ("edited" if edited else "approved") if decision.approved else "rejected"
            asked = json.dumps(call.arguments, ensure_ascii=False, default=str)
            reason = cut_arguments(f"the agent asked for {asked}") if edited else decision.reason
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
                    reason,
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


def audited(
    trail: AuditTrail, *, context: str, via: Callable[[], str], complain: Callable[[str], None]
) -> Callable[[Conversation, Pause, Answer], None]:
    """Return what a conversation calls for each answer: it writes it down, or says that it could not."""

    def decided(conversation: Conversation, pause: Pause, answer: Answer) -> None:
        records = records_of(
            pause, answer, context=context, user=getpass.getuser(), agent=conversation.target.ref,
            session=conversation.session_id, via=conversation.via or via(),
        )  # fmt: skip
        try:
            trail.append(records)
        except OSError as error:
            complain(f"the decision is not in the audit trail: {trail.file}: {error.strerror}")

    return decided
