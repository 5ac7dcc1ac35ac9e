"""Tools of one MCP server over HTTP: a connection for each set of headers, and a warning when it is away.

Never lets a server that is down stop a turn: its tools are missing and a warning says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from kagent_api.engine_config import McpTools
from kagent_engine.events import Warned
from kagent_engine.settings import PathMap
from kagent_engine.tools.base import CallContext, Tool
from kagent_engine.tools.connection import Connection, sdk_door
from kagent_engine.tools.headers import forwarded, resolve

if TYPE_CHECKING:
    from kagent_engine.tools.mcp_sdk import McpSession

__all__ = ["McpServer"]

# Connections made with one caller's own headers, kept for that caller's next turns.
_MOST_PERSONAL: Final = 16


class McpServer:
    """A ToolSource over one entry of http_tools or sse_tools."""

    def __init__(self, config: McpTools, *, sse: bool, paths: PathMap) -> None:
        self._config = config
        self._sse = sse
        self._paths = paths
        self._connections: dict[frozenset[tuple[str, str]], Connection] = {}

    @property
    def label(self) -> str:
        """How warnings name this server: its host (a cluster name such as ``time.demo``), never the whole URL."""
        return urlsplit(self._config.params.url).netloc.rpartition("@")[2]

    @property
    def settled(self) -> bool:
        """Whether the first attempt to connect is over, well or not."""
        return self._connection({}).settled

    def start(self) -> None:
        """Begin to connect in the background, with the configured headers alone."""
        self._connection({}).nudge()

    async def tools(self, context: CallContext) -> tuple[Sequence[Tool], Sequence[Warned]]:
        connection = self._connection(forwarded(context.headers, self._config.allowed_headers))
        return await connection.offer(self._config.tools, self._config.params.timeout)

    async def aclose(self) -> None:
        connections, self._connections = list(self._connections.values()), {}
        await asyncio.gather(*(connection.aclose() for connection in connections))

    def _connection(self, personal: Mapping[str, str]) -> Connection:
        key = frozenset(personal.items())
        if key not in self._connections:
            self._connections[key] = Connection(self.label, self._opener(personal))
            self._forget_oldest()
        elif key:
            self._connections[key] = self._connections.pop(key)
        return self._connections[key]

    def _forget_oldest(self) -> None:
        personal = [key for key in self._connections if key]
        for key in personal[: max(0, len(personal) - _MOST_PERSONAL)]:
            self._connections.pop(key).abandon()

    def _opener(self, personal: Mapping[str, str]) -> _Open:
        return _Open(self._config, self._sse, self._paths, dict(personal))


@dataclass(frozen=True, slots=True)
class _Open:
    """Opens sessions of one server for one set of personal headers; static headers win over them (upstream's order)."""

    config: McpTools
    sse: bool
    paths: PathMap
    personal: Mapping[str, str]

    async def __call__(self, connection: Connection) -> AbstractAsyncContextManager[McpSession]:
        # In a thread: importing the SDK takes half a second in which requests must still be answered.
        sdk = await asyncio.to_thread(sdk_door)
        params = self.config.params
        headers = {**self.personal, **resolve(params.headers, self.paths)}
        ca_path = self.paths.resolve(params.tls_ca_cert_path) if params.tls_ca_cert_path else None
        return sdk.open_session(params, sse=self.sse, headers=headers, ca_path=ca_path, changed=connection.relist)
