"""The live table paints what changed and no more."""

from __future__ import annotations

import pytest
from textual.app import App, ComposeResult
from textual.geometry import Region

from kagent_api.errors import ObjectRef
from kagent_tui.render.listing import Listing
from kagent_tui.render.row import Column, Row, cell
from kagent_tui.render.text import Tone
from kagent_tui.widgets.table import LiveTable

COLUMNS = (Column("name", "NAME", 10, 20), Column("state", "STATE", 8, 12))


def row(number: int, state: str = "● yes") -> Row:
    name = f"agent-{number:05}"
    return Row(ObjectRef("Agent", "ns", name), (cell(name), cell(state, Tone.OK)))


class Watched(LiveTable):
    """Counts which lines are asked to be painted."""

    def __init__(self) -> None:
        super().__init__()
        self.dirty: list[Region | None] = []

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> Watched:
        if hasattr(self, "dirty"):
            self.dirty += regions or (None,)
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)


class Host(App[None]):
    def __init__(self, rows: int) -> None:
        super().__init__()
        self.table = Watched()
        self.listing = Listing()
        self.listing.fill(row(number) for number in range(rows))

    def compose(self) -> ComposeResult:
        yield self.table

    def on_mount(self) -> None:
        self.table.show(COLUMNS, self.listing)


async def test_a_changed_row_in_sight_repaints_what_is_different_in_it() -> None:
    app = Host(10_000)
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.pause()
        app.table.dirty.clear()
        fresh = row(5, "✖ no")
        assert app.listing.put(fresh) == "cells"
        app.table.repaint([fresh])
        assert app.table.dirty == [Region(13, 6, 9, 1)]


async def test_a_changed_row_out_of_sight_repaints_nothing() -> None:
    app = Host(10_000)
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.pause()
        app.table.dirty.clear()
        fresh = row(5000, "✖ no")
        app.listing.put(fresh)
        app.table.repaint([fresh])
        assert app.table.dirty == []


async def test_moving_the_cursor_repaints_two_lines() -> None:
    app = Host(100)
    async with app.run_test(size=(60, 20)) as pilot:
        app.table.focus()
        await pilot.pause()
        app.table.dirty.clear()
        await pilot.press("j")
        assert {region.y for region in app.table.dirty if region} == {1, 2}
        assert None not in app.table.dirty


async def test_moving_the_mouse_repaints_nothing() -> None:
    app = Host(100)
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.pause()
        app.table.dirty.clear()
        for y in range(2, 15):
            await pilot.hover(app.table, offset=(5, y))
        assert app.table.dirty == []


@pytest.mark.parametrize(
    ("keys", "name"),
    [("G", "agent-00099"), ("G g", "agent-00000"), ("ctrl+f", "agent-00018"), ("G ctrl+b k", "agent-00080")],
)
async def test_keys_move_the_cursor_and_keep_it_in_sight(keys: str, name: str) -> None:
    app = Host(100)
    async with app.run_test(size=(60, 20)) as pilot:
        app.table.focus()
        await pilot.pause()
        await pilot.press(*keys.split())
        assert app.table.cursor is not None
        assert app.table.cursor.name == name
        assert name in [one.ref.name for one in app.table.rows_in_sight()]


async def test_an_empty_table_takes_keys_too() -> None:
    app = Host(0)
    async with app.run_test(size=(60, 20)) as pilot:
        app.table.focus()
        await pilot.press("j", "k", "G", "g", "ctrl+f")
        assert app.table.cursor is None
