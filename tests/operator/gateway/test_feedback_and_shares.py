from __future__ import annotations

from typing import Any

import pytest


async def test_feedback_is_kept_for_its_author(gate: Any) -> None:
    async with gate(x_user_id="ada") as client:
        sent = {"is_positive": False, "feedback_text": "wrong", "issue_type": "factual", "message_id": 7}
        assert (await client.post("/api/feedback", json=sent)).status_code == 200
        (kept,) = (await client.get("/api/feedback")).json()["data"]
        assert (kept["feedback_text"], kept["issue_type"], kept["message_id"]) == ("wrong", "factual", "7")
        assert (await client.get("/api/feedback", headers={"X-User-Id": "bob"})).json()["data"] == []


@pytest.mark.parametrize(
    "body",
    [{"feedback_text": "x"}, {"is_positive": True}, {"is_positive": True, "feedback_text": "x", "issue_type": "mood"}],
)
async def test_feedback_that_says_nothing_is_refused(gate: Any, body: dict[str, Any]) -> None:
    async with gate() as client:
        assert (await client.post("/api/feedback", json=body)).status_code == 400


async def test_a_share_link_is_made_listed_and_withdrawn_by_the_owner(gate: Any, cluster: Any) -> None:
    cluster.add_agent("a")
    async with gate(x_user_id="ada") as client:
        await client.post("/api/sessions", json={"agent_ref": "kagent/a", "id": "s"})
        share = (await client.post("/api/sessions/s/shares")).json()["data"]
        assert (share["read_only"], len(share["token"])) == (True, 48)
        open_share = (await client.post("/api/sessions/s/shares", json={"read_only": False})).json()["data"]
        assert open_share["read_only"] is False
        assert (await client.post("/api/sessions/s/shares", json={"read_only": "no"})).status_code == 400
        assert (await client.get("/api/sessions/s/shares")).json()["data"] == [share, open_share]
        bob = {"X-User-Id": "bob", "X-Share-Token": open_share["token"]}
        assert (await client.get("/api/sessions/s/shares", headers=bob)).status_code == 403
        assert (await client.get("/api/sessions/s/shares", headers={"X-User-Id": "bob"})).status_code == 404
        path = f"/api/sessions/s/shares/{share['token']}"
        assert (await client.delete(path)).status_code == 200
        assert (await client.delete(path)).status_code == 404
