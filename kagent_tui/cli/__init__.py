"""The command line: one module per command, imported only when its command runs.

This module must stay cheap: ``kagent-tui --version`` and shell completion pay for every import made here. A command
module has ``add_arguments(parser)`` and ``run(args) -> int``; ``args`` also holds the options that stand before it.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import NamedTuple, NoReturn, Protocol, cast

__all__ = ["EXIT_FAILED", "EXIT_INPUT_REQUIRED", "EXIT_OK", "EXIT_OTHER", "EXIT_USAGE", "main"]

EXIT_OK = 0
EXIT_OTHER = 1
EXIT_INPUT_REQUIRED = 2
EXIT_FAILED = 3
EXIT_USAGE = 64  # sysexits.h EX_USAGE; 2 means that an agent waits for input


class CommandModule(Protocol):
    """What every module of this package offers."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, args: argparse.Namespace) -> int: ...


_CLUSTER = frozenset({"kubeconfig", "context", "namespace", "all_namespaces"})
_SCREEN = frozenset({"readonly", "mouse"})


class Command(NamedTuple):
    """One line of ``kagent-tui --help``, and which of the options that stand before a command mean something to it."""

    name: str
    help: str
    options: frozenset[str] = _CLUSTER
    subcommands: bool = False


COMMANDS = (
    Command("demo", "a throwaway local cluster with sample agents, and the dashboard on it", _SCREEN),
    Command("local", "the embedded cluster: up, down, status, reset, kubeconfig", frozenset(), subcommands=True),
    Command("chat", "ask an agent and stream its answer", _CLUSTER | {"url"}),
    Command(
        "approvals", "what waits for a decision: list, approve, reject, answer; the audit trail", _CLUSTER | {"url"}
    ),
    Command("sessions", "sessions with agents: list, search, export, rename, share, delete", _CLUSTER | {"url"}),
    Command("get", "list resources"),
    Command("describe", "show one resource with its conditions, references and events"),
    Command("apply", "create or update resources from YAML"),
    Command("delete", "delete resources"),
    Command("logs", "logs of an agent's or MCP server's Pods"),
    Command("config", "the configuration file: validate, schema, show, keys, path", frozenset()),
)
_DASHBOARD = Command("", "the dashboard", _CLUSTER | _SCREEN)


class Parser(argparse.ArgumentParser):
    """An argument parser that ends with 64 on wrong usage, as the exit codes of this program say."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(EXIT_USAGE, f"{self.prog}: {message}\n")


def _cluster_options(*, default: object) -> argparse.ArgumentParser:
    """Return the options that say which cluster; they are accepted before and after the command."""
    options = argparse.ArgumentParser(add_help=False)
    group = options.add_argument_group("which cluster")
    group.add_argument("--kubeconfig", default=default, metavar="FILE", help="kubeconfig file (default: $KUBECONFIG)")
    group.add_argument("--context", default=default, metavar="NAME", help="context of the kubeconfig")
    group.add_argument("-n", "--namespace", default=default, metavar="NS", help="namespace (default: the context's)")
    group.add_argument(
        "-A", "--all-namespaces", action="store_true", default=default, help="every namespace you may read"
    )
    group.add_argument(
        "--url", default=default, metavar="URL", help="HTTP API of a controller, for chat without a kubeconfig"
    )
    return options


def _top_parser() -> Parser:
    listing = "\n".join(f"  {command.name:<10} {command.help}" for command in COMMANDS)
    parser = Parser(
        prog="kagent-tui",
        description="kagent for people who live in a terminal. Without a command: the dashboard.",
        epilog=f"commands:\n{listing}\n\nkagent-tui COMMAND --help explains a command.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[_cluster_options(default=None)],
    )
    parser.add_argument("--readonly", action="store_true", help="the dashboard changes nothing")
    parser.add_argument("--mouse", action="store_true", help="let the dashboard take the mouse")
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    parser.add_argument("command", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; every expected error is one line on standard error."""
    args = _top_parser().parse_args(argv)
    if args.version:
        from kagent_api.names import VERSION

        sys.stdout.write(f"kagent-tui {VERSION}\n")
        return EXIT_OK
    try:
        if not args.command:
            return _refuse_idle(args, _DASHBOARD) or _load("dashboard").run(args)
        return _run_command(args)
    except KeyboardInterrupt:
        return 130  # the shell's own code for SIGINT
    except BrokenPipeError:
        sys.stderr.close()  # the reader left; Python's own message about it helps no one
        return EXIT_OTHER
    except Exception as error:
        return _report(error)


def _run_command(args: argparse.Namespace) -> int:
    name, *rest = cast("list[str]", args.command)
    command = next((each for each in COMMANDS if each.name == name), None)
    if command is None:
        known = ", ".join(each.name for each in COMMANDS)
        sys.stderr.write(f"kagent-tui: there is no command {name!r}; there are: {known}\n")
        return EXIT_USAGE
    module = _load(name)
    parents = [_cluster_options(default=argparse.SUPPRESS)] if command.options & _CLUSTER else []
    parser = Parser(prog=f"kagent-tui {name}", description=command.help, parents=parents)
    module.add_arguments(parser)
    # Options may stand between a command's arguments, where argparse can do that: not above subcommands.
    parse = parser.parse_args if command.subcommands else parser.parse_intermixed_args
    parsed = parse(rest, namespace=args)
    return _refuse_idle(parsed, command) or module.run(parsed)


def _refuse_idle(args: argparse.Namespace, command: Command) -> int:
    """Return 64 for an option that the command would ignore, else 0."""
    given = {name for name in (*_CLUSTER, *_SCREEN, "url") if getattr(args, name, None)}
    idle = sorted(f"--{name.replace('_', '-')}" for name in given - command.options)
    if not idle:
        return EXIT_OK
    what = f"the command {command.name!r}" if command.name else "the dashboard"
    sys.stderr.write(f"kagent-tui: {what} takes no {', '.join(idle)}")
    sys.stderr.write("; it is for: kagent-tui chat AGENT MESSAGE\n" if "--url" in idle else "\n")
    return EXIT_USAGE


def _load(name: str) -> CommandModule:
    return cast("CommandModule", importlib.import_module(f"kagent_tui.cli.{name}"))


def _report(error: Exception) -> int:
    """Print an expected error as one line; let a fault of ours out with its traceback."""
    from kagent_api.errors import KagentError

    if not isinstance(error, KagentError):
        raise error
    from kagent_tui.safety import clean

    sys.stderr.write(f"kagent-tui: {clean(str(error))}\n")
    return EXIT_OTHER
