"""What agents remember: saved and searched by engines, seen and deleted by people. Replies have no envelope."""

from __future__ import annotations

import json
import math
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kagent_api.kube.resources import JsonObject
from kagent_operator.gateway.context import caller, gateway_of, json_body, json_text, own_agent, text_field
from kagent_operator.gateway.errors import BadRequest
from kagent_operator.gateway.principal import Principal
from kagent_operator.gateway.replies import as_json
from kagent_operator.store.database import rfc3339
from kagent_operator.store.memories import Memory, NewMemory

__all__ = ["ROUTES"]

# Upstream's numbers; its engines cut every embedding to 768 dimensions, others may keep more.
_TTL_DAYS = 15
_LIMIT = 5
_BATCH = 50
_DIMENSIONS = 4096
_MOST_FOUND = 100


async def add_memory(request: Request) -> Response:
    principal = await caller(request)
    ids = await gateway_of(request).store.memories.add([_new(principal, await json_body(request))])
    return as_json({"id": ids[0]}, 201)


async def add_memories(request: Request) -> Response:
    principal = await caller(request)
    items: Any = (await json_body(request)).get("items")
    if not isinstance(items, list) or not items:
        raise BadRequest("items is required")
    written = cast("list[Any]", items)
    if len(written) > _BATCH:
        raise BadRequest(f"items: at most {_BATCH} at a time, not {len(written)}")
    if not all(isinstance(item, dict) for item in written):
        raise BadRequest("items must be JSON objects")
    ids = await gateway_of(request).store.memories.add([_new(principal, cast("JsonObject", item)) for item in written])
    return as_json({"count": len(ids)}, 201)


async def search(request: Request) -> Response:
    principal = await caller(request)
    body = await json_body(request)
    found = await gateway_of(request).store.memories.search(
        _agent(principal, text_field(body, "agent_name", required=True)),
        _about(principal, text_field(body, "user_id")),
        _vector(body),
        limit=min(int(_number(body, "limit", _LIMIT)) or _LIMIT, _MOST_FOUND),
        min_score=_number(body, "min_score", 0.0),
    )
    return as_json([_memory(memory) | {"score": score} for memory, score in found])


async def list_memories(request: Request) -> Response:
    agent, user = await _asked(request)
    return as_json([_memory(memory) for memory in await gateway_of(request).store.memories.list(agent, user)])


async def delete_memories(request: Request) -> Response:
    agent, user = await _asked(request)
    return as_json({"deleted": await gateway_of(request).store.memories.forget(agent, user)})


def _new(principal: Principal, body: JsonObject) -> NewMemory:
    extra = body.get("metadata")
    return NewMemory(
        agent_name=_agent(principal, text_field(body, "agent_name", required=True)),
        user_id=_about(principal, text_field(body, "user_id")),
        content=text_field(body, "content", required=True),
        vector=_vector(body),
        extra=None if extra is None else json_text(extra),
        ttl_days=int(_number(body, "ttl_days", 0)) or _TTL_DAYS,
    )


def _about(principal: Principal, said: str) -> str:
    """Return whose memories these are. A person who proved who they are reaches their own only."""
    if principal.proven and not principal.agent:
        return principal.user_id
    if not (user := said or principal.user_id):
        raise BadRequest("user_id is required")
    return user


async def _asked(request: Request) -> tuple[str, str]:
    agent = request.query_params.get("agent_name", "")
    if not agent:
        raise BadRequest("agent_name is required")
    principal = await caller(request)
    return _agent(principal, agent), _about(principal, request.query_params.get("user_id", ""))


def _agent(principal: Principal, name: str) -> str:
    """Engines send the id, people the reference. An agent that proved which it is reaches its own memories only."""
    wanted = name.replace("/", "__NS__").replace("-", "_")
    own_agent(principal, wanted)
    return wanted


def _vector(body: JsonObject) -> list[float]:
    raw: Any = body.get("vector")
    if not isinstance(raw, list) or not 0 < len(cast("list[Any]", raw)) <= _DIMENSIONS:
        raise BadRequest(f"vector must be a list of 1 to {_DIMENSIONS} numbers")
    numbers = cast("list[Any]", raw)
    if not all(isinstance(number, int | float) and math.isfinite(number) for number in numbers):
        raise BadRequest("vector must hold finite numbers only")
    return [float(number) for number in numbers]


def _number(body: JsonObject, name: str, default: float) -> float:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value) or value < 0:
        raise BadRequest(f"{name} must be a number, 0 or more")
    return value


def _memory(memory: Memory) -> JsonObject:
    return {
        "id": memory.id,
        "content": memory.content,
        "metadata": json.loads(memory.extra) if memory.extra else None,
        "access_count": memory.access_count,
        "created_at": rfc3339(memory.created_at),
        "expires_at": rfc3339(memory.expires_at) if memory.expires_at else None,
    }


ROUTES = (
    Route("/api/memories/sessions", add_memory, methods=["POST"]),
    Route("/api/memories/sessions/batch", add_memories, methods=["POST"]),
    Route("/api/memories/search", search, methods=["POST"]),
    Route("/api/memories", list_memories, methods=["GET"]),
    Route("/api/memories", delete_memories, methods=["DELETE"]),
)
