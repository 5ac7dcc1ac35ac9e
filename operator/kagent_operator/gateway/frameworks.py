"""Where upstream's LangGraph and CrewAI engines keep their state: ``/api/langgraph`` and ``/api/crewai``.

A thread is a session: who may reach the one may reach the other.
"""

from __future__ import annotations

import json
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kagent_api.kube.resources import JsonObject
from kagent_operator.gateway.context import acting_on, gateway_of, json_body, json_text, text_field
from kagent_operator.gateway.errors import BadRequest, Missing
from kagent_operator.gateway.replies import ok
from kagent_operator.store.frameworks import Checkpoint, CheckpointWrite, FlowState, Frameworks

__all__ = ["ROUTES"]

# Index and version are 32-bit integers on the wire.
_MOST = 2**31 - 1


async def put_checkpoint(request: Request) -> Response:
    body = await json_body(request)
    user = await _user(request, thread := text_field(body, "thread_id", required=True), writing=True)
    checkpoint = Checkpoint(
        thread,
        text_field(body, "checkpoint_ns"),
        text_field(body, "checkpoint_id"),
        text_field(body, "parent_checkpoint_id") or None,
        text_field(body, "checkpoint", required=True),
        text_field(body, "metadata"),
        text_field(body, "type_"),
        _whole(body, "version"),
    )
    await _store(request).put_checkpoint(user, checkpoint)
    return ok({}, "Successfully stored checkpoint", status=201)


async def put_writes(request: Request) -> Response:
    body = await json_body(request)
    user = await _user(request, thread := text_field(body, "thread_id", required=True), writing=True)
    task = text_field(body, "task_id")
    writes = [
        CheckpointWrite(
            task, _whole(item, "idx"), text_field(item, "channel"), text_field(item, "type_"), text_field(item, "value")
        )
        for item in _items(body, "writes")
    ]
    await _store(request).put_writes(
        user, thread, text_field(body, "checkpoint_ns"), text_field(body, "checkpoint_id"), writes
    )
    return ok({}, "Successfully stored checkpoint writes", status=201)


async def list_checkpoints(request: Request) -> Response:
    thread = _asked(request, "thread_id")
    user = await _user(request, thread, writing=False)
    query = request.query_params
    found = await _store(request).checkpoints(
        user,
        thread,
        query.get("checkpoint_ns", ""),
        checkpoint_id=query.get("checkpoint_id", ""),
        limit=_limit(request),
    )
    return ok([_tuple(checkpoint) for checkpoint in found], "Successfully listed checkpoints")


async def delete_thread(request: Request) -> Response:
    thread = str(request.path_params["thread_id"])
    await _store(request).forget_thread(await _user(request, thread, writing=True), thread)
    return ok({}, "Successfully deleted thread")


async def add_memory(request: Request) -> Response:
    body = await json_body(request)
    user = await _user(request, thread := text_field(body, "thread_id", required=True), writing=True)
    await _store(request).remember(user, thread, json_text(_object(body, "memory_data")))
    return ok({}, "Successfully stored CrewAI memory", status=201)


async def list_memory(request: Request) -> Response:
    thread, task = _asked(request, "thread_id"), _asked(request, "q")
    user = await _user(request, thread, writing=False)
    found = await _store(request).memories(user, thread, task, limit=_limit(request))
    items = [{"thread_id": thread, "user_id": user, "memory_data": json.loads(text)} for text in found]
    return ok(items, "Successfully listed CrewAI memory")


async def reset_memory(request: Request) -> Response:
    thread = _asked(request, "thread_id")
    await _store(request).forget_memories(await _user(request, thread, writing=True), thread)
    return ok({}, "Successfully reset CrewAI memory")


async def put_flow_state(request: Request) -> Response:
    body = await json_body(request)
    user = await _user(request, thread := text_field(body, "thread_id", required=True), writing=True)
    method = text_field(body, "method_name", required=True)
    state = FlowState(thread, text_field(body, "flow_uuid"), method, json_text(_object(body, "state_data")))
    await _store(request).put_flow_state(user, state)
    return ok({}, "Successfully stored CrewAI flow state", status=201)


async def get_flow_state(request: Request) -> Response:
    thread = _asked(request, "thread_id")
    user = await _user(request, thread, writing=False)
    state = await _store(request).flow_state(user, thread, request.query_params.get("flow_uuid", ""))
    if state is None:
        raise Missing("Flow state not found")
    # Upstream's reply lacks flow_uuid, which its own client then misses.
    data: JsonObject = {
        "thread_id": state.thread_id,
        "flow_uuid": state.flow_uuid,
        "method_name": state.method_name,
        "state_data": json.loads(state.state),
    }
    return ok(data, "Successfully retrieved CrewAI flow state")


def _tuple(checkpoint: Checkpoint) -> JsonObject:
    place: JsonObject = {
        "thread_id": checkpoint.thread_id,
        "checkpoint_ns": checkpoint.namespace,
        "checkpoint_id": checkpoint.id,
    }
    writes = [
        {"idx": write.index, "channel": write.channel, "type_": write.type, "value": write.value}
        for write in checkpoint.writes
    ]
    return {
        **place,
        "parent_checkpoint_id": checkpoint.parent_id,
        "checkpoint": checkpoint.checkpoint,
        "metadata": checkpoint.extra,
        "type_": checkpoint.type,
        # One task's name for all writes is upstream's shape.
        "writes": {**place, "task_id": checkpoint.writes[-1].task_id if checkpoint.writes else "", "writes": writes},
    }


def _store(request: Request) -> Frameworks:
    return gateway_of(request).store.frameworks


async def _user(request: Request, thread: str, *, writing: bool) -> str:
    return (await acting_on(request, thread, writing=writing)).user_id


def _asked(request: Request, name: str) -> str:
    value = request.query_params.get(name, "")
    if not value:
        raise BadRequest(f"{name} is required")
    return value


def _limit(request: Request) -> int:
    """Return how many are asked for; upstream takes what is no number for no limit."""
    try:
        return max(0, min(int(request.query_params.get("limit", "0")), _MOST))
    except ValueError:
        return 0


def _whole(body: JsonObject, name: str) -> int:
    value = body.get(name, 0)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > _MOST:
        raise BadRequest(f"{name} must be a whole number")
    return value


def _object(body: JsonObject, name: str) -> JsonObject:
    value: Any = body.get(name)
    if not isinstance(value, dict):
        raise BadRequest(f"{name} must be a JSON object")
    return cast("JsonObject", value)


def _items(body: JsonObject, name: str) -> list[JsonObject]:
    value: Any = body.get(name) or []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in cast("list[Any]", value)):
        raise BadRequest(f"{name} must be a list of JSON objects")
    return cast("list[JsonObject]", value)


ROUTES = (
    Route("/api/langgraph/checkpoints", put_checkpoint, methods=["POST"]),
    Route("/api/langgraph/checkpoints", list_checkpoints, methods=["GET"]),
    Route("/api/langgraph/checkpoints/writes", put_writes, methods=["POST"]),
    Route("/api/langgraph/checkpoints/{thread_id}", delete_thread, methods=["DELETE"]),
    Route("/api/crewai/memory", add_memory, methods=["POST"]),
    Route("/api/crewai/memory", list_memory, methods=["GET"]),
    Route("/api/crewai/memory", reset_memory, methods=["DELETE"]),
    Route("/api/crewai/flows/state", put_flow_state, methods=["POST"]),
    Route("/api/crewai/flows/state", get_flow_state, methods=["GET"]),
)
