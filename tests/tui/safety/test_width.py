"""Cutting by cells, and the mask."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kagent_tui.safety import cell_width, clean, mask, shorten


@given(st.text(max_size=40), st.integers(0, 30))
def test_a_shortened_text_fits_its_width(text: str, width: int) -> None:
    line = clean(text, newlines=False)
    out = shorten(line, width)
    assert cell_width(out) <= width
    assert out == line or out == "" or out.endswith("…")


def test_wide_characters_are_not_cut_in_half() -> None:
    assert shorten("日本語テスト", 6) == "日本…"
    assert shorten("plain", 5) == "plain"


def test_a_mask_tells_neither_value_nor_length() -> None:
    assert mask("a") == mask("a much longer secret")
    assert mask("") == ""
