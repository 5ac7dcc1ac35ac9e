"""``kagent-tui sessions``: what was said to agents, for scripts: list, search, export, rename, share, delete."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from kagent_tui.cli import EXIT_OK, EXIT_USAGE

if TYPE_CHECKING:
    from kagent_tui.chat.gateway import SessionInfo
    from kagent_tui.cli.talks import Talks

__all__ = ["add_arguments", "run"]

_ACTIONS = ("list", "export", "rename", "share", "delete")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("action", nargs="?", choices=_ACTIONS, default="list", help="what to do (default: list)")
    parser.add_argument("session", nargs="?", default="", metavar="SESSION", help="a session's id, or its beginning")
    parser.add_argument("title", nargs="?", default="", metavar="TITLE", help="rename: the new title")
    parser.add_argument("--agent", default="", metavar="NAME", help="list: only sessions with this agent")
    parser.add_argument(
        "--search", default="", metavar="TEXT", help="list: only sessions in which these words were said"
    )
    parser.add_argument("--json", action="store_true", help="list: one JSON object a line")
    parser.add_argument("--format", choices=("markdown", "json"), default="markdown", help="export: as what")
    parser.add_argument(
        "-o", "--output", default="-", metavar="FILE", help="export: where to (default: standard output)"
    )
    parser.add_argument("--interactive", action="store_true", help="share: who has the link may write, too")
    parser.add_argument("--user", default="", metavar="ID", help="whose sessions (admin@kagent.dev)")


def run(args: argparse.Namespace) -> int:
    """Do one thing and return the exit code."""
    if args.action != "list" and not args.session:
        sys.stderr.write(f"kagent-tui sessions {args.action}: which session? kagent-tui sessions list shows the ids\n")
        return EXIT_USAGE
    if args.action == "rename" and not args.title.strip():
        sys.stderr.write("kagent-tui sessions rename: give the new title after the id\n")
        return EXIT_USAGE
    return asyncio.run(_run(args))


async def _run(args: argparse.Namespace) -> int:
    from kagent_tui.cli.talks import one_session, open_talks
    from kagent_tui.safety import clean

    async with open_talks(args) as talks:
        sessions = await talks.gateway.sessions()
        if args.action == "list":
            return await _list(args, talks, sessions)
        info = one_session(args.session, sessions)
        match args.action:
            case "export":
                return await _export(args, talks, info)
            case "rename":
                await talks.gateway.rename(info.id, args.title.strip())
                sys.stdout.write(f"session {info.id} renamed\n")
            case "share":
                share = await talks.gateway.share(info.id, read_only=not args.interactive)
                sys.stdout.write(f"{clean(share.token, newlines=False)}\n")
                sys.stderr.write("whoever sends this in X-Share-Token with the session's id reads the session\n")
            case _:
                await talks.gateway.delete(info.id)
                sys.stdout.write(f"session {info.id} deleted\n")
    return EXIT_OK


async def _list(args: argparse.Namespace, talks: Talks, sessions: Sequence[SessionInfo]) -> int:
    from kagent_tui.chat.gateway import agent_named
    from kagent_tui.cli.printout import columns

    found = [info for info in sessions if not args.agent or _is_agent(info, args.agent)]
    if args.search:
        from kagent_tui.chat.cache import TranscriptCache
        from kagent_tui.chat.searching import search

        hits = await search(
            TranscriptCache(), found, args.search, context=talks.identity, user=talks.gateway.user,
            agent_of=agent_named, read=talks.read,
        )  # fmt: skip
        found = [info for info in found if info.id in hits]
    if args.json:
        for info in found:
            agent = agent_named(info.agent_id)
            sys.stdout.write(json.dumps({**asdict(info), "agent": f"{agent.namespace}/{agent.name}"}) + "\n")
        return EXIT_OK
    if not found:
        sys.stderr.write("no sessions\n" if not (args.search or args.agent) else "no such sessions\n")
        return EXIT_OK
    rows = [("ID", "AGENT", "USED", "TITLE")]
    for info in found:
        agent = agent_named(info.agent_id)
        rows.append((info.id, f"{agent.namespace}/{agent.name}", info.updated, info.title or "untitled"))
    sys.stdout.write(columns(rows, widest=60))
    return EXIT_OK


def _is_agent(info: SessionInfo, wanted: str) -> bool:
    from kagent_tui.chat.gateway import agent_named

    agent = agent_named(info.agent_id)
    return wanted in (agent.name, f"{agent.namespace}/{agent.name}")


async def _export(args: argparse.Namespace, talks: Talks, info: SessionInfo) -> int:
    from kagent_api.errors import InvalidSpec
    from kagent_tui.chat.export import session_json, session_markdown
    from kagent_tui.chat.gateway import agent_named

    events = await talks.read(agent_named(info.agent_id), info.id)
    text = (session_markdown if args.format == "markdown" else session_json)(info, events)
    if args.output == "-":
        sys.stdout.write(text)
        return EXIT_OK
    try:
        # A conversation may hold anything: nobody else reads it.
        descriptor = os.open(args.output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
    except OSError as error:
        raise InvalidSpec(
            f"{args.output}: {error.strerror or error}", remedy="name a file that can be written"
        ) from error
    sys.stderr.write(f"session {info.id} written to {args.output}\n")
    return EXIT_OK
