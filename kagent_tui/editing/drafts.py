"""Unsaved work on disk, so that a crash, a lost connection or a closed terminal loses nothing that was typed.

Files are readable by their owner only and live under XDG_STATE_HOME/kagent-tui/drafts. Values of Secrets are never
in them.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from kagent_api.errors import ObjectRef
from kagent_tui.editing.document import BrokenYaml, parse, to_yaml
from kagent_tui.editing.masking import masked
from kagent_tui.editing.state import state_home

__all__ = ["Draft", "DraftStore"]


@dataclass(frozen=True, slots=True)
class Draft:
    """A text somebody was working on; ``base`` is the YAML it began from, "" for a new object."""

    context: str
    ref: ObjectRef
    text: str
    base: str
    saved: float


class DraftStore:
    """One file per object and context."""

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory or state_home() / "drafts"

    def save(self, context: str, ref: ObjectRef, text: str, base: str) -> bool:
        """Keep a text; False when it may not be kept (a Secret whose YAML is broken: its values cannot be told
        apart)."""
        if ref.kind == "Secret":
            try:
                text = to_yaml(masked(parse(text).object))
            except BrokenYaml:
                return False
        draft = Draft(context, ref, text, base, time.time())
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(context, ref)
        fresh = path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(draft), file, ensure_ascii=False)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        return True

    def load(self, context: str, ref: ObjectRef) -> Draft | None:
        """Return the draft of an object; None when there is none or it cannot be read."""
        return _read(self._path(context, ref))

    def all(self, context: str) -> list[Draft]:
        """Return all drafts of a context, the latest first."""
        found: list[Draft] = []
        try:
            files = list(self._directory.glob("*.json"))
        except OSError:
            return []
        for file in files:
            draft = _read(file)
            if draft is not None and draft.context == context:
                found.append(draft)
        return sorted(found, key=lambda draft: -draft.saved)

    def discard(self, context: str, ref: ObjectRef) -> None:
        """Forget the draft of an object."""
        self._path(context, ref).unlink(missing_ok=True)

    def _path(self, context: str, ref: ObjectRef) -> Path:
        name = hashlib.sha256("\0".join((context, *ref)).encode(errors="surrogatepass")).hexdigest()[:32]
        return self._directory / f"{name}.json"


def _read(file: Path) -> Draft | None:
    try:
        content: Any = json.loads(file.read_text(encoding="utf-8"))
        fields = cast("dict[str, Any]", content)
        return Draft(
            str(fields["context"]), ObjectRef(*fields["ref"]), str(fields["text"]), str(fields["base"]),
            float(fields["saved"]),
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError):
        return None
