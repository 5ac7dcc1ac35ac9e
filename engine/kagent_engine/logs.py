"""Sets up the log: a line of text or of JSON for each record, without secrets in either."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Mapping
from typing import Final

from kagent_engine.errors import ConfigError
from kagent_engine.secrets import Secrets, secret_variables

__all__ = ["JsonLines", "TextLines", "set_up_logging"]

_FORMATS: Final = ("text", "json")


class TextLines(logging.Formatter):
    """One line of text for a record; a traceback follows on its own lines."""

    def __init__(self, secrets: Secrets) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._secrets = secrets

    def formatMessage(self, record: logging.LogRecord) -> str:
        return _escaped(self._secrets.hide(super().formatMessage(record)), keep="\t")

    def format(self, record: logging.LogRecord) -> str:
        return _escaped(self._secrets.hide(super().format(record)), keep="\t\n")


class JsonLines(logging.Formatter):
    """One JSON object for a record: time (UTC), level, logger, message and, where there is one, the traceback."""

    def __init__(self, secrets: Secrets) -> None:
        super().__init__()
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(self._secrets.hide_in(line), ensure_ascii=False)


def _escaped(text: str, *, keep: str) -> str:
    """Return text without what a terminal would obey or take for a new line; callers choose some of what is logged."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each in keep else each.encode("unicode_escape").decode("ascii") for each in text
    )


def set_up_logging(environ: Mapping[str, str]) -> None:
    """Log to standard error as ``LOG_LEVEL``, ``UVICORN_LOG_LEVEL`` and ``KAGENT_TUI_LOG_FORMAT`` say.

    Raises:
        ConfigError: there is no such format.
    """
    chosen = (environ.get("KAGENT_TUI_LOG_FORMAT") or "text").lower()
    if chosen not in _FORMATS:
        raise ConfigError("environment", f"expected text or json, found '{chosen}'", field="KAGENT_TUI_LOG_FORMAT")
    known = logging.getLevelNamesMapping()
    level = known.get((environ.get("LOG_LEVEL") or "INFO").upper(), logging.INFO)
    secrets = Secrets(tuple(secret_variables(environ)))
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(secrets) if chosen == "json" else TextLines(secrets))
    logging.basicConfig(level=level, handlers=[handler])
    # Warns of every card without skills, which is no fault.
    logging.getLogger("a2a.utils.proto_utils").setLevel(logging.ERROR)
    # The SDKs log every request at INFO; at DEBUG the user asked for everything.
    if level > logging.DEBUG:
        for name in ("httpx", "httpx2", "mcp", "a2a", "sse_starlette"):
            logging.getLogger(name).setLevel(logging.WARNING)
        access = (environ.get("UVICORN_LOG_LEVEL") or "info").upper()
        logging.getLogger("uvicorn.access").setLevel(known.get(access, logging.INFO))
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
