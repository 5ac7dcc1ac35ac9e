"""Lines in a width of terminal cells."""

from __future__ import annotations

from kagent_tui.render.row import Column
from kagent_tui.render.text import Line, Span, Tone, line, span
from kagent_tui.render.widths import fit, pad
from kagent_tui.render.wrap import wrap
from kagent_tui.safety import cell_width


def plain(parts: list[tuple[Span, ...]]) -> list[str]:
    return ["".join(part.text for part in spans) for spans in parts]


def test_a_line_that_fits_stays_one_line() -> None:
    assert plain(wrap(line("short enough"), 20)) == ["short enough"]


def test_words_go_to_the_next_line_under_the_indent() -> None:
    assert plain(wrap(line("  one two three", indent=4), 10)) == ["  one two ", "    three"]


def test_a_word_longer_than_the_line_is_cut_and_nothing_is_lost() -> None:
    shown = plain(wrap(line("x" * 50), 20))
    assert "".join(shown) == "x" * 50
    assert all(cell_width(part) <= 20 for part in shown)


def test_chinese_text_wraps_by_cells() -> None:
    shown = plain(wrap(line("你是一个有用的助手请回答问题"), 10))
    assert "".join(shown) == "你是一个有用的助手请回答问题"
    assert all(cell_width(part) <= 10 for part in shown)


def test_tones_survive_wrapping() -> None:
    parts = wrap(line(span("bad " * 6, Tone.BAD), span("good", Tone.OK)), 12)
    assert parts[-1][-1] == Span("good", Tone.OK)


def test_an_empty_line_is_one_empty_screen_line() -> None:
    assert wrap(Line(), 10) == [()]


def test_a_line_of_a_megabyte_is_cut_and_says_so() -> None:
    shown = plain(wrap(line("y" * 1_000_000), 100))
    assert len(shown) < 210
    assert "980000 more characters" in shown[-1]


COLUMNS = (Column("a", "A", 4, 10), Column("b", "B", 4, 20, drop=1), Column("c", "C", 4, 8, drop=2))


def test_columns_get_what_they_need_when_there_is_room() -> None:
    assert fit(COLUMNS, [6, 30, 5], 80) == (6, 20, 5)


def test_columns_shrink_before_any_goes() -> None:
    sizes = fit(COLUMNS, [10, 20, 8], 30)
    assert all(sizes)
    assert 1 + sum(size + 1 for size in sizes) <= 30


def test_the_least_important_column_goes_first_and_the_first_never() -> None:
    assert fit(COLUMNS, [10, 20, 8], 12)[2] == 0
    assert fit(COLUMNS, [10, 20, 8], 3)[0] == 4


def test_padding_counts_wide_characters() -> None:
    assert pad("助手", 6) == "助手  "
    assert pad("助手助手", 5) == "助手…"
    assert pad("7", 3, right=True) == "  7"
