"""The last state of a cluster on disk, so that the next start shows it at once (labelled as cached).

Never in it: Secrets, values of environment variables and headers, kubectl's copy of an object. One file per cluster,
readable by the owner only; a broken or foreign file is the same as none.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from kagent_tui.cluster.kinds import SECRET, JsonObject

__all__ = ["Snapshot", "SnapshotStore"]

_FORMAT: Final = 1
# Clusters come and go (every demo is one); the newest are kept.
_MOST_FILES: Final = 20
_DROPPED_ANNOTATIONS: Final = ("kubectl.kubernetes.io/last-applied-configuration",)
# Fields whose values people put secrets into although there are references for that.
_VALUED: Final = frozenset({"env", "defaultHeaders", "headers", "headersFrom"})


class Snapshot(NamedTuple):
    """Objects with the kind they are kept under, and when they were written (Unix time)."""

    objects: list[tuple[str, JsonObject]]
    saved: float


class SnapshotStore:
    """Blocking (files): call it in a thread, or at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, identity: str) -> Snapshot | None:
        """Return what is known of a cluster; None when there is nothing that can be used."""
        try:
            with self._file(identity).open(encoding="utf-8") as file:
                head = cast("dict[str, Any]", json.loads(file.readline()))
                if head.get("format") != _FORMAT or head.get("identity") != identity:
                    return None
                return Snapshot([_entry(row) for row in file], float(head["saved"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def write(self, identity: str, objects: Iterable[tuple[str, JsonObject]]) -> None:
        """Keep the state of a cluster. Raises OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        target = self._file(identity)
        draft = target.with_suffix(f".{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(json.dumps({"format": _FORMAT, "identity": identity, "saved": time.time()}) + "\n")
                # One object at a time: a single dump of 10,000 would hold the interpreter for a noticeable while.
                file.writelines(_lines(objects))
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
        self._tidy()

    def _file(self, identity: str) -> Path:
        return self._folder / f"{hashlib.sha256(identity.encode()).hexdigest()[:24]}.jsonl"

    def _tidy(self) -> None:
        files = sorted(self._folder.glob("*.jsonl"), key=lambda file: file.stat().st_mtime, reverse=True)
        for file in files[_MOST_FILES:]:
            file.unlink(missing_ok=True)


def _entry(row: str) -> tuple[str, JsonObject]:
    kind, obj = cast("tuple[str, JsonObject]", json.loads(row))
    if not isinstance(obj["metadata"], dict):
        raise ValueError("no object")
    return kind, obj


def _lines(objects: Iterable[tuple[str, JsonObject]]) -> Iterator[str]:
    for kind, obj in objects:
        if kind != SECRET and obj.get("kind") != SECRET:
            yield json.dumps([kind, _scrubbed(obj)], ensure_ascii=True) + "\n"


def _scrubbed(obj: JsonObject) -> JsonObject:
    """Return a copy without bookkeeping and without values that may be secret."""
    meta = {
        key: value for key, value in cast("JsonObject", obj.get("metadata") or {}).items() if key != "managedFields"
    }
    notes = cast("JsonObject", meta.get("annotations") or {})
    if any(name in notes for name in _DROPPED_ANNOTATIONS):
        meta["annotations"] = {key: value for key, value in notes.items() if key not in _DROPPED_ANNOTATIONS}
    return {**obj, "metadata": meta, **({"spec": _blanked(obj["spec"])} if "spec" in obj else {})}


def _blanked(value: object) -> object:
    if isinstance(value, dict):
        return {
            key: _without_values(each) if key in _VALUED else _blanked(each)
            for key, each in cast("JsonObject", value).items()
        }
    if isinstance(value, list):
        return [_blanked(each) for each in cast("list[object]", value)]
    return value


def _without_values(value: object) -> object:
    """Keep names and references of ``[{name, value, valueFrom}]`` and of ``{name: value}``, no value."""
    if isinstance(value, list):
        return [
            {key: inner for key, inner in cast("JsonObject", each).items() if key != "value"}
            for each in cast("list[object]", value)
            if isinstance(each, dict)
        ]
    return dict.fromkeys(cast("JsonObject", value), "") if isinstance(value, dict) else ""
