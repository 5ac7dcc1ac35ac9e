"""The one-line entry: what arrives in one burst means what was typed."""

from __future__ import annotations

from textual import events
from textual.app import App, ComposeResult

from kagent_tui.widgets.plain_input import PlainInput


class Host(App[None]):
    def compose(self) -> ComposeResult:
        yield PlainInput()


async def test_keys_that_arrive_together_keep_their_order() -> None:
    app = Host()
    async with app.run_test() as pilot:
        entry = app.query_one(PlainInput)
        entry.value = "before"
        entry.focus()
        await pilot.pause()
        keys = (("ctrl+u", "\x15"), ("a", "a"), ("b", "b"), ("backspace", None), ("c", "c"), ("home", None), ("x", "x"))
        for key, character in keys:
            app.post_message(events.Key(key, character))
        await pilot.pause()
        assert entry.value == "xac"
