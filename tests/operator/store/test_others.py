"""Feedback, share links and memories."""

from __future__ import annotations

import pytest

from kagent_operator.store import Store
from kagent_operator.store.memories import NewMemory


async def test_feedback_is_listed_to_its_author(store: Store) -> None:
    await store.feedback.add("u", is_positive=False, feedback_text="wrong", issue_type="factual", message_id="m")
    mine = await store.feedback.of_user("u")
    assert [(item.is_positive, item.feedback_text, item.issue_type) for item in mine] == [(False, "wrong", "factual")]
    assert await store.feedback.of_user("other") == []


async def test_a_share_is_found_by_its_token_until_its_owner_withdraws_it(store: Store) -> None:
    made = await store.shares.add("u", "s", read_only=True)
    assert len(made.token) == 48
    assert await store.shares.by_token(made.token) == made
    assert await store.shares.of_session("u", "s") == [made]
    assert not await store.shares.withdraw("eve", "s", made.token)
    assert await store.shares.withdraw("u", "s", made.token)
    assert await store.shares.by_token(made.token) is None


async def test_the_likest_memories_come_first_and_are_counted(store: Store) -> None:
    def item(content: str, vector: list[float], ttl_days: int = 15) -> NewMemory:
        return NewMemory("agent", "u", content, vector, ttl_days=ttl_days)

    ids = await store.memories.add([item("cats", [2, 0, 0]), item("dogs", [1, 1, 0]), item("cars", [0, 0, 3], 0)])
    assert len(set(ids)) == 3
    found = await store.memories.search("agent", "u", [5, 0, 0], limit=5, min_score=0.3)
    assert [(memory.content, round(score, 3)) for memory, score in found] == [("cats", 1.0), ("dogs", 0.707)]
    assert [pair[0].content for pair in await store.memories.search("agent", "u", [1, 0, 0], limit=1, min_score=0)] == [
        "cats"
    ]
    counts = {memory.content: memory.access_count for memory in await store.memories.list("agent", "u")}
    assert counts == {"cats": 2, "dogs": 1, "cars": 0}
    assert await store.memories.search("agent", "other", [1, 0, 0], limit=5, min_score=0) == []
    assert await store.memories.forget("agent", "u") == 3


async def test_expired_memories_are_gone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await store.memories.add(
        [NewMemory("agent", "u", "short", [1.0], ttl_days=1), NewMemory("agent", "u", "long", [1.0])]
    )
    database = store._database  # pyright: ignore[reportPrivateUsage] - its clock is moved
    later = database.now() + 2 * 86_400 * 1_000_000_000
    monkeypatch.setattr(database, "now", lambda: later)
    assert [memory.content for memory in await store.memories.list("agent", "u")] == ["long"]
    assert [pair[0].content for pair in await store.memories.search("agent", "u", [1.0], limit=5, min_score=0)] == [
        "long"
    ]


async def test_vectors_of_another_length_are_no_match(store: Store) -> None:
    await store.memories.add([NewMemory("agent", "u", "x", [1.0, 0.0])])
    assert await store.memories.search("agent", "u", [1.0], limit=5, min_score=0.1) == []
