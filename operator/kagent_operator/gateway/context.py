"""What every route works with, and how it gets it from a request."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import httpx
from starlette.requests import Request

from kagent_api.kube.resources import JsonObject
from kagent_operator.gateway.bell import Bell
from kagent_operator.gateway.cards import CardReader
from kagent_operator.gateway.dialect_memory import DialectMemory
from kagent_operator.gateway.directory import AgentDirectory
from kagent_operator.gateway.errors import BadRequest, Forbidden, ReadOnly, TooLarge
from kagent_operator.gateway.principal import Authenticator, Principal
from kagent_operator.gateway.rights import AllowAll, Right, Rights, require
from kagent_operator.gateway.settings import GatewaySettings
from kagent_operator.gateway.writer import ResourceWriter
from kagent_operator.store import Store
from kagent_operator.store.shares import Share

if TYPE_CHECKING:
    from kagent_operator.gateway.mcp_apps import ToolServerAccess

__all__ = [
    "Acting",
    "Gateway",
    "acting_on",
    "allowed",
    "body_of",
    "caller",
    "gateway_of",
    "json_body",
    "json_object",
    "json_text",
    "own_agent",
    "person",
    "plain_json",
    "share_of",
    "text_field",
    "writer_of",
]

_HALF = re.compile("[\ud800-\udfff]")
_NOT_SHARED = "the share link is not valid for this session"
_ASK_OWNER = "ask its owner for a new link"


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
    rights: Rights = field(default_factory=AllowAll)
    tool_servers: ToolServerAccess | None = None
    bell: Bell = field(default_factory=Bell)


@dataclass(frozen=True, slots=True)
class Acting:
    """As whom a caller acts on a session: themselves, or its owner by a share link."""

    user_id: str
    read_only: bool = False
    shared: bool = False


def gateway_of(request: Request) -> Gateway:
    return cast("Gateway", request.app.state.gateway)


async def caller(request: Request) -> Principal:
    """Return who is calling; raise Unauthorized when that cannot be told. Asked once a request."""
    known = getattr(request.state, "principal", None)
    if known is None:
        known = request.state.principal = await gateway_of(request).authenticate(request)
    return cast("Principal", known)


async def person(request: Request) -> Principal:
    """Return who is calling, for what agents have no business with; raise Forbidden when it is known to be one."""
    principal = await caller(request)
    if principal.agent and principal.proven:
        raise Forbidden("an agent's token is good for its own sessions, tasks and memories only")
    return principal


async def allowed(request: Request, right: Right) -> Principal:
    """Return who is calling; raise Forbidden when they lack a right."""
    principal = await person(request)
    await require(gateway_of(request).rights, principal, right)
    return principal


def own_agent(principal: Principal, agent_id: str) -> None:
    """Raise Forbidden when an agent whose token was checked reaches for what belongs to another agent."""
    if principal.agent and principal.proven and principal.agent != agent_id:
        raise Forbidden(f"this belongs to another agent than {principal.agent}")


async def writer_of(request: Request) -> ResourceWriter:
    """Return what changes resources for a caller; raise ReadOnly where there is none.

    Where callers are known by tokens of the cluster, changes are made with theirs: the API server decides.
    """
    principal = await person(request)
    writer = gateway_of(request).writer
    if writer is None:
        raise ReadOnly("this server does not change resources", remedy="use kubectl or the dashboard")
    return writer.acting_as(principal.token) if principal.token else writer


async def acting_on(request: Request, session_id: str, *, writing: bool) -> Acting:
    """Return as whom the caller acts on a session.

    A share token of this session makes the caller its owner; a read-only one refuses writing (403). An agent that names
    no user acts for the session's owner, so that nothing it saves is filed under the shared default user.
    """
    principal = await caller(request)
    token = request.headers.get("x-share-token", "")
    store = gateway_of(request).store
    if token:
        share = await share_of(request, token)
        if share.session_id != session_id:
            raise Forbidden(_NOT_SHARED, remedy=_ASK_OWNER)
        if writing and share.read_only:
            raise Forbidden("this share link allows reading only")
        return Acting(share.user_id, share.read_only, shared=True)
    if not principal.agent:
        return Acting(principal.user_id)
    user = principal.user_id if principal.named else await store.sessions.owner(session_id) or principal.user_id
    if not user:
        raise BadRequest("nobody owns this session, so the user is needed", remedy="send it in X-User-Id")
    if principal.proven and (session := await store.sessions.get(user, session_id)):
        own_agent(principal, session.agent_id)
    return Acting(user)


async def share_of(request: Request, token: str) -> Share:
    """Return what a share token stands for, and keep that the caller used it; raise Forbidden for an unknown one."""
    shares = gateway_of(request).store.shares
    share = await shares.by_token(token)
    if share is None:
        raise Forbidden(_NOT_SHARED, remedy=_ASK_OWNER)
    principal = await caller(request)
    if not principal.agent and principal.user_id != share.user_id:
        await shares.visit(share, principal.user_id)
    return share


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
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"Invalid request body: {error}") from error
    if not isinstance(body, dict):
        raise BadRequest("Invalid request body: it must be a JSON object")
    return cast("JsonObject", body)


def json_text(value: object) -> str:
    """Write JSON so that any database keeps it: as it is, or escaped where a text holds half a surrogate pair."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if text.isascii() else plain_json(text)


def plain_json(text: str) -> str:
    """Escape the half surrogates of a JSON text, which no encoding has; JSON says the same thing by an escape."""
    return _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", text)


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
