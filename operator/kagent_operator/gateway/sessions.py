"""Sessions: what a person and an agent said, kept for both of them."""

from __future__ import annotations

import uuid

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kagent_api.kube.resources import JsonObject
from kagent_api.names import agent_id
from kagent_operator.gateway.context import (
    Gateway,
    acting_on,
    caller,
    gateway_of,
    json_body,
    json_text,
    own_agent,
    plain_json,
    text_field,
)
from kagent_operator.gateway.directory import agent_by_id, meta
from kagent_operator.gateway.errors import BadRequest, Forbidden, Missing
from kagent_operator.gateway.replies import ok
from kagent_operator.gateway.rights import chat_with, require
from kagent_operator.store.database import moment_of, rfc3339
from kagent_operator.store.sessions import Session, SessionEvent

__all__ = ["ROUTES"]

_SOURCES = ("", "user", "agent")


async def list_sessions(request: Request) -> Response:
    principal = await caller(request)
    only = principal.agent if principal.proven else ""
    sessions = await gateway_of(request).store.sessions.list(principal.user_id, agent_id=only)
    return ok([_session(session) for session in sessions], "Successfully listed sessions")


async def list_agent_sessions(request: Request) -> Response:
    """A person's sessions with an agent, without those that other agents opened."""
    gateway = gateway_of(request)
    namespace, name = request.path_params["namespace"], request.path_params["name"]
    principal = await caller(request)
    wanted = agent_id(namespace, name)
    own_agent(principal, wanted)
    sessions = await gateway.store.sessions.list(principal.user_id, agent_id=wanted, without_source="agent")
    shared = [] if principal.agent else await gateway.store.shares.visited(principal.user_id, wanted)
    if not sessions and not shared and gateway.agents.get(namespace, name) is None:
        raise Missing(f"Agent {namespace}/{name} not found")
    listed = [_session(session) for session in sessions]
    listed += [
        _session(session) | {"share_token": share.token, "share_read_only": share.read_only}
        for share, session in shared
    ]
    return ok(listed, "Successfully listed sessions")


async def create_session(request: Request) -> Response:
    gateway = gateway_of(request)
    body = await json_body(request)
    ref = text_field(body, "agent_ref", required=True)
    source = text_field(body, "source")
    if source not in _SOURCES:
        raise BadRequest(f"source must be user or agent, not {source!r}")
    principal = await caller(request)
    agent = _known_agent(gateway, ref, principal.agent)
    own_agent(principal, agent)
    if not principal.agent:
        await _chatting(request, agent)
    session_id = text_field(body, "id")
    if session_id and principal.proven and (taken := await gateway.store.sessions.get(principal.user_id, session_id)):
        own_agent(principal, taken.agent_id)  # creating it again would hand it over
    session = await gateway.store.sessions.put(
        principal.user_id,
        session_id or str(uuid.uuid4()),
        agent_id=agent,
        name=text_field(body, "name"),
        source=source,
    )
    return ok(_session(session), "Successfully created session", status=201)


async def get_session(request: Request) -> Response:
    gateway = gateway_of(request)
    session_id = request.path_params["id"]
    acting = await acting_on(request, session_id, writing=False)
    session = await gateway.store.sessions.get(acting.user_id, session_id)
    if session is None:
        raise Missing(f"Session {session_id} not found")
    events = await gateway.store.sessions.events(
        acting.user_id,
        session_id,
        ascending=request.query_params.get("order", "").lower() == "asc",
        after=_moment(request.query_params.get("after", "")),
        limit=_number(request.query_params.get("limit", "")),
    )
    found: JsonObject = {"session": _session(session), "events": [_event(event) for event in events]}
    if acting.shared:
        found["read_only"] = acting.read_only
    return ok(found, "Successfully retrieved session")


async def change_session(request: Request) -> Response:
    gateway = gateway_of(request)
    session_id = request.path_params["id"]
    acting = await acting_on(request, session_id, writing=True)
    body = await json_body(request)
    name, ref = text_field(body, "name"), text_field(body, "agent_ref")
    if not name and not ref:
        raise BadRequest("name or agent_ref is required")
    if ref and acting.shared:
        raise Forbidden("only the owner of a session may move it to another agent")
    target = _known_agent(gateway, ref, "") if ref else ""
    if target:
        principal = await caller(request)
        own_agent(principal, target)
        if not principal.agent:
            await _chatting(request, target)
    session = await gateway.store.sessions.change(acting.user_id, session_id, name=name, agent_id=target)
    if session is None:
        raise Missing(f"Session {session_id} not found")
    return ok(_session(session), "Successfully updated session")


async def delete_session(request: Request) -> Response:
    """Only its owner deletes a session; deleting what is not there succeeds, as upstream has it."""
    session_id = request.path_params["id"]
    acting = await acting_on(request, session_id, writing=True)
    if acting.shared:
        raise Forbidden("only the owner of a session may delete it")
    await gateway_of(request).store.sessions.delete(acting.user_id, session_id)
    gateway_of(request).bell.ring(acting.user_id)
    return ok({}, "Session deleted successfully")


async def add_event(request: Request) -> Response:
    """Only the session's own agent writes its events."""
    gateway = gateway_of(request)
    session_id = request.path_params["id"]
    acting = await acting_on(request, session_id, writing=True)
    session = await gateway.store.sessions.get(acting.user_id, session_id)
    if session is None:
        raise Missing(f"Session {session_id} not found")
    agent = (await caller(request)).agent
    if not agent or agent != session.agent_id:
        raise Forbidden("only the session's agent may add events", remedy="send its id in X-Agent-Name")
    body = await json_body(request)
    data = body.get("data")
    written = plain_json(data) if isinstance(data, str) else json_text(data)
    if not written or data is None:
        raise BadRequest("data is required")
    event = await gateway.store.sessions.add_event(
        acting.user_id, session_id, text_field(body, "id") or str(uuid.uuid4()), written
    )
    if gateway.on_event is not None:
        gateway.on_event(agent, event.id, written)
    return ok(_event(event), "Event added to session successfully", status=201)


async def _chatting(request: Request, wanted: str) -> None:
    """Raise Forbidden when the caller may not chat with an agent."""
    gateway = gateway_of(request)
    if found := agent_by_id(gateway.agents, wanted):
        right = chat_with(str(meta(found).get("namespace", "")), str(meta(found).get("name", "")))
        await require(gateway.rights, await caller(request), right)


def _known_agent(gateway: Gateway, ref: str, calling_agent: str) -> str:
    """Return an agent's id. An agent is believed about itself: our copy of the cluster may lag behind its start."""
    found = agent_by_id(gateway.agents, ref)
    if found is not None:
        return agent_id(str(meta(found).get("namespace", "")), str(meta(found).get("name", "")))
    if calling_agent and ref.replace("/", "__NS__").replace("-", "_") == calling_agent:
        return calling_agent
    raise Missing(f"Agent {ref} not found", remedy="agent_ref is namespace/name")


def _session(session: Session) -> JsonObject:
    written: JsonObject = {"id": session.id}
    if session.name:
        written["name"] = session.name
    written |= {
        "user_id": session.user_id,
        "created_at": rfc3339(session.created_at),
        "updated_at": rfc3339(session.updated_at),
        "agent_id": session.agent_id,
    }
    return written | ({"source": session.source} if session.source else {})


def _event(event: SessionEvent) -> JsonObject:
    return {
        "id": event.id,
        "session_id": event.session_id,
        "user_id": event.user_id,
        "created_at": rfc3339(event.created_at),
        "updated_at": rfc3339(event.updated_at),
        "data": event.data,
    }


def _moment(text: str) -> int | None:
    try:
        return moment_of(text) if text else None
    except ValueError as error:
        raise BadRequest(f"after must be an RFC 3339 time, not {text!r}") from error


def _number(text: str) -> int:
    try:
        return int(text) if text else 0
    except ValueError as error:
        raise BadRequest(f"limit must be a number, not {text!r}") from error


ROUTES = (
    Route("/api/sessions", list_sessions, methods=["GET"]),
    Route("/api/sessions", create_session, methods=["POST"]),
    Route("/api/sessions/agent/{namespace}/{name}", list_agent_sessions, methods=["GET"]),
    Route("/api/sessions/{id}", get_session, methods=["GET"]),
    Route("/api/sessions/{id}", change_session, methods=["PUT", "PATCH"]),
    Route("/api/sessions/{id}", delete_session, methods=["DELETE"]),
    Route("/api/sessions/{id}/events", add_event, methods=["POST"]),
)
