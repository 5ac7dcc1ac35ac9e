"""Typed reading of Kubernetes objects, whose fields may be absent or null at any level.

It never invents values: an absent mapping reads as empty, an absent list as no items.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, cast

from kagent_localcluster.seams import JsonObject

__all__ = [
    "Key",
    "at",
    "first",
    "items",
    "key_of",
    "labels_of",
    "mapping",
    "name_of",
    "number",
    "strings",
    "text",
    "uid_of",
]


class Key(NamedTuple):
    """Which object of a kind."""

    namespace: str
    name: str


def at(obj: JsonObject, *path: str) -> Any:
    """Return what stands at a path, None where any level is absent."""
    value: Any = obj
    for step in path:
        if not isinstance(value, dict):
            return None
        value = cast("dict[str, Any]", value).get(step)  # JSON mappings have string keys
    return value


def mapping(obj: JsonObject, *path: str) -> JsonObject:
    value = at(obj, *path)
    return cast(JsonObject, value) if isinstance(value, dict) else {}


def items(obj: JsonObject, *path: str) -> list[JsonObject]:
    value = at(obj, *path)
    if not isinstance(value, list):
        return []
    return [cast(JsonObject, item) for item in cast("list[Any]", value) if isinstance(item, dict)]


def first(found: Iterable[JsonObject]) -> JsonObject:
    """Return the first of some objects, an empty one for none."""
    nothing: JsonObject = {}
    return next(iter(found), nothing)


def strings(obj: JsonObject, *path: str) -> list[str]:
    value = at(obj, *path)
    return [str(item) for item in cast("list[Any]", value)] if isinstance(value, list) else []


def text(obj: JsonObject, *path: str, default: str = "") -> str:
    value = at(obj, *path)
    return value if isinstance(value, str) else default


def number(obj: JsonObject, *path: str, default: int = 0) -> int:
    value = at(obj, *path)
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def key_of(obj: JsonObject) -> Key:
    return Key(text(obj, "metadata", "namespace"), text(obj, "metadata", "name"))


def name_of(obj: JsonObject) -> str:
    return text(obj, "metadata", "name")


def uid_of(obj: JsonObject) -> str:
    return text(obj, "metadata", "uid")


def labels_of(obj: JsonObject) -> dict[str, str]:
    return {name: str(value) for name, value in mapping(obj, "metadata", "labels").items()}
