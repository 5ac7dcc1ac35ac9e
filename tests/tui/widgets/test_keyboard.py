"""Keys that arrive together, as over a slow line, reach what the keys before them opened."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from textual import events
from textual.pilot import Pilot
from textual.widgets import Input

from kagent_tui.app import KagentApp
from kagent_tui.screens.browse import BrowseScreen
from kagent_tui.screens.chat import ChatScreen
from kagent_tui.screens.detail import DetailScreen
from kagent_tui.screens.pick import PickScreen

Until = Callable[[Pilot[int], Callable[[], bool]], Awaitable[None]]
SIZE = (140, 40)
_NAMED = {"\r": "enter", "\x1b": "escape", "/": "slash", ":": "colon", "\t": "tab"}


def burst(app: KagentApp, text: str) -> None:
    """Let keys arrive the way the terminal's driver posts them: all before any is looked at."""
    for character in text:
        app.post_message(events.Key(_NAMED.get(character, character), character if character.isprintable() else None))


def browse(app: KagentApp) -> BrowseScreen:
    screen = app.screen_stack[0]
    assert isinstance(screen, BrowseScreen)
    return screen


def names(app: KagentApp) -> list[str]:
    return [row.ref.name for row in browse(app).table.listing]


async def test_text_behind_the_filter_key_goes_into_the_filter(app: KagentApp, until: Until) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: len(names(app)) == 5)
        burst(app, "/time")
        await until(pilot, lambda: names(app) == ["time"])
        assert browse(app).prompt.query_one(Input).value == "time"


async def test_a_whole_command_and_the_keys_behind_it_take_effect_in_turn(app: KagentApp, until: Until) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: len(names(app)) == 5)
        burst(app, ":models\rj:agents\rjj\r")
        await until(pilot, lambda: isinstance(app.screen, DetailScreen))
        assert browse(app).selected == ("Agent", "kagent", "lost")
        await pilot.press("escape")
        burst(app, ":models\r")
        await until(pilot, lambda: browse(app).view.id == "models")
        assert browse(app).selected == ("ModelConfig", "kagent", "qwen")


async def test_a_search_in_a_picker_that_is_only_just_opening_is_not_lost(app: KagentApp, until: Until) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: len(names(app)) == 5)
        burst(app, "sready\r")
        await until(pilot, lambda: not isinstance(app.screen, PickScreen) and names(app)[0] == "coordinator")
        burst(app, "nkag")
        await until(pilot, lambda: isinstance(app.screen, PickScreen) and app.screen.query_one(Input).value == "kag")


async def test_text_behind_the_chat_key_goes_into_the_chat(app: KagentApp, until: Until) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: len(names(app)) == 5)
        burst(app, "chello")
        await until(pilot, lambda: isinstance(app.screen, ChatScreen) and bool(app.screen.panes))
        assert isinstance(app.screen, ChatScreen)
        pane = app.screen.panes[0]
        await until(pilot, lambda: pane.prompt.text == "hello")


async def test_a_key_that_opens_nothing_holds_nothing_up(app: KagentApp, until: Until) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: len(names(app)) == 5)
        burst(app, "Yj")
        await until(pilot, lambda: browse(app).selected == ("Agent", "kagent", "k8s-agent"))
