"""The sanitiser's promises, by example and by property."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kagent_tui.safety import clean, has_hidden

HOSTILE = st.text(
    alphabet=st.one_of(
        st.sampled_from(
            "\x1b[]PX^_\\m;0152c\x07\x9b\x9c\x9d\x90\r\n\t\x00\x7f\u200b\u200c\u200d\u202e\u2066\u2028\ufeff\ufe0f\ufe00"
            "\U000e0041\U000e0100\ud800\u17b4\u061c\xad\u3164 aZ\u0627\u0915\u1780é👩💻☁"
        ),
        st.characters(),
    ),
    max_size=60,
)
ALLOWED_FORMAT = {"\u200c", "\u200d"}


@given(HOSTILE)
def test_nothing_a_terminal_obeys_or_a_reader_cannot_see_is_left(text: str) -> None:
    for index, char in enumerate(out := clean(text)):
        category = unicodedata.category(char)
        assert category not in {"Cc", "Cs", "Zl", "Zp"} or char == "\n"
        if category == "Cf" and char not in "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2":
            assert char in ALLOWED_FORMAT or unicodedata.name(char).startswith(("KAITHI", "EGYPTIAN")), hex(ord(char))
            if char in ALLOWED_FORMAT:
                assert 0 < index < len(out) - 1
    assert "\n" not in clean(text, newlines=False)


@given(HOSTILE)
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    once = clean(text)
    assert clean(once) == once
    assert not has_hidden(once)


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=60))
def test_letters_digits_punctuation_and_symbols_of_any_script_stay(text: str) -> None:
    ordinary = "".join(char for char in text if char not in "\u115f\u1160\u3164\uffa0")
    assert clean(ordinary) == ordinary


@pytest.mark.parametrize(
    "text",
    [
        "agent ready",
        "two\nlines",
        "日本語のテスト",
        "한국어",
        "می‌خواهم",
        "क्‍ष",
        "👩‍💻 👨‍👩‍👧 🏳️‍🌈 ⚠️ 1️⃣",
        "é e\u0301",
        "葛\U000e0100",
        "",
    ],
)
def test_ordinary_writing_is_the_same_object(text: str) -> None:
    assert clean(text) == text
    assert not has_hidden(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b]52;c;U1RPTEVO\x07b", "a␛b"),
        ("a\x1b]2;title\x1b\\b", "a␛b"),
        ("a\x9d2;title\x9cb", "a␛b"),
        ("a\x1bPq#0\x1b\\b\x1b_x\x1b\\", "a␛b␛"),
        ("\x1b]8;;http://evil\x1b\\text\x1b]8;;\x1b\\", "␛text␛"),
        ("\x1b[2J\x1b[1;1Hfake", "␛␛fake"),
        ("\x1b[31mred\x1b[0m \x9b1mbold", "red bold"),
        ("\x1b]52;c;never ended", "␛]52;c;never ended"),
        ("\x1b[\x1b[31m31m", "␛"),
        ("\x1bc\x1b", "␛␛"),
        ("a\x00b\x07c\x7f", "a␀b␇c␡"),
        ("user\u202egnp.exe", "user�gnp.exe"),
        ("pay\u200b\u200b\u2060pal", "pay�pal"),
        ("hi\U000e0041\U000e0042", "hi�"),
        ("😀\U000e0101\U000e0102", "😀\U000e0101�"),
        ("a\u200db", "a�b"),
        ("\ud800x", "�x"),
        ("one\u2028two", "one�two"),
        ("a\r\nb\rc\td", "a\nb␍c    d"),
    ],
)
def test_hostile_text_is_made_visible(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_hidden_text_is_told_but_colours_tabs_and_line_ends_are_not() -> None:
    assert has_hidden("a\u202eb")
    assert has_hidden("a\x1b]0;t\x07")
    assert not has_hidden("\x1b[32mok\x1b[0m\tdone\r\n")


def test_a_flood_of_introducers_takes_linear_time() -> None:
    flood = "\x9d" * 200_000 + "\x1b]" * 200_000
    assert set(clean(flood)) <= {"␛", "�", "]"}
