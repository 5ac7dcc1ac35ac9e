"""Requests as upstream's kagent-langgraph and kagent-crewai send them."""

from __future__ import annotations

from typing import Any

import pytest

PLACE = {"thread_id": "s1", "checkpoint_ns": "", "checkpoint_id": "c1"}
CHECKPOINT = {
    **PLACE,
    "parent_checkpoint_id": None,
    "checkpoint": "gqFh",
    "metadata": '{"step":1}',
    "type_": "msgpack",
    "version": 4,
}


async def test_a_graph_s_checkpoint_and_its_writes_come_back_in_upstream_s_shape(gate: Any) -> None:
    async with gate() as client:
        made = await client.post("/api/langgraph/checkpoints", json=CHECKPOINT)
        assert (made.status_code, made.json()["error"]) == (201, False)
        write = {"idx": -1, "channel": "__error__", "type_": "json", "value": "{}"}
        writes = {**PLACE, "task_id": "x", "writes": [write]}
        assert (await client.post("/api/langgraph/checkpoints/writes", json=writes)).status_code == 201
        query = {"thread_id": "s1", "checkpoint_ns": "", "limit": "-1"}
        (found,) = (await client.get("/api/langgraph/checkpoints", params=query)).json()["data"]
        version = {"version": CHECKPOINT["version"]}
        assert found | version == {**CHECKPOINT, "writes": writes}
        assert (await client.delete("/api/langgraph/checkpoints/s1")).status_code == 200
        assert (await client.get("/api/langgraph/checkpoints", params=query)).json()["data"] == []


async def test_a_crew_s_memory_is_saved_found_and_reset(gate: Any) -> None:
    memory = {"task_description": "Write a poem", "score": 7.5, "metadata": {"agent": "poet"}, "datetime": "now"}
    async with gate() as client:
        body = {"thread_id": "s1", "user_id": "admin@kagent.dev", "memory_data": memory}
        assert (await client.post("/api/crewai/memory", json=body)).status_code == 201
        query = {"q": "poem", "limit": 3, "thread_id": "s1"}
        assert (await client.get("/api/crewai/memory", params=query)).json()["data"] == [body]
        assert (await client.delete("/api/crewai/memory", params={"thread_id": "s1"})).status_code == 200
        assert (await client.get("/api/crewai/memory", params=query)).json()["data"] == []


async def test_a_flow_s_state_is_kept_and_one_that_is_not_there_is_404(gate: Any) -> None:
    async with gate() as client:
        query = {"thread_id": "s1", "flow_uuid": "f"}
        assert (await client.get("/api/crewai/flows/state", params=query)).status_code == 404
        state = {**query, "method_name": "start", "state_data": {"n": 1}}
        assert (await client.post("/api/crewai/flows/state", json=state)).status_code == 201
        assert (await client.get("/api/crewai/flows/state", params=query)).json()["data"] == state


async def test_nobody_reaches_another_user_s_thread(gate: Any) -> None:
    async with gate(**{"X-User-Id": "ada"}) as ada, gate(**{"X-User-Id": "bob"}) as bob:
        await ada.post("/api/langgraph/checkpoints", json=CHECKPOINT)
        assert (await bob.get("/api/langgraph/checkpoints?thread_id=s1")).json()["data"] == []
        await bob.delete("/api/langgraph/checkpoints/s1")
        assert len((await ada.get("/api/langgraph/checkpoints?thread_id=s1")).json()["data"]) == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("langgraph/checkpoints", {**CHECKPOINT, "thread_id": ""}),
        ("langgraph/checkpoints", {**CHECKPOINT, "checkpoint": ""}),
        ("langgraph/checkpoints", {**CHECKPOINT, "version": "4"}),
        ("langgraph/checkpoints", {**CHECKPOINT, "version": 2**40}),
        ("langgraph/checkpoints/writes", {**PLACE, "writes": ["x"]}),
        ("langgraph/checkpoints/writes", {**PLACE, "writes": {"idx": 1}}),
        ("crewai/memory", {"thread_id": "s1", "memory_data": "x"}),
        ("crewai/flows/state", {"thread_id": "s1", "state_data": {}}),
    ],
)
async def test_a_request_that_makes_no_sense_is_refused(gate: Any, path: str, body: dict[str, Any]) -> None:
    async with gate() as client:
        refused = await client.post(f"/api/{path}", json=body)
        assert refused.status_code == 400, refused.text


@pytest.mark.parametrize("path", ["langgraph/checkpoints", "crewai/memory?thread_id=s", "crewai/flows/state"])
async def test_a_question_without_its_thread_is_refused(gate: Any, path: str) -> None:
    async with gate() as client:
        assert (await client.get(f"/api/{path}")).status_code == 400
