"""``kagent-tui`` without a command: the dashboard on a cluster."""

from __future__ import annotations

import argparse
import os
import sys

from kagent_tui.cli import EXIT_OTHER

__all__ = ["add_arguments", "refuse_without_terminal", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Take nothing: the dashboard's options stand before any command."""


def refuse_without_terminal() -> str:
    """Return why a full-screen program cannot run here, or "" where it can."""
    if not sys.stdin.isatty() or not sys.stdout.isatty():
        return "the dashboard needs a terminal; in scripts use: kagent-tui get agents, kagent-tui chat AGENT MESSAGE"
    if os.environ.get("TERM", "") in ("", "dumb"):
        return "TERM says this terminal cannot draw a screen; use: kagent-tui get agents, kagent-tui chat AGENT MESSAGE"
    return ""


def run(args: argparse.Namespace) -> int:
    """Open the dashboard and return its exit code."""
    if reason := refuse_without_terminal():
        sys.stderr.write(f"kagent-tui: {reason}\n")
        return EXIT_OTHER
    from kagent_tui.app import run_dashboard

    return run_dashboard(
        kubeconfig=args.kubeconfig,
        context=args.context,
        namespace=args.namespace,
        all_namespaces=bool(args.all_namespaces),
        readonly=args.readonly,
        mouse=args.mouse,
    )
