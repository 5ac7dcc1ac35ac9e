"""Ask an MCP server for its tools. The one module of the reconcilers that knows the MCP SDK, which it imports late.

Connects like an agent's engine would, through the environment's proxy, reads every page and closes. Bounded in time and
amount, since the server may be anybody's; never logs a header.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import importlib
import json
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from kagent_api.errors import KagentError
from kagent_api.names import VERSION
from kagent_operator.errors import DiscoveryFailed
from kagent_operator.translate.fields import JsonObject

if TYPE_CHECKING:
    import httpx2
    from mcp.client.client import Client

__all__ = ["APPS_TYPE", "DEFINITION", "Target", "Tool", "ToolServerSession", "connected", "discover"]

# MCP Apps: an extension of the protocol, and the type of what it shows.
APPS_EXTENSION: Final = "io.modelcontextprotocol/ui"
APPS_TYPE: Final = "text/html;profile=mcp-app"

# A server with more pages or tools than this is broken or hostile; a ConfigMap would not hold them either.
_MAX_PAGES: Final = 100
_MAX_TOOLS: Final = 2000
_MAX_REASON: Final = 300
_MCP_MODULES: Final = ("httpx2", "mcp.client.client", "mcp.client.sse", "mcp.client.streamable_http", "mcp_types")
# What the model and the approval rules see of a tool.
DEFINITION: Final = ("title", "description", "inputSchema", "outputSchema", "annotations")


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where a server is and how to talk to it. ``generation`` changes when it was rolled out anew."""

    url: str
    transport: Literal["http", "sse"] = "http"
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    timeout: float = 30.0
    verify: bool = True
    system_cas: bool = True
    ca: str = ""
    generation: str = ""

    @property
    def fingerprint(self) -> str:
        """Identify what would be asked, so that a changed target is asked at once. Holds no secret."""
        parts = (
            self.url,
            self.transport,
            sorted(self.headers.items()),
            self.timeout,
            self.verify,
            self.ca,
            self.generation,
        )
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Tool:
    """One tool as its server describes it."""

    name: str
    description: str
    definition: JsonObject

    @property
    def hash(self) -> str:
        """Identify what the model is shown of the tool, for drift detection."""
        return hashlib.sha256(json.dumps(self.definition, sort_keys=True).encode()).hexdigest()


async def discover(target: Target) -> list[Tool]:
    """Return a server's tools, those of every page.

    Raises DiscoveryFailed that names the address and the reason: refused, timed out, not MCP, ...
    """
    async with connected(target) as server:
        return [_tool(raw) for raw in await server.tools()]


class ToolServerSession:
    """An open session with a server; everything is in the protocol's own JSON."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def tools(self) -> list[JsonObject]:
        """Return the tools of every page."""
        tools: list[JsonObject] = []
        cursor: str | None = None
        for _ in range(_MAX_PAGES):
            page = await self._client.list_tools(cursor=cursor)
            tools += [entry.model_dump(mode="json", by_alias=True, exclude_none=True) for entry in page.tools]
            cursor = page.next_cursor
            if not cursor or len(tools) >= _MAX_TOOLS:
                break
        return tools[:_MAX_TOOLS]

    async def call(self, tool: str, arguments: JsonObject) -> JsonObject:
        result = await self._client.call_tool(tool, arguments)
        return result.model_dump(mode="json", by_alias=True, exclude_none=True)

    async def read(self, uri: str) -> JsonObject:
        result = await self._client.read_resource(uri)
        return result.model_dump(mode="json", by_alias=True, exclude_none=True)


@asynccontextmanager
async def connected(target: Target, *, apps: bool = False) -> AsyncGenerator[ToolServerSession]:
    """Open a session with a server for as long as its timeout; ``apps`` says that MCP Apps are shown here.

    Raises DiscoveryFailed, also for what goes wrong inside.
    """
    # Importing takes up to a second and 30 MB, which an operator without tool servers need not pay; in a thread, for
    # reconciling to go on meanwhile.
    await asyncio.to_thread(_import_mcp)
    import httpx2
    from mcp.shared.exceptions import MCPError

    try:
        async with asyncio.timeout(target.timeout), _client(target, apps=apps) as client:
            yield ToolServerSession(client)
    except TimeoutError as error:
        raise DiscoveryFailed(f"{target.url}: no answer within {target.timeout:g} s (spec.timeout)") from error
    except (httpx2.HTTPError, MCPError, OSError, ValueError, BaseExceptionGroup) as error:
        cause = _innermost(error)
        if isinstance(cause, KagentError):
            raise cause from None  # of whoever uses the session
        raise DiscoveryFailed(f"{target.url}: {_reason(cause)}") from error


@functools.cache
def _import_mcp() -> None:
    for name in _MCP_MODULES:
        importlib.import_module(name)


@asynccontextmanager
async def _client(target: Target, *, apps: bool) -> AsyncGenerator[Client]:
    import httpx2
    from mcp.client.client import Client
    from mcp.client.extension import ClientExtension
    from mcp.client.sse import sse_client
    from mcp.client.streamable_http import streamable_http_client
    from mcp_types import Implementation

    class Apps(ClientExtension):
        identifier = APPS_EXTENSION

        def settings(self) -> dict[str, Any]:
            return {"mimeTypes": [APPS_TYPE]}

    # The limit on the whole is what ends it and words it; those within must not come first.
    within = 2 * target.timeout
    timeout = httpx2.Timeout(within)
    async with httpx2.AsyncClient(headers=dict(target.headers), timeout=timeout, verify=_trust(target)) as http:
        transport = (
            sse_client(target.url, httpx_client_factory=_given(target), timeout=within)
            if target.transport == "sse"
            else streamable_http_client(target.url, http_client=http)
        )
        info = Implementation(name="kagent-controller", version=VERSION)
        extensions = [Apps()] if apps else None
        async with Client(
            transport, client_info=info, cache=None, read_timeout_seconds=within, extensions=extensions
        ) as client:
            yield client


def _given(target: Target) -> Any:
    import httpx2

    def make(
        headers: dict[str, str] | None = None, timeout: httpx2.Timeout | None = None, auth: httpx2.Auth | None = None
    ) -> httpx2.AsyncClient:
        merged = {**(headers or {}), **target.headers}
        return httpx2.AsyncClient(headers=merged, timeout=timeout, auth=auth, verify=_trust(target))

    return make


def _trust(target: Target) -> ssl.SSLContext | bool:
    if not target.verify:
        return False
    if not target.ca and target.system_cas:
        return _system_trust()
    context = ssl.create_default_context() if target.system_cas else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if target.ca:
        context.load_verify_locations(cadata=target.ca)
    return context


@functools.cache
def _system_trust() -> ssl.SSLContext:
    # Reading the system's authorities takes 30 ms and more; every question to every server would pay it again.
    return ssl.create_default_context()


def _tool(raw: dict[str, Any]) -> Tool:
    definition = {key: raw[key] for key in DEFINITION if key in raw}
    return Tool(str(raw.get("name", "")), str(raw.get("description", "")), definition)


def _innermost(error: BaseException) -> BaseException:
    """Return what really happened: task groups wrap it."""
    while isinstance(error, BaseExceptionGroup):
        # A group is never empty; its members are exceptions whatever its type parameter.
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return error


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= _MAX_REASON else text[: _MAX_REASON - 1] + "…"
