"""Refuses request bodies beyond a size before they are read into memory. Knows nothing of what they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["BodyLimit"]


class BodyLimit:
    """ASGI middleware; ``largest`` in bytes."""

    def __init__(self, app: ASGIApp, largest: int) -> None:
        self._app = app
        self._largest = largest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = next((item for name, item in scope["headers"] if name == b"content-length"), b"0")
        if announced.isdigit() and int(announced) > self._largest:
            await self._refuse(scope, receive, send)
            return
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._largest:
                # Ends the body here: what came so far is no JSON and is refused as such.
                return {"type": "http.request", "body": b"", "more_body": False}
            return message

        await self._app(scope, counted, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        message = f"Payload too large: this agent takes up to {self._largest} bytes (A2A_MAX_CONTENT_LENGTH)"
        error = {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": message}}
        await JSONResponse(error, status_code=413)(scope, receive, send)
