"""What waits for a decision, as a list and as a stream; and what is refused with a reason."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from kagent_operator.gateway import create_app
from kagent_operator.store import Store

Json = dict[str, Any]
PATH = "/api/kagent-tui/v1/approvals"


def confirmation(name: str = "delete_pod", **args: Any) -> Json:
    call = {"id": f"call-{name}", "name": name, "args": args}
    data = {
        "name": "adk_request_confirmation",
        "id": "adk-1",
        "args": {"originalFunctionCall": call, "toolConfirmation": {"hint": "Really?", "confirmed": False}},
    }
    return {"kind": "data", "data": data, "metadata": {"kagent_type": "function_call"}}


def task(id: str, session: str, *parts: Json, state: str = "input-required") -> Json:
    message = {"kind": "message", "messageId": "m", "role": "agent", "parts": [*parts]}
    return {"kind": "task", "id": id, "contextId": session, "status": {"state": state, "message": message}}


async def keep(client: httpx.AsyncClient, user: str, session: str, *tasks: Json, source: str = "user") -> None:
    headers = {"X-User-Id": user}
    body = {"agent_ref": "kagent/clock", "id": session, "name": session, "source": source}
    assert (await client.post("/api/sessions", json=body, headers=headers)).status_code == 201
    for each in tasks:
        # Escaped by us: httpx writes no half of a surrogate pair.
        assert (await client.post("/api/tasks", content=json.dumps(each), headers=headers)).status_code == 201


async def test_what_waits_is_listed_for_its_user_alone(gate: Any, cluster: Any) -> None:
    cluster.add_agent("clock")
    async with gate() as client:
        question: Json = {"name": "ask_user", "questions": [{"question": "Which one?", "choices": ["a", "b"]}]}
        await keep(
            client, "ada", "s1", task("t1", "s1", confirmation(pod="p")), task("t2", "s1", state="completed"),
            task("t3", "s1", {"kind": "text", "text": "Which cluster?"}),
        )  # fmt: skip
        await keep(client, "ada", "s2", task("t4", "s2", confirmation(**question)))
        await keep(client, "ada", "inner", task("t5", "inner", confirmation()), source="agent")
        await keep(client, "bob", "s3", task("t6", "s3", confirmation()))
        items = (await client.get(PATH, headers={"X-User-Id": "ada"})).json()["data"]
        assert [item["id"] for item in items] == ["t1", "t3", "t4"], (
            "the longest first; a parent tells of its sub-agents"
        )
        first = {
            key: items[0][key] for key in ("session_id", "session_name", "agent", "kind", "text", "state", "calls")
        }
        assert first == {
            "session_id": "s1", "session_name": "s1", "agent": "kagent/clock", "kind": "tool_approval",
            "text": "Really?", "state": "input-required",
            "calls": [{"id": "call-delete_pod", "name": "delete_pod", "args": {"pod": "p"}}],
        }  # fmt: skip
        assert (items[1]["kind"], items[1]["text"], items[1]["calls"]) == ("input", "Which cluster?", [])
        assert (items[2]["kind"], items[2]["questions"]) == ("ask_user", question["questions"])


async def test_a_session_shared_with_somebody_stands_among_theirs(gate: Any, cluster: Any) -> None:
    cluster.add_agent("clock")
    async with gate() as client:
        await keep(client, "ada", "s1", task("t1", "s1", confirmation()))
        ada, bob = {"X-User-Id": "ada"}, {"X-User-Id": "bob"}
        made = await client.post("/api/sessions/s1/shares", json={"read_only": False}, headers=ada)
        token = made.json()["data"]["token"]
        listed = "/api/sessions/agent/kagent/clock"
        assert (await client.get(listed, headers=bob)).json()["data"] == [], "nobody has opened the link"
        assert (await client.get("/api/sessions/s1", headers=bob | {"X-Share-Token": token})).status_code == 200
        (session,) = (await client.get(listed, headers=bob)).json()["data"]
        assert (session["id"], session["user_id"]) == ("s1", "ada")
        assert (session["share_token"], session["share_read_only"]) == (token, False)
        (item,) = (await client.get(PATH, headers=bob)).json()["data"]
        assert (item["id"], item["share_token"], item["share_read_only"]) == ("t1", token, False)
        assert (await client.get("/api/sessions", headers=bob)).json()["data"] == []
        assert (await client.delete(f"/api/sessions/s1/shares/{token}", headers=ada)).status_code == 200
        for path in (listed, PATH):
            assert (await client.get(path, headers=bob)).json()["data"] == [], "a link withdrawn ends it"


class Events:
    """The events of one stream."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines

    async def next(self) -> tuple[str, Any]:
        name = ""
        async with asyncio.timeout(60):
            async for line in self._lines:
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    return name, json.loads(line.removeprefix("data: "))
        raise AssertionError("the stream ended")


async def test_a_stream_tells_what_begins_and_ends_to_wait(serve: Any, cluster: Any, store: Store) -> None:
    cluster.add_agent("clock")
    url = await serve(create_app(agents=cluster, store=store))
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        headers = {"X-User-Id": "ada", "Accept": "text/event-stream"}
        async with client.stream("GET", PATH, headers=headers) as reply:
            assert reply.headers["content-type"].startswith("text/event-stream")
            events = Events(reply.aiter_lines())
            assert await events.next() == ("snapshot", [])
            await keep(client, "bob", "other", task("x", "other", confirmation()))
            await keep(client, "ada", "s1", task("t1", "s1", confirmation(text="half \ud83d\nline")))
            name, item = await events.next()
            assert (name, item["id"]) == ("added", "t1")
            assert item["calls"][0]["args"] == {"text": "half \ud83d\nline"}, "nothing a model says breaks the stream"
            await keep(client, "ada", "s1", task("t1", "s1", confirmation("other_tool")))
            name, item = await events.next()
            assert (name, item["calls"][0]["name"]) == ("changed", "other_tool")
            await keep(client, "ada", "s1", task("t1", "s1", state="working"))
            assert await events.next() == ("removed", {"id": "t1", "session_id": "s1"})


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/sandboxagents"),
        ("GET", "/api/sandboxagents/kagent/a"),
        ("GET", "/api/agentharnesses/kagent/h"),
        ("POST", "/api/agentharnesses/kagent/h/sessions/s/ensure"),
        ("GET", "/api/substrate/status"),
        ("POST", "/api/a2a-sandboxes/kagent/a"),
    ],
)
async def test_what_is_not_served_says_why(gate: Any, method: str, path: str) -> None:
    async with gate() as client:
        reply = await client.request(method, path)
        assert reply.status_code == 501
        assert "Substrate" in reply.json()["error"]
