"""On whose behalf an A2A call acts, and what it may reach.

A caller reaches tasks of their own. With a share link they act as a session's owner, on that session, its tasks and
its agent, and nothing else of the owner's, whatever ids the call names.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, cast

from starlette.requests import Request

from kagent_api.kube.resources import JsonObject
from kagent_operator.gateway.context import gateway_of, share_of
from kagent_operator.gateway.directory import field
from kagent_operator.gateway.errors import Forbidden
from kagent_operator.gateway.principal import Principal
from kagent_operator.gateway.rpc import INVALID_PARAMS, TASK_NOT_FOUND, Call, RpcError

__all__ = ["scoped"]

_READING: Final = frozenset({"tasks/get", "GetTask", "tasks/list", "ListTasks", "tasks/resubscribe", "SubscribeToTask"})
_CHECKED: Final = frozenset({"id", "taskId", "contextId", "message"})
_IN_ANY_CASE: Final = frozenset(name.casefold() for name in _CHECKED)
_LISTING: Final = frozenset({"tasks/list", "ListTasks"})


async def scoped(request: Request, call: Call, principal: Principal, agent_id: str) -> tuple[str, Call]:
    """Return the user a call acts for, and the call as it may be answered.

    Raises Forbidden for a share link that does not reach so far, RpcError for a task that is not theirs.
    """
    store = gateway_of(request).store
    task_id = _task_of(call)
    token = request.headers.get("x-share-token", "")
    if not token:
        owner = await store.tasks.owner(task_id) if task_id else None
        if owner is not None and owner != principal.user_id:
            raise RpcError(TASK_NOT_FOUND, f"Task {task_id} not found")
        return principal.user_id, call
    share = await share_of(request, token)
    if share.read_only and call.method not in _READING:
        raise Forbidden("this share link allows reading only")
    if _reads_otherwise(call.params) or _reads_otherwise(call.params.get("message")):
        raise RpcError(INVALID_PARAMS, "params must write id, taskId, contextId and message as the protocol does")
    session = await store.sessions.get(share.user_id, share.session_id)
    if session is None or session.agent_id != agent_id:
        raise Forbidden("the share link is not valid for this agent", remedy="ask its owner for a new link")
    context = field(call.params, "message", "contextId") or call.params.get("contextId")
    if context not in (None, share.session_id) or (isinstance(call.params.get("message"), dict) and not context):
        raise Forbidden("the share link is not valid for this session", remedy="send its contextId")
    if task_id:
        task = await store.tasks.get(share.user_id, task_id)
        if task is None or task.session_id != share.session_id:
            raise RpcError(TASK_NOT_FOUND, f"Task {task_id} not found")
    elif call.method not in _LISTING and not context:
        raise Forbidden("the share link is good for its session's messages and tasks only")
    return share.user_id, replace(call, params=call.params | {"contextId": share.session_id})


def _reads_otherwise(part: Any) -> bool:
    """Whether Go's JSON, which takes `CONTEXTID` for `contextId`, could read other ids than those checked here."""
    if not isinstance(part, dict):
        return False
    names = cast("JsonObject", part)
    return any(name not in _CHECKED and name.casefold() in _IN_ANY_CASE for name in names)


def _task_of(call: Call) -> str:
    """Return the task that a call is about: 0.3 and 1.0 name it ``id``, messages and push settings ``taskId``."""
    for named in (field(call.params, "message", "taskId"), call.params.get("taskId"), call.params.get("id")):
        if isinstance(named, str) and named:
            return named
    return ""
