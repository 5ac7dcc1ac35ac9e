"""What a starting agent answers before it is loaded: its card and whether it lives; all else waits for the rest.

Knows no SDK, so that it is up in a fifth of a second. Never answers for the agent; a fault in loading ends the process.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from kagent_engine.card import build_card, read_card
from kagent_engine.errors import KagentError

if TYPE_CHECKING:
    from collections.abc import Awaitable, MutableMapping

    from kagent_engine.server.app import App

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

__all__ = ["Front"]

logger = logging.getLogger(__name__)

_CARD_PATHS: Final = frozenset({"/.well-known/agent-card.json", "/.well-known/agent.json"})
_ALIVE_PATHS: Final = frozenset({"/health", "/healthz"})


class Front:
    """An ASGI app in front of the real one. ``load`` runs in a thread and returns what builds that one."""

    def __init__(self, card: Path, url: str, load: Callable[[], Callable[[], App]]) -> None:
        self._card = orjson.dumps(build_card(read_card(card), default_url=url))
        self._load = load
        self._app: App | None = None
        self._loaded = asyncio.Event()
        self.on_failure: Callable[[KagentError], None] = _raise
        self.on_request: Callable[[], None] = _nothing

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        self.on_request()
        path = scope.get("path", "")
        if scope["type"] == "http" and scope["method"] in {"GET", "HEAD"}:
            if path in _CARD_PATHS:
                await _reply(send, 200, self._card, b"application/json")
                return
            if path in _ALIVE_PATHS:
                await _reply(send, 200, b"OK", b"text/plain")
                return
            if path == "/readyz" and self._app is None:
                await _reply(send, 503, b"waiting for the agent to load", b"text/plain")
                return
        await self._loaded.wait()
        if self._app is None:
            await _reply(send, 503, b"the agent could not be loaded; its log says why", b"text/plain")
            return
        await self._app(scope, receive, send)

    async def drain(self) -> None:
        """Let the turns of the real app end while their listeners still hear them."""
        if self._app is not None:
            await self._app.drain()

    async def _live(self, receive: Receive, send: Send) -> None:
        """Start at once, load behind it, and leave the real app's lifespan when told to shut down."""
        await receive()
        async with AsyncExitStack() as stack:
            loading = asyncio.create_task(self._bring_up(stack))
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await asyncio.wait([loading])
        await send({"type": "lifespan.shutdown.complete"})

    async def _bring_up(self, stack: AsyncExitStack) -> None:
        try:
            build = await asyncio.to_thread(self._load)
            app = build()
            await stack.enter_async_context(app.lifespan())
            self._app = app
        except KagentError as error:
            self.on_failure(error)
        except Exception:
            logger.exception("the agent could not be loaded")
            self.on_failure(KagentError("the agent could not be loaded; the log says why"))
        finally:
            self._loaded.set()


def _nothing() -> None:
    return None


def _raise(error: KagentError) -> None:
    raise error


async def _reply(send: Send, status: int, body: bytes, content_type: bytes) -> None:
    headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
