"""The work queue: nothing missed, nothing twice, failures wait longer each time."""

from __future__ import annotations

import asyncio

from kagent_operator.reconcile.queue import Backoff, WorkQueue


async def test_a_key_added_twice_is_worked_on_once() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    queue.add("a")
    queue.add("b")
    assert [await queue.get(), await queue.get()] == ["a", "b"]
    assert len(queue) == 0


async def test_a_key_added_while_worked_on_comes_again_only_afterwards() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    await queue.get()
    queue.add("a")
    assert len(queue) == 0
    assert not queue.idle
    queue.done("a")
    assert await queue.get() == "a"
    queue.done("a")
    assert queue.idle


async def test_several_waiting_workers_each_get_a_key() -> None:
    queue: WorkQueue[str] = WorkQueue()
    workers = [asyncio.create_task(queue.get()) for _ in range(3)]
    await asyncio.sleep(0)
    for key in "abc":
        queue.add(key)
    async with asyncio.timeout(1):
        assert {await worker for worker in workers} == {"a", "b", "c"}


async def test_a_cancelled_worker_takes_no_key_with_it() -> None:
    queue: WorkQueue[str] = WorkQueue()
    first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    first.cancel()
    async with asyncio.timeout(1):
        assert await second == "a"


async def test_the_sooner_of_two_delays_counts_and_an_immediate_add_replaces_it() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add_after("a", 60)
    queue.add_after("a", 0.01)
    queue.add_after("a", 60)
    async with asyncio.timeout(1):
        assert await queue.get() == "a"
    queue.done("a")
    queue.add_after("b", 60)
    queue.add("b")
    assert await queue.get() == "b"
    queue.close()


async def test_failures_wait_longer_until_forgotten() -> None:
    queue: WorkQueue[str] = WorkQueue(Backoff(first=1, limit=10, jitter=0))
    assert [queue.failed("a") for _ in range(6)] == [1, 2, 4, 8, 10, 10]
    queue.succeeded("a")
    assert queue.failed("a") == 1
    queue.close()


def test_jitter_spreads_the_waits() -> None:
    backoff = Backoff(first=10, limit=60, jitter=0.2)
    assert backoff.after(1, lambda: 0.0) == 9
    assert backoff.after(1, lambda: 1.0) == 11


async def test_failed_keys_are_worked_on_at_once_when_their_cause_has_passed() -> None:
    queue: WorkQueue[str] = WorkQueue(Backoff(first=3600, limit=3600))
    for key in ("failed", "fine"):
        queue.add(key)
        await queue.get()
        queue.done(key)
    queue.failed("failed")
    queue.add_after("fine", 3600)
    queue.retry_now()
    assert await queue.get() == "failed"
    assert len(queue) == 0
    queue.retry_now()
    assert len(queue) == 0, "it is worked on already"
    queue.close()
