"""``kagent-tui get``: list resources, where no kubectl is at hand or its columns are too few."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from typing import TYPE_CHECKING

from kagent_tui.cli import EXIT_OK
from kagent_tui.cli.printout import FORMATS, Objects, print_objects
from kagent_tui.cli.reach import Reach, find_resource, open_reach, split_target

if TYPE_CHECKING:
    from kagent_api.kube import Resource

__all__ = ["add_arguments", "run", "surroundings"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("kind", metavar="KIND", help="agents, models, remotemcpservers, mcpservers, pods, ...")
    parser.add_argument("name", nargs="?", metavar="NAME", help="one object (also KIND/NAME)")
    parser.add_argument("-o", "--output", choices=FORMATS, default="table", help="how to print (default: table)")
    parser.add_argument("-l", "--selector", default="", metavar="LABELS", help="label selector")


def run(args: argparse.Namespace) -> int:
    """Print objects and return the exit code."""
    kind, name = split_target(args.kind, args.name)
    return asyncio.run(_get(args, find_resource(kind), name))


async def _get(args: argparse.Namespace, resource: Resource, name: str) -> int:
    async with open_reach(args) as reach:
        if name:
            objects = [await reach.client.get(resource, name, reach.namespace)]
        else:
            listed = await reach.client.list(resource, reach.listed, label_selector=args.selector)
            objects = listed.items
        world = await surroundings(reach, resource) if args.output == "table" else Objects()
    if not objects and args.output == "table":
        where = "" if reach.everywhere or not resource.namespaced else f" in namespace {reach.namespace}"
        sys.stderr.write(f"no {resource.plural}{where}\n")
        return EXIT_OK
    print_objects(
        objects, args.output, world=world, now=time.time(), single=bool(name),
        namespaces=reach.everywhere and resource.namespaced,
    )  # fmt: skip
    return EXIT_OK


async def surroundings(reach: Reach, resource: Resource) -> Objects:
    """Return what rows of kagent's kinds look at: the models, servers and agents around them. Empty for other kinds."""
    from kagent_api.kube import KubeError, resources
    from kagent_api.names import TOOLS_LABEL

    world = Objects()
    if resource.group != resources.AGENTS.group:
        return world
    kinds = (resources.AGENTS, resources.MODELCONFIGS, resources.REMOTEMCPSERVERS, resources.MCPSERVERS)
    lists = [reach.client.list(each, reach.listed) for each in kinds]
    lists.append(reach.client.list(resources.CONFIGMAPS, reach.listed, label_selector=f"{TOOLS_LABEL}=true"))
    for found in await asyncio.gather(*lists, return_exceptions=True):
        # What may not be read, or is not served, only leaves its cells vague.
        if isinstance(found, BaseException):
            if not isinstance(found, KubeError):
                raise found
        else:
            world.add(found.items)
    return world
