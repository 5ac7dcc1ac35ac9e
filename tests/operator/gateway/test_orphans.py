"""Tasks whose process died are closed when somebody looks at them, and only those."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kagent_operator.store.database import rfc3339

Json = dict[str, Any]
FRONT = "/api/a2a/kagent/my-agent/"
SECOND = 1_000_000_000


def pod(began: int | None, *, agent: str = "my-agent", namespace: str = "kagent") -> Json:
    state = {"waiting": {"reason": "CrashLoopBackOff"}} if began is None else {"running": {"startedAt": rfc3339(began)}}
    about = {"name": "p", "namespace": namespace, "labels": {"kagent": agent}}
    return {"metadata": about, "status": {"containerStatuses": [{"name": "kagent", "state": state}]}}


@pytest.fixture
async def task(cluster: Any, store: Any) -> Any:
    """Save a task that is worked on; return it."""
    cluster.add_agent("my-agent", ready=True)
    await store.sessions.put("ada", "s", agent_id="kagent__NS__my_agent")
    history = [{"kind": "message", "messageId": "m", "role": "user", "parts": [{"kind": "text", "text": "go"}]}]
    data = {"kind": "task", "id": "t", "contextId": "s", "status": {"state": "working"}, "history": history}
    return await store.tasks.put(
        "ada", "t", session_id="s", state="working", data=json.dumps(data), protocol_version="0.3"
    )


def call(method: str, params: Json) -> Json:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


async def test_a_task_of_a_process_that_was_replaced_is_interrupted(
    gate: Any, cluster: Any, task: Any, store: Any
) -> None:
    cluster.others["Pod"] = [pod(task.updated_at + 5 * SECOND)]
    async with gate(X_User_Id="ada") as client:
        (listed,) = (await client.get("/api/sessions/s/tasks")).json()["data"]
        assert listed["status"]["state"] == "failed"
        assert "restarted" in listed["status"]["message"]["parts"][0]["text"]
        assert listed["metadata"]["kagent_error_code"] == "INTERRUPTED"
        assert [message["messageId"] for message in listed["history"]] == ["m"]
    assert (await store.tasks.get("ada", "t")).state == "failed"


@pytest.mark.parametrize(
    ("method", "params"), [("GetTask", {"id": "t"}), ("ListTasks", {"contextId": "s"}), ("tasks/get", {"id": "t"})]
)
async def test_every_way_to_read_it_tells_so(gate: Any, cluster: Any, task: Any, method: str, params: Json) -> None:
    cluster.others["Pod"] = [pod(task.updated_at + 5 * SECOND), pod(None)]
    headers = {"A2A-Version": "1.0" if "/" not in method else "0.3"}
    async with gate(X_User_Id="ada") as client:
        found = (await client.post(FRONT, json=call(method, params), headers=headers)).json()["result"]
        found = found["tasks"][0] if method == "ListTasks" else found
    assert found["status"]["state"] in ("failed", "TASK_STATE_FAILED")


async def test_a_task_is_left_alone_while_its_process_may_live(gate: Any, cluster: Any, task: Any) -> None:
    worlds = {
        "no Pod is known": [],
        "the Pod is older": [pod(task.updated_at - SECOND)],
        "one of two is older": [pod(task.updated_at - SECOND), pod(task.updated_at + SECOND)],
        "it is another agent's": [pod(task.updated_at + SECOND, agent="other")],
        "it is in another namespace": [pod(task.updated_at + SECOND, namespace="other")],
    }
    async with gate(X_User_Id="ada") as client:
        for world, pods in worlds.items():
            cluster.others["Pod"] = pods
            (listed,) = (await client.get("/api/sessions/s/tasks")).json()["data"]
            assert listed["status"]["state"] == "working", world
