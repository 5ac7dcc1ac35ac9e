"""The audit trail: every decision about a tool call, appended to a file of the person's own, never changed by us.

One JSON object a line, in ASCII, readable by the owner only. It holds the arguments as the person saw them: that is
what was decided. A decision that cannot be written down is still sent, and the person is told.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

__all__ = ["AuditRecord", "AuditTrail", "audit_file", "cut_arguments", "now_text"]

# A tool's arguments may be a file; its beginning says what it was.
_LONGEST_ARGUMENTS = 20_000


def audit_file() -> Path:
    """Return where the trail is (XDG_STATE_HOME/kagent-tui/audit.jsonl)."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "kagent-tui" / "audit.jsonl"


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One decision. ``time`` is RFC 3339; ``decision`` is approved, edited, rejected or answered; ``via`` where it was
    made."""

    time: str
    context: str
    user: str
    agent: str
    session: str
    call: str
    tool: str
    decision: str
    reason: str
    arguments: str
    via: str


class AuditTrail:
    """Appends to one file."""

    def __init__(self, file: Path | None = None) -> None:
        self.file = file or audit_file()

    def append(self, records: Sequence[AuditRecord]) -> None:
        """Write decisions down; all of them or, on a full disk, an OSError."""
        if not records:
            return
        text = "".join(json.dumps(asdict(record)) + "\n" for record in records)
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            # One write: two terminals must not mix their lines.
            os.write(descriptor, text.encode("ascii"))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def read(self) -> list[AuditRecord]:
        """Return all decisions, oldest first; lines that are none (a crash, an editor) are left out."""
        try:
            lines = self.file.read_text(encoding="ascii", errors="replace").splitlines()
        except FileNotFoundError:
            return []
        return [record for line in lines if (record := _record(line)) is not None]


def now_text() -> str:
    """Return the time for a record."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def cut_arguments(text: str) -> str:
    """Return arguments for a record, cut where they are too long."""
    left = len(text) - _LONGEST_ARGUMENTS
    return text if left <= 0 else f"{text[:_LONGEST_ARGUMENTS]}… ({left} more characters)"


def _record(line: str) -> AuditRecord | None:
    try:
        value: Any = json.loads(line)
    except ValueError:
        return None
    if not isinstance(value, dict):
        return None
    found = cast("dict[str, Any]", value)
    return AuditRecord(**{field.name: str(found.get(field.name, "")) for field in fields(AuditRecord)})
