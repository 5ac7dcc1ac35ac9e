"""Cards, notices and questions as lines; YAML that a reader reads back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from kagent_tui.chat.blocks import entry_lines, result_text, seconds_text
from kagent_tui.chat.events import Question, QuestionItem
from kagent_tui.chat.lines import plain
from kagent_tui.chat.transcript import (
    Entry,
    NoticeEntry,
    QuestionEntry,
    ThoughtEntry,
    ToolEntry,
    ToolState,
    UserEntry,
)
from kagent_tui.chat.yamltext import dump

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(st.characters(codec="utf-8"), max_size=12)
    | st.sampled_from(["y", "no", "on", "1e3", "0x1", "- a", "a: b", "#", "a\nb", "a\n\n", " a", "null", "~", "1:30"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abyn: #-", max_size=4), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


def shown(entry: Entry, width: int = 80, *, unfolded: bool = False) -> list[str]:
    return [plain(line) for line in entry_lines(entry, width, unfolded=unfolded)]


@settings(deadline=None)
@given(JSON)
def test_yaml_to_read_is_yaml_that_reads_back(value: Any) -> None:
    for version in ((1, 1), (1, 2)):
        reader: Any = YAML(typ="safe")  # ruamel's own types are partly unknown
        reader.version = version
        assert reader.load(dump(value)) == value


def test_a_folded_card_is_one_line_with_arguments_state_and_duration() -> None:
    card = ToolEntry("c", "get_time", {"zone": "Asia/Tokyo", "deep": {"a": 1}}, ToolState.DONE, started=1.0, ended=1.8)
    assert shown(card) == ["▸ tool get_time  zone: Asia/Tokyo, deep: {…}  ✔ done 800ms"]
    card.measured = 0.0421
    assert shown(card)[0].endswith("✔ done 42ms")


def test_an_unfolded_card_has_arguments_and_result_as_yaml() -> None:
    result = {"content": [{"type": "text", "text": '{"time": "19:00", "ok": true}'}], "isError": False}
    card = ToolEntry("c", "get_time", {"zone": "y"}, ToolState.DONE, result)
    assert shown(card, unfolded=True) == [
        "▾ tool get_time  ✔ done",
        "  arguments",
        '    zone: "y"',
        "  result",
        '    time: "19:00"',
        "    ok: true",
    ]


def test_a_huge_result_is_cut_in_its_card_and_says_so() -> None:
    card = ToolEntry("c", "logs", {}, ToolState.DONE, {"content": [{"type": "text", "text": "line\n" * 1_000_000}]})
    lines = shown(card, unfolded=True)
    assert len(lines) < 300
    assert lines[-1] == "    … 5,000,000 characters in all; p shows them"


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (
            {"content": [{"type": "text", "text": "a"}, {"type": "image", "mimeType": "image/png"}]},
            "a\n[image image/png]",
        ),
        ({"result": "plain"}, "plain"),
        ("plain", "plain"),
        ({"error": {"code": 3}}, "error:\n  code: 3"),
        ([1, {"a": 2, "b": [3]}], "- 1\n- a: 2\n  b:\n    - 3"),
        (None, ""),
    ],
)
def test_results_read_as_text(result: Any, text: str) -> None:
    assert result_text(result) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.004, "4ms"), (1.24, "1.2s"), (59.4, "59.4s"), (185, "3m05s")])
def test_durations_read_as_people_say_them(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text


def test_thinking_is_folded_until_asked_for() -> None:
    entry = ThoughtEntry("b", "let me think about it", done=True)
    assert shown(entry) == ["▸ thought (5 words)"]
    assert shown(entry, unfolded=True) == ["▾ thinking", "  let me think about it"]


def test_notices_and_questions_say_what_to_do_and_what_was_said() -> None:
    assert shown(NoticeEntry("error", "refused", "check the key")) == ["✖ error: refused", "  → check the key"]
    question = Question("r", "c", (QuestionItem("Which?", ("a", "b")),))
    assert shown(QuestionEntry(question, (("b",),))) == ["? Which?", "  → b"]
    assert shown(UserEntry("one\ntwo")) == ["› one", "  two"]


@settings(deadline=None)
@given(st.text(max_size=60), st.integers(20, 80))
def test_no_field_of_a_card_breaks_out_of_its_line(hostile: str, width: int) -> None:
    card = ToolEntry("c", hostile, {hostile: hostile}, ToolState.FAILED, {"error": hostile}, hint=hostile)
    card.progress = hostile
    card.activity.append(hostile)
    for unfolded in (False, True):
        for line in entry_lines(card, width, unfolded=unfolded):
            assert "\n" not in plain(line)
            assert "\x1b" not in plain(line)
