"""``kagent-tui delete``: delete objects by name, or those of a file. What was deleted is said line by line."""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import TYPE_CHECKING

from kagent_api.errors import KagentError
from kagent_tui.cli import EXIT_OK, EXIT_OTHER, EXIT_USAGE
from kagent_tui.cli.apply import documents
from kagent_tui.cli.reach import Reach, find_resource, open_reach, resource_for, split_target
from kagent_tui.cluster.references import mapping
from kagent_tui.safety import clean

if TYPE_CHECKING:
    from kagent_api.kube import Resource

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("kind", nargs="?", metavar="KIND", help="agent, model, mcpserver, ... (also KIND/NAME)")
    parser.add_argument("names", nargs="*", metavar="NAME", help="the objects")
    parser.add_argument("-f", "--filename", action="append", metavar="FILE|DIR|-", help="delete what stands in YAML")
    parser.add_argument("--ignore-not-found", action="store_true", help="what is gone already is no error")


def run(args: argparse.Namespace) -> int:
    """Delete and return the exit code: 1 if something could not be deleted."""
    kind, first = split_target(args.kind, None) if args.kind else ("", "")
    names = [*([first] if first else []), *args.names]
    if bool(args.filename) == bool(kind) or (kind and not names):
        sys.stderr.write("kagent-tui delete: say what: delete KIND NAME, or delete -f FILE\n")
        return EXIT_USAGE
    resource = find_resource(kind) if kind else None
    return asyncio.run(_delete(args, resource, names))


async def _delete(args: argparse.Namespace, resource: Resource | None, names: list[str]) -> int:
    failed = False
    async with open_reach(args) as reach:
        if resource is not None:
            for name in names:
                failed = not await _one(reach, resource, name, reach.namespace, args) or failed
            return EXIT_OTHER if failed else EXIT_OK
        from kagent_tui.editing.document import parse

        for document in [each for name in args.filename for each in documents(name)]:
            obj = parse(document.text).object
            found = await resource_for(reach.client, obj)
            meta = mapping(obj.get("metadata"))
            where = str(meta.get("namespace") or reach.namespace)
            failed = not await _one(reach, found, str(meta.get("name") or ""), where, args) or failed
    return EXIT_OTHER if failed else EXIT_OK


async def _one(reach: Reach, resource: Resource, name: str, namespace: str, args: argparse.Namespace) -> bool:
    from kagent_api.kube import NotFound

    try:
        await reach.client.delete(resource, name, namespace)
    except KagentError as error:
        if isinstance(error, NotFound) and args.ignore_not_found:
            return True
        sys.stderr.write(f"kagent-tui: {clean(str(error), newlines=False)}\n")
        return False
    sys.stdout.write(f"{resource.qualified}/{clean(name, newlines=False)} deleted\n")
    return True
