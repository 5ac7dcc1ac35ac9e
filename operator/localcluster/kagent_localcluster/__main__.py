"""``python -m kagent_localcluster serve``: prints one line of JSON when it serves, or why it cannot."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to end; 1 when that could not begin."""
    parser = argparse.ArgumentParser(
        prog="python -m kagent_localcluster", description="A Kubernetes API on one machine."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="serve the API and run Pods as processes of this machine")
    serve.add_argument("--data-dir", type=Path, required=True, help="where objects, keys, logs and volumes lie")
    serve.add_argument("--port", type=int, required=True, help="port on 127.0.0.1, 0 for any")
    serve.add_argument(
        "--image-map", type=Path, required=True, help="JSON file: which local program stands for an image"
    )
    serve.add_argument(
        "--node", choices=("process", "hollow"), default="process", help="hollow: Pods without processes"
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    return _serve(options)


def _serve(options: argparse.Namespace) -> int:
    # uvicorn imports it for reloading, which nobody asks for here, where it happens to be installed: 1.2 MB.
    sys.modules.setdefault("watchfiles", None)  # pyright: ignore[reportArgumentType] None means that it is absent
    from kagent_localcluster.errors import LocalClusterError
    from kagent_localcluster.serve import ServeOptions, Serving, serve

    def on_serving(serving: Serving) -> None:
        _say(
            event="serving",
            server=serving.server,
            kubeconfig=str(serving.kubeconfig),
            seconds=round(serving.seconds, 3),
        )

    chosen = ServeOptions(options.data_dir, options.port, options.image_map, options.node)
    try:
        asyncio.run(serve(chosen, on_serving))
    except LocalClusterError as error:
        _say(event="failed", error=str(error))
        return 1
    except OSError as error:
        _say(event="failed", error=f"data directory {options.data_dir}: {error.strerror or error}")
        return 1
    return 0


def _say(**facts: object) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
