"""Names for JSON as it travels: events of a session, arguments and results of tools, metadata.

Never holds behaviour; values of these types are what the wire gave and are checked where they are used.
"""

from __future__ import annotations

from typing import Any, TypeAlias, TypeGuard, cast

__all__ = ["JsonObject", "as_object", "as_objects", "as_text", "is_object"]

JsonObject: TypeAlias = dict[str, Any]


def is_object(value: object) -> TypeGuard[JsonObject]:
    """Tell whether a parsed JSON value is an object (whose keys are then strings)."""
    return isinstance(value, dict)


def as_object(value: object) -> JsonObject:
    """Return the value if it is an object, else an empty one."""
    return value if is_object(value) else {}


def as_objects(value: object) -> list[JsonObject]:
    """Return the objects of a list; anything else in it, or no list at all, is left out."""
    if not isinstance(value, list):
        return []
    return [item for item in cast("list[object]", value) if is_object(item)]


def as_text(value: object) -> str:
    """Return the value if it is text, else empty text."""
    return value if isinstance(value, str) else ""
