"""Run the benchmarks named on the command line, or all, and print one aligned table."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from bench.chat import chat
from bench.dashboard import dashboard
from bench.engine import engine, soak
from bench.gateway import gateway
from bench.localcluster import localcluster
from bench.operator import operator
from bench.road import Figure, road

SUITES: dict[str, Callable[[int], list[Figure]]] = {
    "road": road,
    "engine": engine,
    "soak": soak,
    "localcluster": localcluster,
    "dashboard": dashboard,
    "gateway": gateway,
    "chat": chat,
    "operator": operator,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench ARGS=", description=__doc__)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"of {', '.join(SUITES)} (default: all)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds; medians are printed")
    args = parser.parse_args()
    chosen = args.suites or list(SUITES)
    if unknown := set(chosen) - set(SUITES):
        parser.error(f"there is no suite {', '.join(sorted(unknown))}; there are: {', '.join(SUITES)}")
    for name in chosen:
        for figure in SUITES[name](args.rounds):
            sys.stdout.write(f"{figure.name:<60} {figure.value:>10.2f} {figure.unit:<4} goal {figure.goal}\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
