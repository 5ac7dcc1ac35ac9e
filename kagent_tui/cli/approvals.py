"""``kagent-tui approvals``: the audit trail of every decision that was made on this machine, listed or exported."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from kagent_tui.cli import EXIT_OK, EXIT_OTHER
from kagent_tui.safety import cell_width, clean, shorten
from kagent_tui.safety.audit import AuditRecord, AuditTrail, audit_file

__all__ = ["add_arguments", "run"]

_COLUMNS = ("TIME", "DECISION", "AGENT", "TOOL", "ARGUMENTS", "REASON", "BY", "CONTEXT")
_WIDEST = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = f"The trail is {audit_file()}; approvals that wait are in the dashboard (A)."
    parser.add_argument("--agent", default="", metavar="NAME", help="only decisions about this agent")
    parser.add_argument("--since", default="", metavar="TIME", help="only decisions since this RFC 3339 time or day")
    parser.add_argument("--export", metavar="FILE", help="write them as JSON lines to FILE (- is standard output)")


def run(args: argparse.Namespace) -> int:
    """List or export decisions and return the exit code."""
    trail = AuditTrail()
    records = [record for record in trail.read() if _wanted(record, args.agent, args.since)]
    if args.export:
        return _export(records, args.export)
    if not records:
        sys.stderr.write("no decisions yet\n" if not (args.agent or args.since) else "no such decisions\n")
        return EXIT_OK
    rows = [_COLUMNS, *(_cells(record) for record in records)]
    widths = [max(cell_width(row[index]) for row in rows) for index in range(len(_COLUMNS))]
    for row in rows:
        cells = (value + " " * (width - cell_width(value)) for value, width in zip(row, widths, strict=True))
        sys.stdout.write("   ".join(cells).rstrip() + "\n")
    return EXIT_OK


def _wanted(record: AuditRecord, agent: str, since: str) -> bool:
    return record.time >= since and (not agent or agent in (record.agent, record.agent.partition("/")[2]))


def _cells(record: AuditRecord) -> tuple[str, ...]:
    values = (
        record.time, record.decision, record.agent, record.tool, record.arguments, record.reason, record.user,
        record.context,
    )  # fmt: skip
    return tuple(shorten(clean(value, newlines=False), _WIDEST) for value in values)


def _export(records: list[AuditRecord], target: str) -> int:
    text = "".join(json.dumps(asdict(record)) + "\n" for record in records)
    if target == "-":
        sys.stdout.write(text)
        return EXIT_OK
    try:
        file = Path(target)
        file.touch(mode=0o600)
        file.write_text(text, encoding="ascii")
    except OSError as error:
        sys.stderr.write(f"kagent-tui: {clean(target)}: {error.strerror or error}\n")
        return EXIT_OTHER
    sys.stderr.write(f"{len(records)} decisions written to {clean(target)}\n")
    return EXIT_OK
