"""Merge two changes of one object against the version both began from. Pure; JSON values in, JSON values out.

Lists are one value here: merging them item by item would need to know what each list means, and guess wrong silently.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

from kagent_tui.cluster.kinds import JsonObject

__all__ = ["Clash", "Merge", "merge"]

_ABSENT = object()


class Clash(NamedTuple):
    """A field that both changed, differently; None where a side removed it."""

    path: str
    mine: Any
    theirs: Any


class Merge(NamedTuple):
    """The merged object (with theirs where both clash) and the clashes."""

    object: JsonObject
    clashes: tuple[Clash, ...]


def merge(base: JsonObject, mine: JsonObject, theirs: JsonObject, *, prefer_mine: bool = False) -> Merge:
    """Apply what I changed since ``base`` to ``theirs``."""
    clashes: list[Clash] = []
    merged = _merge(base, mine, theirs, "", clashes, prefer_mine)
    return Merge(cast("JsonObject", merged), tuple(clashes))


def _merge(base: object, mine: object, theirs: object, path: str, clashes: list[Clash], prefer_mine: bool) -> object:
    if _same(mine, theirs) or _same(base, mine):
        return theirs
    if _same(base, theirs):
        return mine
    left, right = _mapping(mine), _mapping(theirs)
    if left is not None and right is not None:
        return _merge_mappings(_mapping(base) or {}, left, right, path, clashes, prefer_mine)
    clashes.append(Clash(path, None if mine is _ABSENT else mine, None if theirs is _ABSENT else theirs))
    return mine if prefer_mine else theirs


def _merge_mappings(
    old: JsonObject, mine: JsonObject, theirs: JsonObject, path: str, clashes: list[Clash], prefer_mine: bool
) -> JsonObject:
    result: JsonObject = {}
    for key in [*theirs, *(key for key in mine if key not in theirs)]:
        inner = f"{path}.{key}" if path else key
        sides = (old.get(key, _ABSENT), mine.get(key, _ABSENT), theirs.get(key, _ABSENT))
        value = _merge(*sides, inner, clashes, prefer_mine)
        if value is not _ABSENT:
            result[key] = value
    return result


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
