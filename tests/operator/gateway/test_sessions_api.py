"""Sessions, events and tasks over REST, as engines and upstream's clients use them."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

Json = dict[str, Any]
AGENT = {"X-Agent-Name": "kagent__NS__my_agent"}


@pytest.fixture
def client(gate: Any, cluster: Any) -> httpx.AsyncClient:
    cluster.add_agent("my-agent")
    return gate(x_user_id="ada")


async def opened(client: httpx.AsyncClient, **body: Any) -> Json:
    reply = await client.post("/api/sessions", json={"agent_ref": "kagent/my-agent"} | body)
    assert reply.status_code == 201, reply.text
    return reply.json()["data"]


async def test_a_session_is_created_listed_renamed_and_deleted(client: httpx.AsyncClient) -> None:
    session = await opened(client, name="hello")
    assert session["agent_id"] == "kagent__NS__my_agent"
    assert session["user_id"] == "ada"
    assert "source" not in session
    assert (await client.get("/api/sessions")).json()["data"] == [session]
    path = f"/api/sessions/{session['id']}"
    renamed = await client.patch(path, json={"name": "other"})
    assert renamed.json()["data"]["name"] == "other"
    assert (await client.put(path, json={})).status_code == 400
    assert (await client.delete(path)).json() == {"error": False, "data": {}, "message": "Session deleted successfully"}
    assert (await client.get(path)).status_code == 404
    assert (await client.patch(path, json={"name": "x"})).status_code == 404


@pytest.mark.parametrize("ref", ["kagent/my-agent", "kagent__NS__my_agent"])
async def test_an_agent_is_named_either_way(client: httpx.AsyncClient, ref: str) -> None:
    assert (await opened(client, agent_ref=ref))["agent_id"] == "kagent__NS__my_agent"


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"agent_ref": "kagent/nobody"}, 404, "Agent kagent/nobody not found"),
        ({}, 400, "agent_ref is required"),
        ({"agent_ref": 7}, 400, "agent_ref must be a string"),
        ({"agent_ref": "kagent/my-agent", "source": "cat"}, 400, "source must be user or agent"),
        ([], 400, "must be a JSON object"),
    ],
)
async def test_a_session_that_makes_no_sense_is_refused_with_the_reason(
    client: httpx.AsyncClient, body: Any, status: int, words: str
) -> None:
    reply = await client.post("/api/sessions", json=body)
    assert reply.status_code == status
    assert words in reply.json()["error"]


async def test_an_agent_is_believed_about_itself_before_we_have_seen_it(client: httpx.AsyncClient) -> None:
    new = {"X-Agent-Name": "team__NS__new"}
    reply = await client.post("/api/sessions", json={"agent_ref": "team__NS__new"}, headers=new)
    assert reply.json()["data"]["agent_id"] == "team__NS__new"
    other = await client.post("/api/sessions", json={"agent_ref": "team__NS__other"}, headers=new)
    assert other.status_code == 404


async def test_sessions_of_an_agent_leave_out_those_other_agents_opened(client: httpx.AsyncClient) -> None:
    await opened(client, id="mine", source="user")
    await opened(client, id="sub", source="agent")
    listed = (await client.get("/api/sessions/agent/kagent/my-agent")).json()["data"]
    assert [session["id"] for session in listed] == ["mine"]
    assert (await client.get("/api/sessions/agent/kagent/nobody")).status_code == 404


async def test_users_do_not_see_each_other(client: httpx.AsyncClient) -> None:
    await opened(client, id="s")
    bob = {"X-User-Id": "bob"}
    assert (await client.get("/api/sessions/s", headers=bob)).status_code == 404
    assert (await client.get("/api/sessions/s/tasks", headers=bob)).status_code == 404
    assert (await client.get("/api/sessions", headers=bob)).json()["data"] == []


async def test_events_come_from_the_sessions_own_agent_only(client: httpx.AsyncClient) -> None:
    await opened(client, id="s")
    event = {"id": "e1", "data": json.dumps({"author": "user"})}
    for headers in ({}, {"X-Agent-Name": "kagent__NS__other"}):
        assert (await client.post("/api/sessions/s/events", json=event, headers=headers)).status_code == 403
    stored = await client.post("/api/sessions/s/events", json=event, headers=AGENT)
    assert stored.status_code == 201
    assert stored.json()["data"]["data"] == event["data"]
    assert (await client.post("/api/sessions/none/events", json=event, headers=AGENT)).status_code == 404
    assert (await client.post("/api/sessions/s/events", json={"id": "e"}, headers=AGENT)).status_code == 400
    hyphens = {"X-Agent-Name": "kagent/my-agent"}
    assert (await client.post("/api/sessions/s/events", json=event, headers=hyphens)).status_code == 201


async def test_events_are_read_in_the_order_and_number_asked_for(client: httpx.AsyncClient) -> None:
    await opened(client, id="s")
    for number in range(4):
        body = {"id": f"e{number}", "data": {"n": number}}
        await client.post("/api/sessions/s/events", json=body, headers=AGENT)

    async def ids(query: str) -> list[str]:
        reply = await client.get(f"/api/sessions/s?{query}")
        return [event["id"] for event in reply.json()["data"]["events"]]

    assert await ids("order=asc&limit=-1") == ["e0", "e1", "e2", "e3"]
    assert await ids("limit=2") == ["e3", "e2"]
    second = (await client.get("/api/sessions/s?order=asc")).json()["data"]["events"][1]
    assert second["data"] == '{"n":1}'
    assert await ids(f"order=asc&after={second['created_at']}") in (["e2", "e3"], ["e1", "e2", "e3"])
    assert (await client.get("/api/sessions/s?after=yesterday")).status_code == 400
    assert (await client.get("/api/sessions/s?limit=many")).status_code == 400


LEGACY = {
    "id": "t1", "contextId": "s", "kind": "task", "status": {"state": "input-required"},
    "history": [{"kind": "message", "messageId": "m", "role": "user", "parts": [{"kind": "text", "text": "hi"}]}],
}  # fmt: skip
CURRENT = {
    "id": "t1", "contextId": "s", "status": {"state": "TASK_STATE_INPUT_REQUIRED"},
    "history": [{"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "hi"}]}],
}  # fmt: skip


@pytest.mark.parametrize(("sent", "version"), [(LEGACY, ""), (LEGACY, "0.3"), (CURRENT, "1.0")])
async def test_a_task_is_read_in_the_dialect_of_the_reader(client: httpx.AsyncClient, sent: Json, version: str) -> None:
    await opened(client, id="s")
    headers = AGENT | ({"A2A-Version": version} if version else {})
    assert (await client.post("/api/tasks", json=sent, headers=headers)).status_code == 201
    assert (await client.get("/api/tasks/t1")).json()["data"] == LEGACY
    assert (await client.get("/api/tasks/t1", headers={"A2A-Version": "1.0"})).json()["data"] == CURRENT
    assert (await client.get("/api/sessions/s/tasks")).json()["data"] == [LEGACY]
    assert (await client.get("/api/sessions/s/tasks", headers={"A2A-Version": "1.0"})).json()["data"] == [CURRENT]
    assert (await client.get("/api/tasks/t1", headers={"A2A-Version": "2.0"})).status_code == 400


async def test_a_task_of_another_user_is_a_conflict_and_invisible(client: httpx.AsyncClient) -> None:
    await client.post("/api/tasks", json=LEGACY)
    bob = {"X-User-Id": "bob"}
    assert (await client.post("/api/tasks", json=LEGACY, headers=bob)).status_code == 409
    assert (await client.get("/api/tasks/t1", headers=bob)).status_code == 404
    assert (await client.delete("/api/tasks/t1", headers=bob)).status_code == 404
    gone = await client.delete("/api/tasks/t1")
    assert (gone.status_code, gone.content) == (204, b"")


async def test_a_task_without_an_id_gets_one_and_without_a_status_is_refused(client: httpx.AsyncClient) -> None:
    made = await client.post("/api/tasks", json={"contextId": "s", "status": {"state": "working"}})
    assert len(made.json()["data"]["id"]) == 36
    assert (await client.post("/api/tasks", json={"id": "x"})).status_code == 400


async def test_what_an_agent_saves_without_naming_a_user_belongs_to_the_sessions_owner(
    gate: Any, client: httpx.AsyncClient
) -> None:
    await opened(client, id="s")
    agent: httpx.AsyncClient = gate(x_agent_name="kagent__NS__my_agent")
    assert (await agent.post("/api/tasks", json=LEGACY)).status_code == 201
    assert (await agent.post("/api/sessions/s/events", json={"id": "e", "data": "{}"})).status_code == 201
    assert (await agent.get("/api/tasks/t1")).status_code == 200
    assert (await agent.get("/api/sessions/s")).status_code == 200
    assert (await client.get("/api/tasks/t1")).status_code == 200
    assert len((await client.get("/api/sessions/s")).json()["data"]["events"]) == 1


async def test_a_share_link_lets_others_in_as_far_as_it_says(client: httpx.AsyncClient, store: Any) -> None:
    await opened(client, id="s", name="n")
    await opened(client, id="other")
    reading = await store.shares.add("ada", "s", read_only=True)
    writing = await store.shares.add("ada", "s", read_only=False)
    bob = {"X-User-Id": "bob", "X-Share-Token": reading.token}
    shown = (await client.get("/api/sessions/s", headers=bob)).json()["data"]
    assert (shown["session"]["user_id"], shown["read_only"]) == ("ada", True)
    assert (await client.patch("/api/sessions/s", json={"name": "x"}, headers=bob)).status_code == 403
    assert (await client.get("/api/sessions/other", headers=bob)).status_code == 403
    assert (await client.get("/api/sessions/s", headers=bob | {"X-Share-Token": "no"})).status_code == 403
    bob["X-Share-Token"] = writing.token
    assert (await client.patch("/api/sessions/s", json={"name": "x"}, headers=bob)).status_code == 200
    assert (await client.delete("/api/sessions/s", headers=bob)).status_code == 403
    moved = await client.patch("/api/sessions/s", json={"agent_ref": "kagent/my-agent"}, headers=bob)
    assert moved.status_code == 403
    forged = {"id": "t9", "contextId": "s", "status": {"state": "completed"}}
    assert (await client.post("/api/tasks", json=forged, headers=bob)).status_code == 403
