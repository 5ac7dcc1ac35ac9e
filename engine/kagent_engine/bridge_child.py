"""The stdio MCP server behind a bridge: started, watched, started again with backoff when it dies.

One task owns the client from its entry to its exit (anyio forbids anything else); requests come from other tasks over
``session``. The child gets the whole environment: proxies, certificates and the marks of the local cluster are in it.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

from kagent_engine.bridge_callers import Callers
from kagent_engine.bridge_command import BridgeCommand
from kagent_engine.bridge_stdio import StdioProcess
from kagent_engine.errors import KagentError

if TYPE_CHECKING:
    from mcp import Client
    from mcp.client.session import ClientSession
    from mcp_types import Implementation, ServerCapabilities, Tool

__all__ = ["Child", "ChildFailed"]

# uvx may have to download an interpreter and a hundred packages first.
_START_SECONDS = 300.0
# How long a request waits for a server that is being started again before it is told so.
_PATIENCE_SECONDS = 15.0
_FIRST_DELAY, _LONGEST_DELAY = 0.5, 30.0
# What a start may end with: no program, no answer, an answer that is none; anyio wraps them in groups.
_STARTING_FAILURES = (OSError, ValueError, RuntimeError, TimeoutError, ExceptionGroup)
# A server that lived this long did not die of its start; its next death begins the count anew.
_STABLE_SECONDS = 30.0


class ChildFailed(KagentError):
    """The server could not be started, or is gone."""


class Child:
    """A stdio server and the session with it. ``run`` in one task; ``stop`` ends it."""

    def __init__(self, command: BridgeCommand, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self.command = command
        self.capabilities: ServerCapabilities | None = None
        self.server_info: Implementation | None = None
        self.instructions: str | None = None
        self.tools: dict[str, Tool] = {}
        self.starts = 0
        self.ready = asyncio.Event()
        self.callers = Callers()
        self._sleep = sleep
        self._session: ClientSession | None = None
        self._process: StdioProcess | None = None
        self._stopping = False

    async def session(self) -> ClientSession:
        """Return the session, waiting a little while the server is started again.

        Raises:
            ChildFailed: it is not back in time.
        """
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self.ready.wait()
        except TimeoutError:
            pass
        if self._session is None:
            raise ChildFailed(f"the MCP server {self.command.name!r} is not running", remedy="its Pod's log says why")
        return self._session

    async def run(self) -> None:
        """Keep the server running until ``stop``.

        Raises:
            ChildFailed: its very first start failed.
        """
        failures = 0
        while not self._stopping:
            began = time.monotonic()
            try:
                await self._once()
            except ChildFailed as error:
                if self.starts == 0:
                    raise
                self._say(f"cannot start again: {error}")
            if self._stopping:
                return
            failures = 1 if time.monotonic() - began > _STABLE_SECONDS else failures + 1
            delay = min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** min(failures - 1, 10))
            self._say(f"ended; starting it again in {delay:.1f} s")
            await self._sleep(delay)

    def stop(self) -> None:
        self._stopping = True
        if self._process is not None:
            self._process.ended.set()

    async def _once(self) -> None:
        started = False
        try:
            async with asyncio.timeout(_START_SECONDS) as patience, self._client() as (process, client):
                await self._introduced(client)
                patience.reschedule(None)
                started = True
                self.starts += 1
                self._session = client.session
                self.ready.set()
                await process.ended.wait()
        except _STARTING_FAILURES as error:
            # Whatever its end looked like, a server that had answered is started again.
            if not started and not self._stopping:
                raise self._failure(error) from error
        finally:
            self._process = None
            self._session = None
            self.ready.clear()

    async def _introduced(self, client: Client) -> None:
        """Learn what the server offers; only an answer counts as running."""
        self.capabilities = client.server_capabilities
        self.server_info = client.server_info
        self.instructions = client.instructions
        if self.capabilities.tools is not None:
            listed = await client.session.list_tools()
            self.tools = {tool.name: tool for tool in listed.tools}

    @asynccontextmanager
    async def _client(self) -> AsyncGenerator[tuple[StdioProcess, Client]]:
        process = await StdioProcess.start(self.command.argv, {**os.environ, **self.command.env})
        self._process = process
        if self._stopping:
            process.ended.set()
        try:
            # In a thread: the server's log is passed on meanwhile.
            await asyncio.to_thread(importlib.import_module, "mcp")
            from mcp import Client, MCPError

            try:
                async with Client(
                    process.streams(), mode="auto", cache=None, sampling_callback=self.callers.sample,
                    elicitation_callback=self.callers.elicit, logging_callback=self.callers.log,
                ) as client:  # fmt: skip
                    yield process, client
            except MCPError as error:
                raise RuntimeError(error.message) from error
        finally:
            await process.end()

    def _failure(self, raised: BaseException) -> ChildFailed:
        error, process = _first(raised), self._process
        name, program = self.command.name, " ".join(self.command.argv)
        if process is None and isinstance(error, OSError):
            return ChildFailed(
                f"MCP server {name!r}: cannot start {self.command.argv[0]!r}: {error.strerror}",
                remedy="install it, or correct deployment.cmd of the MCPServer",
            )
        if isinstance(error, TimeoutError):
            reason = f"did not answer within {_START_SECONDS:.0f} s"
        elif process is not None and process.exit_code:
            reason = f"ended with code {process.exit_code} before it answered"
        elif process is not None and process.exit_code == 0:
            reason = "ended before it answered"
        else:
            reason = f"failed to start: {error}"
        said = process.said if process is not None else ()
        last = next((line.strip() for line in reversed(said) if line.strip()), "")
        return ChildFailed(
            f"MCP server {name!r} ({program}) {reason}{f': {last}' if last else ''}",
            remedy="run it by hand to see more; check deployment.args and env of the MCPServer",
        )

    def _say(self, text: str) -> None:
        print(f"mcp-bridge: {self.command.name}: {text}", file=sys.stderr, flush=True)  # noqa: T201 - the container's log


def _first(error: BaseException) -> BaseException:
    """Return the error inside the groups that task groups wrap around it."""
    if isinstance(error, BaseExceptionGroup):
        return _first(cast("BaseExceptionGroup[BaseException]", error).exceptions[0])
    return error
