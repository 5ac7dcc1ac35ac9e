"""Log lines as they are shown: clean, with warnings and errors told apart."""

from __future__ import annotations

import re

from kagent_tui.render.text import Line, Tone, line, span

__all__ = ["log_line"]

_BAD = re.compile(r"\b(ERROR|CRITICAL|FATAL|Traceback|panic)\b|\"level\":\s*\"(error|fatal|critical)\"", re.IGNORECASE)
_WARN = re.compile(r"\bWARN(ING)?\b|\"level\":\s*\"warn", re.IGNORECASE)


def log_line(text: str) -> Line:
    """Return one line of a log."""
    tone = Tone.BAD if _BAD.search(text[:200]) else Tone.WARN if _WARN.search(text[:200]) else Tone.PLAIN
    return line(span(text, tone), indent=4)
