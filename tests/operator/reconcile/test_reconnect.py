"""One link that is back ends the waits of the others."""

from __future__ import annotations

import asyncio
from typing import Literal

import pytest

from kagent_api.kube import LinkState
from kagent_operator.reconcile.reconnect import Reconnect

_HOUR = 3600.0


def _state(status: Literal["connecting", "live", "lost", "refused"]) -> LinkState:
    return LinkState(status, None, 0.0)


async def test_a_link_that_is_back_ends_every_wait_and_is_told() -> None:
    told: list[str] = []
    states: list[str] = []
    reconnect = Reconnect(lambda: told.append("back"))
    heard = reconnect.hearing(lambda state: states.append(state.status))
    waits = [asyncio.create_task(reconnect.sleep(_HOUR)) for _ in range(3)]
    await asyncio.sleep(0)
    heard(_state("lost"))
    heard(_state("live"))
    async with asyncio.timeout(5):
        await asyncio.gather(*waits)
    assert told == ["back"]
    assert states == ["lost", "live"]


@pytest.mark.parametrize("before", ["connecting", "refused", "live"])
async def test_a_link_that_was_not_lost_wakes_nobody(before: Literal["connecting", "refused", "live"]) -> None:
    told: list[str] = []
    reconnect = Reconnect(lambda: told.append("back"))
    heard = reconnect.hearing(lambda state: None)
    wait = asyncio.create_task(reconnect.sleep(_HOUR))
    heard(_state(before))
    heard(_state("live"))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not wait.done()
    assert told == []
    wait.cancel()
    await asyncio.gather(wait, return_exceptions=True)


async def test_a_wait_ends_by_itself() -> None:
    async with asyncio.timeout(5):
        await Reconnect(lambda: None).sleep(0.001)
