"""The one door through which the MCP SDK enters the engine: opens a session and speaks our types about it.

Imported only once the agent card is served: the SDK costs half a second and 20 MiB. Never retries and never reconnects;
mcp.py does.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import httpx2
from mcp import Client
from mcp.client.session import MessageHandlerFnT
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.client.subscriptions import SubscriptionLost
from mcp.shared.exceptions import MCPError
from mcp_types import (
    CONNECTION_CLOSED,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    REQUEST_TIMEOUT,
    Implementation,
    Tool,
    ToolListChangedNotification,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from kagent_api.engine_config import McpParams
from kagent_api.names import VERSION
from kagent_engine.bridge_stdio import StdioProcess
from kagent_engine.errors import ToolFailed
from kagent_engine.shapes import JsonObject
from kagent_engine.tools.base import Progress
from kagent_engine.tools.schemas import accepted_schema

__all__ = ["ConnectionLost", "ListedTool", "McpSession", "explain", "never_sent", "open_session", "open_stdio"]

# The SDK's own defaults, and upstream's.
_TIMEOUT: Final = 30.0
_READ_TIMEOUT: Final = 300.0
_MOST_PAGES: Final = 100
# An image or a document in base64 fits; what is longer would fill the Pod's memory.
_LONGEST_ANSWER: Final = 64 * 1024 * 1024
_FIRST_ERROR: Final = 400
# All that the SDK says of an answer that is an error.
_SILENT: Final = "Server returned an error response"
# Between two streams of changes; nothing waits for one.
_FIRST_LISTEN_PAUSE: Final = 1.0
_LONGEST_LISTEN_PAUSE: Final = 60.0
_CLIENT: Final = Implementation(name="kagent-engine", version=VERSION)


class ConnectionLost(Exception):
    """The session is gone. ``never_ran`` is True where the server has surely not begun the call."""

    def __init__(self, message: str, *, never_ran: bool) -> None:
        self.never_ran = never_ran
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class ListedTool:
    """A tool as its server lists it; ``repeatable`` if the server says that calling it twice changes nothing more."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    repeatable: bool = False


class McpSession:
    """An open session. Calls may come from any task; closing is the opener's."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @property
    def protocol(self) -> str:
        return self._client.protocol_version

    async def list_tools(self) -> tuple[ListedTool, ...]:
        """Return all tools, page by page; those that only a user interface may call are left out."""
        found: list[ListedTool] = []
        cursor: str | None = None
        for _ in range(_MOST_PAGES):
            page = await self._client.list_tools(cursor=cursor, cache_mode="refresh")
            found.extend(_listed(tool) for tool in page.tools if not _app_only(tool))
            cursor = page.next_cursor
            if not cursor:
                break
        return tuple(found)

    async def call_tool(
        self, name: str, arguments: JsonObject, *, timeout: float | None, progress: Progress | None
    ) -> JsonObject:
        """Call a tool and return the CallToolResult as it travels.

        Raises:
            ToolFailed: the server refused the call or did not answer in time.
            ConnectionLost: the session is gone.
        """

        told = progress

        async def report(progress: float, total: float | None, message: str | None) -> None:
            if told is not None:
                await told(progress, total, message or "")

        try:
            result = await self._client.call_tool(
                name, arguments, read_timeout_seconds=timeout, progress_callback=report if progress else None
            )
        except MCPError as error:
            if error.code == CONNECTION_CLOSED:
                raise ConnectionLost(error.message, never_ran=False) from error
            if error.code == INVALID_REQUEST and error.message == "Session terminated":
                raise ConnectionLost(error.message, never_ran=True) from error
            if error.code == REQUEST_TIMEOUT:
                raise ToolFailed(
                    f"'{name}' did not answer within {timeout:g} s; it may still be at work."
                    if timeout
                    else f"'{name}' did not answer in time."
                ) from error
            raise ToolFailed(f"'{name}' was refused: {error.message}") from error
        except (httpx2.HTTPError, OSError, RuntimeError) as error:
            # RuntimeError: the client was closed under the call.
            raise ConnectionLost(explain(error), never_ran=isinstance(error, httpx2.ConnectError)) from error
        written = result.model_dump(mode="json", by_alias=True, exclude_none=True)
        for key in ("_meta", "resultType"):
            written.pop(key, None)
        return written


@asynccontextmanager
async def open_session(
    params: McpParams, *, sse: bool, headers: Mapping[str, str], ca_path: Path | None, changed: Callable[[], None]
) -> AsyncGenerator[McpSession]:
    """Connect, negotiate the protocol era, and close again; enter and leave it in the same task.

    ``changed`` is called when the server says that its tools changed.

    Raises:
        Exception: whatever the transport raises, often inside a group; ``explain`` says it in words.
    """

    refused = ""

    async def bounded(response: httpx2.Response) -> None:
        nonlocal refused
        if response.status_code >= _FIRST_ERROR:
            refused = f"HTTP {response.status_code} {response.reason_phrase}".strip()
        if not response.headers.get("content-type", "").lower().startswith("text/event-stream"):
            response.stream = _Bounded(cast("httpx2.AsyncByteStream", response.stream))

    timeout = httpx2.Timeout(params.timeout or _TIMEOUT, read=params.sse_read_timeout or _READ_TIMEOUT)

    def http_client(
        headers: dict[str, str] | None = dict(headers),  # noqa: B006 - never changed
        timeout: httpx2.Timeout | None = timeout,
        auth: httpx2.Auth | None = None,
    ) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            headers=headers, timeout=timeout, auth=auth, verify=_verify(params, ca_path),
            event_hooks={"response": [bounded]},
        )  # fmt: skip

    if sse:
        transport = sse_client(
            params.url,
            headers=dict(headers),
            timeout=params.timeout or _TIMEOUT,
            sse_read_timeout=params.sse_read_timeout or _READ_TIMEOUT,
            httpx_client_factory=http_client,
        )
        async with (
            Client(
                transport, mode="auto", client_info=_CLIENT, cache=None, message_handler=_hearing(changed)
            ) as client,
            _listening(client, changed),
        ):
            yield McpSession(client)
        return
    try:
        async with http_client() as http:
            transport = streamable_http_client(
                params.url,
                http_client=http,
                terminate_on_close=params.terminate_on_close is not False,
                max_sse_event_size=_LONGEST_ANSWER,
            )
            async with (
                Client(
                    transport, mode="auto", client_info=_CLIENT, cache=None, message_handler=_hearing(changed)
                ) as client,
                _listening(client, changed),
            ):
                yield McpSession(client)
    except Exception as error:
        if refused and explain(error) == _SILENT:
            raise ToolFailed(f"it answered {refused}") from error
        raise


@asynccontextmanager
async def open_stdio(
    process: StdioProcess, *, timeout: float, changed: Callable[[], None]
) -> AsyncGenerator[McpSession]:
    """Speak to a server over its pipes; it ends with the context, which the same task enters and leaves.

    Raises:
        Exception: whatever the server's start ends with; ``explain`` says it in words.
    """
    client = Client(process.streams(), mode="auto", client_info=_CLIENT, cache=None, message_handler=_hearing(changed))
    async with AsyncExitStack() as stack:
        # The SDK starts no server itself, so only the handshake can hang.
        async with asyncio.timeout(timeout):
            await stack.enter_async_context(client)
        async with _listening(client, changed):
            yield McpSession(client)


class _Bounded(httpx2.AsyncByteStream):
    """An answer's body that ends with an error where it has no end; events have a bound of their own."""

    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = _LONGEST_ANSWER
        async for chunk in self._stream:
            left -= len(chunk)
            if left < 0:
                raise httpx2.ReadError(f"the answer is longer than {_LONGEST_ANSWER // 1024**2} MiB")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


def explain(error: BaseException) -> str:
    """Return the innermost reason of an error in one line, fit for a log."""
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    if isinstance(error, httpx2.HTTPStatusError):
        return f"HTTP {error.response.status_code} {error.response.reason_phrase}".strip()
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in line)


def never_sent(error: BaseException) -> bool:
    """Tell whether the error says that no connection was made at all, so that nothing can have run."""
    if isinstance(error, BaseExceptionGroup):
        return all(never_sent(inner) for inner in cast("BaseExceptionGroup[BaseException]", error).exceptions)
    return isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout)


def _hearing(changed: Callable[[], None]) -> MessageHandlerFnT:
    async def heard(message: object) -> None:
        if isinstance(message, ToolListChangedNotification):
            changed()

    return heard


@asynccontextmanager
async def _listening(client: Client, changed: Callable[[], None]) -> AsyncGenerator[None]:
    """Hear of changed tools meanwhile where the protocol era tells only those who ask (2026-07-28)."""
    tools = client.server_capabilities.tools
    if client.protocol_version not in MODERN_PROTOCOL_VERSIONS or tools is None or not tools.list_changed:
        yield
        return
    listener = asyncio.create_task(_listen(client, changed))
    try:
        yield
    finally:
        listener.cancel()
        await asyncio.wait([listener])


async def _listen(client: Client, changed: Callable[[], None]) -> None:
    """Follow the server's changes; a stream that ends is opened again, and what it may have missed is read."""
    pause, missed = _FIRST_LISTEN_PAUSE, False
    while True:
        try:
            async with client.listen(tools_list_changed=True) as changes:
                if missed:
                    changed()
                async for _ in changes:
                    pause = _FIRST_LISTEN_PAUSE
                    changed()
        except MCPError as error:
            if error.code in (METHOD_NOT_FOUND, INVALID_REQUEST, INVALID_PARAMS):
                return
        except (SubscriptionLost, TimeoutError, httpx2.HTTPError, OSError):
            pass
        missed = True
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_LISTEN_PAUSE)


def _verify(params: McpParams, ca_path: Path | None) -> ssl.SSLContext | bool:
    if params.tls_insecure_skip_verify:
        return False
    if ca_path is None:
        return True
    own_only = params.tls_disable_system_cas
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if own_only else ssl.create_default_context()
    context.load_verify_locations(cafile=str(ca_path))
    return context


def _listed(tool: Tool) -> ListedTool:
    hints = tool.annotations
    repeatable = hints is not None and bool(hints.read_only_hint or hints.idempotent_hint)
    return ListedTool(tool.name, tool.description or tool.title or "", accepted_schema(tool.input_schema), repeatable)


def _app_only(tool: Tool) -> bool:
    """Tell whether MCP Apps reserves a tool for its user interface (``_meta.ui.visibility``)."""
    shown = cast("object", (tool.meta or {}).get("ui"))
    visibility = cast("dict[str, object]", shown).get("visibility") if isinstance(shown, dict) else None
    return visibility == ["app"]
