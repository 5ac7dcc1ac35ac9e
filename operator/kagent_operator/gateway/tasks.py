"""A2A tasks over REST: the task store of the engines, and the transcript of upstream's web UI."""

from __future__ import annotations

import json
import uuid
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kagent_api.kube.resources import JsonObject
from kagent_operator.gateway.approvals import ask_in_words_of_1_0
from kagent_operator.gateway.context import acting_on, caller, gateway_of, json_body, json_text, own_agent, text_field
from kagent_operator.gateway.dialects import Dialect, dialect_of_task, legacy_state, task_to
from kagent_operator.gateway.errors import BadRequest, Conflict, Forbidden, Missing
from kagent_operator.gateway.orphans import settled
from kagent_operator.gateway.replies import ok
from kagent_operator.store import TaskOwned
from kagent_operator.store.tasks import StoredTask

__all__ = ["ROUTES", "asked_version", "stored_task_to", "wire_dialect"]

VERSION_HEADER = "a2a-version"


def asked_version(request: Request) -> str:
    """Return the version of A2A that a request names: in its header, or, where a caller can set none, in its query."""
    return (request.headers.get(VERSION_HEADER) or request.query_params.get("A2A-Version", "")).strip()


def wire_dialect(request: Request) -> Dialect:
    """Return the dialect a caller speaks, by header or query; none means 0.3. Raise BadRequest for one we do not."""
    named = asked_version(request)
    version = ".".join(named.split(".")[:2]) or "0.3"
    if version not in ("0.3", "1.0"):
        raise BadRequest(f"A2A-Version {named!r} is not supported", remedy="send 0.3 or 1.0")
    return version


def stored_task_to(dialect: Dialect, task: StoredTask) -> JsonObject:
    """Return a stored task in a dialect, a pause in that dialect's words."""
    told = task_to(dialect, cast("JsonObject", json.loads(task.data)))
    return ask_in_words_of_1_0(told) if dialect == "1.0" else told


async def session_tasks(request: Request) -> Response:
    dialect = wire_dialect(request)
    session_id = request.path_params["id"]
    acting = await acting_on(request, session_id, writing=False)
    gateway = gateway_of(request)
    if await gateway.store.sessions.get(acting.user_id, session_id) is None:
        raise Missing(f"Session {session_id} not found")
    tasks = await settled(gateway, await gateway.store.tasks.of_session(acting.user_id, session_id))
    return ok([stored_task_to(dialect, task) for task in tasks], "Successfully listed tasks")


async def put_task(request: Request) -> Response:
    """Save a task as its engine sent it; what it is called in the other dialect is worked out when it is read."""
    dialect = wire_dialect(request)
    task = await json_body(request)
    status: Any = task.get("status")
    if not isinstance(status, dict):
        raise BadRequest("status is required")
    task["id"] = text_field(task, "id") or str(uuid.uuid4())
    session_id = text_field(task, "contextId")
    acting = await acting_on(request, session_id, writing=True)
    if acting.shared and not (await caller(request)).agent:
        raise Forbidden("a share link lets its holder talk to the agent, which keeps the tasks itself")
    try:
        stored = await gateway_of(request).store.tasks.put(
            acting.user_id,
            task["id"],
            session_id=session_id,
            state=legacy_state(str(cast("JsonObject", status).get("state", ""))),
            data=json_text(task),
            protocol_version=dialect_of_task(task),
        )
    except TaskOwned as error:
        raise Conflict(str(error)) from error
    gateway_of(request).bell.ring(acting.user_id)
    return ok(stored_task_to(dialect, stored), "Successfully created task", status=201)


async def get_task(request: Request) -> Response:
    dialect = wire_dialect(request)
    (task,) = await settled(gateway_of(request), [await _mine(request)])
    return ok(stored_task_to(dialect, task), "Successfully retrieved task")


async def delete_task(request: Request) -> Response:
    task = await _mine(request)
    await gateway_of(request).store.tasks.delete(task.user_id, task.id)
    gateway_of(request).bell.ring(task.user_id)
    return Response(status_code=204)


async def _mine(request: Request) -> StoredTask:
    """An agent that names no user acts for the task's owner."""
    store = gateway_of(request).store
    task_id = request.path_params["id"]
    principal = await caller(request)
    user = principal.user_id
    if principal.agent and not principal.named:
        user = await store.tasks.owner(task_id) or user
    task = await store.tasks.get(user, task_id)
    if task is not None and principal.agent and principal.proven:
        session = await store.sessions.get(user, task.session_id)
        own_agent(principal, session.agent_id if session else principal.agent)
    if task is None:
        raise Missing(f"Task {task_id} not found")
    return task


ROUTES = (
    Route("/api/sessions/{id}/tasks", session_tasks, methods=["GET"]),
    Route("/api/tasks", put_task, methods=["POST"]),
    Route("/api/tasks/{id}", get_task, methods=["GET"]),
    Route("/api/tasks/{id}", delete_task, methods=["DELETE"]),
)
