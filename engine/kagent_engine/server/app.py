"""The HTTP face of one agent: card, health, metrics, and JSON-RPC on "/". Serves; never decides how a turn goes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from kagent_engine.agent import Agent
from kagent_engine.card import build_card
from kagent_engine.metrics import Metrics
from kagent_engine.server.dispatch import Dispatcher
from kagent_engine.server.executor import TurnExecutor
from kagent_engine.server.identity import CallerContextBuilder
from kagent_engine.server.limit import BodyLimit
from kagent_engine.server.sdk import DefaultRequestHandlerV2, sdk_card
from kagent_engine.server.tasks import ArchivedTaskStore, mark_interrupted
from kagent_engine.sessions import Store
from kagent_engine.shapes import JsonObject

if TYPE_CHECKING:
    from collections.abc import Awaitable

__all__ = ["Serving", "create_app"]

logger = logging.getLogger(__name__)

# A pause that no one answers within ten minutes is read back from the archive later; until then it costs no memory.
_PARKED_SECONDS: Final = 600.0
# Less than the 30 s that Kubernetes gives a Pod to end.
_DRAIN_SECONDS: Final = 10.0


class Serving:
    """What an app needs, and how far its start has come. ``unready`` says what is still missing, empty when ready."""

    def __init__(
        self, agent: Agent, store: Store, card: JsonObject, *, app_name: str, url: str,
        key_passthrough: bool = False, deltas: bool = True, drain_seconds: float = _DRAIN_SECONDS,
        largest_request: int | None = None,
        unready: Callable[[], str] = str, started: Callable[[], Awaitable[None]] | None = None,
    ) -> None:  # fmt: skip
        self.agent = agent
        self.store = store
        self.metrics = Metrics()
        self.largest_request = largest_request
        self.drain_seconds = drain_seconds
        self.unready = unready
        self.started = started
        self.card = build_card(card, default_url=url)
        self.tasks = ArchivedTaskStore(store)
        executor = TurnExecutor(
            agent, app_name=app_name, metrics=self.metrics, key_passthrough=key_passthrough, deltas=deltas
        )
        self.handler = DefaultRequestHandlerV2(
            executor, self.tasks, sdk_card(self.card), interrupted_task_timeout=_PARKED_SECONDS
        )


def create_app(serving: Serving) -> Starlette:
    """Build the app; entering its lifespan closes what the last process left open, leaving it drains this one."""
    card = orjson.dumps(serving.card)
    dispatcher = Dispatcher(serving.handler, CallerContextBuilder())

    async def get_card(_: Request) -> Response:
        return Response(card, media_type="application/json")

    async def health(_: Request) -> Response:
        return PlainTextResponse("OK")

    async def readyz(_: Request) -> Response:
        missing = serving.unready()
        return PlainTextResponse(f"waiting for {missing}", 503) if missing else PlainTextResponse("OK")

    async def metrics(_: Request) -> Response:
        return PlainTextResponse(serving.metrics.text(), media_type="text/plain; version=0.0.4")

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        if found := await mark_interrupted(serving.store):
            logger.warning("%d tasks were left working by the last process and are now failed", found)
        if serving.started is not None:
            await serving.started()
        yield
        await _drain(serving)

    app = Starlette(
        routes=[
            Route("/.well-known/agent-card.json", get_card),
            Route("/.well-known/agent.json", get_card),
            Route("/health", health),
            Route("/healthz", health),
            Route("/readyz", readyz),
            Route("/metrics", metrics),
            Route("/", dispatcher.endpoint, methods=["POST"]),
        ],
        lifespan=lifespan,
    )
    if serving.largest_request is not None:
        app.add_middleware(BodyLimit, largest=serving.largest_request)
    return app


async def _drain(serving: Serving) -> None:
    """Let running turns end for a while, then stop them and say so in their tasks."""
    try:
        async with asyncio.timeout(serving.drain_seconds):
            await serving.metrics.idle.wait()
    except TimeoutError:
        logger.warning("%d turns are stopped because the process ends", serving.metrics.running)
    await serving.handler.aclose()
    await serving.tasks.aclose()
    await serving.agent.aclose()
    await serving.store.aclose()
