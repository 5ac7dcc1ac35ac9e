"""Merge two changes of one object against the version both began from. Pure; JSON values in, JSON values out.

A list is merged entry by entry only where its entries have an identity (a name, or the server or agent that a tool
names) or are known to be a set; any other list is one value, since guessing what it means goes wrong silently.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeAlias, cast

from kagent_tui.cluster.kinds import JsonObject
from kagent_tui.cluster.references import mapping, text

__all__ = ["Clash", "Merge", "Preference", "merge"]

# Tells by its path whether a clash is decided for mine.
Preference: TypeAlias = Callable[[str], bool]

_ABSENT = object()
# Lists whose order says nothing.
_SETS: Final = frozenset({"toolNames", "requireApproval", "allowedHeaders", "allowedDomains", "tags", "finalizers"})


class Clash(NamedTuple):
    """A field that both changed, differently; None where a side removed it, or where there was nothing before."""

    path: str
    mine: Any
    theirs: Any
    before: Any = None


class Merge(NamedTuple):
    """The merged object and the clashes."""

    object: JsonObject
    clashes: tuple[Clash, ...]


def merge(
    base: JsonObject, mine: JsonObject, theirs: JsonObject, *, prefer_mine: bool | Preference = False
) -> Merge:  # fmt: skip
    """Apply what I changed since ``base`` to ``theirs``; where both clash the preference decides, else theirs stays."""
    decide: Preference = prefer_mine if callable(prefer_mine) else lambda path: bool(prefer_mine)
    merger = _Merger(decide)
    merged = merger.values(base, mine, theirs, "")
    return Merge(cast("JsonObject", merged), tuple(merger.clashes))


class _Merger:
    def __init__(self, decide: Preference) -> None:
        self.clashes: list[Clash] = []
        self._decide = decide

    def values(self, base: object, mine: object, theirs: object, path: str) -> object:
        if _same(mine, theirs) or _same(base, mine):
            return theirs
        if _same(base, theirs):
            return mine
        left, right = _mapping(mine), _mapping(theirs)
        if left is not None and right is not None:
            return self._mappings(_mapping(base) or {}, left, right, path, ".")
        keyed = [_keyed(one, path) for one in (base, mine, theirs)]
        if keyed[1] is not None and keyed[2] is not None:
            joined = self._mappings(keyed[0] or {}, keyed[1], keyed[2], path, "[]")
            return list(joined.values())
        sides = [None if one is _ABSENT else one for one in (mine, theirs, base)]
        self.clashes.append(Clash(path, *sides))
        return mine if self._decide(path) else theirs

    def _mappings(self, old: JsonObject, mine: JsonObject, theirs: JsonObject, path: str, how: str) -> JsonObject:
        result: JsonObject = {}
        for key in [*theirs, *(key for key in mine if key not in theirs)]:
            inner = f"{path}[{key}]" if how == "[]" else f"{path}.{key}" if path else key
            sides = (old.get(key, _ABSENT), mine.get(key, _ABSENT), theirs.get(key, _ABSENT))
            value = self.values(*sides, inner)
            if value is not _ABSENT:
                result[key] = value
        return result


def _keyed(value: object, path: str) -> JsonObject | None:
    """Return a list's entries by what identifies them; None for a list whose entries nothing tells apart."""
    if not isinstance(value, list):
        return None
    entries = cast("list[Any]", value)
    of_set = path.rpartition(".")[2] in _SETS
    names = [one if of_set and isinstance(one, str) else _identity(mapping(one)) for one in entries]
    if not all(names) or len(set(names)) != len(names):
        return None
    return dict(zip(names, entries, strict=True))


def _identity(entry: JsonObject) -> str:
    for field in ("mcpServer", "agent"):
        inner = mapping(entry.get(field))
        if inner:
            words = (text(inner.get("kind")), text(inner.get("namespace")), text(inner.get("name")))
            return " ".join(word for word in words if word) if words[2] else ""
    return text(entry.get("name"))


def _mapping(value: object) -> JsonObject | None:
    return cast("JsonObject", value) if isinstance(value, dict) else None


def _same(one: object, other: object) -> bool:
    """Compare as JSON does: true is not 1, 1 is not 1.0."""
    if type(one) is not type(other):
        return False
    left, right = _mapping(one), _mapping(other)
    if left is not None and right is not None:
        return left.keys() == right.keys() and all(_same(value, right[key]) for key, value in left.items())
    if isinstance(one, list) and isinstance(other, list):
        items, others = cast("list[object]", one), cast("list[object]", other)
        return len(items) == len(others) and all(map(_same, items, others))
    return one == other
