"""Everything that waits for a decision and that a caller may see: ``/api/kagent-tui/v1/approvals``, listed or streamed.

Our own route; upstream's clients look into each session instead. Answers go where answers always go, to the agent's A2A
address, with the task's and the session's id. What a sub-agent asks is told by its parent's task, so sessions that
agents opened are left out.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any, Final, cast

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from kagent_api.kube.resources import AGENTS, JsonObject
from kagent_api.names import HITL_EXTENSION
from kagent_operator.gateway.context import Gateway, gateway_of, person
from kagent_operator.gateway.directory import agent_by_id, field, meta, ref_of, rows
from kagent_operator.gateway.errors import Unauthorized
from kagent_operator.gateway.principal import Principal
from kagent_operator.gateway.replies import ok
from kagent_operator.gateway.rights import Right
from kagent_operator.gateway.tasks import stored_task_to
from kagent_operator.store.database import rfc3339
from kagent_operator.store.sessions import Session
from kagent_operator.store.tasks import WAITING_STATES, StoredTask

__all__ = ["ROUTES"]

_PATH: Final = "/api/kagent-tui/v1/approvals"
# Proxies drop a silent connection after 30-60 s.
_SILENCE_SECONDS: Final = 15.0
# How long what another replica stored may stay unseen.
_LOOK_SECONDS: Final = 2.0
_AGAIN_SECONDS: Final = 60.0
_KINDS: Final = {"tool_approval_request": "tool_approval", "ask_user_request": "ask_user"}


async def approvals(request: Request) -> Response:
    """List what waits; as an event stream where the caller accepts one or asks for it by ``?stream=true``."""
    gateway = gateway_of(request)
    principal = await person(request)
    streamed = request.query_params.get("stream", "").lower() in ("1", "true")
    if streamed or "text/event-stream" in request.headers.get("accept", ""):
        headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
        return StreamingResponse(_stream(request, gateway, principal), headers=headers, media_type="text/event-stream")
    found, _ = await _waiting(gateway, principal)
    return ok([*found.values()], "Successfully listed approvals")


async def _stream(request: Request, gateway: Gateway, principal: Principal) -> AsyncIterator[str]:
    """Yield a ``snapshot``, then each change as ``added``, ``changed`` or ``removed``; comments while it is silent."""
    listener = asyncio.Event()
    told: dict[str, JsonObject] | None = None
    checked = spoke = time.monotonic()
    try:
        gateway.bell.listen(listener, {principal.user_id})
        while True:
            listener.clear()
            if time.monotonic() - checked > _AGAIN_SECONDS:
                await gateway.authenticate(request)  # a token that has ended ends its stream
                checked = time.monotonic()
            found, users = await _waiting(gateway, principal)
            gateway.bell.listen(listener, users)
            frames = _frames(told, found)
            told = found
            if time.monotonic() - spoke > _SILENCE_SECONDS:
                frames.append(": still here\n\n")
            if frames:
                spoke = time.monotonic()
                yield "".join(frames)
            try:
                async with asyncio.timeout(_LOOK_SECONDS if gateway.store.shared else _SILENCE_SECONDS):
                    await listener.wait()
            except TimeoutError:
                continue
    except Unauthorized:
        return  # the client asks again, and is told why
    finally:
        gateway.bell.listen(listener, ())


def _frames(told: dict[str, JsonObject] | None, found: dict[str, JsonObject]) -> list[str]:
    if told is None:
        return [_frame("snapshot", [*found.values()])]
    frames = [_frame("removed", {"id": id, "session_id": told[id]["session_id"]}) for id in told if id not in found]
    for id, item in found.items():
        if item != told.get(id):
            frames.append(_frame("changed" if id in told else "added", item))
    return frames


def _frame(name: str, data: object) -> str:
    # Escaped, so that no character of a model's can end a line or break the encoding.
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


async def _waiting(gateway: Gateway, principal: Principal) -> tuple[dict[str, JsonObject], set[str]]:
    """Return what waits by task, the longest first, and whose sessions were looked at."""
    users = {principal.user_id}
    pairs: list[tuple[StoredTask, Session, JsonObject]] = [
        (task, session, {}) for task, session in await gateway.store.tasks.waiting(principal.user_id)
    ]
    for share, session in await gateway.store.shares.visited(principal.user_id):
        users.add(share.user_id)
        about: JsonObject = {"share_token": share.token, "share_read_only": share.read_only}
        for task in await gateway.store.tasks.of_session(share.user_id, session.id):
            if task.state in WAITING_STATES:
                pairs.append((task, session, about))
    seen: dict[str, bool] = {}
    found: dict[str, JsonObject] = {}
    for task, session, about in pairs:
        if session.agent_id not in seen:
            seen[session.agent_id] = await _may_see(gateway, principal, session.agent_id)
        if seen[session.agent_id]:
            found[task.id] = _item(gateway, task, session) | about
    return found, users


async def _may_see(gateway: Gateway, principal: Principal, agent_id: str) -> bool:
    agent = agent_by_id(gateway.agents, agent_id)
    if agent is None:
        return True  # it is gone; what it asked remains its user's
    namespace, name = str(meta(agent).get("namespace", "")), str(meta(agent).get("name", ""))
    return await gateway.rights.allow(principal, Right.to("get", AGENTS, namespace, name))


def _item(gateway: Gateway, task: StoredTask, session: Session) -> JsonObject:
    message = field(stored_task_to("1.0", task), "status", "message")
    said = cast("JsonObject", message) if isinstance(message, dict) else {}
    asked = field(said, "metadata", HITL_EXTENSION)
    request = cast("JsonObject", asked) if isinstance(asked, dict) else {}
    nested = field(request, "nested")
    kind = "auth" if task.state == "auth-required" else _KINDS.get(str(request.get("type")), "input")
    inner = rows(request, "nested", "tools")
    calls = inner or rows(request, "tools")
    agent = agent_by_id(gateway.agents, session.agent_id)
    item: JsonObject = {
        "id": task.id,
        "session_id": session.id,
        "session_name": session.name,
        "agent_id": session.agent_id,
        "agent": ref_of(agent) if agent else "",
        "user_id": task.user_id,
        "state": task.state,
        "since": rfc3339(task.updated_at),
        "kind": kind,
        "text": str(request.get("hint") or "") or _text(said),
        "calls": [_call(call) for call in calls] if kind == "tool_approval" else [],
        "questions": rows(request, "questions"),
    }
    if isinstance(nested, dict):
        item["subagent"] = str(cast("JsonObject", nested).get("subagent_name") or "")
    return item


def _call(call: JsonObject) -> JsonObject:
    arguments: Any = call.get("args")
    return {
        "id": str(call.get("id") or ""),
        "name": str(call.get("name") or ""),
        "args": arguments if isinstance(arguments, dict) else {},
    }


def _text(message: JsonObject) -> str:
    return "".join(part["text"] for part in rows(message, "parts") if isinstance(part.get("text"), str))


ROUTES = (Route(_PATH, approvals, methods=["GET"]),)
