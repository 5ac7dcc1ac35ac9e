"""Which of the Pod's values are secrets, and how they are kept from models, histories and logs.

A value is a secret when its variable is named like one or when it is a URL with a password; so is the Pod's own token.
A tool may read them all, since it runs where they are: what it returns is cleaned before anybody reads it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, cast
from urllib.parse import unquote, urlsplit

from kagent_engine.tools.base import ToolResult

__all__ = ["LogFilter", "Redactor", "is_secret"]

_NAME: Final = re.compile(
    r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL|PRIVATE|(^|_)(AUTH|PAT|PWD|DSN|SESSION)(_|$)|^(KUBE|DATABASE|REDIS)",
    re.IGNORECASE,
)
_WITH_PASSWORD: Final = re.compile(r"^[a-z][a-z0-9+.-]*://[^/@\s]+@", re.IGNORECASE)
# A shorter value would be found in ordinary text; nothing that guards anything is so short.
_SHORTEST: Final = 8
_PLAIN: Final = frozenset({"true", "false", "enabled", "disabled"})


def is_secret(name: str, value: str) -> bool:
    """Tell whether a variable is to be kept from commands."""
    return bool(_NAME.search(name) or _WITH_PASSWORD.match(value))


class Redactor:
    """Replaces secrets in text and JSON by ``[secret NAME]``; files are read again when they change, as tokens do."""

    def __init__(self, environ: Mapping[str, str], files: Iterable[Path] = ()) -> None:
        self._files = tuple(files)
        self._stamps: dict[Path, int] = {}
        self._of_files: dict[Path, str] = {}
        self._values: dict[str, str] = {}
        for name, value in environ.items():
            if is_secret(name, value):
                self._add(value if _NAME.search(name) else _password(value), name)

    def _add(self, value: str, name: str) -> None:
        # A path or an address that a secret-sounding variable holds is shown: models need it to talk about it.
        if (
            len(value) >= _SHORTEST
            and value.lower() not in _PLAIN
            and not value.startswith(("/", "http://", "https://"))
        ):
            self._values.setdefault(value, name)

    def text(self, text: str, *more: str) -> str:
        """Return text without secrets; ``more`` are further values to keep back, such as a caller's own key."""
        self._read_files()
        for value, name in self._longest_first():
            if value in text:
                text = text.replace(value, f"[secret {name}]")
        for value in more:
            if len(value) >= _SHORTEST and value in text:
                text = text.replace(value, "[secret]")
        return text

    def json(self, value: object, *more: str) -> object:
        """Return a JSON value with every text in it cleaned, keys included."""
        if isinstance(value, str):
            return self.text(value, *more)
        if isinstance(value, list):
            return [self.json(item, *more) for item in cast("list[object]", value)]
        if isinstance(value, dict):
            items = cast("dict[str, object]", value).items()
            return {self.text(key, *more): self.json(item, *more) for key, item in items}
        return value

    def result(self, result: ToolResult, *more: str) -> ToolResult:
        """Return a tool's result without secrets."""
        response = cast("dict[str, object]", self.json(result.response, *more))
        return replace(result, content=self.text(result.content, *more), response=response)

    def _longest_first(self) -> Sequence[tuple[str, str]]:
        found = {**self._values, **{value: path.name for path, value in self._of_files.items() if value}}
        return sorted(found.items(), key=lambda item: -len(item[0]))

    def _read_files(self) -> None:
        for path in self._files:
            try:
                stamp = path.stat().st_mtime_ns
                if self._stamps.get(path) != stamp:
                    text = path.read_text("utf-8", "replace").strip()
                    self._stamps[path], self._of_files[path] = stamp, text if len(text) >= _SHORTEST else ""
            except OSError:
                continue


class LogFilter(logging.Filter):
    """Cleans every log record, its arguments and its traceback."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = self._redactor.text(record.getMessage()), None
        if record.exc_info:
            record.exc_text = self._redactor.text(logging.Formatter().formatException(record.exc_info))
        return True


def _password(url: str) -> str:
    try:
        return unquote(urlsplit(url).password or "")
    except ValueError:
        return ""
