"""Health, readiness and metrics on a port of their own, apart from the HTTP API that people reach."""

from __future__ import annotations

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

__all__ = ["create_health_app"]


def create_health_app(*, ready: Callable[[], str], metrics: Callable[[], str]) -> Starlette:
    """Return the app. ``ready`` answers with nothing, or why not; ``metrics`` with Prometheus' text format."""

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_: Request) -> Response:
        problem = ready()
        return PlainTextResponse(f"{problem or 'ok'}\n", status_code=503 if problem else 200)

    async def show_metrics(_: Request) -> Response:
        return PlainTextResponse(metrics(), media_type="text/plain; version=0.0.4")

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/health", healthz),
            Route("/readyz", readyz),
            Route("/metrics", show_metrics),
        ]
    )
