"""The store: notifications in batches, and who uses whom."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from kagent_api.errors import ObjectRef
from kagent_tui.cluster.kinds import ref_of
from kagent_tui.cluster.store import PAGE, Changes, Store

if TYPE_CHECKING:
    from ..conftest import Samples

MODEL = ObjectRef("ModelConfig", "kagent", "default-model-config")


async def test_many_changes_become_one_notification(samples: type[Samples]) -> None:
    store = Store(delay=0.01)
    told: asyncio.Queue[Changes] = asyncio.Queue()
    store.subscribe(told.put_nowait)
    refs = set[ObjectRef]()
    for number in range(50):
        obj = samples.agent(f"a{number}")
        refs.add(ref_of(obj))
        store.put(ref_of(obj), obj)
    async with asyncio.timeout(5):
        assert await told.get() == refs
    assert told.empty()


async def test_thousands_of_changes_are_told_a_page_at_a_time_in_their_order(samples: type[Samples]) -> None:
    store = Store(delay=0.01)
    told: asyncio.Queue[Changes] = asyncio.Queue()
    store.subscribe(told.put_nowait)
    refs: list[ObjectRef] = []
    for number in range(2 * PAGE + 1):
        obj = samples.agent(f"a{number}")
        refs.append(ref_of(obj))
        store.put(ref_of(obj), obj)
    async with asyncio.timeout(5):
        assert await told.get() == set(refs[:PAGE])
        assert await told.get() == set(refs[PAGE : 2 * PAGE])
        assert await told.get() == set(refs[2 * PAGE :])


async def test_nobody_is_told_after_unsubscribing_or_closing(samples: type[Samples]) -> None:
    store = Store(delay=60)
    told: list[Changes] = []
    unsubscribe = store.subscribe(told.append)
    obj = samples.agent("a")
    store.put(ref_of(obj), obj)
    unsubscribe()
    store.flush()
    store.subscribe(told.append)
    store.remove(ref_of(obj))
    store.close()
    store.flush()
    assert told == []


async def test_used_by_follows_changes_of_the_users(samples: type[Samples]) -> None:
    store = Store(delay=60)
    agent = samples.agent("a")
    store.put(ref_of(agent), agent)
    assert store.used_by(MODEL) == [ref_of(agent)]
    other = samples.agent("a", modelConfig="qwen")
    store.put(ref_of(other), other)
    assert store.used_by(MODEL) == []
    assert store.used_by(ObjectRef("ModelConfig", "kagent", "qwen")) == [ref_of(agent)]
    store.remove(ref_of(agent))
    assert store.used_by(ObjectRef("ModelConfig", "kagent", "qwen")) == []
    store.close()


async def test_objects_are_kept_as_they_came(samples: type[Samples]) -> None:
    store = Store(delay=60)
    obj = samples.agent("a", systemMessage="\x1b[31mraw")
    store.put(ref_of(obj), obj)
    assert store.find(ref_of(obj)) is obj
    assert list(store.objects("Agent").values()) == [obj]
    store.close()
