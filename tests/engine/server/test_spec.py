"""What the A2A specifications demand of a server, over the wire: 1.0 (sections 3, 5, 9) and 0.3 (sections 7, 8)."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

Json = dict[str, Any]
V1 = {"A2A-Version": "1.0"}
NEW: Json = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "hi"}]}
OLD: Json = {"kind": "message", "messageId": "m", "role": "user", "parts": [{"kind": "text", "text": "hi"}]}


FAULTS: list[tuple[str, Json, int]] = [
    ("SendMessage", {}, -32602),
    ("SendMessage", {"message": NEW | {"parts": []}}, -32602),
    ("SendMessage", {"message": {"role": "ROLE_USER", "parts": [{"text": "x"}]}}, -32602),
    ("SendMessage", {"message": "x"}, -32602),
    ("SendMessage", {"message": NEW | {"taskId": "nope"}}, -32001),
    ("GetTask", {}, -32602),
    ("GetTask", {"id": "nope"}, -32001),
    ("GetTask", {"id": "nope", "historyLength": -1}, -32602),
    ("CancelTask", {"id": "nope"}, -32001),
    ("SubscribeToTask", {"id": "nope"}, -32001),
    ("ListTasks", {"pageSize": 0}, -32602),
    ("ListTasks", {"pageSize": 101}, -32602),
    ("ListTasks", {"pageToken": "bad!"}, -32602),
    ("ListTasks", {"historyLength": -1}, -32602),
    ("CreateTaskPushNotificationConfig", {"taskId": "x", "url": "http://127.0.0.1:1"}, -32001),
    ("CreateTaskPushNotificationConfig", {"taskId": "x"}, -32602),
    ("GetTaskPushNotificationConfig", {"taskId": "x", "id": "y"}, -32001),
    ("message/send", {}, -32602),
    ("message/send", {"message": OLD | {"parts": [{"kind": "video"}]}}, -32602),
    ("message/send", {"message": OLD | {"taskId": "nope"}}, -32001),
    ("tasks/get", {}, -32602),
    ("tasks/get", {"id": "nope"}, -32001),
    ("tasks/cancel", {"id": "nope"}, -32001),
]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("{not json", -32700),
        ("[]", -32600),
        ('{"id":1,"method":"GetTask","params":{"id":"x"}}', -32600),
        ('{"jsonrpc":"1.0","id":1,"method":"GetTask","params":{"id":"x"}}', -32600),
        ('{"jsonrpc":"2.0","id":{"a":1},"method":"GetTask","params":{"id":"x"}}', -32600),
        ('{"jsonrpc":"2.0","id":1,"method":"Nope","params":{}}', -32601),
    ],
)
@pytest.mark.parametrize("headers", [V1, {}])
async def test_what_is_no_request_is_refused(serve_engine: Any, content: str, code: int, headers: Json) -> None:
    engine = await serve_engine()
    async with httpx.AsyncClient(timeout=30) as http:
        answer = await http.post(engine.url, content=content, headers=headers | {"content-type": "application/json"})
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json()["error"]["code"] == code


@pytest.mark.parametrize(("method", "params", "code"), FAULTS)
async def test_each_fault_has_its_code(serve_engine: Any, method: str, params: Json, code: int) -> None:
    engine = await serve_engine()
    error = (await engine.raw.call(method, **params))["error"]
    assert error["code"] == code, error
    if code == -32001 and "/" not in method:
        assert error["data"][0]["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
        assert error["data"][0]["reason"] == "TASK_NOT_FOUND"


@pytest.mark.parametrize(("version", "code"), [("", -32009), ("0.3", -32009), ("9.9", -32009)])
async def test_a_method_of_10_needs_its_version(serve_engine: Any, version: str, code: int) -> None:
    engine = await serve_engine()
    body = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": NEW}}
    async with httpx.AsyncClient(timeout=30) as http:
        answer = await http.post(engine.url, json=body, headers={"A2A-Version": version} if version else {})
    assert answer.json()["error"]["code"] == code


async def test_tasks_are_listed_newest_first_in_pages(serve_engine: Any, model: Any) -> None:
    engine = await serve_engine()
    made: list[str] = []
    for _ in range(3):
        model.says("hi")
        answer = await engine.raw.call("SendMessage", message=NEW | {"contextId": "c"})
        made.append(answer["result"]["task"]["id"])

    first = (await engine.raw.call("ListTasks", contextId="c", pageSize=2))["result"]
    rest = (await engine.raw.call("ListTasks", contextId="c", pageSize=2, pageToken=first["nextPageToken"]))["result"]

    assert [task["id"] for task in (*first["tasks"], *rest["tasks"])] == made[::-1]
    assert (first["pageSize"], first["totalSize"], rest["nextPageToken"]) == (2, 3, "")
    assert not [task for task in first["tasks"] if "artifacts" in task]
    full = (await engine.raw.call("ListTasks", contextId="c", includeArtifacts=True, historyLength=1))["result"]
    assert [len(task["history"]) for task in full["tasks"]] == [1, 1, 1]
    assert all(task["artifacts"] for task in full["tasks"])
    later = (await engine.raw.call("ListTasks", contextId="c", statusTimestampAfter="2099-01-01T00:00:00Z"))["result"]
    assert (later["tasks"], later["nextPageToken"], later["totalSize"]) == ([], "", 0)


async def test_an_ended_task_takes_no_message_no_cancel_and_no_subscriber(serve_engine: Any, model: Any) -> None:
    engine = await serve_engine()
    model.says("hi")
    task = (await engine.raw.call("SendMessage", message=NEW))["result"]["task"]
    ids = {"taskId": task["id"], "contextId": task["contextId"]}

    refused = [
        (await engine.raw.call("SendMessage", message=NEW | ids))["error"]["code"],
        (await engine.raw.call("CancelTask", id=task["id"]))["error"]["code"],
        (await engine.raw.call("SubscribeToTask", id=task["id"]))["error"]["code"],
    ]

    assert refused == [-32004, -32002, -32004]
