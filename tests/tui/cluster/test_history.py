"""Back, forward and the last view."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from textual.pilot import Pilot

from kagent_tui.app import KagentApp
from kagent_tui.cluster.history import History, Place
from kagent_tui.screens.browse import BrowseScreen

Until = Callable[[Pilot[int], Callable[[], bool]], Awaitable[None]]


def test_back_and_forward_as_in_a_browser() -> None:
    history = History(Place("agents", ""))
    history.visit(Place("models", ""))
    history.visit(Place("models", "gpt"))
    history.visit(Place("models", "gpt"))
    assert history.step(-1) == Place("models", "")
    assert history.step(-1) == Place("agents", "")
    assert history.step(-1) is None
    assert history.step(1) == Place("models", "")
    history.visit(Place("mcp", ""))
    assert history.step(1) is None
    assert history.step(-1) == Place("models", "")


def test_the_last_view_is_another_one() -> None:
    history = History(Place("agents", ""))
    assert history.before_this("agents") is None
    history.visit(Place("models", ""))
    history.visit(Place("models", "gpt"))
    assert history.before_this("models") == Place("agents", "")


async def test_keys_go_through_the_views_with_their_filters(app: KagentApp, until: Until) -> None:
    def browse() -> BrowseScreen:
        screen = app.screen_stack[0]
        assert isinstance(screen, BrowseScreen)
        return screen

    async with app.run_test(size=(140, 40)) as pilot:
        await until(pilot, lambda: len(browse().table.listing) == 5)
        await pilot.press("slash", *"time", "enter", "right")
        assert browse().view.id == "models"
        await pilot.press("minus")
        assert (browse().view.id, browse().board.filters["agents"]) == ("agents", "time")
        await pilot.press("minus")
        assert browse().view.id == "models"
        await pilot.press("left_square_bracket", "left_square_bracket", "left_square_bracket", "left_square_bracket")
        assert (browse().view.id, browse().board.filters["agents"]) == ("agents", "")
        await pilot.press("right_square_bracket")
        assert browse().board.filters["agents"] == "time"
