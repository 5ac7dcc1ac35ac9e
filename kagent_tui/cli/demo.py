"""``kagent-tui demo``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from kagent_tui.cli import EXIT_OTHER
from kagent_tui.cli.dashboard import refuse_without_terminal

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from kagent_tui.local.models import CHOICES

    parser.add_argument(
        "--model",
        choices=CHOICES,
        default="auto",
        help="auto takes the first there is a key for, a running Ollama, else the scripted offline model",
    )
    parser.add_argument("--port", type=int, default=None, help="port of the API server (default: a free one)")


def run(args: argparse.Namespace) -> int:
    """Run the demo until the dashboard is closed."""
    if reason := refuse_without_terminal():
        sys.stderr.write(f"kagent-tui: {reason}\n")
        return EXIT_OTHER
    from kagent_tui.local.demo import NAMESPACE, run_demo

    def dashboard(kubeconfig: Path, banner: str) -> int:
        from kagent_tui.app import run_dashboard

        return run_dashboard(
            kubeconfig=str(kubeconfig),
            context=None,
            namespace=NAMESPACE,
            all_namespaces=False,
            readonly=args.readonly,
            mouse=args.mouse,
            banner=banner,
        )

    def say(line: str) -> None:
        sys.stderr.write(f"  {line}\n")
        sys.stderr.flush()

    return run_demo(args.model, port=args.port, dashboard=dashboard, say=say)
