"""JSON-RPC as A2A uses it: replies, error codes, and the calls answered from the store.

GetTask and ListTasks never reach an agent: a task is found while its agent is down, and only by its own user.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, cast

from starlette.responses import Response

from kagent_api.errors import KagentError
from kagent_api.kube.resources import JsonObject
from kagent_operator.gateway.context import Gateway
from kagent_operator.gateway.dialects import Dialect, legacy_state
from kagent_operator.gateway.orphans import settled
from kagent_operator.gateway.replies import as_json
from kagent_operator.gateway.tasks import stored_task_to
from kagent_operator.store.database import moment_of, rfc3339

__all__ = ["Call", "RpcError", "answer_from_store", "rpc_error", "rpc_result"]

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603
TASK_NOT_FOUND: Final = -32001
VERSION_NOT_SUPPORTED: Final = -32009

_ERROR_INFO: Final = "type.googleapis.com/google.rpc.ErrorInfo"
_REASONS: Final = {TASK_NOT_FOUND: "TASK_NOT_FOUND", VERSION_NOT_SUPPORTED: "VERSION_NOT_SUPPORTED"}
_PAGE_SIZE = 50
_LARGEST_PAGE = 100  # both upstream's


class RpcError(KagentError):
    """A refusal in JSON-RPC's terms."""

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Call:
    """One JSON-RPC request, by its caller's dialect."""

    id: Any
    method: str
    params: JsonObject
    dialect: Dialect

    @classmethod
    def parse(cls, body: bytes, dialect: Dialect) -> Call:
        """Read a request; raise RpcError when it is none. Batches are not part of A2A."""
        try:
            raw: Any = json.loads(body)
        except ValueError as error:
            raise RpcError(PARSE_ERROR, f"the request is not valid JSON: {error}") from error
        if not isinstance(raw, dict):
            raise RpcError(INVALID_REQUEST, "the request must be one JSON object")
        request = cast("JsonObject", raw)
        if request.get("jsonrpc") != "2.0":
            raise RpcError(INVALID_REQUEST, 'jsonrpc must be "2.0"')
        if not isinstance(request.get("id"), str | int | float | None):
            raise RpcError(INVALID_REQUEST, "id must be a string or a number")
        method = request.get("method")
        params: Any = request.get("params")
        if not isinstance(method, str) or not method:
            raise RpcError(INVALID_REQUEST, "method is required")
        if params is not None and not isinstance(params, dict):
            raise RpcError(INVALID_PARAMS, "params must be an object")
        return cls(request.get("id"), method, cast("JsonObject", params or {}), dialect)

    def written(self) -> bytes:
        """Return the request as JSON, without anything that was not read of it."""
        return json.dumps({"jsonrpc": "2.0", "id": self.id, "method": self.method, "params": self.params}).encode()


def rpc_result(call: Call, result: object) -> Response:
    return as_json({"jsonrpc": "2.0", "id": call.id, "result": result})


def rpc_error(id: object, code: int, message: str) -> Response:
    """Return an error as A2A clients expect it: HTTP 200, since they read no body of any other status."""
    error: JsonObject = {"code": code, "message": message}
    if reason := _REASONS.get(code):
        error["data"] = [{"@type": _ERROR_INFO, "reason": reason, "domain": "a2a-protocol.org", "metadata": {}}]
    return as_json({"jsonrpc": "2.0", "id": id, "error": error})


async def answer_from_store(call: Call, gateway: Gateway, user_id: str, agent_id: str) -> JsonObject | None:
    """Return the result of a call that the store answers, None for any other; raise RpcError."""
    handler = _HANDLERS.get(call.method)
    return await handler(call, gateway, user_id, agent_id) if handler else None


async def _get_task(call: Call, gateway: Gateway, user_id: str, agent_id: str) -> JsonObject:
    del agent_id  # a task's id is enough, and an agent renamed keeps its tasks
    wanted = call.params.get("id")
    if not isinstance(wanted, str) or not wanted:
        raise RpcError(INVALID_PARAMS, "id is required")
    task = await gateway.store.tasks.get(user_id, wanted)
    if task is None:
        raise RpcError(TASK_NOT_FOUND, f"Task {wanted} not found")
    (task,) = await settled(gateway, [task])
    return _shortened(stored_task_to(call.dialect, task), call, _count(call.params, "historyLength"))


async def _list_tasks(call: Call, gateway: Gateway, user_id: str, agent_id: str) -> JsonObject:
    params = call.params
    asked = _count(params, "pageSize")
    size = _PAGE_SIZE if asked is None else asked
    if not 1 <= size <= _LARGEST_PAGE:
        raise RpcError(INVALID_PARAMS, f"pageSize must be between 1 and {_LARGEST_PAGE}")
    offset = _offset(params.get("pageToken"))
    state = _state(params.get("status"))
    page = await gateway.store.tasks.page(
        user_id,
        agent_id=agent_id,
        session_id=str(params.get("contextId") or ""),
        state=state,
        after=_moment(params.get("statusTimestampAfter")),
        offset=offset,
        limit=size,
    )
    tasks: list[JsonObject] = []
    for stored in await settled(gateway, page.tasks):
        task = _shortened(stored_task_to(call.dialect, stored), call, _count(params, "historyLength"))
        if not params.get("includeArtifacts"):
            task.pop("artifacts", None)
        status = task.get("status")
        if isinstance(status, dict) and "timestamp" not in status:
            task["status"] = cast("JsonObject", status) | {"timestamp": rfc3339(stored.updated_at)}
        tasks.append(task)
    after = offset + len(tasks)
    token = base64.urlsafe_b64encode(str(after).encode()).decode() if after < page.total else ""
    return {"tasks": tasks, "nextPageToken": token, "pageSize": size, "totalSize": page.total}


_Handler = Callable[[Call, Gateway, str, str], Awaitable[JsonObject]]
_HANDLERS: dict[str, _Handler] = {
    "tasks/get": _get_task,
    "GetTask": _get_task,
    "tasks/list": _list_tasks,
    "ListTasks": _list_tasks,
}


def _shortened(task: JsonObject, call: Call, length: int | None) -> JsonObject:
    """Keep the last messages only. Without a length all are kept; 0 means none in 1.0 and all in 0.3."""
    shown = dict(task)
    history = shown.get("history")
    if length is None or not isinstance(history, list) or (length == 0 and call.dialect == "0.3"):
        return shown
    shown["history"] = cast("list[object]", history)[-length:] if length else []
    return shown


def _count(params: JsonObject, name: str) -> int | None:
    value = params.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise RpcError(INVALID_PARAMS, f"{name} must be a number, 0 or more")
    return value


def _state(named: Any) -> str:
    """Return a state as the store writes it, '' for any."""
    if not named or named == "TASK_STATE_UNSPECIFIED":
        return ""
    state = legacy_state(str(named))
    if state == "unknown":
        raise RpcError(INVALID_PARAMS, f"status {named!r} is no task state")
    return state


def _moment(text: Any) -> int | None:
    if not text:
        return None
    try:
        return moment_of(str(text))
    except ValueError as error:
        raise RpcError(INVALID_PARAMS, "statusTimestampAfter must be an RFC 3339 time") from error


def _offset(token: Any) -> int:
    if not token:
        return 0
    try:
        offset = int(base64.urlsafe_b64decode(str(token)))
    except (ValueError, binascii.Error) as error:
        raise RpcError(INVALID_PARAMS, "pageToken is not one of ours") from error
    if offset < 0:
        raise RpcError(INVALID_PARAMS, "pageToken is not one of ours")
    return offset
