"""One question to an agent and its whole answer, for callers that know nothing of A2A."""

from __future__ import annotations

import json
import uuid
from typing import Any, NamedTuple, cast

from starlette.responses import Response

from kagent_api.kube.resources import AGENTS, JsonObject
from kagent_operator.gateway.context import Gateway
from kagent_operator.gateway.dialects import task_to
from kagent_operator.gateway.directory import field, rows
from kagent_operator.gateway.errors import BadRequest, Missing
from kagent_operator.gateway.outgoing import Outgoing
from kagent_operator.gateway.principal import Principal
from kagent_operator.gateway.rights import Right, chat_with, require
from kagent_operator.gateway.rpc import Call

__all__ = ["Invoked", "invoke"]


class Invoked(NamedTuple):
    """``failed`` when the agent could not answer; ``text`` then says why."""

    text: str
    context_id: str
    failed: bool = False


async def invoke(gateway: Gateway, principal: Principal, ref: str, task: str, context_id: str) -> Invoked:
    """Ask an agent and wait; raise Missing for an agent that is not there, BadRequest for a reference that is none."""
    namespace, slash, name = ref.partition("/")
    if not slash:
        raise BadRequest(f"agent must be namespace/name, not {ref!r}")
    await require(gateway.rights, principal, Right.to("get", AGENTS, namespace, name))
    await require(gateway.rights, principal, chat_with(namespace, name))
    agent = gateway.agents.get(namespace, name)
    if agent is None:
        raise Missing(f"Agent {ref} not found")
    message: JsonObject = {
        "kind": "message",
        "messageId": str(uuid.uuid4()),
        "role": "user",
        "parts": [{"kind": "text", "text": task}],
    }
    if context_id:
        message["contextId"] = context_id
    call = Call(1, "message/send", {"message": message}, "0.3")
    body = {"jsonrpc": "2.0", "id": call.id, "method": call.method, "params": call.params}
    headers = [("content-type", "application/json"), ("x-user-id", principal.user_id), ("accept-encoding", "identity")]
    answer = await Outgoing(gateway, agent, call, headers).deliver(json.dumps(body).encode())
    if not isinstance(answer, Response):
        return Invoked(f"Agent {ref} streams where one answer was asked for", context_id, failed=True)
    return _read(cast("JsonObject", json.loads(bytes(answer.body))), context_id)


def _read(reply: JsonObject, context_id: str) -> Invoked:
    error: Any = field(reply, "error", "message")
    result = reply.get("result")
    if error or not isinstance(result, dict):
        return Invoked(str(error or "the agent's answer cannot be read"), context_id, failed=True)
    given = cast("JsonObject", result)
    context = str(given.get("contextId") or context_id)
    if given.get("kind") == "message":
        return Invoked(_text(given), context)
    task = task_to("0.3", given)
    state = str(field(task, "status", "state") or "")
    said = _text(field(task, "status", "message") or {})
    if state in ("failed", "rejected", "canceled"):
        return Invoked(said or f"the agent's task was {state}", context, failed=True)
    if state in ("input-required", "auth-required"):
        waiting = "the agent waits for an approval or an answer; continue in the dashboard or the web UI"
        return Invoked(f"{said}\n({waiting})".strip(), context)
    answered = "\n".join(filter(None, (_text(artifact) for artifact in rows(task, "artifacts"))))
    return Invoked(answered or said, context)


def _text(holder: JsonObject) -> str:
    return "".join(str(part.get("text", "")) for part in rows(holder, "parts") if part.get("kind") == "text")
