"""Colours that can be read."""

from __future__ import annotations

import pytest
from textual.app import App, ComposeResult
from textual.color import Color
from textual.theme import BUILTIN_THEMES

from kagent_tui.render.text import Tone
from kagent_tui.widgets.painting import LEAST_CONTRAST, Painter, contrast, readable
from kagent_tui.widgets.table import LiveTable


def test_contrast_is_that_of_wcag() -> None:
    assert contrast(Color.parse("#000000"), Color.parse("#ffffff")) == pytest.approx(21.0)
    assert contrast(Color.parse("#777777"), Color.parse("#ffffff")) == pytest.approx(4.48, abs=0.01)


def test_ink_is_moved_only_as_far_as_needed() -> None:
    paper = Color.parse("#0178d4")
    assert contrast(readable(Color.parse("#ba3c5b"), paper), paper) >= LEAST_CONTRAST
    assert readable(Color.parse("#ffffff"), Color.parse("#000000")) == Color.parse("#ffffff")


class Shown(App[None]):
    def compose(self) -> ComposeResult:
        yield LiveTable()


@pytest.mark.parametrize("theme", ["textual-dark", "textual-light", "nord", "gruvbox", "solarized-light"])
async def test_a_cursor_line_keeps_its_status_colours_readable(theme: str) -> None:
    from kagent_tui.app import KagentApp

    class Themed(Shown):
        CSS_PATH = KagentApp.CSS_PATH

    assert theme in BUILTIN_THEMES
    app = Themed()
    async with app.run_test(size=(80, 24)):
        app.theme = theme
        painter = Painter(app.query_one(LiveTable))
        for tone in (Tone.OK, Tone.WARN, Tone.BAD, Tone.PLAIN):
            for over in ("pane--cursor", "pane--cursor-blurred"):
                style = painter.style(tone, over)
                assert style.color is not None
                assert style.bgcolor is not None
                ink, paper = Color.from_rich_color(style.color), Color.from_rich_color(style.bgcolor)
                assert contrast(ink, paper) >= LEAST_CONTRAST, (tone, over)
        bad, ok = painter.style(Tone.BAD, "pane--cursor"), painter.style(Tone.OK, "pane--cursor")
        assert bad.color != ok.color
