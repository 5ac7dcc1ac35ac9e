"""What agents that were called as tools are doing, to any depth: read from their own sessions, which both controllers
keep. A live note may come before; this is the whole of it, polled while the call runs."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from kagent_api.errors import KagentError
from kagent_tui.chat.normaliser import Normaliser
from kagent_tui.chat.transcript import AnswerEntry, ToolEntry, Transcript
from kagent_tui.chat.wire import TaskSnapshot

__all__ = ["POLL_SECONDS", "ReadTasks", "look_inside"]

logger = logging.getLogger(__name__)

POLL_SECONDS: Final = 2.0
# Agents that call each other in a circle must not be followed for ever.
_MOST_DEPTH: Final = 6

ReadTasks = Callable[[str], Awaitable[Sequence[TaskSnapshot]]]
"""Reads the tasks of a session, oldest first."""


async def look_inside(entry: ToolEntry, before: int, read: ReadTasks, *, depth: int = 0) -> bool:
    """Fill in what happens inside a call; ``before`` is how many earlier calls went to the same session.

    Return whether anything is different.
    """
    if not entry.subagent_session or depth >= _MOST_DEPTH:
        return False
    try:
        tasks = await read(entry.subagent_session)
    except KagentError as error:
        logger.debug("sub-session %s cannot be read: %s", entry.subagent_session, error)
        return False
    # One task a call; a call that waited for a person goes on in its task.
    mine = tasks[before] if before < len(tasks) else None
    if mine is None:
        return False
    transcript = Transcript()
    for event in Normaliser(replay=True).feed(mine):
        transcript.apply(event)
    inner = [each for each in transcript.entries if isinstance(each, ToolEntry)]
    known = {each.call_id: each for each in entry.inner}
    sessions: dict[str, int] = {}
    for each in inner:
        old = known.get(each.call_id)
        if old is not None:
            each.inner, each.said = old.inner, old.said
        if each.subagent_session:
            await look_inside(each, sessions.get(each.subagent_session, 0), read, depth=depth + 1)
            sessions[each.subagent_session] = sessions.get(each.subagent_session, 0) + 1
    said = next((each.text for each in reversed(transcript.entries) if isinstance(each, AnswerEntry)), "")
    tokens = transcript.tokens.total
    changed = (inner, said, tokens) != (entry.inner, entry.said, entry.tokens)
    entry.inner, entry.said, entry.tokens = inner, said, tokens
    return changed
