"""The command ``kagent-engine``. Each command's modules are imported when it runs, so that none pays for another."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from kagent_api.errors import KagentError
from kagent_api.names import AGENT_PORT, VERSION

__all__ = ["main"]

USAGE_ERROR: Final = 64
_COMMANDS: Final = ("static", "mcp-bridge", "scripted-model", "check", "skills-init")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code: 0 done, 64 wrong usage or configuration, 1 anything else."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = _parser()
    if not arguments or (arguments[0] not in _COMMANDS and arguments[0] not in {"-h", "--help", "--version"}):
        arguments.insert(0, "static")
    try:
        options = parser.parse_args(arguments)
    except SystemExit as ended:
        return USAGE_ERROR if ended.code == 2 else int(ended.code or 0)
    try:
        return _run(options)
    except KagentError as error:
        print(f"kagent-engine: {error}", file=sys.stderr)  # noqa: T201 - the command's own message
        return USAGE_ERROR if type(error).__name__ == "ConfigError" else 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kagent-engine",
        description="Serve a kagent agent over A2A 1.0 and 0.3; without a command, 'static' is meant.",
    )
    parser.add_argument("--version", action="version", version=f"kagent-engine {VERSION}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    static = commands.add_parser("static", help="serve the agent of a configuration directory")
    static.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    static.add_argument("--port", type=int, default=AGENT_PORT, help="port to listen on (default %(default)s)")
    static.add_argument(
        "--filepath", type=Path, default=Path("/config"), metavar="DIR",
        help="folder of config.json and agent-card.json (default %(default)s)",
    )  # fmt: skip
    # Accepted because upstream's controller may pass them; one process with one loop serves an agent.
    static.add_argument("--workers", type=int, default=1, help=argparse.SUPPRESS)
    static.add_argument("--reload", action="store_true", help=argparse.SUPPRESS)

    bridge = commands.add_parser("mcp-bridge", help="serve a stdio MCP server over streamable HTTP")
    bridge.add_argument("-f", "--file", type=Path, help="agentgateway's local.yaml")
    bridge.add_argument("--host", default="127.0.0.1")
    bridge.add_argument("--port", type=int, default=None)
    bridge.add_argument(
        "--installed-first", action="store_true", help="run what 'uvx PKG' names from this Python's own scripts"
    )
    bridge.add_argument("argv", nargs="*", metavar="-- CMD ARG", help="the server's command")

    scripted = commands.add_parser("scripted-model", help="serve the scripted offline model over OpenAI's wire")
    scripted.add_argument("--host", default="127.0.0.1")
    scripted.add_argument("--port", type=int, required=True)

    skills = commands.add_parser("skills-init", help="fetch an agent's skills from git, OCI registries and S3")
    skills.add_argument("--file", type=Path, help="what to fetch (default /etc/kagent/skills-init/config.json)")

    check = commands.add_parser("check", help="hold any agent to the contract of docs/own-agents.md")
    check.add_argument("url", metavar="URL")
    check.add_argument("--message", default="Hello", help="what to say (default %(default)s)")
    check.add_argument("--timeout", type=float, default=60.0, help="seconds to wait for each answer")
    return parser


def _run(options: argparse.Namespace) -> int:
    if options.command == "check":
        from kagent_engine.check import run_check

        return run_check(options.url, message=options.message, timeout=options.timeout)
    if options.command == "mcp-bridge":
        from kagent_engine.logs import set_up_logging

        set_up_logging(os.environ)
        from kagent_engine.bridge import run_bridge

        return run_bridge(
            file=options.file, host=options.host, port=options.port, command=options.argv,
            installed_first=options.installed_first,
        )  # fmt: skip
    if options.command == "scripted-model":
        from kagent_engine.models.scripted_server import run_scripted_model

        return run_scripted_model(host=options.host, port=options.port)
    from kagent_engine.logs import set_up_logging
    from kagent_engine.settings import Settings

    settings = Settings.from_environ()
    set_up_logging(os.environ)
    if options.command == "skills-init":
        from kagent_engine.skills_init import DEFAULT_FILE, run_skills_init

        return run_skills_init(options.file or DEFAULT_FILE, settings.paths)
    from kagent_engine.serve import run

    return run(options.filepath, settings, host=options.host, port=options.port)


if __name__ == "__main__":
    sys.exit(main())
