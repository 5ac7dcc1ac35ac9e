"""Values that nobody should send, at every route that takes a body: a refusal or a success, never a fault of ours."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any, cast

import httpx
import pytest

from kagent_api.names import HITL_EXTENSION
from kagent_operator.gateway import create_app
from kagent_operator.store import Store

Json = dict[str, Any]
A2A = "/api/a2a/kagent/a/?A2A-Version="
HOSTILE: tuple[Any, ...] = (
    None, True, -1, 2**70, 1e308, "", "\x00", "\ud800", "a" * 5000, "../..", [], [None], [[]], {}, {"": None},
)  # fmt: skip
BROKEN = (b"", b"null", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 900 + b"1" + b"}" * 900, b'{"a":' + b"9" * 5000)
AGENT: Json = {"metadata": {"name": "n", "namespace": "kagent", "labels": {"a": "b"}}, "spec": {"type": "Declarative"}}
ANSWER: Json = {"type": "tool_approval_response", "approvals": [{"id": "c1", "approved": True}]}
MESSAGE: Json = {
    "messageId": "m", "role": "ROLE_USER", "contextId": "s", "taskId": "t", "extensions": [HITL_EXTENSION],
    "parts": [{"text": "a"}, {"data": {"x": 1}}, {"raw": "aGk=", "filename": "f"}],
    "metadata": {HITL_EXTENSION: ANSWER},
}  # fmt: skip
CALL: Json = {
    "originalFunctionCall": {"id": "c1", "name": "n", "args": {}},
    "toolConfirmation": {"hint": "h", "payload": {}},
}
ASKED: Json = {"kind": "data", "data": {"name": "adk_request_confirmation", "id": "i", "args": CALL}, "metadata": {}}
TASK: Json = {
    "id": "t", "contextId": "s", "kind": "task", "history": [], "artifacts": [{"artifactId": "a", "parts": []}],
    "status": {"state": "input-required", "message": {"role": "agent", "metadata": {}, "parts": [ASKED]}},
}  # fmt: skip
MEMORY: Json = {"agent_name": "a", "user_id": "u", "content": "c", "vector": [1.0], "metadata": {}, "ttl_days": 1}


def rpc(method: str, params: Json) -> Json:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


ROUTES: tuple[tuple[str, str, Json], ...] = (
    ("POST", "/api/agents", AGENT),
    ("PUT", "/api/modelconfigs/kagent/m", {"apiKey": "k", "spec": {"model": "m", "apiKeySecret": "s"}, "secrets": []}),
    ("POST", "/api/sessions", {"agent_ref": "kagent/a", "name": "n", "id": "s", "source": "user"}),
    ("POST", "/api/sessions/s/events", {"id": "e", "data": "{}"}),
    ("POST", "/api/sessions/s/shares", {"read_only": True}),
    ("POST", "/api/tasks", TASK),
    ("POST", "/api/feedback", {"is_positive": True, "feedback_text": "f", "issue_type": "tool", "message_id": "m"}),
    ("POST", "/api/memories/sessions", MEMORY),
    ("POST", "/api/memories/search", {"agent_name": "a", "vector": [1], "limit": 3, "min_score": 0.1}),
    ("POST", "/api/prompttemplates", {"namespace": "kagent", "name": "p", "data": {"k": "v"}}),
    ("POST", A2A + "1.0", rpc("SendMessage", {"message": MESSAGE, "configuration": {"returnImmediately": True}})),
    ("POST", A2A + "1.0", rpc("ListTasks", {"contextId": "s", "pageSize": 3, "pageToken": "MQ==", "historyLength": 2})),
    ("POST", A2A + "0.3", rpc("tasks/get", {"id": "t", "historyLength": 1})),
)


def bodies(good: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield every place in a body."""
    items: list[tuple[Any, Any]] = []
    if isinstance(good, dict):
        items = [*cast("Json", good).items()]
    elif isinstance(good, list):
        items = [*enumerate(cast("list[Any]", good))]
    for key, value in items:
        yield (*path, key), value
        yield from bodies(value, (*path, key))


def replaced(good: Json, path: tuple[Any, ...], value: Any) -> bytes:
    made = copy.deepcopy(good)
    place: Any = made
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return json.dumps(made).encode()


class NoWriter:
    """Takes everything, and hands back what an API server would."""

    def acting_as(self, token: str) -> NoWriter:
        del token
        return self

    async def create(self, kind: str, obj: Json) -> Json:
        return {"apiVersion": "v", "kind": kind, **obj, "metadata": obj["metadata"] | {"uid": "u"}}

    async def replace(self, kind: str, namespace: str, name: str, part: str, value: object) -> Json:
        about = {"name": name, "namespace": namespace, "uid": "u"}
        return {"apiVersion": "v", "kind": kind, "metadata": about, part: value}

    async def delete(self, kind: str, namespace: str, name: str) -> None:
        del kind, namespace, name


@pytest.mark.parametrize(
    ("method", "path", "good"), ROUTES, ids=[f"{path}-{n}" for n, (_, path, _) in enumerate(ROUTES)]
)
async def test_no_body_makes_a_fault_of_ours(cluster: Any, store: Store, method: str, path: str, good: Json) -> None:
    cluster.add_agent("a")

    def agent(request: httpx.Request) -> httpx.Response:
        knows_it = b"message/send" in request.content
        answer: Json = {"result": TASK} if knows_it else {"error": {"code": -32601, "message": "no such method"}}
        return httpx.Response(200, json={"jsonrpc": "2.0", "id": 1} | answer)

    inner = httpx.AsyncClient(transport=httpx.MockTransport(agent))
    app = create_app(agents=cluster, store=store, writer=NoWriter(), http=inner)
    headers = {"X-Agent-Name": "kagent/a", "X-User-Id": "u"}
    await store.sessions.put("u", "s", agent_id="kagent__NS__a")
    data = json.dumps(TASK)
    await store.tasks.put("u", "t", session_id="s", state="input-required", data=data, protocol_version="0.3")
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://g", headers=headers
    ) as client:
        sent = [json.dumps(good).encode(), *BROKEN]
        sent += [replaced(good, place, value) for place, _ in bodies(good) for value in HOSTILE]
        for body in sent:
            reply = await client.request(method, path, content=body)
            assert reply.status_code < 500, (body[:300], reply.text)
            assert reply.text.encode() == reply.content, "what we answer is UTF-8"
        for shown in ("/api/sessions/s/tasks", "/api/sessions", "/api/kagent-tui/v1/approvals", "/api/sessions/s"):
            for version in ("0.3", "1.0"):
                reply = await client.get(shown, headers={"A2A-Version": version})
                assert reply.status_code in (200, 404), reply.text
    await inner.aclose()
