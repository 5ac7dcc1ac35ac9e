"""Memories in a file of the agent's own: found by likeness, by their owner alone, for as long as they live."""

from __future__ import annotations

from pathlib import Path

import pytest

from kagent_engine.errors import StoreUnavailable
from kagent_engine.memory_sqlite import SqliteMemories

TEA, CAR, NEARLY_TEA = [1.0, 0.0], [0.0, 1.0], [0.8, 0.6]
DAY = 86_400.0


async def found(store: SqliteMemories, user: str, vector: list[float], limit: int = 5) -> list[object]:
    return [item["content"] for item in await store.search_memories(user, vector, limit=limit, min_score=0.3)]


async def test_the_likest_come_first_after_a_restart_and_to_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    store = SqliteMemories(path, "e")
    for content, vector in (("car", CAR), ("nearly", NEARLY_TEA), ("tea", TEA)):
        await store.save_memory("ada", content, vector, None)
    await store.save_memory("bob", "bob's", TEA, None)
    await store.aclose()
    store = SqliteMemories(path, "e")
    assert await found(store, "ada", TEA) == ["tea", "nearly"]
    assert await found(store, "ada", TEA, limit=1) == ["tea"]
    assert await found(store, "bob", TEA) == ["bob's"]
    assert await found(store, "eve", TEA) == []
    assert path.stat().st_mode & 0o077 == 0


async def test_a_memory_lives_as_long_as_configured_or_fifteen_days(tmp_path: Path) -> None:
    now = [0.0]
    store = SqliteMemories(tmp_path / "m.db", "e", clock=lambda: now[0])
    await store.save_memory("ada", "three", TEA, 3)
    await store.save_memory("ada", "default", TEA, 0)
    now[0] = 3 * DAY + 1
    assert await found(store, "ada", TEA) == ["default"]
    now[0] = 15 * DAY + 1
    assert await found(store, "ada", TEA) == []


async def test_what_is_said_again_is_kept_once(tmp_path: Path) -> None:
    store = SqliteMemories(None, "e")
    for _ in range(3):
        await store.save_memory("ada", "tea", TEA, None)
    assert await found(store, "ada", TEA) == ["tea"]
    await store.aclose()


async def test_vectors_of_another_model_are_not_compared(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    await SqliteMemories(path, "old").save_memory("ada", "tea", TEA, None)
    assert await found(SqliteMemories(path, "new"), "ada", TEA) == []
    assert await found(SqliteMemories(path, "old"), "ada", TEA) == ["tea"]
    assert await found(SqliteMemories(path, "old"), "ada", [1.0, 0.0, 0.0]) == []


async def test_the_oldest_of_too_many_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kagent_engine.memory_sqlite._MOST", 2)
    store = SqliteMemories(tmp_path / "m.db", "e")
    for content in ("first", "second", "third"):
        await store.save_memory("ada", content, TEA, None)
    assert sorted(map(str, await found(store, "ada", TEA))) == ["second", "third"]


async def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    path.write_text("this is no database, but long enough to look like one" * 20)
    with pytest.raises(StoreUnavailable, match=r"m\.db"):
        await found(SqliteMemories(path, "e"), "ada", TEA)
