"""The last state of a cluster on disk, so that the next start shows it at once (labelled as cached).

Never in it: Secrets, values of environment variables and headers, kubectl's copy of an object. One file per cluster,
readable by the owner only; a broken or foreign file is the same as none.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias, cast

from kagent_tui.cluster.kinds import SECRET, JsonObject

__all__ = ["Kept", "Snapshot", "SnapshotStore"]

_FORMAT: Final = 2
# Clusters come and go (every demo is one); the newest are kept.
_MOST_FILES: Final = 20
_DROPPED_ANNOTATIONS: Final = ("kubectl.kubernetes.io/last-applied-configuration",)
# Fields whose values people put secrets into although there are references for that.
_VALUED: Final = frozenset({"env", "defaultHeaders", "headers", "headersFrom"})


# What reading a file that is not ours may raise.
_BROKEN: Final = (ValueError, KeyError, TypeError, AttributeError)
# More than fit on a screen, few enough to be read and shown within the first frame.
_FIRST_PAGE: Final = 150

Kept: TypeAlias = tuple[str, JsonObject]


class Snapshot(NamedTuple):
    """Objects with the kind they are kept under, and when they were written (Unix time).

    ``objects`` are the first of every kind in the order of their names; ``rest`` reads the others from the file, and
    ends early where it is broken.
    """

    objects: list[Kept]
    saved: float
    rest: Iterator[Kept]


class SnapshotStore:
    """Blocking (files): call it in a thread, or at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, identity: str) -> Snapshot | None:
        """Return what is known of a cluster; None when there is nothing that can be used."""
        try:
            rows = self._rows(identity)
            head = cast("dict[str, Any]", json.loads(next(rows)))
            if head.get("format") != _FORMAT or head.get("identity") != identity:
                return None
            first = [_entry(row) for row in islice(rows, int(head["first"]))]
            return Snapshot(first, float(head["saved"]), _rest(rows))
        except (OSError, StopIteration, *_BROKEN):
            return None

    def _rows(self, identity: str) -> Iterator[str]:
        with self._file(identity).open(encoding="utf-8") as file:
            yield from file

    def write(self, identity: str, objects: Iterable[Kept]) -> None:
        """Keep the state of a cluster. Raises OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        target = self._file(identity)
        first, rest = _paged(objects)
        draft = target.with_suffix(f".{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                head = {"format": _FORMAT, "identity": identity, "saved": time.time(), "first": len(first)}
                file.write(json.dumps(head) + "\n")
                # One object at a time: a single dump of 10,000 would hold the interpreter for a noticeable while.
                file.writelines(_lines([*first, *rest]))
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
        self._tidy()

    def _file(self, identity: str) -> Path:
        name = hashlib.sha256(identity.encode(errors="surrogatepass")).hexdigest()[:24]
        return self._folder / f"{name}.jsonl"

    def _tidy(self) -> None:
        files = sorted(self._folder.glob("*.jsonl"), key=lambda file: file.stat().st_mtime, reverse=True)
        for file in files[_MOST_FILES:]:
            file.unlink(missing_ok=True)


def _paged(objects: Iterable[Kept]) -> tuple[list[Kept], list[Kept]]:
    """Return the first of every kind by name, and all others; Secrets are in neither."""
    by_kind: defaultdict[str, list[Kept]] = defaultdict(list)
    for kind, obj in objects:
        if kind != SECRET and obj.get("kind") != SECRET:
            by_kind[kind].append((kind, obj))
    first: list[Kept] = []
    rest: list[Kept] = []
    for kept in by_kind.values():
        kept.sort(key=lambda each: str(cast("JsonObject", each[1].get("metadata") or {}).get("name", "")).casefold())
        first += kept[:_FIRST_PAGE]
        rest += kept[_FIRST_PAGE:]
    return first, rest


def _rest(rows: Iterator[str]) -> Iterator[Kept]:
    with suppress(OSError, *_BROKEN):
        for row in rows:
            yield _entry(row)


def _entry(row: str) -> Kept:
    kind, obj = cast("Kept", json.loads(row))
    if not isinstance(obj["metadata"], dict):
        raise ValueError("no object")
    return kind, obj


def _lines(objects: Iterable[Kept]) -> Iterator[str]:
    for kind, obj in objects:
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
