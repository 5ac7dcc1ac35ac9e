"""One run of a stdio MCP server as a process: its pipes as MCP streams, its log passed on, its end bounded in time.

Our own instead of the SDK's ``stdio_client``, so that the server starts before the SDK is imported (a second of
processor time each, side by side instead of one after the other) and its exit code can be told. Nothing of MCP is
imported until ``streams`` is entered.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcp.client._transport import TransportStreams

__all__ = ["StdioProcess"]

# The shutdown order is MCP's (lifecycle, stdio): close stdin, wait, SIGTERM, wait, SIGKILL.
_GRACE_SECONDS = 2.0
# Most servers end when their input does; those that do not are told by a signal soon.
_EOF_SECONDS = 0.3
# A result may be an image in base64 on one line.
_LONGEST_LINE = 256 * 1024 * 1024
# A grandchild may hold the log's pipe open after the server has gone.
_LOG_SECONDS = 1.0


class StdioProcess:
    """A running server. ``ended`` is set when it exits or closes its output; ``said`` holds its last log lines."""

    def __init__(self, process: asyncio.subprocess.Process, log: Callable[[str], None]) -> None:
        self._process = process
        self._tell = log
        self.ended = asyncio.Event()
        self.said: deque[str] = deque(maxlen=20)
        self._log = asyncio.create_task(self._pass_on())
        self._exit = asyncio.create_task(process.wait())
        self._exit.add_done_callback(lambda _: self.ended.set())

    @classmethod
    async def start(
        cls,
        argv: Sequence[str],
        env: Mapping[str, str],
        *,
        folder: str | None = None,
        log: Callable[[str], None] | None = None,
    ) -> StdioProcess:
        """Start the server in a session of its own, so that what it starts can be ended with it.

        ``log`` gets each line of its standard error; by default it goes to ours.

        Raises:
            OSError: there is no such program, or it may not be run.
        """
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=pipe, stdout=pipe, stderr=pipe, env=dict(env), cwd=folder, limit=_LONGEST_LINE,
            start_new_session=True,
        )  # fmt: skip
        return cls(process, log or _to_stderr)

    @property
    def exit_code(self) -> int | None:
        return self._process.returncode

    async def end(self) -> None:
        """End the server and everything in its session; bounded, and harmless when it has ended."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        if not await self._gone(_EOF_SECONDS):
            self._signal(signal.SIGTERM)
            if not await self._gone(_GRACE_SECONDS):
                self._signal(signal.SIGKILL)
                await self._exit
        await asyncio.wait((self._log,), timeout=_LOG_SECONDS)
        self._log.cancel()

    @asynccontextmanager
    async def streams(self) -> AsyncGenerator[TransportStreams]:
        """Yield the server's messages and the way to it; the server ends with the context."""
        import anyio
        from mcp.shared.message import SessionMessage
        from mcp_types import jsonrpc_message_adapter

        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        arriving, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        outgoing, leaving = anyio.create_memory_object_stream[SessionMessage](0)

        async def receive() -> None:
            async with arriving:
                with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                    while line := await stdout.readline():
                        try:
                            message = SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
                        except ValueError:
                            # A print that should have gone to standard error; it belongs into the log.
                            self._write_log(line)
                            continue
                        await arriving.send(message)
            self.ended.set()

        async def send() -> None:
            async with leaving:
                with contextlib.suppress(OSError):
                    async for message in leaving:
                        text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                        stdin.write(text.encode() + b"\n")
                        await stdin.drain()
            self.ended.set()

        async with anyio.create_task_group() as group:
            group.start_soon(receive)
            group.start_soon(send)
            try:
                yield incoming, outgoing
            finally:
                with anyio.CancelScope(shield=True):
                    incoming.close()
                    outgoing.close()
                    await self.end()
                group.cancel_scope.cancel()

    async def _gone(self, seconds: float) -> bool:
        done, _ = await asyncio.wait((self._exit,), timeout=seconds)
        return bool(done)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    async def _pass_on(self) -> None:
        stderr = self._process.stderr
        assert stderr is not None
        while line := await stderr.readline():
            self._write_log(line)

    def _write_log(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip()
        if text:
            self.said.append(text)
        self._tell(text)


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - the container's log
