"""One session with an MCP server over any transport: kept open, opened again when it is lost, and honest about both.

Each connection is owned by one task that alone opens and closes it (the SDK's cancel scopes demand that); calls go
straight to the open session.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from kagent_engine.errors import ToolFailed
from kagent_engine.events import Ask, Warned
from kagent_engine.models.base import ToolCall, ToolSpec
from kagent_engine.shapes import JsonObject
from kagent_engine.tools.base import Answer, CallContext, Progress, Tool, ToolResult
from kagent_engine.tools.results import model_text

if TYPE_CHECKING:
    from kagent_engine.tools.mcp_sdk import ListedTool, McpSession

__all__ = ["Connection", "McpTool", "OpenSession", "sdk_door"]

logger = logging.getLogger(__name__)

_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0
# How long a turn waits for a server: while its first attempt runs, and when it was away and is tried again.
_FIRST_PATIENCE: Final = 10.0
_RETRY_PATIENCE: Final = 5.0
# For how long a server that is away counts as one that is about to come (a Pod and its server start together).
_YOUNG_SECONDS = 60.0
_YOUNG_PAUSE: Final = 0.2
_DEFAULT_CALL_SECONDS: Final = 300.0


class OpenSession(Protocol):
    """Opens a session; its context is entered and left by the connection's own task."""

    async def __call__(self, connection: Connection) -> AbstractAsyncContextManager[McpSession]: ...


def sdk_door():
    """Import the SDK's door; the first call pays for it."""
    from kagent_engine.tools import mcp_sdk

    return mcp_sdk


class Connection:
    """One session and the task that owns it."""

    def __init__(self, label: str, opener: OpenSession) -> None:
        self.listed: tuple[ListedTool, ...] = ()
        self._label = label
        self._opener = opener
        self._owner: asyncio.Task[None] | None = None
        self._session: McpSession | None = None
        self._problem = "it has not answered yet"
        self._began: float | None = None
        self._away_since = time.monotonic()
        self._ending: asyncio.Future[bool] | None = None
        self._attempted = asyncio.Event()
        self._wake = asyncio.Event()
        self._relisting = False
        self._closing = False
        self._ever_settled = False
        self._was_open = False

    @property
    def settled(self) -> bool:
        return self._ever_settled

    def nudge(self) -> None:
        """Make sure that the owner is at work, and let it try again now if it was waiting."""
        if self._owner is None or self._owner.done():
            self._owner = asyncio.create_task(self._own(), name=f"mcp:{self._label}")
        elif self._session is None:
            self._wake.set()

    def relist(self) -> None:
        """Read the tools again: the server said that they changed."""
        self._relisting = True
        self._wake.set()

    async def ready(self) -> str:
        """Wait a while for an open session; return what is wrong, empty when all is well.

        A server that went away a moment ago, or is starting beside us, is tried again and again for as long as a person
        would wait; one that has been away for longer is tried once, so that it costs a turn nothing.
        """
        if self._session is not None:
            return ""
        now = time.monotonic()
        patience = _RETRY_PATIENCE if self._ever_settled else _FIRST_PATIENCE
        # An attempt that hangs is waited for once, not by every turn that finds it hanging.
        deadline = patience + (now if self._began is None else self._began)
        young = now - self._away_since < _YOUNG_SECONDS
        while self._session is None:
            self._attempted.clear()
            self.nudge()
            try:
                async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                    await self._attempted.wait()
            except TimeoutError:
                break
            if self._session is not None:
                return ""
            if not young or time.monotonic() + _YOUNG_PAUSE > deadline:
                break
            await asyncio.sleep(_YOUNG_PAUSE)
        return self._problem or "it has not answered yet"

    async def offer(self, allowed: Sequence[str], timeout: float | None) -> tuple[Sequence[Tool], Sequence[Warned]]:
        """Return the server's tools, of ``allowed`` where it names any, and a warning for what is missing."""
        problem = await self.ready()
        if problem:
            return (), [Warned("mcp_unavailable", f"Tools of {self._label} are missing: {problem}", self._label)]
        wanted = set(allowed)
        listed = [tool for tool in self.listed if not wanted or tool.name in wanted]
        found: list[Tool] = [McpTool(tool, self, timeout) for tool in listed]
        missing = sorted(wanted - {tool.name for tool in listed})
        if not missing:
            return found, ()
        names = ", ".join(missing)
        return found, [Warned("mcp_tools_missing", f"{self._label} has no tool named {names}.", self._label)]

    async def call(
        self, tool: ListedTool, arguments: JsonObject, timeout: float, progress: Progress | None
    ) -> JsonObject:
        """Call a tool; once more if the session was lost and the call cannot have begun, or may be made twice.

        Raises:
            ToolFailed: with a message for the model.
        """
        name = tool.name
        lost = sdk_door().ConnectionLost
        for last in (False, True):
            if problem := await self.ready():
                raise ToolFailed(f"The server of '{name}' cannot be reached: {problem}")
            session, ending = self._session, self._ending
            if session is None or ending is None:
                continue
            try:
                return await session.call_tool(name, arguments, timeout=timeout, progress=progress)
            except lost as error:
                self._reopen(session)
                # The call knows only that the session closed; why, the owner learns when the session has unwound.
                await asyncio.wait([ending], timeout=_RETRY_PATIENCE)
                never_ran = error.never_ran or (ending.done() and ending.result())
                if last or not (never_ran or tool.repeatable):
                    raise ToolFailed(
                        f"The connection to the server of '{name}' was lost during the call; "
                        "it may or may not have taken effect."
                    ) from error
        raise ToolFailed(f"The server of '{name}' cannot be reached: {self._problem}")

    def lost(self) -> None:
        """Open a new session: the server behind the open one has gone."""
        if self._session is not None:
            self._reopen(self._session)

    def abandon(self) -> None:
        """Close without waiting for it."""
        self._closing = True
        self._wake.set()

    async def aclose(self) -> None:
        self.abandon()
        if self._owner is not None:
            _, late = await asyncio.wait([self._owner], timeout=_RETRY_PATIENCE)
            if late:
                self._owner.cancel()
                await asyncio.wait([self._owner])

    def _reopen(self, session: McpSession) -> None:
        if self._session is session:
            self._session = None
            self._problem = "the connection was lost"
            self._wake.set()

    async def _own(self) -> None:
        """Keep the session open until told to stop; the only task that enters and leaves it."""
        pause = _FIRST_PAUSE
        while not self._closing:
            self._wake.clear()
            ending = self._ending = asyncio.get_running_loop().create_future()
            never_ran = False
            self._began = time.monotonic()
            try:
                async with await self._opener(self) as session:
                    self.listed = await session.list_tools()
                    logger.info("%s: %d tools over MCP %s", self._label, len(self.listed), session.protocol)
                    self._opened(session)
                    pause = _FIRST_PAUSE
                    await self._hold(session)
                self._problem = "the connection was closed"
            except Exception as error:
                never_ran = self._lost(error)
            finally:
                if self._was_open:
                    self._away_since, self._was_open = time.monotonic(), False
                self._session = None
                self._began = None
                ending.set_result(never_ran)
            if not self._closing and not await self._woken(pause):
                pause = min(pause * 2, _LONGEST_PAUSE)

    def _opened(self, session: McpSession) -> None:
        self._session = session
        self._began = None
        self._was_open = True
        self._problem = ""
        self._ever_settled = True
        self._attempted.set()

    def _lost(self, error: Exception) -> bool:
        """Note why there is no session; tell whether the server was not even reached."""
        sdk = sdk_door()
        problem = str(error) if isinstance(error, ToolFailed) else sdk.explain(error)
        if problem != self._problem:
            logger.warning("%s: not connected: %s", self._label, problem)
        self._problem = problem
        self._ever_settled = True
        self._attempted.set()
        return sdk.never_sent(error)

    async def _hold(self, session: McpSession) -> None:
        """Wait while the session is good; read the tools again when the server asks for it."""
        while self._session is session and not self._closing:
            await self._wake.wait()
            self._wake.clear()
            if self._relisting:
                self._relisting = False
                self.listed = await session.list_tools()

    async def _woken(self, pause: float) -> bool:
        """Wait for a nudge, at most ``pause`` seconds; tell whether one came."""
        try:
            async with asyncio.timeout(pause):
                await self._wake.wait()
        except TimeoutError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class McpTool:
    listed: ListedTool
    connection: Connection
    timeout: float | None

    @property
    def spec(self) -> ToolSpec:
        return ToolSpec(self.listed.name, self.listed.description, self.listed.parameters)

    async def call(self, call: ToolCall, context: CallContext, answer: Answer | None = None) -> ToolResult | Ask:
        seconds = self.timeout or _DEFAULT_CALL_SECONDS
        response = await self.connection.call(self.listed, call.arguments, seconds, context.progress)
        content, truncated = model_text(response)
        return ToolResult(content, response, is_error=response.get("isError") is True, truncated=truncated)
