"""Upstream's envelope, and one shape for every refusal.

Success is `{"error": false, "data": ..., "message": "..."}`, a refusal `{"error": "<text>"}`: a client must take
`error` as bool or string. What goes wrong inside is logged and told in general words only.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from kagent_api.errors import InvalidSpec, TransientError
from kagent_api.kube import AlreadyExists, Conflict, Forbidden, Invalid, KubeError, NotFound
from kagent_operator.gateway.errors import Problem, Unauthorized
from kagent_operator.store import StoreError, StoreUnavailable, Unkeepable

__all__ = ["EXCEPTION_HANDLERS", "as_json", "ok"]

_log = logging.getLogger(__name__)

_KUBE_STATUS: tuple[tuple[type[KubeError], int], ...] = (
    (NotFound, 404), (AlreadyExists, 409), (Conflict, 409), (Invalid, 400), (Forbidden, 403),
)  # fmt: skip


def as_json(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON reply; characters are written as they are."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    try:
        written = text.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can say by an escape only
        written = json.dumps(content, separators=(",", ":")).encode()
    return Response(written, status, headers, media_type="application/json")


def ok(data: object = None, message: str = "", *, status: int = 200) -> Response:
    """Return a success in the envelope; ``data`` None and an empty message are left out."""
    envelope: dict[str, object] = {"error": False}
    if data is not None:
        envelope["data"] = data
    if message:
        envelope["message"] = message
    return as_json(envelope, status)


async def refuse(_: Request, problem: Exception) -> Response:
    """Answer a Problem."""
    assert isinstance(problem, Problem)  # registered for this class only
    if isinstance(problem, Unauthorized):
        # A header holds printable ASCII only, and a quote would end its value.
        why = "".join(letter for letter in str(problem) if " " <= letter <= "~").replace('"', "'").replace("\\", "/")
        challenge = f'Bearer realm="kagent", error_description="{why}"'
        return PlainTextResponse("Unauthorized", problem.status, {"www-authenticate": challenge})
    return as_json({"error": str(problem)}, problem.status)


async def route_miss(_: Request, error: Exception) -> Response:
    """Answer what no route takes, in plain text as upstream does."""
    assert isinstance(error, HTTPException)  # registered for this class only
    text = "404 page not found" if error.status_code == 404 else error.detail
    return PlainTextResponse(text, error.status_code, error.headers)


async def too_deep(_: Request, error: Exception) -> Response:
    """Answer a body that parses and is nested too deeply to be written again."""
    del error
    return as_json({"error": "Invalid request body: it is nested too deeply"}, 400)


async def store_failed(request: Request, error: Exception) -> Response:
    """Answer when the store refuses; the details are for the log."""
    if isinstance(error, Unkeepable):
        return as_json({"error": str(error)}, 400)
    _log.error("%s %s: %s", request.method, request.url.path, error)
    if isinstance(error, StoreUnavailable):
        return as_json({"error": "the session store does not answer; try again in a moment"}, 503)
    return as_json({"error": "the session store cannot be used; the operator's log says why"}, 500)


async def kube_refused(request: Request, error: Exception) -> Response:
    """Answer what the API server said to a change, in its own words where the caller can act on them."""
    assert isinstance(error, KubeError)  # registered for this class only
    if isinstance(error, TransientError):
        return await not_now(request, error)
    for refusal, status in _KUBE_STATUS:
        if isinstance(error, refusal):
            return as_json({"error": str(error)}, status)
    return await failed(request, error)


async def not_now(request: Request, error: Exception) -> Response:
    """Answer what may work in a moment: the operator's copies of the cluster are not complete, say."""
    _log.warning("%s %s: %s", request.method, request.url.path, error)
    return as_json({"error": str(error)}, 503)


async def bad_spec(_: Request, error: Exception) -> Response:
    """Answer when a resource cannot be read as it is written; its author has to change it."""
    return as_json({"error": str(error)}, 422)


async def failed(request: Request, error: Exception) -> Response:
    """Answer anything unforeseen. The outer edge of a request."""
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return as_json({"error": "Internal server error"}, 500)


EXCEPTION_HANDLERS: Mapping[Any, Any] = {
    Problem: refuse,
    HTTPException: route_miss,
    StoreError: store_failed,
    KubeError: kube_refused,
    TransientError: not_now,
    InvalidSpec: bad_spec,
    RecursionError: too_deep,
    Exception: failed,
}
