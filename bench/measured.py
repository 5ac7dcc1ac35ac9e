"""The program that `dashboard.py` measures: the dashboard over a cluster in memory.

It imports nothing that the dashboard itself does not: its start is one of the figures.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from kagent_tui.app import KagentApp
from kagent_tui.cluster.contexts import Opened, Options
from kagent_tui.cluster.snapshot import SnapshotStore

__all__ = ["main"]


def main() -> int:
    """Run the dashboard on so many agents, some of which change so many times a second."""
    parser = argparse.ArgumentParser()
    parser.add_argument("agents", type=int)
    parser.add_argument("updates", type=float)
    parser.add_argument("--snapshots", type=Path)
    parser.add_argument("--silent", action="store_true")
    parser.add_argument("--log", type=Path)
    options = parser.parse_args()

    def opened(_: Options) -> Opened:
        # As the dashboard imports its client: after the first paint.
        from bench.memory import Memory

        return Opened(Memory(options.agents, options.updates, silent=options.silent, log=options.log), ())

    KagentApp(opener=opened, snapshots=SnapshotStore(options.snapshots) if options.snapshots else None).run(mouse=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
