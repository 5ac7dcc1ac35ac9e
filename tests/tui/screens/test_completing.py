"""Completion while one types YAML."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from textual.pilot import Pilot

from kagent_api.errors import ObjectRef
from kagent_tui.app import KagentApp
from kagent_tui.screens.browse import BrowseScreen
from kagent_tui.screens.editor import EditorScreen
from kagent_tui.screens.pick import PickScreen
from kagent_tui.widgets.yaml_area import YamlArea

Until = Callable[[Pilot[int], Callable[[], bool]], Awaitable[None]]
SIZE = (140, 40)


async def open_yaml(app: KagentApp, pilot: Pilot[int], until: Until) -> YamlArea:
    """Open an agent as YAML with an empty line under ``declarative:``."""
    browse = app.screen_stack[0]
    assert isinstance(browse, BrowseScreen)
    await until(pilot, lambda: len(list(browse.table.listing)) >= 5)
    browse.go_to(ObjectRef("Agent", "kagent", "time"))
    await pilot.press("e")
    await until(pilot, lambda: isinstance(app.screen, EditorScreen) and app.screen.in_form)
    await pilot.press("f3")
    await until(pilot, lambda: isinstance(app.focused, YamlArea))
    assert isinstance(app.focused, YamlArea)
    area = app.focused
    lines = area.text.split("\n")
    area.move_cursor((lines.index("  declarative:"), len("  declarative:")))
    await pilot.press("enter")
    return area


def line(area: YamlArea) -> str:
    return area.text.split("\n")[area.cursor_location[0]]


async def test_the_rest_of_a_field_is_shown_and_tab_takes_it(app: KagentApp, until: Until) -> None:
    async with app.run_test(size=SIZE) as pilot:
        area = await open_yaml(app, pilot, until)
        await pilot.press(*"exec")
        await until(pilot, lambda: area.suggestion == "uteCodeBlocks: ")
        await pilot.press("tab")
        assert line(area) == "    executeCodeBlocks: "
        await pilot.press("t")
        await until(pilot, lambda: area.suggestion == "rue")
        await pilot.press("right")
        assert line(area) == "    executeCodeBlocks: true"


async def test_moving_away_lets_a_suggestion_go(app: KagentApp, until: Until) -> None:
    async with app.run_test(size=SIZE) as pilot:
        area = await open_yaml(app, pilot, until)
        await pilot.press(*"exec")
        await until(pilot, lambda: area.suggestion != "")
        await pilot.press("up")
        assert area.suggestion == ""


async def test_every_choice_is_listed_on_a_key_with_models_out_of_the_cluster(app: KagentApp, until: Until) -> None:
    async with app.run_test(size=SIZE) as pilot:
        area = await open_yaml(app, pilot, until)
        await pilot.press(*"modelConfig: ", "ctrl+@")
        await until(pilot, lambda: isinstance(app.screen, PickScreen))
        await pilot.press(*"qwen", "enter")
        await until(pilot, lambda: isinstance(app.screen, EditorScreen))
        await until(pilot, lambda: line(area) == "    modelConfig: qwen")


async def test_where_nothing_is_known_it_says_so(app: KagentApp, until: Until) -> None:
    async with app.run_test(size=SIZE) as pilot:
        area = await open_yaml(app, pilot, until)
        await pilot.press(*"nosuchfield: ", "ctrl+@")
        await until(pilot, lambda: "nothing is known" in str(app.screen.query_one("Notice").render()))
        assert line(area) == "    nosuchfield: "
