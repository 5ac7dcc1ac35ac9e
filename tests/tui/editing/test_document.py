"""Objects as YAML and back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kagent_tui.editing.document import BrokenYaml, editable, parse, to_yaml, with_server_fields

if TYPE_CHECKING:
    from ..conftest import Samples

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(values)
def test_what_is_written_reads_back_the_same(value: Any) -> None:
    obj = {"apiVersion": "v1", "spec": value}
    assert parse(to_yaml(obj)).object == obj


@settings(deadline=None)
@given(st.text())
def test_no_text_puts_a_control_or_invisible_character_into_the_yaml(text: str) -> None:
    shown = to_yaml({"spec": text})
    assert all(character == "\n" or character.isprintable() or character == " " for character in shown)


def test_long_texts_are_blocks_and_words_of_yaml_1_1_are_quoted() -> None:
    text = to_yaml({"a": "one\ntwo\n", "b": "yes", "c": "12:30", "d": "plain", "e": "你好", "f": "0755"})
    assert text == 'a: |\n  one\n  two\nb: "yes"\nc: "12:30"\nd: plain\ne: 你好\nf: "0755"\n'


def test_hidden_characters_stand_as_escapes() -> None:
    assert to_yaml({"a": "x\u202ey\x1b[2J"}) == 'a: "x\\u202ey\\e[2J"\n'


def test_what_the_server_owns_is_left_out_and_put_back(samples: type[Samples]) -> None:
    live = samples.agent("a")
    live["metadata"] |= {
        "uid": "1", "resourceVersion": "7", "generation": 3, "managedFields": [{}], "creationTimestamp": "x",
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "mine": "1"},
    }  # fmt: skip
    edited = editable(live)
    assert edited["metadata"] == {
        "name": "a", "namespace": "kagent", "labels": {"app": "a"}, "annotations": {"mine": "1"},
    }  # fmt: skip
    assert "status" not in edited
    back = with_server_fields(edited, live)
    assert back["metadata"]["resourceVersion"] == "7"
    assert back["metadata"]["annotations"] == live["metadata"]["annotations"]


def test_every_field_has_its_line() -> None:
    parsed = parse("kind: Agent\nspec:\n  tools:\n  - name: a\n    kind: x\n  - name: b\n")
    assert parsed.line_of("spec.tools[1].name") == 6
    assert parsed.line_of("spec.tools[0].kind") == 5
    assert parsed.line_of("spec.tools[7].name") == 3
    assert parsed.line_of("nowhere") == 1


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: [1, 2\nc: 3\n", 3, "flow sequence"),
        ("a: 1\n b: 2\n", 2, "mapping values"),
        ("a: 1\na: 2\n", 2, "duplicate key"),
        ("a: \x01\n", 1, "U\\+0001"),
        ("", 1, "nothing here"),
        ("a: 1\n---\nb: 2\n", 1, "more than one"),
        ("- a\n", 1, "no object"),
        ("just text", 1, "no object"),
    ],
)
def test_broken_yaml_names_its_line(text: str, line: int, message: str) -> None:
    with pytest.raises(BrokenYaml, match=message) as caught:
        parse(text)
    assert caught.value.line == line


def test_dates_stay_text() -> None:
    assert json.dumps(parse("a: 2024-01-02\n").object) == '{"a": "2024-01-02"}'
