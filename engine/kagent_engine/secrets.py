"""What this process knows and nobody else may read: finds such values and hides them in text that leaves it.

Tools are not trusted with their output: a server may send back the header it was called with, a shell may print a
file. What is hidden keeps its name, so that the model and the person know what stood there.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, cast
from urllib.parse import urlsplit

__all__ = ["NOTHING", "Secrets", "secret_header", "secret_variables"]

# Shorter values are flags, numbers and words, which would be hidden wherever they stand in ordinary text.
_SHORTEST: Final = 8
_NAMED_LIKE_ONE: Final = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL|PRIVATE|AUTHORIZATION|COOKIE", re.IGNORECASE)
# Where a secret lies, and what it is called, is none.
_ABOUT_ONE: Final = re.compile(r"[_-](NAME|PATH|FILE|DIR|URL|URI|ENDPOINT|ID|TYPE|MODE|VERSION)$", re.IGNORECASE)
_PLAIN: Final = re.compile(r"[\d.,:]+|true|false|none|https?://[^@]*|/.*", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Secrets:
    """``values`` by the name to show instead; ``files`` are read anew each time, for they rotate."""

    values: tuple[tuple[str, str], ...] = ()
    files: tuple[tuple[str, Path], ...] = ()

    def __repr__(self) -> str:
        return f"Secrets({', '.join(name for name, _ in (*self.values, *self.files)) or 'none'})"

    def beside(self, headers: Mapping[str, str]) -> Secrets:
        """Return these secrets and those in the headers of one request."""
        own = [found for name, value in headers.items() for found in secret_header(name, value)]
        return replace(self, values=(*self.values, *own)) if own else self

    def hide(self, text: str) -> str:
        """Return the text with each secret, also its base64 form, replaced by ``[hidden: NAME]``."""
        for name, value in self._forms():
            if value in text:
                text = text.replace(value, f"[hidden: {name}]")
        return text

    def hide_in(self, value: object) -> object:
        """Return a JSON value with every text in it hidden, keys of objects too."""
        if isinstance(value, str):
            return self.hide(value)
        if isinstance(value, dict):
            return {self.hide(key): self.hide_in(item) for key, item in cast("dict[str, object]", value).items()}
        if isinstance(value, list | tuple):
            return [self.hide_in(item) for item in cast("list[object]", value)]
        return value

    def _forms(self) -> list[tuple[str, str]]:
        """Return every form of every secret, the longest first: one may be a part of another."""
        known = [*self.values, *((name, text) for name, path in self.files for text in _lines(path))]
        forms: list[tuple[str, str]] = []
        for name, value in known:
            if len(value) >= _SHORTEST:
                forms += [(name, value), (name, base64.b64encode(value.encode()).decode())]
        return sorted(forms, key=lambda form: -len(form[1]))


NOTHING: Final = Secrets()


def secret_variables(environ: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    """Return the variables whose values are secrets: by their names, and passwords within URLs."""
    for name, value in environ.items():
        if password := _password(value):
            yield name, password
        elif _NAMED_LIKE_ONE.search(name) and not _ABOUT_ONE.search(name) and not _PLAIN.fullmatch(value):
            yield name, value


def secret_header(name: str, value: str) -> Iterable[tuple[str, str]]:
    """Return what is secret in a header, without its scheme (``Bearer``); nothing for a header that names no secret."""
    if not _NAMED_LIKE_ONE.search(name) or _ABOUT_ONE.search(name) or _PLAIN.fullmatch(value):
        return
    scheme, _, rest = value.strip().partition(" ")
    yield name, rest.strip() or scheme


def _password(value: str) -> str:
    if "://" not in value or "@" not in value:
        return ""
    try:
        return urlsplit(value).password or ""
    except ValueError:
        return ""


def _lines(path: Path) -> list[str]:
    """Return what a file of one secret holds; a file that is not there holds none."""
    try:
        text = path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return []
    scheme, _, rest = text.partition(" ")
    return [text, *([rest.strip()] if rest and scheme.lower() in {"bearer", "basic", "token"} else [])]
