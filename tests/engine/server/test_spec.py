"""What the A2A specifications demand of a server, over the wire: 1.0 (sections 3, 5, 9) and 0.3 (sections 7, 8)."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, cast

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
        ('{"jsonrpc":"2.0","id":1.5,"method":"GetTask","params":{"id":"x"}}', -32600),
        ('{"jsonrpc":"2.0","id":true,"method":"GetTask","params":{"id":"x"}}', -32600),
        ('[{"jsonrpc":"2.0","id":1,"method":"GetTask","params":{"id":"x"}}]', -32600),
        ('{"jsonrpc":"2.0","id":1,"method":"GetTask","params":{"id":' + "[" * 300 + "]" * 300 + "}}", -32600),
        ('{"jsonrpc":"2.0","id":1,"method":"GetTask","params":{"id":' + "[" * 3000 + "]" * 3000 + "}}", -32700),
        ('{"jsonrpc":"2.0","id":1,"method":"GetTask","params":{"id":"\\ud800"}}', -32700),
        ("", -32700),
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


PUSH: Json = {
    "id": "q", "url": "http://169.254.0.1/h", "token": "t", "authentication": {"scheme": "Bearer", "credentials": "c"},
}  # fmt: skip
FULL_NEW: Json = NEW | {
    "parts": [{"text": "hi"}, {"data": {"a": 1}}, {"raw": "aGk=", "mediaType": "text/plain", "filename": "f"}],
    "metadata": {"a": 1}, "extensions": ["u"], "referenceTaskIds": ["r"], "taskId": "nope",
}  # fmt: skip
FULL_OLD: Json = OLD | {
    "parts": [{"kind": "text", "text": "x"}, {"kind": "data", "data": {"decision_type": "batch", "decisions": {}}},
              {"kind": "file", "file": {"bytes": "aGk=", "mimeType": "text/plain", "name": "n"}}],
    "metadata": {"a": 1}, "extensions": ["u"], "taskId": "nope",
}  # fmt: skip
VALID: list[tuple[str, Json]] = [
    ("SendMessage", {"message": FULL_NEW, "configuration": {
        "acceptedOutputModes": ["text"], "historyLength": 1, "returnImmediately": True,
        "taskPushNotificationConfig": PUSH}}),
    ("GetTask", {"id": "TASK", "historyLength": 1}),
    ("ListTasks", {"contextId": "c", "status": "TASK_STATE_COMPLETED", "pageSize": 5, "pageToken": "x",
                   "historyLength": 1, "statusTimestampAfter": "2026-01-01T00:00:00Z", "includeArtifacts": True}),
    ("CancelTask", {"id": "TASK"}),
    ("SubscribeToTask", {"id": "TASK"}),
    ("CreateTaskPushNotificationConfig", {"taskId": "TASK", **PUSH}),
    ("GetTaskPushNotificationConfig", {"taskId": "TASK", "id": "q"}),
    ("ListTaskPushNotificationConfigs", {"taskId": "TASK", "pageSize": 3, "pageToken": "t"}),
    ("DeleteTaskPushNotificationConfig", {"taskId": "TASK", "id": "q"}),
    ("message/send", {"message": FULL_OLD, "configuration": {
        "acceptedOutputModes": ["text"], "historyLength": 1, "blocking": False,
        "pushNotificationConfig": {"url": "http://169.254.0.1/h", "authentication": {"schemes": ["Bearer"]}}}}),
    ("tasks/get", {"id": "TASK", "historyLength": 2}),
    ("tasks/cancel", {"id": "TASK"}),
    ("tasks/pushNotificationConfig/set", {"taskId": "TASK", "pushNotificationConfig": {"url": "http://169.254.0.1/h"}}),
    ("tasks/pushNotificationConfig/get", {"id": "TASK", "pushNotificationConfigId": "q"}),
    ("tasks/pushNotificationConfig/delete", {"id": "TASK", "pushNotificationConfigId": "q"}),
]  # fmt: skip
ODD: list[object] = [
    None, True, -1, 1.5, 2**63, "", "\x00\u202e", "2026-13-01", "http://[::1", [], [[]], {}, [{}], [None], {"a": [1]},
]  # fmt: skip


def places(value: object, path: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in cast("Json", value).items():
            yield from places(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(cast("list[object]", value)):
            yield from places(inner, (*path, index))


def spoiled(params: Json) -> Iterator[Json]:
    """Yield the parameters with something odd in the place of each of their values, one at a time."""
    for path in places(params):
        for odd in ODD:
            changed: Any = copy.deepcopy(params)
            holder: Any = changed
            for step in path[:-1]:
                holder = holder[step]
            holder[path[-1]] = copy.deepcopy(odd)
            yield changed


@pytest.mark.parametrize(("method", "params"), VALID, ids=[method for method, _ in VALID])
async def test_no_value_in_any_place_breaks_the_agent(serve_engine: Any, model: Any, method: str, params: Json) -> None:
    """What is odd is refused as such or ignored; -32603 would mean that the agent fell over it."""
    engine = await serve_engine()
    model.says("hi")
    task = (await engine.raw.call("SendMessage", message=NEW))["result"]["task"]["id"]
    params = {name: task if value == "TASK" else value for name, value in params.items()}
    codes: set[int] = set()
    async with httpx.AsyncClient(timeout=30, headers={} if "/" in method else V1) as http:
        for changed in spoiled(params):
            model.plan.clear()
            model.says("hi")
            body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": changed}
            answer = (await http.post(engine.url, json=body)).json()
            codes.add(answer.get("error", {}).get("code", 0))
    assert -32603 not in codes
    assert codes & {-32602, -32001}


async def test_the_card_may_be_kept_and_asked_for_again_by_its_tag(serve_engine: Any) -> None:
    engine = await serve_engine()
    async with httpx.AsyncClient(timeout=30) as http:
        first = await http.get(f"{engine.url}/.well-known/agent-card.json")
        again = await http.get(
            f"{engine.url}/.well-known/agent-card.json", headers={"If-None-Match": first.headers["etag"]}
        )
        other = await http.get(f"{engine.url}/.well-known/agent-card.json", headers={"If-None-Match": '"x"'})
    assert first.headers["cache-control"] == "public, max-age=60"
    assert (again.status_code, again.content) == (304, b"")
    assert (other.status_code, other.json()) == (200, first.json())


@pytest.mark.parametrize("streamed", [False, True])
async def test_the_extensions_that_are_active_are_told(serve_engine: Any, model: Any, streamed: bool) -> None:
    engine = await serve_engine()
    hitl = "https://kagent.dev/extensions/hitl/v1"
    names = {True: ("SendStreamingMessage", "message/stream"), False: ("SendMessage", "message/send")}[streamed]
    async with httpx.AsyncClient(timeout=30) as http:
        for name, method, message in (("A2A-Extensions", names[0], NEW), ("X-A2A-Extensions", names[1], OLD)):
            model.says("hi")
            body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"message": message}}
            version = V1 if message is NEW else {}
            answer = await http.post(engine.url, json=body, headers=version | {name: f"https://nope, {hitl}"})
            assert answer.headers.get(name) == hitl
            model.says("hi")
            assert (
                name not in (await http.post(engine.url, json=body, headers=version | {name: "https://nope"})).headers
            )


async def test_a_web_page_cannot_talk_to_an_agent_on_its_readers_machine(serve_engine: Any) -> None:
    """A browser sends plain text to any address unasked; JSON it asks about first, and is not given leave."""
    engine = await serve_engine()
    origin = {"Origin": "https://evil.example", "A2A-Version": "1.0"}
    async with httpx.AsyncClient(timeout=30) as http:
        sent = await http.post(engine.url, content=b"{}", headers=origin | {"Content-Type": "text/plain"})
        asked = await http.options(engine.url, headers=origin | {"Access-Control-Request-Method": "POST"})
    assert sent.status_code == 415
    assert asked.status_code == 405
    assert "access-control-allow-origin" not in asked.headers
