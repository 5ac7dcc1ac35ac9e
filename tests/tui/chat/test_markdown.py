"""Markdown as lines: within its width, clean, and the same while it is being written."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from kagent_tui.chat.growing import GrowingMarkdown
from kagent_tui.chat.lines import Piece, plain, width_of, wrap_pieces
from kagent_tui.chat.markdown import markdown_lines

SOURCE = """# The *time*

It is **19:00** in `Asia/Tokyo`, see [the zone](https://evil.example/x) and <https://a.b/c>.
日本語のとても長い文章がここにあるので折り返しが必要です。

- one
- two
  - nested

1. first
2. second

```yaml
kind: Pod
  - a long line of code that is wider than the pane and goes on in the next line of it
```

> quoted

| name | remark |
|---|---|
| 東京 | something long that wraps in its cell because the pane is narrow |

---
<b>html</b> ![picture](http://img.example/p.png) ~~gone~~
"""
FRAGMENTS = st.lists(
    st.sampled_from(
        ["# ", "- ", "1. ", "> ", "```\n", "~~~py\n", "|a|b|\n|-|-|\n", "|x|y|\n", "\n", "\n\n", "**", "`", "[a](http://b)",
         "word ", "東京", "<b>", "&#27;[2J", "\x1b]0;t\x07", "\u202e", "    ", "---\n", "\t", "a" * 90]
    ),
    max_size=40,
)  # fmt: skip


def text(lines: list[tuple[Piece, ...]]) -> list[str]:
    return [plain(line) for line in lines]


def test_every_kind_of_block_has_its_form() -> None:
    shown = text(markdown_lines(SOURCE, 50))
    assert shown[:2] == ["The time", "━━━━━━━━"]
    assert "the zone (evil.example)" in " ".join(shown)
    assert "https://a.b/c." in " ".join(shown)
    assert "• two" in shown
    assert "  • nested" in shown
    assert "2. second" in shown
    assert "│ quoted" in shown
    assert any(line.startswith("東京 │ something") for line in shown)
    assert "<b>html</b> [image: picture] (img.example) gone" in shown


def test_a_link_shows_where_it_leads_even_if_its_text_pretends_otherwise() -> None:
    assert text(markdown_lines("[https://good.example](https://evil.example/a)", 80)) == [
        "https://good.example (evil.example)"
    ]


def test_code_stands_on_its_background_and_goes_on_in_the_next_line() -> None:
    lines = markdown_lines("```\n" + "x" * 100 + "\n```", 40)
    assert all("c" in part.face for line in lines for part in line)
    assert {width_of(line) for line in lines} == {40}


@settings(deadline=None)
@given(FRAGMENTS, st.integers(8, 60))
def test_any_text_fits_its_width_and_is_clean(fragments: list[str], width: int) -> None:
    for line in markdown_lines("".join(fragments), width):
        assert width_of(line) <= width
        assert plain(line).isprintable()


@settings(deadline=None)
@given(FRAGMENTS, st.lists(st.integers(1, 9), max_size=60))
def test_writing_in_pieces_ends_as_writing_at_once(fragments: list[str], cuts: list[int]) -> None:
    source = "".join(fragments)
    growing, whole = GrowingMarkdown(40), GrowingMarkdown(40)
    end = 0
    for cut in cuts:
        end += cut
        growing.update(source[:end])
    growing.update(source)
    whole.update(source)
    assert text(growing.lines) == text(whole.lines)


def test_finished_blocks_are_not_laid_out_again() -> None:
    growing = GrowingMarkdown(60)
    growing.update("one\n\ntwo\n\nthree")
    before = growing.lines
    first = growing.update("one\n\ntwo\n\nthree more")
    assert first == 3
    assert all(old is new for old, new in zip(before[:first], growing.lines, strict=False))


def test_a_long_code_block_is_finished_line_by_line() -> None:
    growing = GrowingMarkdown(60)
    source = "```yaml\n" + "".join(f"line: {number}\n" for number in range(500))
    growing.update(source)
    assert growing.update(source + "line: 500") == 501


def test_a_text_that_is_replaced_begins_anew() -> None:
    growing = GrowingMarkdown(60)
    growing.update("one\n\ntwo")
    growing.update("other")
    assert text(growing.lines) == ["other"]


@given(st.text(st.characters(categories=["L", "Nd", "Zs"]), max_size=80), st.integers(2, 30))
def test_wrapping_loses_no_word(source: str, width: int) -> None:
    lines = wrap_pieces((Piece(source),), width)
    assert "".join(text(lines)).replace(" ", "") == source.replace(" ", "")
