"""Share links of a session: made, listed and withdrawn by its owner (or its agent on the owner's behalf)."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kagent_api.kube.resources import JsonObject
from kagent_operator.gateway.context import acting_on, body_of, gateway_of, json_object
from kagent_operator.gateway.errors import BadRequest, Forbidden, Missing
from kagent_operator.gateway.replies import ok
from kagent_operator.store.database import rfc3339
from kagent_operator.store.shares import Share

__all__ = ["ROUTES"]


async def create_share(request: Request) -> Response:
    user, session_id = await _owner(request)
    body = await body_of(request)
    read_only = json_object(body).get("read_only", True) if body else True
    if not isinstance(read_only, bool):
        raise BadRequest("read_only must be true or false")
    share = await gateway_of(request).store.shares.add(user, session_id, read_only=read_only)
    return ok(_share(share), "Successfully created share link", status=201)


async def list_shares(request: Request) -> Response:
    user, session_id = await _owner(request)
    shares = await gateway_of(request).store.shares.of_session(user, session_id)
    return ok([_share(share) for share in shares], "Successfully listed share links")


async def delete_share(request: Request) -> Response:
    user, session_id = await _owner(request)
    if not await gateway_of(request).store.shares.withdraw(user, session_id, request.path_params["token"]):
        raise Missing("this session has no such share link")
    return ok({}, "Share link removed")


async def _owner(request: Request) -> tuple[str, str]:
    session_id = request.path_params["id"]
    acting = await acting_on(request, session_id, writing=request.method != "GET")
    if acting.shared:
        raise Forbidden("only the owner of a session may share it")
    if await gateway_of(request).store.sessions.get(acting.user_id, session_id) is None:
        raise Missing(f"Session {session_id} not found")
    return acting.user_id, session_id


def _share(share: Share) -> JsonObject:
    return {
        "id": share.id,
        "token": share.token,
        "session_id": share.session_id,
        "user_id": share.user_id,
        "read_only": share.read_only,
        "created_at": rfc3339(share.created_at),
    }


ROUTES = (
    Route("/api/sessions/{id}/shares", create_share, methods=["POST"]),
    Route("/api/sessions/{id}/shares", list_shares, methods=["GET"]),
    Route("/api/sessions/{id}/shares/{token}", delete_share, methods=["DELETE"]),
)
