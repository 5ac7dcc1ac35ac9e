"""Tasks that no process works on any more: their agent's Pods have all begun after the task was last heard of.

Nobody else closes them: an engine whose sessions lie here keeps no list of its own, and one that was killed says
nothing. It is looked at when somebody reads such a task. Where no Pod of the agent is known, nothing is concluded.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final, cast

from kagent_api.kube.resources import JsonObject
from kagent_operator.gateway.context import Gateway, json_text
from kagent_operator.gateway.dialects import Dialect, task_to
from kagent_operator.gateway.directory import agent_by_id, field, meta, rows
from kagent_operator.store.database import moment_of, rfc3339
from kagent_operator.store.tasks import StoredTask

__all__ = ["settled"]

_WORKING: Final = frozenset({"submitted", "working"})
_TEXT: Final = "The agent was restarted while it worked on this; what had happened until then is kept."
_POD_LABEL: Final = "kagent"


async def settled(gateway: Gateway, tasks: Sequence[StoredTask]) -> list[StoredTask]:
    """Return tasks with those closed, here and in the store, that were left working by a process that is gone."""
    return [await _close(gateway, task) if await _is_orphan(gateway, task) else task for task in tasks]


async def _is_orphan(gateway: Gateway, task: StoredTask) -> bool:
    if task.state not in _WORKING:
        return False
    session = await gateway.store.sessions.get(task.user_id, task.session_id)
    agent = agent_by_id(gateway.agents, session.agent_id) if session else None
    if agent is None:
        return False
    pods = [pod for pod in gateway.agents.resources("Pod") if _is_of(pod, agent)]
    return bool(pods) and all(begun > task.updated_at for pod in pods for begun in _begun(pod))


def _is_of(pod: JsonObject, agent: JsonObject) -> bool:
    about = meta(agent)
    same_place = meta(pod).get("namespace") == about.get("namespace")
    return same_place and field(pod, "metadata", "labels", _POD_LABEL) == about.get("name")


def _begun(pod: JsonObject) -> list[int]:
    """Return when each container that runs in a Pod began."""
    statuses = rows(pod, "status", "containerStatuses")
    began = [field(status, "state", "running", "startedAt") for status in statuses]
    return [moment_of(moment) for moment in began if isinstance(moment, str)]


async def _close(gateway: Gateway, task: StoredTask) -> StoredTask:
    dialect = cast("Dialect", task.protocol_version)
    told = task_to("0.3", cast("JsonObject", json.loads(task.data)))
    message: JsonObject = {
        "kind": "message",
        "messageId": f"{task.id}-interrupted",
        "role": "agent",
        "taskId": task.id,
        "contextId": task.session_id,
        "parts": [{"kind": "text", "text": _TEXT}],
    }
    status: JsonObject = {"state": "failed", "message": message, "timestamp": rfc3339(gateway.store.tasks.now())}
    metadata: JsonObject = field(told, "metadata") or {}
    code = {"kagent_error_code": "INTERRUPTED", "adk_error_code": "INTERRUPTED"}
    closed = told | {"status": status, "metadata": metadata | code}
    gateway.bell.ring(task.user_id)
    return await gateway.store.tasks.put(
        task.user_id,
        task.id,
        session_id=task.session_id,
        state="failed",
        data=json_text(task_to(dialect, closed)),
        protocol_version=dialect,
    )
