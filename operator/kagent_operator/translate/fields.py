"""Read raw Kubernetes objects without trusting their shape.

Translation works on raw objects, not on the pydantic models: whether a field is unset decides what is written (defaults
of the CRD must not appear in Deployments that upstream's controller made), and core/v1 blocks must pass through
unchanged, fields newer than this code included. Never raises: a field of the wrong type reads as unset.
"""

from __future__ import annotations

import base64
from typing import Any, TypeAlias, cast

__all__ = [
    "JsonObject", "config_values", "flag", "integer", "mapping", "name_of", "namespace_of", "quoted", "rows",
    "secret_values", "section", "string_map", "strings", "text",
]  # fmt: skip

JsonObject: TypeAlias = dict[str, Any]


def section(obj: JsonObject | None, *path: str) -> JsonObject | None:
    """Return the object at a path, None when it is unset; an empty object is not None."""
    current = obj
    for key in path:
        if current is None:
            return None
        found: object = current.get(key)
        current = cast(JsonObject, found) if isinstance(found, dict) else None
    return current


def mapping(obj: JsonObject | None, *path: str) -> JsonObject:
    """Return the object at a path, empty when it is unset."""
    return section(obj, *path) or {}


def text(obj: JsonObject | None, *path: str) -> str:
    """Return the string at a path, empty when it is unset."""
    value = mapping(obj, *path[:-1]).get(path[-1])
    return value if isinstance(value, str) else ""


def integer(obj: JsonObject | None, *path: str) -> int | None:
    """Return the whole number at a path."""
    value = mapping(obj, *path[:-1]).get(path[-1])
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def flag(obj: JsonObject | None, *path: str) -> bool:
    """Return the boolean at a path, False when it is unset."""
    return mapping(obj, *path[:-1]).get(path[-1]) is True


def rows(obj: JsonObject | None, *path: str) -> list[JsonObject]:
    """Return the list of objects at a path; entries that are no objects are left out."""
    value = mapping(obj, *path[:-1]).get(path[-1])
    if not isinstance(value, list):
        return []
    return [cast(JsonObject, item) for item in cast(list[object], value) if isinstance(item, dict)]


def strings(obj: JsonObject | None, *path: str) -> list[str]:
    """Return the list of strings at a path."""
    value = mapping(obj, *path[:-1]).get(path[-1])
    return [item for item in cast(list[object], value) if isinstance(item, str)] if isinstance(value, list) else []


def string_map(obj: JsonObject | None, *path: str) -> dict[str, str]:
    """Return the map of strings at a path."""
    return {key: value for key, value in mapping(obj, *path).items() if isinstance(value, str)}


def name_of(obj: JsonObject) -> str:
    """Return metadata.name."""
    return text(obj, "metadata", "name")


def namespace_of(obj: JsonObject) -> str:
    """Return metadata.namespace."""
    return text(obj, "metadata", "namespace")


def secret_values(secret: JsonObject) -> dict[str, bytes]:
    """Return a Secret's values decoded; stringData (manifests not yet applied) wins over data, as on the server."""
    values: dict[str, bytes] = {}
    for key, encoded in string_map(secret, "data").items():
        try:
            values[key] = base64.b64decode(encoded, validate=False)
        except ValueError:  # binascii.Error is one; text beyond ASCII is another
            values[key] = b""
    values.update({key: value.encode() for key, value in string_map(secret, "stringData").items()})
    return values


def config_values(config_map: JsonObject) -> dict[str, bytes]:
    """Return a ConfigMap's values, binary ones decoded."""
    values = {key: value.encode() for key, value in string_map(config_map, "data").items()}
    for key, encoded in string_map(config_map, "binaryData").items():
        try:
            values[key] = base64.b64decode(encoded, validate=False)
        except ValueError:  # binascii.Error is one; text beyond ASCII is another
            values[key] = b""
    return values


def quoted(names: list[str]) -> str:
    """Return names as a message shows them: ``'a', 'b'``, or ``none``."""
    return ", ".join(f"'{name}'" for name in names) if names else "none"
