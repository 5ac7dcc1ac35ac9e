"""What is offered at the cursor of a YAML draft, place by place."""

from __future__ import annotations

import pytest

from kagent_tui.cluster.kinds import JsonObject
from kagent_tui.editing.completion import Spot, offers, spot_at

AGENT = """\
apiVersion: kagent.dev/v1alpha2
kind: Agent
metadata:
  name: time
spec:
  type: Declarative
  declarative:
    modelConfig: qwen
    systemMessage: |
      Say what time it is.
      tools:
    tools:
    - type: McpServer
      mcpServer:
        name: clock
        toolNames:
        - now
    - type: Agent
      agent:
        name: other
"""


def spot(text: str) -> tuple[list[str], Spot | None]:
    """Return the lines and the place of the ``^`` in a text."""
    at = text.index("^")
    before = text[:at]
    lines = text.replace("^", "").split("\n")
    return lines, spot_at(lines, before.count("\n"), len(before) - before.rfind("\n") - 1)


def offered(text: str, obj: JsonObject | None = None) -> list[str]:
    lines, found = spot(text)
    return [] if found is None else [one.text for one in offers(lines, found, obj or {})]


def with_line(after: str, line: str) -> str:
    """Return the agent with a line put in after another."""
    return AGENT.replace(f"{after}\n", f"{after}\n{line}\n", 1)


@pytest.mark.parametrize(
    ("text", "path", "kind", "typed"),
    [
        ("^", (), "field", ""),
        ("ki^", (), "field", "ki"),
        ("kind: Ag^", ("kind",), "value", "Ag"),
        ("spec:\n  de^", ("spec",), "field", "de"),
        ("spec:\n  tools:\n  - ^", ("spec", "tools", 0), "field", ""),
        ("spec:\n  tools:\n  - type: A^", ("spec", "tools", 0, "type"), "value", "A"),
        ("spec:\n  tools:\n  - type: A\n    a^", ("spec", "tools", 0), "field", "a"),
        ("spec:\n  tools:\n    - type: A\n    - t^", ("spec", "tools", 1), "field", "t"),
        ("spec:\n  tools:\n  - type: A\n  - type: B\n    b:\n      c: ^", ("spec", "tools", 1, "b", "c"), "value", ""),
        ("a:\n- b:\n  - c\n  - d^", ("a", 0, "b", 1), "field", "d"),
        ("a:\n  # words: here\n\n  b^", ("a",), "field", "b"),
        ('a:\n  "b": x\n  c: "d^', ("a", "c"), "value", "d"),
        ("a: |\n  words\nb^", (), "field", "b"),
    ],
)
def test_the_place_is_read_from_indentation(text: str, path: tuple[object, ...], kind: str, typed: str) -> None:
    _, found = spot(text)
    assert found is not None
    assert (found.path, found.kind, found.typed) == (path, kind, typed)


@pytest.mark.parametrize(
    "text", ["a: |\n  wor^", "a: >-\n  one\n  t^", "a: 1 # no^", "# a^", "a: {b^", "a: [^", "a^ b", "a: ^b"]
)
def test_nothing_is_offered_in_texts_comments_flow_collections_and_inside_a_word(text: str) -> None:
    assert spot(text)[1] is None


def test_fields_that_are_needed_or_matter_come_first_and_those_there_are_left_out() -> None:
    found = offered(with_line("  type: Declarative", "  ^"))
    assert "type: " not in found
    assert "declarative:" not in found
    assert "description: " in found


def test_a_field_of_an_entry_is_offered_by_what_the_entry_lacks() -> None:
    text = AGENT.replace("        name: clock\n", "        name: clock\n        ^\n")
    found = offered(text)
    assert {"kind: ", "requireApproval:"} <= set(found)
    assert not {"name: ", "toolNames:"} & set(found)


def test_the_fields_of_the_next_entry_are_not_those_of_this_one() -> None:
    text = AGENT.replace("    - type: Agent\n      agent:\n        name: other\n", "    - ^\n    - type: Agent\n")
    assert "type: " in offered(text)


def test_values_are_those_of_the_schema() -> None:
    assert offered("apiVersion: kagent.dev/v1alpha2\nkind: Agent\nspec:\n  type: ^") == ["Declarative", "BYO"]
    assert offered(with_line("    modelConfig: qwen", "    stream: t^")) == ["true"]
    assert offered("kind: mod^") == ["ModelConfig", "ModelProviderConfig"]


def test_a_provider_s_own_block_is_offered_only_beside_that_provider() -> None:
    text = "apiVersion: kagent.dev/v1alpha2\nkind: ModelConfig\nspec:\n  provider: Ollama\n  o^"
    found = offered(text, {"kind": "ModelConfig", "spec": {"provider": "Ollama"}})
    assert "ollama:" in found
    assert "openAI:" not in found


def test_a_kind_without_a_schema_offers_nothing() -> None:
    assert offered("apiVersion: apps/v1\nkind: Deployment\nspec:\n  re^") == []
