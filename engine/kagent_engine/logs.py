"""Logs on standard error: lines for people, or one JSON object a line for log stores; without secrets either way."""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import Final

from kagent_engine.secrets import LogFilter, Redactor

__all__ = ["set_up_logging"]

# The SDKs log every request at INFO; at DEBUG the user asked for everything.
_CHATTY: Final = ("httpx", "httpx2", "mcp", "a2a", "sse_starlette")


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info or record.exc_text:
            entry["exception"] = record.exc_text or self.formatException(record.exc_info or (None, None, None))
        return json.dumps(entry, ensure_ascii=False)


def set_up_logging(level: str, form: str = "text", redactor: Redactor | None = None) -> None:
    """Send all logs to standard error as ``json`` or ``text``; an unknown level is INFO."""
    known = logging.getLevelNamesMapping()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _Json() if form == "json" else logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    )
    if redactor is not None:
        handler.addFilter(LogFilter(redactor))
    logging.basicConfig(level=known.get(level, logging.INFO), handlers=[handler])
    # Warns of every card without skills, which is no fault.
    logging.getLogger("a2a.utils.proto_utils").setLevel(logging.ERROR)
    if known.get(level, logging.INFO) > logging.DEBUG:
        for name in _CHATTY:
            logging.getLogger(name).setLevel(logging.WARNING)
        access = os.environ.get("UVICORN_LOG_LEVEL", "info").upper()
        logging.getLogger("uvicorn.access").setLevel(known.get(access, logging.INFO))
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
