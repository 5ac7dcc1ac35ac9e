"""Narrowing of decoded JSON, so that the checker knows a dict's keys are strings."""

from __future__ import annotations

from typing import Any, TypeGuard

__all__ = ["at", "dig", "is_array", "is_object"]


def is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def is_array(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def at(value: Any, key: str) -> Any:
    """Return a field, None where there is no object or no such field."""
    return value.get(key) if is_object(value) else None


def dig(value: Any, *keys: str) -> Any:
    """Return the field at a path of names, None where the path ends early."""
    for key in keys:
        value = at(value, key)
    return value
