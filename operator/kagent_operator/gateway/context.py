"""What every route works with, and how it gets it from a request."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import httpx
from starlette.requests import Request

from kagent_api.kube.resources import JsonObject
from kagent_operator.gateway.cards import CardReader
from kagent_operator.gateway.dialect_memory import DialectMemory
from kagent_operator.gateway.directory import AgentDirectory
from kagent_operator.gateway.errors import BadRequest, Forbidden, ReadOnly, TooLarge
from kagent_operator.gateway.principal import Authenticator, Principal
from kagent_operator.gateway.settings import GatewaySettings
from kagent_operator.gateway.writer import ResourceWriter
from kagent_operator.store import Store

__all__ = [
    "Acting",
    "Gateway",
    "acting_on",
    "body_of",
    "caller",
    "gateway_of",
    "json_body",
    "json_object",
    "text_field",
]


@dataclass(frozen=True, slots=True)
class Gateway:
    """The parts of one running gateway."""

    agents: AgentDirectory
    store: Store
    settings: GatewaySettings
    authenticate: Authenticator
    http: httpx.AsyncClient
    cards: CardReader
    dialects: DialectMemory
    writer: ResourceWriter | None = None
    on_event: Callable[[str, str, str], None] | None = None  # agent, event, its data: after it was stored


@dataclass(frozen=True, slots=True)
class Acting:
    """As whom a caller acts on a session: themselves, or its owner by a share link."""

    user_id: str
    read_only: bool = False
    shared: bool = False


def gateway_of(request: Request) -> Gateway:
    return cast("Gateway", request.app.state.gateway)


def caller(request: Request) -> Principal:
    """Return who is calling; raise Unauthorized when that cannot be told."""
    return gateway_of(request).authenticate(request)


def writer_of(request: Request) -> ResourceWriter:
    """Return what changes resources; raise ReadOnly where there is none."""
    writer = gateway_of(request).writer
    if writer is None:
        raise ReadOnly("this server does not change resources", remedy="use kubectl or the dashboard")
    return writer


async def acting_on(request: Request, session_id: str, *, writing: bool) -> Acting:
    """Return as whom the caller acts on a session.

    A share token of this session makes the caller its owner; a read-only one refuses writing (403). An agent that names
    no user acts for the session's owner, so that nothing it saves is filed under the shared default user.
    """
    principal = caller(request)
    token = request.headers.get("x-share-token", "")
    store = gateway_of(request).store
    if token:
        share = await store.shares.by_token(token)
        if share is None or share.session_id != session_id:
            raise Forbidden("the share link is not valid for this session", remedy="ask its owner for a new link")
        if writing and share.read_only:
            raise Forbidden("this share link allows reading only")
        return Acting(share.user_id, share.read_only, shared=True)
    if principal.agent and not principal.named:
        return Acting(await store.sessions.owner(session_id) or principal.user_id)
    return Acting(principal.user_id)


async def body_of(request: Request) -> bytes:
    """Read the body; raise TooLarge beyond the limit, without reading the rest."""
    limit = gateway_of(request).settings.max_body
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise TooLarge(f"the request body is larger than {limit} bytes")
        parts.append(part)
    return b"".join(parts)


async def json_body(request: Request) -> JsonObject:
    """Read a JSON object from the body; raise BadRequest for anything else."""
    return json_object(await body_of(request))


def json_object(text: bytes) -> JsonObject:
    """Read a JSON object; raise BadRequest for anything else."""
    try:
        body: Any = json.loads(text)
    except ValueError as error:
        raise BadRequest(f"Invalid request body: {error}") from error
    if not isinstance(body, dict):
        raise BadRequest("Invalid request body: it must be a JSON object")
    return cast("JsonObject", body)


def text_field(body: JsonObject, name: str, *, required: bool = False) -> str:
    """Return a string of the body, '' when absent; raise BadRequest when it is of another type, or needed."""
    value = body.get(name)
    if value is None or value == "":
        if required:
            raise BadRequest(f"{name} is required")
        return ""
    if not isinstance(value, str):
        raise BadRequest(f"{name} must be a string")
    return value
