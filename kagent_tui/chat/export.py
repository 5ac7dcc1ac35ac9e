"""A session as a file: Markdown to read, JSON to work with. Text is cleaned in Markdown, escaped in JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import assert_never

from kagent_tui.chat.blocks import arguments_text, result_text
from kagent_tui.chat.events import ChatEvent, to_json
from kagent_tui.chat.gateway import SessionInfo
from kagent_tui.chat.transcript import (
    AnswerEntry,
    Entry,
    NoticeEntry,
    QuestionEntry,
    ThoughtEntry,
    ToolEntry,
    Transcript,
    UserEntry,
)
from kagent_tui.safety import clean

__all__ = ["session_json", "session_markdown"]


def session_markdown(info: SessionInfo, events: Sequence[ChatEvent]) -> str:
    """Return a session as Markdown."""
    transcript = Transcript()
    for event in events:
        transcript.apply(event)
    facts = f"Session {info.id} of agent {info.agent_id}, begun {info.created}, last used {info.updated}."
    parts = [f"# {clean(info.title, newlines=False) or 'Untitled session'}", clean(facts, newlines=False)]
    parts += [part for entry in transcript.entries if (part := _entry(entry))]
    return "\n\n".join(parts) + "\n"


def session_json(info: SessionInfo, events: Sequence[ChatEvent]) -> str:
    """Return a session as one JSON object with its events."""
    value = {
        "session_id": info.id, "title": info.title, "agent_id": info.agent_id, "created_at": info.created,
        "updated_at": info.updated, "events": [to_json(event) for event in events],
    }  # fmt: skip
    return json.dumps(value, indent=2, default=str) + "\n"


def _entry(entry: Entry) -> str:
    match entry:
        case UserEntry(text, decision):
            return f"## {'Your decision' if decision else 'You'}\n\n{clean(text)}"
        case AnswerEntry(_, text):
            return f"## Agent\n\n{clean(text)}" if text.strip() else ""
        case ThoughtEntry(_, text):
            return "> " + clean(text).strip().replace("\n", "\n> ") if text.strip() else ""
        case ToolEntry():
            title = f"### Tool {clean(entry.name, newlines=False)}: {entry.state.value}"
            parts = [title, _fenced(arguments_text(entry.arguments))]
            return "\n\n".join([*parts, _fenced(result_text(entry.result))] if entry.result is not None else parts)
        case QuestionEntry(question, answers):
            asked = "\n".join(f"- {clean(item.text, newlines=False)}" for item in question.items)
            given = "\n".join(f"- {clean(', '.join(one), newlines=False)}" for one in answers)
            return f"## Agent asks\n\n{asked}" + (f"\n\n## You answered\n\n{given}" if given else "")
        case NoticeEntry(level, text):
            return f"*{level}: {clean(text, newlines=False)}*"
        case _:
            assert_never(entry)


def _fenced(text: str) -> str:
    """Return text in a fence that nothing in it can close."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}\n{clean(text).rstrip()}\n{fence}"
