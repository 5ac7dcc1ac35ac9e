"""``kagent-tui logs``: the log of an agent's or MCP server's Pods, cleaned, several Pods told apart by their names."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator

from kagent_api.errors import KagentError, ObjectRef
from kagent_tui.cli import EXIT_OK, EXIT_OTHER
from kagent_tui.cli.reach import Reach, open_reach
from kagent_tui.cluster.kinds import JsonObject, ref_of
from kagent_tui.cluster.references import mapping, text
from kagent_tui.safety import clean

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("name", metavar="NAME", help="an agent or MCP server (also KIND/NAME, or pod/NAME)")
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what comes")
    parser.add_argument("--tail", type=int, default=None, metavar="N", help="only the last N lines")
    parser.add_argument("-c", "--container", default="", metavar="NAME", help="one container of the Pod")
    parser.add_argument("-p", "--previous", action="store_true", help="of the run before the last restart")


def run(args: argparse.Namespace) -> int:
    """Print logs and return the exit code."""
    return asyncio.run(_logs(args))


async def _logs(args: argparse.Namespace) -> int:
    kind, slash, rest = str(args.name).partition("/")
    name = rest if slash else kind
    async with open_reach(args) as reach:
        pods = [name] if slash and kind in ("pod", "pods", "po") else await _pods(reach, name)
        if not pods:
            where = f"kagent-tui describe agent {name} -n {reach.namespace}"
            sys.stderr.write(f"kagent-tui: {reach.namespace}/{name} has no Pods; {where} may tell why\n")
            return EXIT_OTHER
        prefixes = {pod: f"{clean(pod, newlines=False)} " if len(pods) > 1 else "" for pod in pods}
        if not args.follow:
            for pod in pods:
                await _print(_lines(reach, pod, args), prefixes[pod])
            return EXIT_OK
        try:
            async with asyncio.TaskGroup() as group:
                for pod in pods:
                    group.create_task(_print(_lines(reach, pod, args), prefixes[pod]))
        except* KagentError as errors:
            raise errors.exceptions[0] from None
    return EXIT_OK


async def _pods(reach: Reach, name: str) -> list[str]:
    """Return the Pods of the Deployment of that name, which is what agents and MCP servers run on; newest last."""
    from kagent_api.kube import NotFound
    from kagent_api.kube.resources import DEPLOYMENTS, PODS

    try:
        deployment = await reach.client.get(DEPLOYMENTS, name, reach.namespace)
    except NotFound as error:
        raise NotFound(
            "nothing runs under this name", ref=ObjectRef("Agent", reach.namespace, name), status=404,
            remedy="kagent-tui get agents and get mcpservers list what there is",
        ) from error  # fmt: skip
    labels = mapping(mapping(mapping(deployment.get("spec")).get("selector")).get("matchLabels"))
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    found = (await reach.client.list(PODS, reach.namespace, label_selector=selector)).items
    return [ref_of(pod).name for pod in sorted(found, key=_created)]


def _created(pod: JsonObject) -> str:
    return text(mapping(pod.get("metadata")).get("creationTimestamp"))


def _lines(reach: Reach, pod: str, args: argparse.Namespace) -> AsyncIterator[str]:
    return reach.client.logs(
        pod, reach.namespace, container=args.container, follow=args.follow, tail_lines=args.tail,
        previous=args.previous,
    )  # fmt: skip


async def _print(lines: AsyncIterator[str], prefix: str) -> None:
    async for line in lines:
        sys.stdout.write(f"{prefix}{clean(line, newlines=False)}\n")
        sys.stdout.flush()
