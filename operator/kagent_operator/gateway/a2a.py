"""The A2A front of every agent: `/api/a2a/{namespace}/{name}/`.

One address for a caller, whatever the agent's state: the card and finished tasks come from here, everything else is
handed to the agent's Service as it is, both dialects, streamed. Nothing of a conversation is kept here.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

import httpx
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from kagent_api.conditions import get_condition
from kagent_api.names import agent_id
from kagent_api.schema import JsonObject
from kagent_operator.gateway.cards import is_card_path
from kagent_operator.gateway.context import Gateway, acting_on, body_of, caller, gateway_of
from kagent_operator.gateway.directory import field, meta, rows
from kagent_operator.gateway.errors import BadRequest
from kagent_operator.gateway.relay import Relay
from kagent_operator.gateway.replies import as_json
from kagent_operator.gateway.rpc import (
    INTERNAL_ERROR,
    Call,
    RpcError,
    answer_from_store,
    rpc_error,
    rpc_result,
)
from kagent_operator.gateway.tasks import VERSION_HEADER, wire_dialect

__all__ = ["ROUTES"]

_log = logging.getLogger(__name__)

_FORWARDED = frozenset(
    {
        "authorization", VERSION_HEADER, "a2a-extensions", "x-a2a-extensions", "traceparent", "tracestate", "baggage",
        "content-type", "accept", "accept-language", "last-event-id",
    }
)  # fmt: skip
# Our own headers to agents; the token is the caller's key to this gateway and stays here.
_OWN_PREFIX = "x-kagent-"
_NEVER = frozenset({"x-kagent-token", "x-user-id", "x-share-token", "cookie", "host", "content-length"})
# A gateway before the agent (the local cluster's, a mesh's) says with these that nobody answered.
_NOBODY_THERE = frozenset({502, 503, 504})


async def a2a(request: Request) -> ASGIApp:
    gateway = gateway_of(request)
    namespace, name = request.path_params["namespace"], request.path_params["name"]
    principal = caller(request)
    agent = gateway.agents.get(namespace, name)
    if agent is None:
        return PlainTextResponse(f"Agent {namespace}/{name} not found", 404)
    if request.method in ("GET", "HEAD") and is_card_path(request.url.path):
        return await _card(request, agent)
    if request.method != "POST":
        return as_json({"error": "this address takes JSON-RPC by POST"}, 405, {"allow": "POST"})
    try:
        dialect = wire_dialect(request)
    except BadRequest as error:
        return PlainTextResponse(str(error), 400)
    body = await body_of(request)
    try:
        call = Call.parse(body, dialect)
    except RpcError as error:
        return rpc_error(None, error.code, str(error))
    user_id = principal.user_id
    if "x-share-token" in request.headers:
        writing = call.method not in ("tasks/get", "GetTask", "tasks/list", "ListTasks")
        user_id = (await acting_on(request, _context_of(call), writing=writing)).user_id
    try:
        stored = await answer_from_store(call, gateway.store, user_id, agent_id(namespace, name))
    except RpcError as error:
        return rpc_error(call.id, error.code, str(error))
    if stored is not None:
        return rpc_result(call, stored)
    return await _forward(request, gateway, agent, call, body, user_id)


async def _card(request: Request, agent: JsonObject) -> Response:
    gateway = gateway_of(request)
    namespace, name = request.path_params["namespace"], request.path_params["name"]
    base = gateway.settings.a2a_base_url or str(request.base_url)
    public = f"{base.rstrip('/')}/api/a2a/{namespace}/{name}/"
    return as_json(await gateway.cards.card(agent, _address(gateway, agent), public))


async def _forward(
    request: Request, gateway: Gateway, agent: JsonObject, call: Call, body: bytes, user_id: str
) -> ASGIApp:
    address = _address(gateway, agent)
    headers = _headers(request, user_id, _allowed_headers(agent))
    about = f"Agent {request.path_params['namespace']}/{request.path_params['name']}"
    try:
        sent = gateway.http.build_request("POST", address.rstrip("/") + "/", content=body, headers=headers)
        reply = await gateway.http.send(sent, stream=True)
    except httpx.TransportError as error:
        message = _unreachable(about, address, agent, str(error) or type(error).__name__)
        _log.warning("%s", message)
        return rpc_error(call.id, INTERNAL_ERROR, message)
    if reply.status_code >= 400 and "json" not in reply.headers.get("content-type", ""):
        text = (await _head(reply)).strip()
        if reply.status_code in _NOBODY_THERE:
            message = _unreachable(about, address, agent, text or f"HTTP {reply.status_code}")
        else:
            message = f"{about} answered HTTP {reply.status_code}: {text or reply.reason_phrase}"
        return rpc_error(call.id, INTERNAL_ERROR, message)
    return Relay(reply, about=about, call_id=call.id)


def _address(gateway: Gateway, agent: JsonObject) -> str:
    about = meta(agent)
    return gateway.settings.agent_address.format(name=about.get("name", ""), namespace=about.get("namespace", ""))


def _headers(request: Request, user_id: str, allowed: Iterable[str]) -> list[tuple[str, str]]:
    wanted = _FORWARDED | {name.lower() for name in allowed}
    kept = [
        (name, value)
        for name, value in request.headers.items()
        if name not in _NEVER and (name in wanted or name.startswith(_OWN_PREFIX))
    ]
    return [*kept, ("x-user-id", user_id), ("accept-encoding", "identity")]


def _allowed_headers(agent: JsonObject) -> list[str]:
    """Headers that the agent's tools are to get from the caller's request; upstream's proxy loses them."""
    names: list[str] = []
    for tool in rows(agent, "spec", "declarative", "tools"):
        names += field(tool, "mcpServer", "allowedHeaders") or []
    return names


def _unreachable(about: str, address: str, agent: JsonObject, cause: str) -> str:
    ready = get_condition(field(agent, "status", "conditions"), "Ready")
    state = f"; it is not ready: {ready.get('message', '')}" if ready and ready.get("status") != "True" else ""
    where = f"kubectl describe agent {meta(agent).get('name')} -n {meta(agent).get('namespace')}"
    return f"{about} cannot be reached at {address} ({cause}){state}. See its conditions, events and logs: {where}"


def _context_of(call: Call) -> str:
    return str(field(call.params, "message", "contextId") or call.params.get("contextId") or "")


async def _head(reply: httpx.Response, limit: int = 500) -> str:
    """Read the beginning of a refusal's text and close it."""
    text = b""
    try:
        async for chunk in reply.aiter_raw():
            text += chunk
            if len(text) >= limit:
                break
    except httpx.TransportError:
        pass
    finally:
        await reply.aclose()
    return text[:limit].decode(errors="replace")


_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
ROUTES = (
    Route("/api/a2a/{namespace}/{name}", a2a, methods=_METHODS),
    Route("/api/a2a/{namespace}/{name}/{rest:path}", a2a, methods=_METHODS),
)
