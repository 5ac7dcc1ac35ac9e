"""The image map: which rule fits, what is started, and what a broken file does."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from kagent_localcluster.runner.environment import Variables
from kagent_localcluster.runner.images import ImageMap, ImageRule, InvalidImageMap, parse_rules
from kagent_localcluster.runner.launch import CannotStart, Launch, Surroundings, plan_launch
from kagent_localcluster.seams import JsonObject

RULES: JsonObject = {
    "rules": [
        {"image": "ghcr.io/x/agentgateway:*", "commands": [{"match": ["/adapter/gw"], "run": ["/bin/echo", "bridge"]}]},
        {"image": "ghcr.io/x/*", "entrypoint": ["/bin/echo", "engine"], "env": {"RULE": "1"}, "path": ["/opt/tools"]},
        {"image": "*init*", "skip": True},
    ]
}


def rule_for(image: str) -> ImageRule | None:
    from fnmatch import fnmatchcase

    return next((rule for rule in parse_rules(RULES, "test") if fnmatchcase(image, rule.image)), None)


def launch(container: JsonObject, image: str = "ghcr.io/x/engine:1", **around: object) -> Launch:
    rule = rule_for(image)
    assert rule is not None
    surroundings = Surroundings(
        machine={"PATH": os.environ["PATH"], "HOME": "/users/me"},
        provided={"HOSTNAME": "p"},
        ports={8080: 20_001},
        mounts={"/config": "/real/config", "/adapter": "/real/adapter"},
        paths={"/dev/termination-log": "/real/message"},
        directory=Path("/"),
    )
    return plan_launch({"image": image, **container}, rule, Variables({"A": "8080"}, frozenset()), surroundings)


def test_the_entrypoint_is_for_this_machine_and_the_arguments_are_translated() -> None:
    found = launch({"args": ["--port", "8080", "--filepath", "/config", "$(A)"]})
    assert found.argv == ("/bin/echo", "engine", "--port", "20001", "--filepath", "/real/config", "20001")


def test_a_command_replaces_the_entrypoint() -> None:
    assert launch({"command": ["echo"], "args": ["x"]}).argv[1:] == ("x",)


def test_a_known_command_line_is_replaced_before_its_path_is_translated() -> None:
    found = launch({"command": ["/adapter/gw"], "args": ["-f", "/config/local.yaml"]}, "ghcr.io/x/agentgateway:1")
    assert found.argv == ("/bin/echo", "bridge", "-f", "/real/config/local.yaml")


def test_declared_variables_win_and_the_rules_path_comes_first() -> None:
    found = launch({"ports": [{"containerPort": 8080}]})
    assert found.env["A"] == "20001"
    assert (found.env["RULE"], found.env["HOSTNAME"], found.env["PORT"]) == ("1", "p", "20001")
    assert found.env["PATH"].startswith("/opt/tools:")
    assert json.loads(found.env["KAGENT_TUI_PATHS"])["/config"] == "/real/config"


@pytest.mark.parametrize("command", [["/app/server"], ["no-such-program-here"]])
def test_a_program_that_is_not_here_is_named_with_its_image(command: list[str]) -> None:
    with pytest.raises(CannotStart, match=rf"'{command[0]}'.*ghcr.io/x/engine:1"):
        launch({"command": command})


def test_an_image_without_entrypoint_needs_a_command() -> None:
    with pytest.raises(CannotStart, match="no command"):
        launch({}, "ghcr.io/x/agentgateway:1")


def test_the_first_rule_that_fits_wins_and_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "images.json"
    path.write_text(json.dumps(RULES))
    images = ImageMap(path)
    found = images.find("ghcr.io/x/agentgateway:2")
    assert found is not None
    assert found.commands
    assert images.find("nginx") is None
    path.write_text(json.dumps({"rules": [{"image": "nginx", "entrypoint": ["/bin/true"]}]}))
    assert images.find("nginx") is not None


def test_a_file_that_breaks_later_keeps_the_rules_it_had(tmp_path: Path) -> None:
    path = tmp_path / "images.json"
    path.write_text(json.dumps(RULES))
    images = ImageMap(path)
    path.write_text("{ not json")
    assert images.find("ghcr.io/x/engine:1") is not None


@pytest.mark.parametrize("content", ["[]", "nonsense", '{"rules":[{}]}', '{"rules":[{"image":"x","commands":[{}]}]}'])
def test_a_broken_file_is_refused_at_start_by_name(tmp_path: Path, content: str) -> None:
    path = tmp_path / "images.json"
    path.write_text(content)
    with pytest.raises(InvalidImageMap, match=r"images\.json"):
        ImageMap(path)
    with pytest.raises(InvalidImageMap, match="No such file"):
        ImageMap(tmp_path / "none.json")
