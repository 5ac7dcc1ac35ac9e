"""Searching what was said: the transcript cache is brought up to date with the server's sessions, then asked.

The server keeps sessions but does not search them; so each is read once and again only when it has changed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from kagent_api.errors import KagentError, ObjectRef
from kagent_tui.chat.cache import SessionKey, TranscriptCache, timed_history
from kagent_tui.chat.events import ChatEvent
from kagent_tui.chat.gateway import SessionInfo

__all__ = ["MOST_READ", "search"]

logger = logging.getLogger(__name__)

# The last used ones; who looks for older words opens the session once.
MOST_READ: Final = 300
_AT_ONCE: Final = 4

ReadSession = Callable[[ObjectRef, str], Awaitable[Sequence[ChatEvent]]]


async def search(
    cache: TranscriptCache, sessions: Sequence[SessionInfo], text: str, *, context: str, user: str,
    agent_of: Callable[[str], ObjectRef | None], read: ReadSession,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> set[str]:  # fmt: skip
    """Return the ids of sessions that have all the words in their title or text; ``progress`` counts what is read."""
    known = {each.id: each.seen for each in await cache.sessions(context, user)}
    stale = [info for info in sessions[:MOST_READ] if known.get(info.id) != info.updated and info.source != "agent"]
    gate = asyncio.Semaphore(_AT_ONCE)
    done = 0

    async def fetch(info: SessionInfo) -> None:
        nonlocal done
        agent = agent_of(info.agent_id)
        if agent is not None:
            async with gate:
                try:
                    events = await read(agent, info.id)
                except KagentError as error:
                    logger.info("session %s cannot be read: %s", info.id, error)
                    events = ()
            if events:
                key = SessionKey(context, user, f"{agent.namespace}/{agent.name}", info.id)
                await cache.replace(key, timed_history(events), title=info.title, seen=info.updated)
        done += 1
        progress(done, len(stale))

    await asyncio.gather(*(fetch(info) for info in stale))
    words = text.casefold().split()
    titles = {info.id for info in sessions if all(word in info.title.casefold() for word in words)}
    return titles | await cache.find(context, user, text)
