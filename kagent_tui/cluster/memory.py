"""What the dashboard remembers of each context: the last view, and filter and sorting of every view."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, cast

__all__ = ["Remembered", "ViewMemory"]

_MOST_CONTEXTS: Final = 50


@dataclass(frozen=True, slots=True)
class Remembered:
    """One context; sorts are (column id, downwards) by view."""

    view: str = "agents"
    filters: dict[str, str] = field(default_factory=dict[str, str])
    sorts: dict[str, tuple[str, bool]] = field(default_factory=dict[str, tuple[str, bool]])


class ViewMemory:
    """A small file; without one (``None``, or a folder that cannot be written) nothing is remembered."""

    def __init__(self, file: Path | None) -> None:
        self._file = file

    def recall(self, identity: str) -> Remembered:
        """Return what is remembered of a context; entries that make no sense are left out."""
        entry = self._read().get(identity)
        if not isinstance(entry, dict):
            return Remembered()
        found = cast("dict[str, Any]", entry)
        view, filters, sorts = found.get("view"), found.get("filters"), found.get("sorts")
        return Remembered(
            view if isinstance(view, str) else "agents",
            {key: text for key, text in _pairs(filters) if isinstance(text, str)},
            {
                key: (pair[0], pair[1])
                for key, pair in _pairs(sorts)
                if isinstance(pair, list) and [type(each) for each in cast("list[Any]", pair)] == [str, bool]
            },
        )

    def keep(self, identity: str, remembered: Remembered) -> None:
        """Remember a context."""
        if self._file is None:
            return
        everything = self._read()
        everything.pop(identity, None)
        everything[identity] = asdict(remembered)
        kept = dict(list(everything.items())[-_MOST_CONTEXTS:])
        draft = self._file.with_suffix(f".{os.getpid()}")
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft.write_text(json.dumps(kept, indent=1), encoding="utf-8")
            draft.chmod(0o600)
            draft.replace(self._file)
        except OSError:
            # The dashboard is worth more than what it remembers.
            return

    def _read(self) -> dict[str, Any]:
        if self._file is None:
            return {}
        try:
            content: object = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return cast("dict[str, Any]", content) if isinstance(content, dict) else {}


def _pairs(value: object) -> list[tuple[str, Any]]:
    return list(cast("dict[str, Any]", value).items()) if isinstance(value, dict) else []
