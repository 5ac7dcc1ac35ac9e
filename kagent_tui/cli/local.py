"""``kagent-tui local up|down|status|reset|kubeconfig``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from kagent_tui.local.process import DEFAULT_PORT

    verbs = parser.add_subparsers(dest="verb", required=True, metavar="up|down|status|reset|kubeconfig")
    each: dict[str, argparse.ArgumentParser] = {
        "up": verbs.add_parser("up", help="start the cluster and stay in the foreground"),
        "down": verbs.add_parser("down", help="stop it; returns when the last process has ended"),
        "status": verbs.add_parser("status", help="whether it runs, with its addresses"),
        "reset": verbs.add_parser("reset", help="stop it and remove everything it holds"),
        "kubeconfig": verbs.add_parser("kubeconfig", help="print the path of its kubeconfig"),
    }
    for verb in each.values():
        verb.add_argument("--data-dir", type=Path, default=None, metavar="DIR", help="where the cluster lives")
    each["up"].add_argument("--port", type=int, default=DEFAULT_PORT, help=f"API server's port ({DEFAULT_PORT})")
    each["up"].add_argument("--detach", action="store_true", help="return once the operator is ready")
    each["up"].add_argument(
        "--node", choices=("process", "hollow"), default="process", help="hollow: Pods become Ready without processes"
    )
    each["reset"].add_argument("--yes", action="store_true", help="do not ask")


def run(args: argparse.Namespace) -> int:
    """Run one verb."""
    from kagent_tui.local import commands
    from kagent_tui.local.process import default_data_dir

    data_dir: Path = (args.data_dir or default_data_dir()).absolute()

    def out(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    def progress(text: str) -> None:
        sys.stderr.write(f"  {text}\n")

    match args.verb:
        case "up":
            return commands.up(data_dir, port=args.port, node=args.node, detach=args.detach, out=out, progress=progress)
        case "down":
            return commands.down(data_dir, out=out)
        case "status":
            return commands.status(data_dir, out=out)
        case "reset":
            return commands.reset(data_dir, confirm=lambda text: args.yes or _ask(text), out=out)
        case _:
            return commands.kubeconfig(data_dir, out=out)


def _ask(question: str) -> bool:
    if not sys.stdin.isatty():
        sys.stderr.write("kagent-tui: this removes data; say --yes to do it without a question\n")
        return False
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
