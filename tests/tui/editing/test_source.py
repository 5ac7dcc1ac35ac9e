"""One field changes; every other character stays."""

from __future__ import annotations

import copy
import difflib
from typing import Any, cast

import pytest

from kagent_api.errors import InvalidSpec
from kagent_tui.editing.document import BrokenYaml, parse
from kagent_tui.editing.source import Path, at, dotted, drop, put, steps

TEXT = """\
# the team's agent
apiVersion: kagent.dev/v1alpha2
kind: Agent
metadata:
  name: time   # short
  namespace: kagent
  annotations:
    kagent-tui.dev/engine: 'upstream' # quoted on purpose
spec:
  type: Declarative

  declarative:
    # which model
    modelConfig: qwen # the cheap one
    systemMessage: |
      You help.

        - indented

    # what it may use
    tools:
      - type: McpServer # a remark
        mcpServer: {kind: MCPServer, name: clock, toolNames: [now, "it's"]}
      # the other agent
      - type: Agent
        agent:
          name: other
    memory:
  skills: {}
# the end
"""


def changed(before: str, after: str) -> list[str]:
    lines = difflib.ndiff(before.splitlines(), after.splitlines())
    return [line for line in lines if line[0] in "+-"]


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (("metadata", "name"), "clock", ["-   name: time   # short", "+   name: clock   # short"]),
        (
            ("spec", "declarative", "modelConfig"),
            "a: b",
            ["-     modelConfig: qwen # the cheap one", "+     modelConfig: 'a: b' # the cheap one"],
        ),
        (
            ("metadata", "annotations", "kagent-tui.dev/engine"),
            "kagent-tui",
            [
                "-     kagent-tui.dev/engine: 'upstream' # quoted on purpose",
                "+     kagent-tui.dev/engine: kagent-tui # quoted on purpose",
            ],
        ),
        (("spec", "declarative", "stream"), True, ["+     stream: true"]),
        (("spec", "skills", "refs", 0), "a/b:1", ["-   skills: {}", "+   skills:", "+     refs:", "+       - a/b:1"]),
        (
            ("spec", "declarative", "memory", "modelConfig"),
            "m",
            ["+       modelConfig: m"],
        ),
        (("spec", "declarative", "tools", 1, "agent", "namespace"), "x", ["+           namespace: x"]),
        (
            ("spec", "declarative", "tools", 2),
            {"type": "Agent", "agent": {"name": "nine"}},
            ["+       - type: Agent", "+         agent:", "+           name: nine"],
        ),
        (("metadata", "labels"), {"no": "1"}, ["+   labels:", "+     \"no\": '1'"]),
    ],
)
def test_a_field_is_set_and_nothing_else_moves(path: Path, value: Any, expected: list[str]) -> None:
    after = put(TEXT, path, value)
    assert at(parse(after).object, path) == value
    lines = changed(TEXT, after)
    assert [line.rstrip() for line in lines] == expected
    assert put(after, path, value) == after or at(parse(put(after, path, value)).object, path) == value


def test_flow_collections_stay_on_their_line() -> None:
    names = ("spec", "declarative", "tools", 0, "mcpServer", "toolNames")
    after = put(TEXT, (*names, 2), "a, b")
    assert 'mcpServer: {kind: MCPServer, name: clock, toolNames: [now, it\'s, "a, b"]}' in after
    assert at(parse(after).object, names) == ["now", "it's", "a, b"]
    fewer = drop(after, (*names, 0))
    assert at(parse(fewer).object, names) == ["it's", "a, b"]
    assert at(parse(drop(TEXT, names)).object, names[:-1]) == {"kind": "MCPServer", "name": "clock"}


@pytest.mark.parametrize("value", ["One line.", "Two\nlines\n", "- odd\n  \n start", "", "a # b", "汉字：好\n"])
def test_long_texts_come_and_go(value: str) -> None:
    path = ("spec", "declarative", "systemMessage")
    after = put(TEXT, path, value)
    assert at(parse(after).object, path) == value
    assert "# what it may use" in after
    assert "# the cheap one" in after
    model = ("spec", "declarative", "modelConfig")
    block = put(TEXT, model, value)
    assert at(parse(block).object, model) == value
    assert "# the cheap one" in block


@pytest.mark.parametrize(
    ("path", "gone"),
    [
        (("spec", "declarative", "modelConfig"), ["-     modelConfig: qwen # the cheap one"]),
        (
            ("spec", "declarative", "systemMessage"),
            ["-     systemMessage: |", "-       You help.", "- ", "-         - indented"],
        ),
        (("spec", "declarative", "tools", 1), ["-       - type: Agent", "-         agent:", "-           name: other"]),
        (("spec", "declarative", "memory"), ["-     memory:"]),
        (("spec", "skills"), ["-   skills: {}"]),
    ],
)
def test_a_field_is_taken_out_and_nothing_else_moves(path: Path, gone: list[str]) -> None:
    after = drop(TEXT, path)
    assert at(parse(after).object, path) is None
    assert changed(TEXT, after) == gone


def test_the_first_field_of_an_entry_leaves_the_dash_to_the_next() -> None:
    after = drop(TEXT, ("spec", "declarative", "tools", 1, "type"))
    assert at(parse(after).object, ("spec", "declarative", "tools", 1)) == {"agent": {"name": "other"}}


def test_the_last_entry_takes_its_list_with_it() -> None:
    after = drop(drop(TEXT, ("spec", "declarative", "tools", 1)), ("spec", "declarative", "tools", 0))
    assert "tools" not in parse(after).object["spec"]["declarative"]
    assert "# what it may use" in after


def test_kubectls_style_of_lists_is_kept() -> None:
    text = "kind: A\nspec:\n  tools:\n  - type: x\n    name: y\n"
    assert put(text, ("spec", "tools", 1), {"type": "z"}) == text + "  - type: z\n"
    assert put(text, ("spec", "more"), [1]) == text + "  more:\n  - 1\n"


def paths(value: Any, here: Path = ()) -> list[Path]:
    inner: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        inner = list(cast("dict[str | int, Any]", value).items())
    elif isinstance(value, list):
        inner = list(enumerate(cast("list[Any]", value)))
    return [path for key, one in inner for path in ((*here, key), *paths(one, (*here, key)))]


@pytest.mark.parametrize("value", ["x", "a\nb\n", 3, None, [], {}, ["y", {"a": "b"}], {"k": ["v"]}])
def test_any_field_may_become_anything_and_may_go(value: Any) -> None:
    before = parse(TEXT).object
    for path in paths(before):
        expected = copy.deepcopy(before)
        outer: Any = at(expected, path[:-1]) if path[1:] else expected
        outer[path[-1]] = value
        after = put(TEXT, path, value)
        assert parse(after).object == expected, (path, after)
        assert "# the end" in after
        gone = parse(drop(after, path)).object
        assert len(path) == 1 or isinstance(path[-1], int) or at(gone, path) is None, path


def test_broken_yaml_is_left_alone() -> None:
    with pytest.raises(BrokenYaml):
        put("a: [", ("a",), 1)
    with pytest.raises(InvalidSpec, match="in the way"):
        put("a: text\n", ("a", "b"), 1)


def test_paths_are_written_and_read() -> None:
    assert dotted(("spec", "tools", 0, "name")) == "spec.tools[0].name"
    assert steps("spec.tools[0].name") == ("spec", "tools", 0, "name")
