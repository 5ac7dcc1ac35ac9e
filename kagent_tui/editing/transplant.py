"""Brings a text to what another object says, touching only the fields that differ: comments and style stay."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kagent_api.errors import InvalidSpec
from kagent_tui.cluster.kinds import JsonObject
from kagent_tui.cluster.references import items, mapping
from kagent_tui.editing.document import parse, to_yaml
from kagent_tui.editing.schemas import is_block, is_list
from kagent_tui.editing.source import Path, drop, put

__all__ = ["transplant"]

_GONE = object()


def transplant(text: str, wanted: JsonObject) -> str:
    """Return ``text`` changed as little as makes it say ``wanted``; written anew where that cannot be done in place."""
    try:
        current = text
        # Last first, so that what is taken out of a list does not move what is still to be changed.
        for path, value in reversed(list(_differences(parse(text).object, wanted, ()))):
            current = drop(current, path) if value is _GONE else put(current, path, value)
        if parse(current).object == wanted:
            return current
    except (InvalidSpec, ValueError):
        # Anchors, or a shape that only a whole new text can have.
        return to_yaml(wanted)
    return to_yaml(wanted)


def _differences(have: Any, wanted: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if is_block(have) and is_block(wanted) and have and wanted:
        fresh = [key for key in mapping(wanted) if key not in mapping(have)]
        for key in reversed(fresh):
            yield (*path, key), mapping(wanted)[key]
        for key, value in mapping(have).items():
            if key in mapping(wanted):
                yield from _differences(value, mapping(wanted)[key], (*path, key))
            else:
                yield (*path, key), _GONE
    elif is_list(have) and is_list(wanted) and have and len(items(have)) <= len(items(wanted)):
        for index in reversed(range(len(items(have)), len(items(wanted)))):
            yield (*path, index), items(wanted)[index]
        for index, value in enumerate(items(have)):
            yield from _differences(value, items(wanted)[index], (*path, index))
    elif have != wanted or type(have) is not type(wanted):
        yield path, wanted
