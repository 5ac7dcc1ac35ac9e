"""The audit trail to read: what was decided on this machine, the newest first."""

from __future__ import annotations

from kagent_tui.cluster.workspace import Workspace
from kagent_tui.render.text import BLANK, Line, Span, Tone, line, note, span
from kagent_tui.safety.audit import AuditTrail
from kagent_tui.screens.reader import ReaderScreen

__all__ = ["audit_screen"]

_MOST = 1_000
_TONES = {"approved": Tone.OK, "edited": Tone.WARN, "rejected": Tone.BAD}


def audit_screen(workspace: Workspace) -> ReaderScreen:
    """Return the screen."""
    trail = AuditTrail()
    records = trail.read()[::-1][:_MOST]
    lines: list[Line] = [note(f"{trail.file}; kagent-tui approvals audit lists and exports it", 0), BLANK]
    for record in records:
        lines.append(
            line(
                span(f"{record.time}  ", Tone.DIM),
                span(f"{record.decision} ", _TONES.get(record.decision, Tone.PLAIN)),
                span(record.tool, Tone.HEAD),
                span(f"  {record.agent}  by {record.user} in {record.context} ({record.via})", Tone.DIM),
            )
        )
        lines.append(line(Span("  "), span(record.arguments, Tone.VALUE), indent=2))
        if record.reason:
            lines.append(line(Span("  "), span(record.reason), indent=2))
    if not records:
        lines.append(note("no decisions yet", 0))
    return ReaderScreen(workspace, trail="audit", lines=lines)
