"""Where this program keeps what must outlive it: drafts, saved logs and screens, and its own log. Readable by the
owner only."""

from __future__ import annotations

import logging
import os
from pathlib import Path

__all__ = ["log_file", "state_home", "write_log_to_file"]


def state_home() -> Path:
    """Return the directory (XDG_STATE_HOME/kagent-tui)."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "kagent-tui"


def log_file() -> Path:
    """Return where the program's own log goes."""
    return state_home() / "kagent-tui.log"


def write_log_to_file() -> None:
    """Send warnings and faults to the log file; a full-screen program has no other place for them.

    Without a writable directory they are dropped: the dashboard is worth more than its log.
    """
    file = log_file()
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.touch(mode=0o600)
        handler: logging.Handler = logging.FileHandler(file, encoding="utf-8")
    except OSError:
        handler = logging.NullHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
