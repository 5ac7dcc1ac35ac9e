"""The A2A front of every agent: `/api/a2a/{namespace}/{name}/`.

One address for a caller, whatever the agent's state: the card and finished tasks come from here, everything else is
handed to the agent's Service as it is, both dialects, streamed; translated only for an agent that speaks just one.
Nothing of a conversation is kept here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from kagent_api.kube.resources import AGENTS, JsonObject
from kagent_api.names import agent_id
from kagent_operator.gateway.cards import is_card_path
from kagent_operator.gateway.context import allowed, body_of, gateway_of
from kagent_operator.gateway.directory import field, rows
from kagent_operator.gateway.errors import BadRequest
from kagent_operator.gateway.outgoing import Outgoing, agent_address
from kagent_operator.gateway.principal import Principal, bearer
from kagent_operator.gateway.relay import unless_gone
from kagent_operator.gateway.replies import as_json
from kagent_operator.gateway.rights import Right, chat_with
from kagent_operator.gateway.rpc import (
    VERSION_NOT_SUPPORTED,
    Call,
    RpcError,
    answer_from_store,
    rpc_error,
    rpc_result,
)
from kagent_operator.gateway.scope import scoped
from kagent_operator.gateway.tasks import VERSION_HEADER, asked_version, wire_dialect

__all__ = ["ROUTES"]

_FORWARDED = frozenset(
    {
        "authorization", VERSION_HEADER, "a2a-extensions", "x-a2a-extensions", "traceparent", "tracestate", "baggage",
        "content-type", "accept", "accept-language", "last-event-id",
    }
)  # fmt: skip
# Our own headers to agents; the token is the caller's key to this gateway and stays here.
_OWN_PREFIX = "x-kagent-"
_NEVER = frozenset({"x-kagent-token", "x-user-id", "x-share-token", "cookie", "host", "content-length"})
_CLIENT_GONE = 499  # nobody reads it; logs do


async def a2a(request: Request) -> ASGIApp:
    gateway = gateway_of(request)
    namespace, name = request.path_params["namespace"], request.path_params["name"]
    principal = await allowed(request, Right.to("get", AGENTS, namespace, name))
    agent = gateway.agents.get(namespace, name)
    if agent is None:
        return PlainTextResponse(f"Agent {namespace}/{name} not found", 404)
    if request.method in ("GET", "HEAD") and is_card_path(request.url.path):
        return await _card(request, agent)
    if request.method != "POST":
        return as_json({"error": "this address takes JSON-RPC by POST"}, 405, {"allow": "POST"})
    body = await body_of(request)
    try:
        call = Call.parse(body, "0.3")
    except RpcError as error:
        return rpc_error(None, error.code, str(error))
    try:
        call = replace(call, dialect=wire_dialect(request))
    except BadRequest as error:
        return rpc_error(call.id, VERSION_NOT_SUPPORTED, str(error))
    await allowed(request, chat_with(namespace, name))
    if "x-share-token" in request.headers:
        # It goes out as it was understood: nothing beside it may mean more to another reader of JSON.
        body = call.written()
    try:
        user_id, call = await scoped(request, call, principal, agent_id(namespace, name))
        stored = await answer_from_store(call, gateway, user_id, agent_id(namespace, name))
    except RpcError as error:
        return rpc_error(call.id, error.code, str(error))
    if stored is not None:
        return rpc_result(call, stored)
    outgoing = Outgoing(gateway, agent, call, _headers(request, user_id, principal, _allowed_headers(agent)))
    answer = await unless_gone(request.receive, outgoing.deliver(body))
    return answer or Response(status_code=_CLIENT_GONE)


async def _card(request: Request, agent: JsonObject) -> Response:
    gateway = gateway_of(request)
    namespace, name = request.path_params["namespace"], request.path_params["name"]
    base = gateway.settings.a2a_base_url or str(request.base_url)
    public = f"{base.rstrip('/')}/api/a2a/{namespace}/{name}/"
    return as_json(await gateway.cards.card(agent, agent_address(gateway, agent), public))


def _headers(request: Request, user_id: str, principal: Principal, passed: Iterable[str]) -> list[tuple[str, str]]:
    wanted = _FORWARDED | {name.lower() for name in passed}
    if principal.token and bearer(request) == principal.token:
        # The caller's key to the cluster: whoever has it is the caller there, and an agent runs what a model says.
        wanted = wanted - {"authorization"}
    kept = [
        (name, value)
        for name, value in request.headers.items()
        if name not in _NEVER and (name in wanted or name.startswith(_OWN_PREFIX))
    ]
    if VERSION_HEADER not in request.headers and (version := asked_version(request)):
        kept.append((VERSION_HEADER, version))
    return [*kept, ("x-user-id", user_id), ("accept-encoding", "identity")]


def _allowed_headers(agent: JsonObject) -> list[str]:
    """Headers that the agent's tools are to get from the caller's request; upstream's proxy loses them."""
    names: list[str] = []
    for tool in rows(agent, "spec", "declarative", "tools"):
        names += field(tool, "mcpServer", "allowedHeaders") or []
    return names


_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
ROUTES = (
    Route("/api/a2a/{namespace}/{name}", a2a, methods=_METHODS),
    Route("/api/a2a/{namespace}/{name}/{rest:path}", a2a, methods=_METHODS),
)
