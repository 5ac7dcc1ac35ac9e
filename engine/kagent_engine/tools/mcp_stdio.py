"""Tools of one MCP server that runs as a process of ours: started in the background, started again when it dies.

It is a program of the agent's author and no sandbox holds it in, but it gets none of the agent's secrets: of the
environment only what a program needs to run, and what its own entry in config.json gives it. What it writes to standard
error, or to standard output though it is no message, goes to our log.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from kagent_api.engine_config import StdioTools
from kagent_engine.bridge_stdio import StdioProcess
from kagent_engine.errors import ToolFailed
from kagent_engine.events import Warned
from kagent_engine.settings import PathMap
from kagent_engine.tools.base import CallContext, Tool
from kagent_engine.tools.connection import Connection, sdk_door

if TYPE_CHECKING:
    from kagent_engine.tools.mcp_sdk import McpSession

__all__ = ["StdioServer"]

logger = logging.getLogger(__name__)

# The SDK's own list, and what programs need to speak a language, tell the time, and reach the world.
_INHERITED: Final = (
    "HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE",
    "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy",
    "no_proxy",
)  # fmt: skip
# Programs whose first argument says what really runs.
_LAUNCHERS: Final = frozenset({"bunx", "deno", "node", "npx", "python", "python3", "uv", "uvx"})
_LONGEST_LABEL: Final = 60
# npx and uvx may have to download the server first.
_START_SECONDS: Final = 300.0


class StdioServer:
    """A ToolSource over one entry of stdio_tools."""

    def __init__(self, config: StdioTools, *, paths: PathMap, environ: Mapping[str, str] | None = None) -> None:
        self._config = config
        self._paths = paths
        self._environ = os.environ if environ is None else environ
        self._connection = Connection(self.label, self._open)

    @property
    def label(self) -> str:
        """How warnings name this server: its program, and what that launches; never the other arguments."""
        name = PurePath(self._config.command).name
        launched = next((word for word in self._config.args if not word.startswith("-")), "")
        if PurePath(name).stem not in _LAUNCHERS or not launched or any(char.isspace() for char in launched):
            return name
        return f"{name} {launched}"[:_LONGEST_LABEL]

    @property
    def settled(self) -> bool:
        """Whether the first start is over, well or not."""
        return self._connection.settled

    def start(self) -> None:
        self._connection.nudge()

    async def tools(self, context: CallContext) -> tuple[Sequence[Tool], Sequence[Warned]]:
        return await self._connection.offer(self._config.tools, self._config.timeout)

    async def aclose(self) -> None:
        await self._connection.aclose()

    async def _open(self, connection: Connection) -> AbstractAsyncContextManager[McpSession]:
        return self._running(connection)

    @asynccontextmanager
    async def _running(self, connection: Connection) -> AsyncGenerator[McpSession]:
        argv = [self._config.command, *self._config.args]
        folder = str(self._paths.resolve(self._config.dir)) if self._config.dir else None
        process = await StdioProcess.start(argv, self._variables(), folder=folder, log=self._log)
        watch = asyncio.create_task(self._watch(process, connection))
        try:
            sdk = await asyncio.to_thread(sdk_door)
            async with sdk.open_stdio(process, timeout=_START_SECONDS, changed=connection.relist) as session:
                yield session
                watch.cancel()
        except Exception as error:
            if process.exit_code is None:
                raise
            last = f": {process.said[-1]}" if process.said else ""
            raise ToolFailed(f"it ended with exit code {process.exit_code}{last}") from error
        finally:
            watch.cancel()
            await process.end()

    async def _watch(self, process: StdioProcess, connection: Connection) -> None:
        """Notice at once that the program ended, so that the next call finds a new one."""
        await process.ended.wait()
        connection.lost()
        logger.warning("%s: the program has ended", self.label)

    def _variables(self) -> dict[str, str]:
        kept = {name: self._environ[name] for name in _INHERITED if name in self._environ}
        return kept | self._config.env

    def _log(self, line: str) -> None:
        # One line of ours for one of its: control characters could forge others.
        logger.info(
            "%s: %s", self.label, "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in line)
        )
