"""A call's way to an agent's Service and back, and what is said when there is no way.

Replies that end at once are read whole; event streams are relayed. An agent that does not know the caller's dialect is
asked again in its own.
"""

from __future__ import annotations

import logging
from typing import cast

import httpx
from starlette.responses import Response
from starlette.types import ASGIApp

from kagent_api.conditions import get_condition
from kagent_api.kube.resources import JsonObject
from kagent_operator.gateway.approvals import left_out
from kagent_operator.gateway.context import Gateway
from kagent_operator.gateway.directory import field, meta, ref_of
from kagent_operator.gateway.relay import Relay
from kagent_operator.gateway.rpc import INTERNAL_ERROR, INVALID_PARAMS, METHOD_NOT_FOUND, Call, rpc_error
from kagent_operator.gateway.tasks import VERSION_HEADER, stored_task_to
from kagent_operator.gateway.translation import Translation, is_unknown_method

__all__ = ["Outgoing", "agent_address"]

_log = logging.getLogger(__name__)

# A gateway before the agent (the local cluster's, a mesh's) says with these that nobody answered.
_NOBODY_THERE = frozenset({502, 503, 504})


def agent_address(gateway: Gateway, agent: JsonObject) -> str:
    """Return where an agent's Service answers."""
    about = meta(agent)
    return gateway.settings.agent_address.format(name=about.get("name", ""), namespace=about.get("namespace", ""))


class Outgoing:
    """One call on its way to an agent."""

    def __init__(self, gateway: Gateway, agent: JsonObject, call: Call, headers: list[tuple[str, str]]) -> None:
        self._gateway = gateway
        self._agent = agent
        self._call = call
        self._headers = headers
        self._address = agent_address(gateway, agent)
        self._about = f"Agent {ref_of(agent)}"

    async def deliver(self, body: bytes) -> ASGIApp:
        """Return the agent's answer to the call, or ours where there is none that helps the caller."""
        dialects = self._gateway.dialects
        translation = Translation.of(self._call)
        known_to_lack = translation is not None and dialects.lacks(self._address, self._call.dialect)
        if not known_to_lack:
            reply = await self._send(body, self._headers)
            if not isinstance(reply, httpx.Response):
                return reply
            if translation is None or _is_stream(reply):
                return self._relay(reply)
            whole = await self._read(reply)
            if isinstance(whole, Response):
                return whole
            if not is_unknown_method(whole):
                return Response(whole, reply.status_code, media_type="application/json")
        assert translation is not None  # both ways here need one
        answer = await self._deliver_translated(translation)
        if answer is None:
            dialects.forget(self._address, self._call.dialect)
            words = f"{self._about} does not know {self._call.method} in any dialect"
            return rpc_error(self._call.id, METHOD_NOT_FOUND, words)
        if not known_to_lack:
            dialects.learn(self._address, self._call.dialect)
        return answer

    async def _deliver_translated(self, translation: Translation) -> ASGIApp | None:
        """Return the answer to the call in the other dialect, None when the agent does not know that either."""
        if refusal := await self._refused():
            return refusal
        replaced = {VERSION_HEADER, "x-a2a-extensions"}
        headers = [(name, value) for name, value in self._headers if name not in replaced]
        headers.append((VERSION_HEADER, translation.dialect))
        headers += [("x-a2a-extensions", value) for name, value in headers if name == "a2a-extensions"]
        reply = await self._send(translation.request(), headers)
        if not isinstance(reply, httpx.Response):
            return reply
        if _is_stream(reply):
            return self._relay(reply, translation)
        whole = await self._read(reply)
        if isinstance(whole, Response):
            return whole
        if is_unknown_method(whole):
            return None
        return Response(translation.reply(whole), reply.status_code, media_type="application/json")

    async def _refused(self) -> Response | None:
        """Refuse an answer to a pause that leaves a call undecided: an agent of 0.10 would run that call."""
        message = field(self._call.params, "message")
        task_id, user = field(self._call.params, "message", "taskId"), dict(self._headers).get("x-user-id", "")
        if self._call.dialect != "1.0" or not task_id or not isinstance(message, dict):
            return None
        stored = await self._gateway.store.tasks.get(user, str(task_id))
        missing = left_out(cast("JsonObject", message), stored_task_to("0.3", stored)) if stored else []
        if not missing:
            return None
        words = f"nothing was run: the answer does not decide on {', '.join(missing)}"
        return rpc_error(self._call.id, INVALID_PARAMS, words)

    async def _send(self, body: bytes, headers: list[tuple[str, str]]) -> httpx.Response | Response:
        client = self._gateway.http
        sent = client.build_request("POST", self._address.rstrip("/") + "/", content=body, headers=headers)
        try:
            reply = await client.send(sent, stream=True)
        except httpx.TransportError as error:
            return self._unreachable(str(error) or type(error).__name__)
        if reply.status_code < 400 or "json" in reply.headers.get("content-type", ""):
            return reply
        text = (await _head(reply)).strip()
        if reply.status_code in _NOBODY_THERE:
            return self._unreachable(text or f"HTTP {reply.status_code}")
        words = f"{self._about} answered HTTP {reply.status_code}: {text or reply.reason_phrase}"
        return rpc_error(self._call.id, INTERNAL_ERROR, words)

    async def _read(self, reply: httpx.Response) -> bytes | Response:
        try:
            return await reply.aread()
        except httpx.TransportError as error:
            words = f"{self._about} broke off its answer ({error or type(error).__name__}); ask for the task again"
            return rpc_error(self._call.id, INTERNAL_ERROR, words)

    def _relay(self, reply: httpx.Response, translation: Translation | None = None) -> Relay:
        transform = translation.stream if translation else None
        return Relay(reply, about=self._about, call_id=self._call.id, transform=transform)

    def _unreachable(self, cause: str) -> Response:
        ready = get_condition(field(self._agent, "status", "conditions"), "Ready")
        state = f"; it is not ready: {ready.get('message', '')}" if ready and ready.get("status") != "True" else ""
        about = meta(self._agent)
        where = f"kubectl describe agent {about.get('name')} -n {about.get('namespace')}"
        reached = f"{self._about} cannot be reached at {self._address} ({cause}){state}"
        _log.warning("%s", reached)
        return rpc_error(self._call.id, INTERNAL_ERROR, f"{reached}. See its conditions, events and logs: {where}")


def _is_stream(reply: httpx.Response) -> bool:
    return "event-stream" in reply.headers.get("content-type", "")


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
