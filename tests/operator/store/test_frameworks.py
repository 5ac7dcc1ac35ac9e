"""What upstream's LangGraph and CrewAI engines keep."""

from __future__ import annotations

from kagent_operator.store import Store
from kagent_operator.store.frameworks import Checkpoint, CheckpointWrite, FlowState


def checkpoint(number: int, *, parent: str | None = None) -> Checkpoint:
    return Checkpoint("t", "", f"c{number}", parent, f"state {number}", "{}", "msgpack", 4)


async def test_checkpoints_come_back_newest_first_with_their_writes(store: Store) -> None:
    kept = store.frameworks
    await kept.put_checkpoint("u", checkpoint(1))
    await kept.put_checkpoint("u", checkpoint(2, parent="c1"))
    first, second = CheckpointWrite("x", 0, "messages", "json", "a"), CheckpointWrite("x", 1, "messages", "json", "b")
    await kept.put_writes("u", "t", "", "c2", [second, first])
    found = await kept.checkpoints("u", "t", "")
    assert [(one.id, one.parent_id, one.checkpoint) for one in found] == [
        ("c2", "c1", "state 2"),
        ("c1", None, "state 1"),
    ]
    assert found[0].writes == (first, second)
    assert [one.id for one in await kept.checkpoints("u", "t", "", limit=1)] == ["c2"]
    assert [one.id for one in await kept.checkpoints("u", "t", "", checkpoint_id="c1")] == ["c1"]


async def test_a_thread_belongs_to_its_user_and_namespace(store: Store) -> None:
    await store.frameworks.put_checkpoint("u", checkpoint(1))
    assert await store.frameworks.checkpoints("v", "t", "") == []
    assert await store.frameworks.checkpoints("u", "t", "inner") == []
    await store.frameworks.forget_thread("v", "t")
    assert len(await store.frameworks.checkpoints("u", "t", "")) == 1
    await store.frameworks.forget_thread("u", "t")
    assert await store.frameworks.checkpoints("u", "t", "") == []


async def test_the_same_checkpoint_and_write_again_take_the_place_of_the_old(store: Store) -> None:
    await store.frameworks.put_checkpoint("u", checkpoint(1))
    await store.frameworks.put_checkpoint("u", Checkpoint("t", "", "c1", None, "other", "{}", "json", 4))
    for value in ("a", "b"):
        await store.frameworks.put_writes("u", "t", "", "c1", [CheckpointWrite("x", 0, "m", "json", value)])
    (found,) = await store.frameworks.checkpoints("u", "t", "")
    assert (found.checkpoint, [write.value for write in found.writes]) == ("other", ["b"])


async def test_a_crew_s_memory_is_found_by_words_of_its_task(store: Store) -> None:
    kept = store.frameworks
    for task in ("write a poem", "Write a letter", "sing"):
        await kept.remember("u", "t", f'{{"task_description":"{task}","score":1}}')
    assert [text[21:27] for text in await kept.memories("u", "t", "write a")] == ["Write ", "write "]
    assert len(await kept.memories("u", "t", "write", limit=1)) == 1
    assert await kept.memories("u", "other", "write") == []
    await kept.forget_memories("u", "t")
    assert await kept.memories("u", "t", "write") == []


async def test_a_flow_s_newest_state_is_returned(store: Store) -> None:
    kept = store.frameworks
    for method, state in (("start", "1"), ("finish", "2"), ("start", "3")):
        await kept.put_flow_state("u", FlowState("t", "f", method, state))
    assert await kept.flow_state("u", "t") == FlowState("t", "f", "start", "3")
    assert await kept.flow_state("u", "t", "g") is None
    assert await kept.flow_state("v", "t") is None
