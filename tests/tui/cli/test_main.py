"""The command line's frame: dispatch, usage errors, exit codes, what it costs."""

from __future__ import annotations

import argparse
import subprocess
import sys

import pytest

from kagent_tui.cli import COMMANDS, main


def test_version_imports_nothing_heavy() -> None:
    program = (
        "import sys; from kagent_tui.cli import main; main(['--version']);"
        "heavy = {'textual', 'httpx', 'pydantic', 'a2a', 'kubernetes', 'yaml', 'kagent_localcluster'};"
        "print(sorted(heavy & {name.partition('.')[0] for name, module in sys.modules.items() if module}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["kagent-tui 0.1.0", "[]"]


def test_an_unknown_command_is_a_usage_error_that_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["agnets"]) == 64
    assert "'agnets'" in capsys.readouterr().err


def test_a_wrong_option_ends_with_64(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["local", "up", "--port", "many"])
    assert ended.value.code == 64
    assert "--port" in capsys.readouterr().err


@pytest.mark.parametrize(
    "argv",
    [
        ["--url", "http://x"],
        ["--readonly", "get", "agents"],
        ["--context", "a", "demo"],
        ["get", "agents", "--url", "x"],
    ],
)
def test_an_option_that_would_be_ignored_is_refused(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 64
    option = next(word for word in argv if word.startswith("--"))
    assert f"takes no {option}" in capsys.readouterr().err


@pytest.mark.parametrize("command", [each.name for each in COMMANDS])
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"kagent-tui {command}" in capsys.readouterr().out


def test_the_dashboard_refuses_to_draw_where_there_is_no_terminal() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kagent_tui"], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    assert done.returncode == 1
    assert "needs a terminal" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "words", [["qa", "-n", "kagent", "hello"], ["-n", "kagent", "qa", "hello"], ["qa", "hello", "-n", "kagent"]]
)
def test_options_may_stand_anywhere_between_arguments(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[argparse.Namespace] = []

    def run(args: argparse.Namespace) -> int:
        seen.append(args)
        return 0

    monkeypatch.setattr("kagent_tui.cli.chat.run", run)
    assert main(["chat", *words]) == 0
    assert (seen[0].agent, seen[0].message, seen[0].namespace) == ("qa", "hello", "kagent")
