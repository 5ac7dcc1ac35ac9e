"""Everything that waits for a decision, over all agents and sessions, whether or not its chat is open.

Our gateway tells what waits as it changes. Upstream's controller does not, so its sessions are asked at a stated
interval: only those that changed since they were last looked at. An answer goes the way a chat's
answer goes, so both engines take it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from kagent_api.errors import KagentError, ObjectRef
from kagent_tui.chat.conversation import Conversation
from kagent_tui.chat.decisions import Answer, Pause
from kagent_tui.chat.events import Failed
from kagent_tui.chat.gateway import Gateway, SessionInfo

__all__ = ["INTERVAL_SECONDS", "LOOKED_AT", "Inbox", "Waiting"]

logger = logging.getLogger(__name__)

INTERVAL_SECONDS: Final = 10.0
# The last used sessions; what waits in older ones shows when its chat is opened.
LOOKED_AT: Final = 100
_WAITING: Final = frozenset({"input-required", "auth-required"})
_ENDED: Final = frozenset({"completed", "failed", "canceled", "rejected"})


@dataclass(frozen=True, slots=True)
class Waiting:
    """One session that waits. ``pause`` is what for."""

    session: SessionInfo
    agent: ObjectRef
    conversation: Conversation

    @property
    def pause(self) -> Pause:
        return self.conversation.pause


class Inbox:
    """Looks at the sessions of one gateway. ``changed`` is called after every look that found something else."""

    def __init__(
        self, gateway: Gateway, converse: Callable[[ObjectRef, str], Awaitable[Conversation]],
        agent_of: Callable[[str], ObjectRef | None], changed: Callable[[], None], *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:  # fmt: skip
        self._gateway = gateway
        self._converse = converse
        self._agent_of = agent_of
        self._changed = changed
        self._sleep = sleep
        self._settled: dict[str, str] = {}
        self.waiting: dict[str, Waiting] = {}
        self.error: KagentError | None = None
        self.looked = False
        self.told = False
        """The gateway itself tells what waits; nothing is asked at an interval."""
        self._listening: asyncio.Task[None] | None = None

    def turn_to(self, gateway: Gateway) -> None:
        """Look at another user's sessions from now on."""
        self._gateway = gateway
        self._settled.clear()
        self.waiting.clear()
        self.looked = False
        if self._listening is not None:
            self._listening.cancel()
        self._changed()

    async def run(self) -> None:
        """Follow what the gateway tells, or look again and again where it does not, until cancelled."""
        while True:
            gateway = self._gateway
            self._listening = asyncio.create_task(self._listen(gateway))
            try:
                await asyncio.wait({self._listening})
            finally:
                self._listening.cancel()
                self.told = False
            if not self._listening.cancelled():
                self._listening.result()
            if gateway is self._gateway:
                await self.look()
                await self._sleep(INTERVAL_SECONDS)

    async def _listen(self, gateway: Gateway) -> None:
        """Show what the gateway tells until its stream ends."""
        try:
            async with aclosing(gateway.approvals()) as stream:
                async for sessions in stream:
                    self.told = True
                    before = (set(self.waiting), self.error, self.looked)
                    self.waiting = {
                        key: one for key, one in self.waiting.items() if key in sessions or one.conversation.busy
                    }
                    unread = [one for one in sessions.values() if not await self._read(one)]
                    self.error, self.looked = None, True
                    if before != (set(self.waiting), self.error, self.looked):
                        self._changed()
                    if unread:
                        # Its agent is not known yet, or does not answer: the stream would not tell of it again.
                        return
        except KagentError as error:
            logger.info("what waits is not told: %s", error)

    async def look(self) -> None:
        """Look once; an error is kept in ``error`` and what was known stays."""
        before = (set(self.waiting), self.error, self.looked)
        try:
            sessions = await self._gateway.sessions()
            for session in sessions[:LOOKED_AT]:
                # What another agent opened waits in the session of the agent that a person talks to.
                if session.source != "agent" and self._settled.get(session.id) != session.updated:
                    await self._look_at(session)
            self.error = None
            there = {session.id for session in sessions}
            self.waiting = {key: one for key, one in self.waiting.items() if key in there}
            self._settled = {key: moment for key, moment in self._settled.items() if key in there}
        except KagentError as error:
            self.error = error
        self.looked = True
        if before != (set(self.waiting), self.error, self.looked):
            self._changed()

    async def decide(self, session_id: str, answer: Answer) -> str:
        """Answer what a session waits for and follow how it goes on; return what went wrong, empty if nothing.

        Raises:
            KagentError: the answer did not reach the agent; it still waits.
        """
        waiting = self.waiting[session_id]
        trouble = ""
        async with aclosing(waiting.conversation.answer(answer)) as events:
            async for event in events:
                if session_id in self.waiting and not waiting.pause:
                    del self.waiting[session_id]
                    self._changed()
                if isinstance(event, Failed):
                    trouble = event.message
        if waiting.pause:
            self.waiting[session_id] = waiting
        else:
            self.waiting.pop(session_id, None)
        self._settled.pop(session_id, None)
        self._changed()
        return trouble

    async def _look_at(self, session: SessionInfo) -> None:
        known = self.waiting.get(session.id)
        if known is not None and known.conversation.busy:
            return
        states = await self._gateway.task_states(session.id)
        last = states[-1] if states else ""
        if last not in _WAITING:
            self.waiting.pop(session.id, None)
            # A task that still runs may come to wait without its session being touched again.
            if last in _ENDED:
                self._settled[session.id] = session.updated
            return
        await self._read(session)

    async def _read(self, session: SessionInfo) -> bool:
        """Read what a session waits for; False if it cannot be read now."""
        known = self.waiting.get(session.id)
        if known is not None and (known.conversation.busy or known.session.updated == session.updated):
            return True
        agent = self._agent_of(session.agent_id)
        if agent is None:
            return False
        try:
            conversation = await self._converse(agent, session.id)
            await conversation.history()
        except KagentError as error:
            logger.info("session %s of %s waits but cannot be read: %s", session.id, agent, error)
            return False
        if conversation.pause:
            self.waiting[session.id] = Waiting(session, agent, conversation)
        return True
