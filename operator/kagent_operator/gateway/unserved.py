"""Upstream's routes that need what this operator does not run: answered 501 with the reason, so that nobody guesses.

Agent Substrate, its sandboxes and harnesses are upstream's hosted runtime; agents here are Deployments.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kagent_operator.gateway.context import caller
from kagent_operator.gateway.errors import NotServed

__all__ = ["ROUTES"]

_METHODS: Final = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
_SANDBOX: Final = "sandboxes need Agent Substrate, which this operator does not run"
_HARNESS: Final = "agent harnesses need Agent Substrate, which this operator does not run"
_SUBSTRATE: Final = "there is no Agent Substrate here: agents run as Deployments"
_AS_AGENT: Final = "write it as an Agent (kagent.dev/v1alpha2)"
_USE_API: Final = "kubectl reads and writes the resources themselves"


def _refusing(reason: str, remedy: str) -> Callable[[Request], Awaitable[Response]]:
    async def refuse(request: Request) -> Response:
        await caller(request)
        raise NotServed(reason, remedy=remedy)

    return refuse


def _below(path: str, reason: str, remedy: str) -> list[Route]:
    endpoint = _refusing(reason, remedy)
    return [Route(path, endpoint, methods=_METHODS), Route(path + "/{rest:path}", endpoint, methods=_METHODS)]


ROUTES = (
    *_below("/api/sandboxagents", _SANDBOX, _AS_AGENT),
    *_below("/api/a2a-sandboxes", _SANDBOX, "an Agent answers at /api/a2a/NAMESPACE/NAME/"),
    *_below("/api/agentharnesses", _HARNESS, _USE_API),
    *_below("/api/substrate", _SUBSTRATE, _USE_API),
)
