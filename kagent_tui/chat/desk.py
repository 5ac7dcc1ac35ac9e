"""What a chat needs from around it: the cache, who one is, what tools' servers say, live objects, snippets.

Everything has a default, so that a chat works without a cluster and without a disk.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from kagent_api.errors import ObjectRef
from kagent_tui.chat.cache import SessionKey, TranscriptCache
from kagent_tui.chat.events import ChatEvent, PendingCall, UserMessage
from kagent_tui.chat.gateway import Gateway
from kagent_tui.chat.jsonvalue import JsonObject
from kagent_tui.chat.rules import Verdicts
from kagent_tui.chat.storing import Recorder
from kagent_tui.chat.target import DEFAULT_USER
from kagent_tui.render.text import Line

__all__ = ["Desk", "SessionMemory", "Snippet"]


class Snippet(NamedTuple):
    """A fragment of a prompt library; raw."""

    library: str
    key: str
    text: str


async def _no_objects(ref: ObjectRef) -> JsonObject | None:
    return None


async def _no_snippets() -> list[Snippet]:
    return []


def _no_verdicts(ref: ObjectRef) -> Verdicts:
    return {}


@dataclass
class Desk:
    """One per cluster. ``context`` is what the cache knows the cluster by."""

    cache: TranscriptCache | None = None
    context: str = ""
    user: str = DEFAULT_USER
    verdicts: Callable[[ObjectRef], Verdicts] = _no_verdicts
    effect: Callable[[PendingCall, str], Awaitable[list[Line]]] | None = None
    read: Callable[[ObjectRef], Awaitable[JsonObject | None]] = _no_objects
    resources: Callable[[], Sequence[ObjectRef]] = field(default=tuple)
    snippets: Callable[[], Awaitable[list[Snippet]]] = _no_snippets
    gateway: Callable[[], Awaitable[Gateway]] | None = None


class SessionMemory:
    """Keeps one session in the cache while it goes on; without a cache it does nothing."""

    def __init__(self, desk: Desk, agent: ObjectRef) -> None:
        self._desk = desk
        self._agent = f"{agent.namespace}/{agent.name}"
        self._recorder = Recorder()
        self._title = ""
        self._dirty = False

    def key(self, session_id: str) -> SessionKey:
        return SessionKey(self._desk.context, self._desk.user, self._agent, session_id)

    def said(self, text: str) -> None:
        """Note what the person said; the first words of a session are its title until the server gives one."""
        self._title = self._title or " ".join(text.split())[:60]
        self.note(UserMessage(text), 0.0)

    def note(self, event: ChatEvent, at: float) -> None:
        """Note an event that came ``at`` seconds after its turn began."""
        if self._desk.cache is not None:
            self._recorder.add(event, at)
            self._dirty = True

    async def keep(self, session_id: str) -> None:
        """Write down what is new."""
        cache = self._desk.cache
        if cache is not None and self._dirty and session_id:
            self._dirty = False
            await cache.append(self.key(session_id), self._recorder.take(), title=self._title)
