"""A new session that knows what an old one said up to a turn. A2A has no way to branch a session on the server, so the
earlier turns go along as text with the first message; both the person and the model can see that."""

from __future__ import annotations

from collections.abc import Sequence

from kagent_tui.chat.attachments import MOST_TEXT, Attachment, split_attached
from kagent_tui.chat.transcript import AnswerEntry, Entry, QuestionEntry, ToolEntry, UserEntry

__all__ = ["FORK_NAME", "earlier"]

FORK_NAME = "earlier conversation"


def earlier(entries: Sequence[Entry]) -> Attachment | None:
    """Return some entries as text to go along; None if nothing was said in them."""
    lines: list[str] = []
    for entry in entries:
        match entry:
            case UserEntry(text, False):
                lines.append(f"User: {split_attached(text).text}")
            case AnswerEntry(_, text) if text.strip():
                lines.append(f"Assistant: {text.strip()}")
            case ToolEntry(name=name, state=state):
                lines.append(f"(the assistant called the tool {name}: {state.value})")
            case QuestionEntry(question, answers):
                asked = " / ".join(item.text for item in question.items)
                given = " / ".join(", ".join(each) for each in answers)
                lines.append(f"(the assistant asked: {asked}; the user answered: {given or 'nothing'})")
            case _:
                pass
    text = "\n\n".join(lines)
    # The latest turns matter most.
    return Attachment(FORK_NAME, text[-MOST_TEXT:]) if text else None
