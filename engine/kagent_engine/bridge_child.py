"""The stdio MCP server behind a bridge: started, watched, started again with backoff when it dies.

One task owns the client from its entry to its exit (anyio forbids anything else); requests come from other tasks over
``session``. The child gets the whole environment: proxies, certificates and the marks of the local cluster are in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self, TextIO, cast

import anyio
from mcp import Client, MCPError, StdioServerParameters
from mcp.client._transport import ReadStream, TransportStreams
from mcp.client.session import ClientSession
from mcp.client.stdio import stdio_client
from mcp.shared.message import SessionMessage
from mcp_types import Implementation, ServerCapabilities, Tool

from kagent_engine.bridge_command import BridgeCommand
from kagent_engine.errors import KagentError

__all__ = ["Child", "ChildFailed"]

# uvx may have to download an interpreter and a hundred packages first.
_START_SECONDS = 300.0
# How long a request waits for a server that is being started again before it is told so.
_PATIENCE_SECONDS = 15.0
_FIRST_DELAY, _LONGEST_DELAY = 0.5, 30.0
# A server that lived this long did not die of its start; its next death begins the count anew.
_STABLE_SECONDS = 30.0


class ChildFailed(KagentError):
    """The server could not be started, or is gone."""


class Child:
    """A stdio server and the session with it. ``run`` in one task; ``stop`` ends it."""

    def __init__(self, command: BridgeCommand, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self.command = command
        self.capabilities = ServerCapabilities()
        self.server_info: Implementation | None = None
        self.instructions: str | None = None
        self.tools: dict[str, Tool] = {}
        self.starts = 0
        self.ready = asyncio.Event()
        self._sleep = sleep
        self._session: ClientSession | None = None
        self._ended = asyncio.Event()
        self._stopping = False
        self._said: deque[str] = deque(maxlen=20)

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
        self._ended.set()

    async def _once(self) -> None:
        self._ended = asyncio.Event()
        if self._stopping:
            return
        started = False
        try:
            async with asyncio.timeout(_START_SECONDS) as patience, self._client() as client:
                await self._introduced(client)
                patience.reschedule(None)
                started = True
                self.starts += 1
                self._session = client.session
                self.ready.set()
                await self._ended.wait()
        except (OSError, ValueError, RuntimeError, MCPError, TimeoutError, ExceptionGroup) as error:
            # Whatever its end looked like, a server that had answered is started again.
            if not started:
                raise self._failure(error) from error
        finally:
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
    async def _client(self) -> AsyncGenerator[Client]:
        parameters = StdioServerParameters(
            command=self.command.argv[0], args=list(self.command.argv[1:]), env={**os.environ, **self.command.env}
        )
        reading, writing = os.pipe()
        errors = asyncio.create_task(self._pass_on(reading))
        try:
            with os.fdopen(writing, "w") as log:
                async with Client(self._watched(parameters, log), mode="auto", cache=None) as client:
                    yield client
        finally:
            # The server's last words may still be in the pipe; a grandchild may hold it open for ever.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(errors, 1.0)

    @asynccontextmanager
    async def _watched(self, parameters: StdioServerParameters, log: TextIO) -> AsyncGenerator[TransportStreams]:
        async with stdio_client(parameters, log) as (read, write):
            yield _Watched(read, self._ended), write

    async def _pass_on(self, descriptor: int) -> None:
        """Copy the server's standard error to ours and remember its last lines."""
        reader = asyncio.StreamReader(limit=2**20)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", buffering=0)
        )
        try:
            while True:
                try:
                    line = await reader.readline()
                except ValueError:
                    continue  # a line beyond the limit was dropped by the reader
                if not line:
                    return
                text = line.decode(errors="replace").rstrip()
                if text:
                    self._said.append(text)
                print(text, file=sys.stderr, flush=True)  # noqa: T201 - the container's log
        finally:
            transport.close()

    def _failure(self, raised: BaseException) -> ChildFailed:
        error = _first(raised)
        program = " ".join(self.command.argv)
        if isinstance(error, FileNotFoundError | PermissionError):
            return ChildFailed(
                f"MCP server {self.command.name!r}: cannot start {self.command.argv[0]!r}: {error.strerror}",
                remedy="install it, or correct deployment.cmd of the MCPServer",
            )
        if isinstance(error, TimeoutError):
            reason = f"did not answer within {_START_SECONDS:.0f} s"
        elif self._ended.is_set():
            reason = "ended before it answered"
        else:
            reason = f"failed to start: {error}"
        last = next((line.strip() for line in reversed(self._said) if line.strip()), "")
        return ChildFailed(
            f"MCP server {self.command.name!r} ({program}) {reason}{f': {last}' if last else ''}",
            remedy="run it by hand to see more; check deployment.args and env of the MCPServer",
        )

    def _say(self, text: str) -> None:
        print(f"mcp-bridge: {self.command.name}: {text}", file=sys.stderr, flush=True)  # noqa: T201 - the container's log


def _first(error: BaseException) -> BaseException:
    """Return the error inside the groups that task groups wrap around it."""
    if isinstance(error, BaseExceptionGroup):
        return _first(cast("BaseExceptionGroup[BaseException]", error).exceptions[0])
    return error


class _Watched:
    """The stream of the server's messages; sets ``ended`` when there will be no more."""

    def __init__(self, inner: ReadStream[SessionMessage | Exception], ended: asyncio.Event) -> None:
        self._inner = inner
        self._ended = ended

    async def receive(self) -> SessionMessage | Exception:
        try:
            return await self._inner.receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
            self._ended.set()
            raise

    async def aclose(self) -> None:
        self._ended.set()
        await self._inner.aclose()

    def __aiter__(self) -> ReadStream[SessionMessage | Exception]:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self._inner.__anext__()
        except StopAsyncIteration:
            self._ended.set()
            raise

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> bool | None:
        return await self._inner.__aexit__(exc_type, exc_val, exc_tb)
