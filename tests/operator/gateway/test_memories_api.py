from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from kagent_operator.gateway import GatewaySettings

AGENT = "kagent__NS__my_agent"


def item(content: str, vector: list[float], **more: Any) -> dict[str, Any]:
    return {"agent_name": AGENT, "user_id": "ada", "content": content, "vector": vector} | more


async def test_memories_are_saved_searched_listed_and_forgotten(gate: Any) -> None:
    async with gate() as client:
        made = await client.post("/api/memories/sessions", json=item("cats", [1, 0], metadata={"k": 1}))
        assert made.status_code == 201
        batch = {"items": [item("dogs", [0.6, 0.8]), item("cars", [0, 1])]}
        assert (await client.post("/api/memories/sessions/batch", json=batch)).json() == {"count": 2}
        query = {"agent_name": AGENT, "user_id": "ada", "vector": [1, 0], "limit": 5, "min_score": 0.3}
        found = (await client.post("/api/memories/search", json=query)).json()
        assert [(entry["content"], round(entry["score"], 3)) for entry in found] == [("cats", 1.0), ("dogs", 0.6)]
        assert (found[0]["id"], found[0]["metadata"]) == (made.json()["id"], {"k": 1})
        listed = (await client.get("/api/memories?agent_name=kagent/my-agent&user_id=ada")).json()
        assert [entry["content"] for entry in listed] == ["cars", "dogs", "cats"]
        assert (await client.get(f"/api/memories?agent_name={AGENT}&user_id=bob")).json() == []
        gone = await client.delete(f"/api/memories?agent_name={AGENT}&user_id=ada")
        assert gone.json() == {"deleted": 3}


@pytest.mark.parametrize(
    "body",
    [
        item("x", []),
        item("x", [float(number) for number in range(5000)]),
        {"agent_name": AGENT, "vector": [1]},
        item("x", [1], ttl_days=-1),
        {"content": "x", "vector": [1]},
        {"agent_name": AGENT, "content": "x", "vector": ["1"]},
    ],
)
async def test_a_memory_that_makes_no_sense_is_refused(gate: Any, body: dict[str, Any]) -> None:
    async with gate() as client:
        assert (await client.post("/api/memories/sessions", json=body)).status_code == 400


async def test_a_batch_has_a_limit(gate: Any) -> None:
    async with gate() as client:
        batch = {"items": [item("x", [1.0])] * 51}
        reply = await client.post("/api/memories/sessions/batch", json=batch)
        assert reply.json() == {"error": "items: at most 50 at a time, not 51"}


async def test_a_person_who_proved_who_they_are_sees_their_own_memories_only(gate: Any) -> None:
    async with gate() as client:
        await client.post("/api/memories/sessions", json=item("secret", [1.0]))
    payload = base64.urlsafe_b64encode(json.dumps({"sub": "bob"}).encode()).decode()
    async with gate(GatewaySettings(auth_mode="trusted-proxy"), authorization=f"Bearer h.{payload}.s") as client:
        assert (await client.get(f"/api/memories?agent_name={AGENT}&user_id=ada")).json() == []
        query = {"agent_name": AGENT, "user_id": "ada", "vector": [1]}
        assert (await client.post("/api/memories/search", json=query)).json() == []
