"""The registry of commands."""

from __future__ import annotations

from collections import Counter

import pytest

from kagent_api.errors import InvalidSpec
from kagent_tui.commands.defaults import COMMANDS
from kagent_tui.commands.registry import Command, Parsed, Registry, Scope
from kagent_tui.render.help import help_lines


def test_no_key_means_two_things_in_one_place() -> None:
    together: list[tuple[Scope, ...]] = [
        ("browse", "move", "app"), ("text", "move"), ("edit",), ("review", "move"), ("app",),
    ]  # fmt: skip
    for scopes in together:
        keys = Counter(key for command in COMMANDS.of(*scopes) for key in command.keys)
        assert [key for key, times in keys.items() if times > 1] == []


def test_no_command_that_destroys_has_a_control_key() -> None:
    assert not [one.id for one in COMMANDS if "delete" in one.id and any("ctrl" in key for key in one.keys)]


def test_every_command_is_in_the_help_with_its_keys() -> None:
    text = "\n".join(line.plain for line in help_lines(COMMANDS))
    for command in COMMANDS:
        assert command.help in text
        assert all(key in text for key in command.keys)


@pytest.mark.parametrize(
    ("typed", "command", "argument"),
    [
        (":agents", "app.agents", ""),
        ("ns  team-a ", "app.ns", "team-a"),
        ("q!", "app.leave", ""),
        ("desc", "browse.describe", ""),
    ],
)
def test_a_line_is_understood(typed: str, command: str, argument: str) -> None:
    assert COMMANDS.parse(typed) == Parsed(COMMANDS[command], argument)


def test_an_empty_line_is_nothing_and_an_unknown_one_says_what_is_near() -> None:
    assert COMMANDS.parse(" : ") is None
    with pytest.raises(InvalidSpec, match="agents"):
        COMMANDS.parse("agnets")


def test_words_and_arguments_are_completed() -> None:
    assert COMMANDS.complete("ag", {})[0] == "agents"
    names = ["kagent", "kube-system"]
    found = COMMANDS.complete("ns ka", {"app.ns": lambda typed: [one for one in names if one.startswith(typed)]})
    assert found == ["ns kagent"]
    assert COMMANDS.complete("nonsense x", {}) == []


def test_two_commands_cannot_share_a_word() -> None:
    one = Command("app.a", "a", "a", "app", (), ("same",))
    with pytest.raises(ValueError, match="same"):
        Registry((one, Command("app.b", "b", "b", "app", (), ("same",))))
