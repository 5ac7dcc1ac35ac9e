"""Reading JSON that others wrote: every lookup has a default of the right type, so no shape can raise."""

from __future__ import annotations

from typing import Any, Final, TypeAlias, cast

__all__ = ["JsonObject", "integral", "object_of", "objects_in", "text_of"]

JsonObject: TypeAlias = dict[str, Any]

# Deeper than any real tool argument; below Python's recursion limit.
_MAX_DEPTH: Final = 64


def object_of(value: object) -> JsonObject:
    """Return ``value`` if it is an object, else an empty one."""
    return cast("JsonObject", value) if isinstance(value, dict) else {}  # JSON keys are strings


def objects_in(value: object) -> list[JsonObject]:
    """Return the objects of a list; anything else in it, or anything that is no list, is left out."""
    if not isinstance(value, list):
        return []
    items = cast("list[object]", value)
    return [cast("JsonObject", item) for item in items if isinstance(item, dict)]


def text_of(value: object) -> str:
    """Return ``value`` if it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def integral(value: Any, depth: int = 0) -> Any:
    """Return ``value`` with whole floats as integers: protobuf's Struct, the 1.0 wire, turns ``1`` into ``1.0``."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if depth >= _MAX_DEPTH:
        return value
    if isinstance(value, dict):
        return {key: integral(item, depth + 1) for key, item in cast("JsonObject", value).items()}
    if isinstance(value, list):
        return [integral(item, depth + 1) for item in cast("list[Any]", value)]
    return value
