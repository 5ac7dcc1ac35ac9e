"""Which contexts count as production: nothing is written there before somebody says so."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import pytest
from textual.pilot import Pilot

from kagent_tui.app import KagentApp
from kagent_tui.cluster.contexts import Opened, is_production
from kagent_tui.editing.drafts import DraftStore

if TYPE_CHECKING:
    from ..conftest import Samples

Until = Callable[[Pilot[int], Callable[[], bool]], Awaitable[None]]


@pytest.mark.parametrize("name", ["prod", "prod-eu", "eu_production", "gke_acme_PROD_1"])
def test_a_name_that_says_production(name: str) -> None:
    assert is_production(name)


@pytest.mark.parametrize("name", ["", "kind-kind", "reproduce", "product-demo", "staging"])
def test_a_name_that_does_not(name: str) -> None:
    assert not is_production(name)


async def test_production_is_read_only_until_it_is_switched_on(
    samples: type[Samples], drafts: DraftStore, until: Until
) -> None:
    app = KagentApp(opener=lambda options: Opened(samples.kube(*samples.all(), context="prod-eu"), ()), drafts=drafts)
    async with app.run_test(size=(140, 40)) as pilot:
        await until(pilot, lambda: app.workspace.cluster is not None)
        assert app.workspace.readonly
        await pilot.press("f2")
        assert not app.workspace.readonly
        # Reading everything again does not lock it again.
        await pilot.press("ctrl+r")
        await until(pilot, lambda: app.workspace.cluster is not None and app.workspace.link.status == "live")
        assert not app.workspace.readonly
        await pilot.press("f2")
        assert app.workspace.readonly
