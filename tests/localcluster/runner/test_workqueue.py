"""One worker per queue: keys are deduplicated, failures retried, delays kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import pytest

from kagent_localcluster.errors import Conflict
from kagent_localcluster.runner.fields import Key
from kagent_localcluster.runner.workqueue import Reconcile, WorkQueue

A, B = Key("ns", "a"), Key("ns", "b")


@asynccontextmanager
async def running(reconcile: Reconcile) -> AsyncGenerator[WorkQueue]:
    queue = WorkQueue("test", reconcile)
    task = asyncio.create_task(queue.run())
    try:
        async with asyncio.timeout(10):
            yield queue
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(check: Callable[[], bool]) -> None:
    while not check():  # noqa: ASYNC110 - a queue tells nobody what it has done
        await asyncio.sleep(0.005)


async def test_a_key_added_often_is_reconciled_once() -> None:
    seen: list[Key] = []

    def reconcile(key: Key) -> None:
        seen.append(key)

    async with running(reconcile) as queue:
        for _ in range(5):
            queue.add(A)
        queue.add(B)
        await until(lambda: len(seen) == 2)
    assert seen == [A, B]


async def test_a_key_added_while_it_is_reconciled_runs_again() -> None:
    seen: list[Key] = []

    def reconcile(key: Key) -> None:
        seen.append(key)
        if len(seen) == 1:
            queue.add(A)

    async with running(reconcile) as queue:
        queue.add(A)
        await until(lambda: len(seen) == 2)


@pytest.mark.parametrize("error", [Conflict("changed meanwhile"), RuntimeError("a bug")])
async def test_a_failure_is_retried_and_harms_no_other_key(error: Exception) -> None:
    seen: list[Key] = []

    def reconcile(key: Key) -> None:
        seen.append(key)
        if key == A and seen.count(A) < 3:
            raise error

    async with running(reconcile) as queue:
        queue.add(A)
        queue.add(B)
        await until(lambda: seen.count(A) == 3 and B in seen)


async def test_a_key_comes_back_after_the_delay_that_was_asked_for() -> None:
    seen: list[Key] = []

    def reconcile(key: Key) -> float | None:
        seen.append(key)
        return 0.01 if len(seen) < 3 else None

    async with running(reconcile) as queue:
        queue.add(A)
        await until(lambda: len(seen) == 3)
