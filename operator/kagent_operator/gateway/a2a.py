"""The A2A front of every agent: `/api/a2a/{namespace}/{name}/`.

One address for a caller, whatever the agent's state: the card and finished tasks come from here, everything else is
handed to the agent's Service as it is, both dialects, streamed; translated only for an agent that speaks just one.
Nothing of a conversation is kept here.
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
from kagent_operator.gateway.relay import Relay, unless_gone
from kagent_operator.gateway.replies import as_json
from kagent_operator.gateway.rpc import (
    INTERNAL_ERROR,
    METHOD_NOT_FOUND,
    Call,
    RpcError,
    answer_from_store,
    rpc_error,
    rpc_result,
)
from kagent_operator.gateway.tasks import VERSION_HEADER, wire_dialect
from kagent_operator.gateway.translation import Translation, is_unknown_method

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

_CLIENT_GONE = 499  # nobody reads it; logs do


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
    answer = await unless_gone(request.receive, _forward(request, gateway, agent, call, body, user_id))
    return answer or Response(status_code=_CLIENT_GONE)


async def _card(request: Request, agent: JsonObject) -> Response:
    gateway = gateway_of(request)
    namespace, name = request.path_params["namespace"], request.path_params["name"]
    base = gateway.settings.a2a_base_url or str(request.base_url)
    public = f"{base.rstrip('/')}/api/a2a/{namespace}/{name}/"
    return as_json(await gateway.cards.card(agent, _address(gateway, agent), public))


async def _forward(
    request: Request, gateway: Gateway, agent: JsonObject, call: Call, body: bytes, user_id: str
) -> ASGIApp:
    """Hand a call to its agent; in the other dialect when the agent says it does not know this one."""
    outgoing = _Outgoing(
        gateway,
        call,
        address=_address(gateway, agent),
        about=f"Agent {request.path_params['namespace']}/{request.path_params['name']}",
        agent=agent,
        headers=_headers(request, user_id, _allowed_headers(agent)),
    )
    translation = Translation.of(call)
    known_to_lack = translation is not None and gateway.dialects.lacks(outgoing.address, call.dialect)
    if not known_to_lack:
        reply = await outgoing.send(body)
        if not isinstance(reply, httpx.Response):
            return reply
        if translation is None or _is_stream(reply):
            return outgoing.relay(reply)
        whole = await outgoing.read(reply)
        if isinstance(whole, Response):
            return whole
        if not is_unknown_method(whole):
            return Response(whole, reply.status_code, media_type="application/json")
    assert translation is not None  # both ways here need one
    answer = await outgoing.send_translated(translation)
    if not known_to_lack and answer is not None:
        gateway.dialects.learn(outgoing.address, call.dialect)
    if answer is None:
        gateway.dialects.forget(outgoing.address, call.dialect)
        return rpc_error(call.id, METHOD_NOT_FOUND, f"{outgoing.about} does not know {call.method} in any dialect")
    return answer


class _Outgoing:
    """One call on its way to an agent."""

    def __init__(
        self,
        gateway: Gateway,
        call: Call,
        *,
        address: str,
        about: str,
        agent: JsonObject,
        headers: list[tuple[str, str]],
    ) -> None:
        self._gateway = gateway
        self._call = call
        self._agent = agent
        self._headers = headers
        self.address = address
        self.about = about

    async def send(self, body: bytes, headers: list[tuple[str, str]] | None = None) -> httpx.Response | Response:
        """Return the agent's reply with its body unread, or our answer when there is none that helps the caller."""
        client = self._gateway.http
        sent = client.build_request(
            "POST", self.address.rstrip("/") + "/", content=body, headers=headers or self._headers
        )
        try:
            reply = await client.send(sent, stream=True)
        except httpx.TransportError as error:
            return self._unreachable(str(error) or type(error).__name__)
        if reply.status_code < 400 or "json" in reply.headers.get("content-type", ""):
            return reply
        text = (await _head(reply)).strip()
        if reply.status_code in _NOBODY_THERE:
            return self._unreachable(text or f"HTTP {reply.status_code}")
        words = f"{self.about} answered HTTP {reply.status_code}: {text or reply.reason_phrase}"
        return rpc_error(self._call.id, INTERNAL_ERROR, words)

    async def read(self, reply: httpx.Response) -> bytes | Response:
        """Return a reply's whole body, or our answer when it breaks off."""
        try:
            return await reply.aread()
        except httpx.TransportError as error:
            words = f"{self.about} broke off its answer ({error or type(error).__name__}); ask for the task again"
            return rpc_error(self._call.id, INTERNAL_ERROR, words)

    async def send_translated(self, translation: Translation) -> ASGIApp | None:
        """Return the answer to the call in the other dialect, None when the agent does not know that either."""
        replaced = {VERSION_HEADER, "x-a2a-extensions"}
        headers = [(name, value) for name, value in self._headers if name not in replaced]
        headers.append((VERSION_HEADER, translation.dialect))
        headers += [("x-a2a-extensions", value) for name, value in headers if name == "a2a-extensions"]
        reply = await self.send(translation.request(), headers)
        if not isinstance(reply, httpx.Response):
            return reply
        if _is_stream(reply):
            return self.relay(reply, translation)
        whole = await self.read(reply)
        if isinstance(whole, Response):
            return whole
        if is_unknown_method(whole):
            return None
        return Response(translation.reply(whole), reply.status_code, media_type="application/json")

    def relay(self, reply: httpx.Response, translation: Translation | None = None) -> Relay:
        transform = translation.stream if translation else None
        return Relay(reply, about=self.about, call_id=self._call.id, transform=transform)

    def _unreachable(self, cause: str) -> Response:
        message = _unreachable(self.about, self.address, self._agent, cause)
        _log.warning("%s", message)
        return rpc_error(self._call.id, INTERNAL_ERROR, message)


def _is_stream(reply: httpx.Response) -> bool:
    return "event-stream" in reply.headers.get("content-type", "")


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
