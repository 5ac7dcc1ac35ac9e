"""Sessions and what waits for a decision as rows of tables. Pure."""

from __future__ import annotations

from typing import Final

from kagent_api.errors import ObjectRef
from kagent_tui.chat.gateway import SessionInfo
from kagent_tui.chat.inbox import Waiting
from kagent_tui.render.age import age, seconds_since
from kagent_tui.render.row import Column, Row, cell
from kagent_tui.render.text import Tone

__all__ = ["INBOX_COLUMNS", "SESSION_COLUMNS", "session_row", "waiting_row"]

SESSION_COLUMNS: Final = (
    Column("title", "TITLE", 16, 60),
    Column("agent", "AGENT", 12, 36, drop=1),
    Column("state", "STATE", 7, 18, drop=3),
    Column("used", "USED", 5, 5, drop=2, right=True),
    Column("begun", "BEGUN", 6, 6, drop=4, right=True),
    Column("id", "ID", 8, 8, drop=5),
)
INBOX_COLUMNS: Final = (
    Column("agent", "AGENT", 12, 36),
    Column("wants", "WANTS", 12, 50),
    Column("session", "SESSION", 10, 40, drop=1),
    Column("since", "SINCE", 6, 6, drop=2, right=True),
)


def session_row(info: SessionInfo, agent: ObjectRef | None, now: float, *, waits: bool = False) -> Row:
    """Render one session; ``agent`` is None where it is not (any more) in the cluster."""
    state = "waits for you" if waits else ("of an agent" if info.source == "agent" else "")
    cells = (
        cell(info.title or "untitled", Tone.PLAIN if info.title else Tone.DIM),
        cell(f"{agent.namespace}/{agent.name}") if agent else cell(f"{info.agent_id} (gone)", Tone.DIM),
        cell(state, Tone.WARN if waits else Tone.DIM, rank=0 if waits else 1),
        cell(age(info.updated, now), Tone.DIM, sort=seconds_since(info.updated, now) or 0.0),
        cell(age(info.created, now), Tone.DIM, sort=seconds_since(info.created, now) or 0.0),
        cell(info.id[:8], Tone.DIM),
    )
    return Row(info.ref, cells)


def waiting_row(waiting: Waiting, now: float) -> Row:
    """Render one session that waits."""
    calls = [call.name for request in waiting.pause.approvals for call in request.calls]
    questions = [item.text for question in waiting.pause.questions for item in question.items]
    wants = ", ".join([f"call {name}" for name in calls] + [f"asks: {text}" for text in questions])
    cells = (
        cell(f"{waiting.agent.namespace}/{waiting.agent.name}"),
        cell(wants, Tone.WARN),
        cell(waiting.session.title or waiting.session.id, Tone.DIM),
        cell(age(waiting.session.updated, now), Tone.DIM, sort=-(seconds_since(waiting.session.updated, now) or 0.0)),
    )
    return Row(waiting.session.ref, cells)
