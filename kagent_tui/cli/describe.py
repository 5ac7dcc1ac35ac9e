"""``kagent-tui describe``: one object with its conditions, what it needs and in what state, and its events."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from typing import TYPE_CHECKING

from kagent_tui.cli import EXIT_OK, EXIT_USAGE
from kagent_tui.cli.get import surroundings
from kagent_tui.cli.printout import print_lines
from kagent_tui.cli.reach import find_resource, open_reach, split_target

if TYPE_CHECKING:
    from kagent_api.kube import Resource

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("kind", metavar="KIND", help="agent, model, remotemcpserver, mcpserver, ...")
    parser.add_argument("name", nargs="?", metavar="NAME", help="the object (also KIND/NAME)")


def run(args: argparse.Namespace) -> int:
    """Print one object's overview and return the exit code."""
    kind, name = split_target(args.kind, args.name)
    if not name:
        sys.stderr.write("kagent-tui describe: which one? describe KIND NAME\n")
        return EXIT_USAGE
    return asyncio.run(_describe(args, find_resource(kind), name))


async def _describe(args: argparse.Namespace, resource: Resource, name: str) -> int:
    from kagent_api.kube import Forbidden
    from kagent_api.kube.resources import EVENTS
    from kagent_tui.cluster.kinds import ref_of
    from kagent_tui.cluster.references import mapping
    from kagent_tui.render.detail import describe, events_lines

    async with open_reach(args) as reach:
        obj = await reach.client.get(resource, name, reach.namespace)
        world = await surroundings(reach, resource)
        try:
            found = (await reach.client.list(EVENTS, reach.namespace)).items
        except Forbidden:
            found = []
    # What an agent runs on is named after it (Deployment) or begins with its name (Pods).
    events = [
        event
        for event in found
        if (about := str(mapping(event.get("involvedObject")).get("name"))) == name or about.startswith(f"{name}-")
    ]
    now = time.time()
    lines = describe(obj, world, now, used_by=world.users_of(ref_of(obj)))
    print_lines([line.plain for line in (*lines, *events_lines(events, now))])
    return EXIT_OK
