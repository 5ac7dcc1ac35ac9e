"""What others did comes into a text without costing its comments."""

from __future__ import annotations

import pytest

from kagent_tui.cluster.kinds import JsonObject
from kagent_tui.editing.document import parse
from kagent_tui.editing.merge import merge
from kagent_tui.editing.transplant import transplant

TEXT = """\
# mine
kind: Agent
spec:
  tools:
    # the clock
    - name: a
      mode: fast # for now
    - name: b
  note: |
    long
  list: [x, y]
"""


@pytest.mark.parametrize(
    "spec",
    [
        {"tools": [{"name": "a", "mode": "slow"}, {"name": "b"}, {"name": "c"}], "note": "long\n", "list": ["x", "y"]},
        {"tools": [{"name": "a"}, {"name": "b"}], "note": "short", "list": ["x", "y", "z"], "one": 1, "two": {"k": []}},
        {"note": "long\n"},
        {},
    ],
)
def test_a_text_comes_to_say_what_is_wanted_and_keeps_its_comments(spec: JsonObject) -> None:
    wanted = {"kind": "Agent", "spec": spec}
    after = transplant(TEXT, wanted)
    assert parse(after).object == wanted
    assert after.startswith("# mine\n")
    assert transplant(after, parse(TEXT).object).startswith("# mine\n")


def agent(*tools: str, chosen: tuple[str, ...] = ()) -> JsonObject:
    named = [{"type": "McpServer", "mcpServer": {"name": tool, "toolNames": list(chosen)}} for tool in tools]
    return {"spec": {"tools": named, "args": list(chosen)}}


def test_two_people_add_a_tool_each() -> None:
    found = merge(agent("a"), agent("a", "mine"), agent("a", "theirs"))
    assert not found.clashes
    assert [one["mcpServer"]["name"] for one in found.object["spec"]["tools"]] == ["a", "theirs", "mine"]


def test_tool_names_are_a_set_but_arguments_are_one_value() -> None:
    base, mine, theirs = agent("a", chosen=("x", "y")), agent("a", chosen=("x", "m")), agent("a", chosen=("y", "t"))
    found = merge(base, mine, theirs, prefer_mine=lambda path: path == "spec.args")
    assert [clash.path for clash in found.clashes] == ["spec.args"]
    assert found.object["spec"]["tools"][0]["mcpServer"]["toolNames"] == ["t", "m"]
    assert found.object["spec"]["args"] == ["x", "m"]


def test_one_removes_the_tool_that_the_other_changes() -> None:
    found = merge(agent("a", "b"), agent("a"), agent("a", "b", chosen=("x",)))
    assert "spec.tools[b]" in [clash.path for clash in found.clashes]
