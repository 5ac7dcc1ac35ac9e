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
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from kagent_api.names import VERSION
from kagent_operator.errors import DiscoveryFailed
from kagent_operator.translate.fields import JsonObject

if TYPE_CHECKING:
    import httpx2

__all__ = ["DEFINITION", "Target", "Tool", "discover"]

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
    # Importing takes up to a second and 30 MB, which an operator without tool servers need not pay; in a thread, for
    # reconciling to go on meanwhile.
    await asyncio.to_thread(_import_mcp)
    import httpx2
    from mcp.shared.exceptions import MCPError

    try:
        async with asyncio.timeout(target.timeout):
            return await _list(target)
    except TimeoutError as error:
        raise DiscoveryFailed(f"{target.url}: no answer within {target.timeout:g} s (spec.timeout)") from error
    except (httpx2.HTTPError, MCPError, OSError, ValueError, BaseExceptionGroup) as error:
        raise DiscoveryFailed(f"{target.url}: {_reason(error)}") from error


@functools.cache
def _import_mcp() -> None:
    for name in _MCP_MODULES:
        importlib.import_module(name)


async def _list(target: Target) -> list[Tool]:
    import httpx2
    from mcp.client.client import Client
    from mcp.client.sse import sse_client
    from mcp.client.streamable_http import streamable_http_client
    from mcp_types import Implementation

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
        tools: list[Tool] = []
        async with Client(transport, client_info=info, cache=None, read_timeout_seconds=within) as client:
            cursor: str | None = None
            for _ in range(_MAX_PAGES):
                page = await client.list_tools(cursor=cursor)
                tools += [
                    _tool(entry.model_dump(mode="json", by_alias=True, exclude_none=True)) for entry in page.tools
                ]
                cursor = page.next_cursor
                if not cursor or len(tools) >= _MAX_TOOLS:
                    break
        return tools[:_MAX_TOOLS]


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


def _reason(error: BaseException) -> str:
    """Return the innermost words of an error; task groups wrap what really happened."""
    while isinstance(error, BaseExceptionGroup):
        # A group is never empty; its members are exceptions whatever its type parameter.
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= _MAX_REASON else text[: _MAX_REASON - 1] + "…"
