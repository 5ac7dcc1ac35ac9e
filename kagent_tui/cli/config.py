"""``kagent-tui config validate|schema|show|keys|path``: the one configuration file."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from kagent_tui.cli import EXIT_OK, EXIT_OTHER

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Take what to do, and a file other than the usual one."""
    parser.add_argument(
        "what",
        choices=("validate", "schema", "show", "keys", "path"),
        help="validate: say what is wrong; schema: the JSON schema; show: the values in effect; "
        "keys: every command with its id and keys; path: where it is",
    )
    parser.add_argument("file", nargs="?", metavar="FILE", help="another file than the one in use")


def run(args: argparse.Namespace) -> int:
    """Do it; 1 when the file has a problem."""
    from kagent_tui.config import config_file

    file = Path(args.file) if args.file else config_file()
    match args.what:
        case "schema":
            from kagent_tui.config.schema import schema

            sys.stdout.write(json.dumps(schema(), indent=2, ensure_ascii=False) + "\n")
            return EXIT_OK
        case "path":
            sys.stdout.write(f"{file}\n")
            return EXIT_OK
        case "show":
            return _show(file)
        case "keys":
            return _keys(file)
        case _:
            return _validate(file, named=bool(args.file))


def _validate(file: Path, *, named: bool) -> int:
    from kagent_tui.config import load
    from kagent_tui.safety import clean

    if not file.exists():
        out = sys.stderr if named else sys.stdout
        out.write(f"{file}: there is no such file" + ("\n" if named else "; the defaults hold\n"))
        return EXIT_OTHER if named else EXIT_OK
    _, problems = load(file)
    for problem in problems:
        sys.stderr.write(f"{file}: {clean(str(problem), newlines=False)}\n")
    if problems:
        return EXIT_OTHER
    sys.stdout.write(f"{file}: fine\n")
    return EXIT_OK


def _show(file: Path) -> int:
    from dataclasses import asdict

    from kagent_tui.config import load
    from kagent_tui.safety import clean

    config, problems = load(file)
    for name, value in asdict(config).items():
        shown = json.dumps(value, ensure_ascii=False)
        sys.stdout.write(f"{name} = {clean(shown)}\n")
    for problem in problems:
        sys.stderr.write(f"{file}: {clean(str(problem), newlines=False)}\n")
    return EXIT_OTHER if problems else EXIT_OK


def _keys(file: Path) -> int:
    from kagent_tui.cli.printout import columns
    from kagent_tui.commands.defaults import COMMANDS
    from kagent_tui.config import load
    from kagent_tui.config.keymap import resolve

    config, _ = load(file)
    COMMANDS.rebind(resolve(config.keys, config.keymap))
    rows = [["ID", "KEYS", "WHAT IT DOES"]]
    rows += [[command.id, " ".join(command.keys) or "-", command.help] for command in COMMANDS]
    sys.stdout.write(columns(rows, widest=70))
    return EXIT_OK
