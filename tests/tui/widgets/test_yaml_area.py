"""The YAML editor's own ways."""

from __future__ import annotations

import pytest
from textual import events
from textual.app import App, ComposeResult

from kagent_tui.widgets.yaml_area import YamlArea


class Host(App[None]):
    def compose(self) -> ComposeResult:
        yield YamlArea()

    @property
    def area(self) -> YamlArea:
        return self.query_one(YamlArea)


@pytest.mark.parametrize(
    ("line", "next_line"),
    [("  name: a", "  x"), ("spec:", "  x"), ("  text: |", "    x"), ("", "x")],
)
async def test_a_new_line_stands_under_the_one_before(line: str, next_line: str) -> None:
    app = Host()
    async with app.run_test() as pilot:
        app.area.load(line)
        app.area.focus()
        app.area.move_cursor((0, len(line)))
        await pilot.press("enter", "x")
        assert app.area.text == f"{line}\n{next_line}"


async def test_keys_that_arrive_together_keep_their_order() -> None:
    app = Host()
    async with app.run_test() as pilot:
        app.area.load("one\ntwo\nthree")
        app.area.focus()
        app.area.move_cursor((0, 0))
        await pilot.pause()
        for key, character in (("down", None), ("end", None), ("x", "x"), ("up", None), ("y", "y")):
            app.post_message(events.Key(key, character))
        await pilot.pause()
        assert app.area.text == "oney\ntwox\nthree"


async def test_pasted_escape_sequences_become_visible_signs() -> None:
    app = Host()
    async with app.run_test() as pilot:
        app.area.load("")
        app.area.focus()
        await pilot.pause()
        app.area.post_message(events.Paste("a\x1b]52;c;eHh4\x07b\n\tc\u202e"))
        await pilot.pause()
        assert app.area.text == "a␛b\n    c�"


async def test_loaded_text_is_cleaned_too() -> None:
    app = Host()
    async with app.run_test():
        app.area.load("a\x1b[2Jb")
        assert app.area.text == "a␛b"
