"""The configuration file: what it may say, what is told about mistakes, and that every command can be rebound."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kagent_tui.cli import main
from kagent_tui.commands.defaults import COMMANDS
from kagent_tui.config import FIELDS, Config, parse
from kagent_tui.config.keymap import PRESETS, key_problems, resolve
from kagent_tui.config.schema import schema

DOCS = Path(__file__).parents[3] / "docs" / "configuration.md"


def test_the_defaults_of_the_list_are_those_of_the_values() -> None:
    values = Config()
    for each in FIELDS:
        assert json.dumps(getattr(values, each.name)) == json.dumps(each.default), each.name


def test_a_whole_file_is_understood() -> None:
    config, problems = parse(
        'theme = "terminal"\nkeys = "vim"\nproduction = "live"\nfavourites = ["a", "b"]\n'
        '[keymap]\nbrowse.logs = "T"\n"browse.new" = "none"\n[aliases]\nbad = "agents /x"\n'
        '[contexts.eu]\ncolour = "red"\nreadonly = false\nnamespaces = ["kagent"]\n'
    )
    assert problems == []
    assert config.context("eu").namespaces == ("kagent",)
    assert config.context("other").colour == ""
    keys = resolve(config.keys, config.keymap)
    assert keys["browse.logs"] == ("T",)
    assert keys["browse.new"] == ()
    assert "ctrl+d" in keys["move.page-down"]


@pytest.mark.parametrize(
    ("text", "field", "word"),
    [
        ("colour = 3", "colour", "no such field"),
        ("themes = 'x'", "themes", "did you mean theme?"),
        ("mouse = 1", "mouse", "true or false"),
        ("clipboard_limit = -1", "clipboard_limit", "0 or more"),
        ("production = '('", "production", "regular expression"),
        ("favourites = 'kagent'", "favourites", "list of texts"),
        ("keymap = 3", "keymap", "table"),
        ("[keymap]\n'browse.foo' = 'x'", "keymap.browse.foo", "no such command"),
        ("[keymap]\n'browse.logs' = 'control-x'", "keymap.browse.logs", "not a key"),
        ("[keymap]\n'browse.logs' = 'd'", "keymap.browse.logs", "browse.describe"),
        ("[keymap]\n'browse.logs' = 'j'", "keymap.browse.logs", "move.down"),
        ("[contexts.a]\ncolour = 'pink'", "contexts.a.colour", "is not one of red"),
        ("[contexts]\na = 3", "contexts.a", "must be a table"),
        ("theme = ", "", "not TOML"),
    ],
)
def test_a_mistake_names_its_field_and_the_rest_counts(text: str, field: str, word: str) -> None:
    lead = "ascii = 'on'\n" if text != "theme = " else ""
    config, problems = parse(lead + text)
    assert [problem.field for problem in problems] == [field]
    assert word in str(problems[0])
    assert config.ascii == ("on" if lead else "auto")


@pytest.mark.parametrize("preset", list(PRESETS))
def test_a_preset_names_commands_that_exist_and_no_key_twice(preset: str) -> None:
    assert [command_id for command_id in PRESETS[preset] if command_id not in COMMANDS] == []
    assert [str(problem) for problem in key_problems("default", PRESETS[preset])] == []
    destroying = [COMMANDS[command_id] for command_id in PRESETS[preset] if COMMANDS[command_id].needs_write]
    assert [key for command in destroying for key in PRESETS[preset][command.id] if key.startswith("ctrl+")] == []


def test_every_command_can_be_rebound() -> None:
    for command in COMMANDS:
        assert key_problems("default", {command.id: ("f24",)}) == []


def test_the_schema_lists_every_field_and_every_command() -> None:
    properties = schema()["properties"]
    assert set(properties) == {each.name for each in FIELDS}
    assert set(properties["keymap"]["properties"]) == {command.id for command in COMMANDS}


def test_the_docs_tell_of_every_field() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert [each.name for each in FIELDS if f"`{each.name}`" not in text] == []


def test_config_validate_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "config.toml"
    file.write_text('theme = "dark"\nmouse = "yes"\n')
    assert main(["config", "validate", str(file)]) == 1
    assert f"{file}: mouse: must be true or false" in capsys.readouterr().err
    file.write_text('theme = "dark"\n')
    assert main(["config", "validate", str(file)]) == 0
    assert main(["config", "schema"]) == 0
    assert json.loads(capsys.readouterr().out.partition("\n")[2])["type"] == "object"
