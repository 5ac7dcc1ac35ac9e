"""Whose call the server behind a bridge is working on, for what it asks and tells of its own accord (older protocol).

stdio has one client, so the server does not say which caller it means. While one caller's calls run it can only be that
one; with several at once nobody is asked: another person must not see the question, nor answer it.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import mcp_types as types
    from mcp.server.context import ServerRequestContext
    from mcp_types import ErrorData

__all__ = ["Callers"]


class Callers:
    """The calls that are running. Its methods are the callbacks of the session with the server."""

    def __init__(self) -> None:
        self._running: list[ServerRequestContext[Any, Any]] = []

    @contextmanager
    def during(self, call: ServerRequestContext[Any, Any]) -> Generator[None]:
        """Count a call as running."""
        self._running.append(call)
        try:
            yield
        finally:
            self._running.remove(call)

    async def sample(
        self, context: object, params: types.CreateMessageRequestParams
    ) -> types.CreateMessageResult | types.CreateMessageResultWithTools | ErrorData:
        """Hand a question for a model to the caller."""
        del context
        import mcp_types as types

        result = types.CreateMessageResultWithTools if params.tools else types.CreateMessageResult
        return await self._ask(types.CreateMessageRequest(params=params), result)

    async def elicit(self, context: object, params: types.ElicitRequestParams) -> types.ElicitResult | ErrorData:
        """Hand a question for a person to the caller."""
        del context
        import mcp_types as types

        return await self._ask(types.ElicitRequest(params=params), types.ElicitResult)

    async def log(self, params: types.LoggingMessageNotificationParams) -> None:
        """Hand a log line to the caller; what is said while nobody or several call is for nobody."""
        import mcp_types as types

        if (caller := self._only()) is not None:
            told = types.LoggingMessageNotification(params=params)
            await caller.session.send_notification(told, related_request_id=caller.request_id)

    def _only(self) -> ServerRequestContext[Any, Any] | None:
        """Return the newest call of the only caller; each call has a session object of its own, so ids tell."""
        callers = {_caller(call) for call in self._running}
        return self._running[-1] if len(callers) == 1 else None

    async def _ask(self, request: Any, result: type[Any]) -> Any:
        import mcp_types as types
        from mcp import MCPError
        from mcp.shared.message import ServerMessageMetadata

        caller = self._only()
        if caller is None:
            said = "several callers are served at once" if self._running else "no call is running"
            return types.ErrorData(code=types.INVALID_REQUEST, message=f"mcp-bridge: {said}: nobody can be asked")
        try:
            return await caller.session.send_request(
                request, result, metadata=ServerMessageMetadata(related_request_id=caller.request_id)
            )
        except MCPError as error:
            return types.ErrorData(code=error.code, message=error.message)


def _caller(call: ServerRequestContext[Any, Any]) -> object:
    """Return what tells callers apart: the HTTP session, else the connection."""
    headers = getattr(call.request, "headers", None)
    return (headers.get("mcp-session-id") if headers is not None else None) or id(call.session)
