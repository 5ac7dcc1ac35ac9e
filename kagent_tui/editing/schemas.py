"""The schemas that forms, completion and validation read: those of the CRDs, and our own short one for Secrets.

Loading one imports every resource type (half a second on a busy machine): call ``schema_of`` from a thread first.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from kagent_tui.cluster.kinds import JsonObject
from kagent_tui.cluster.references import items, mapping, text

__all__ = ["child", "described", "is_block", "is_list", "kind_of", "schema_of", "with_defaults"]

_STRINGS: Final[JsonObject] = {"type": "object", "additionalProperties": {"type": "string"}}
# What the API server knows of metadata; CRDs leave it out (Kubernetes API reference, ObjectMeta).
_METADATA: Final[JsonObject] = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {
            "type": "string",
            "maxLength": 253,
            "minLength": 1,
            "pattern": r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
        },
        "namespace": {"type": "string", "maxLength": 63},
        "labels": _STRINGS,
        "annotations": _STRINGS,
        "finalizers": {"type": "array", "items": {"type": "string"}},
        "generateName": {"type": "string"},
    },
}
_SECRET: Final[JsonObject] = {
    "type": "object",
    "properties": {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": _METADATA,
        "type": {"type": "string"},
        "immutable": {"type": "boolean"},
        "stringData": _STRINGS,
        "data": _STRINGS,
    },
}


@cache
def schema_of(api_version: str, kind: str) -> JsonObject | None:
    """Return the schema of a kind in a version, None for one we have none for."""
    if kind == "Secret":
        return _SECRET
    from kagent_api.crds import crd_schema

    group, _, version = api_version.partition("/")
    if group != "kagent.dev":
        return None
    try:
        found = crd_schema(kind, version)
    except KeyError:
        return None
    properties = {name: one for name, one in mapping(found.get("properties")).items() if name != "status"}
    return {**found, "properties": {**properties, "metadata": _METADATA}}


def kind_of(obj: JsonObject) -> tuple[str, str]:
    """Return apiVersion and kind of an object."""
    return text(obj.get("apiVersion")), text(obj.get("kind"))


def is_block(value: object) -> bool:
    """Tell whether a value is a JSON object (``mapping`` then gives its fields)."""
    return isinstance(value, dict)


def is_list(value: object) -> bool:
    """Tell whether a value is a JSON array (``items`` then gives its entries)."""
    return isinstance(value, list)


def child(schema: JsonObject, step: str | int) -> JsonObject | None:
    """Return the schema of a property or of a list's items; {} where anything may stand, None where nothing may."""
    if isinstance(step, int):
        return mapping(schema.get("items")) if schema.get("type") == "array" else None
    found = mapping(schema.get("properties")).get(step)
    if found is not None:
        return mapping(found)
    extra = schema.get("additionalProperties")
    if is_block(extra):
        return mapping(extra)
    free = schema.get("x-kubernetes-preserve-unknown-fields") or extra is True or not schema
    return {} if free else None


def described(schema: JsonObject) -> str:
    """Say in a few words what may stand in a field."""
    words: list[str] = []
    match schema.get("type"):
        case "string":
            words.append("text")
        case "integer" | "number" as kind:
            words.append("whole number" if kind == "integer" else "number")
        case "boolean":
            words.append("true or false")
        case "array":
            words.append("list")
        case "object":
            words.append("fields" if "properties" in schema else "names and values")
        case _:
            words.append("text or number" if schema.get("x-kubernetes-int-or-string") else "anything")
    if "enum" in schema:
        words = ["one of " + ", ".join(str(one) for one in items(schema["enum"]))]
    limits = (("minimum", "at least"), ("maximum", "at most"), ("maxItems", "at most"), ("maxLength", "at most"))
    for key, phrase in limits:
        if key in schema:
            unit = {"maxItems": " entries", "maxLength": " characters"}.get(key, "")
            words.append(f"{phrase} {schema[key]}{unit}")
    if "default" in schema:
        words.append(f"without it: {_plain(schema['default'])}")
    return ", ".join(words)


def with_defaults(value: Any, schema: JsonObject) -> Any:
    """Return a value as the server stores it: absent fields that have a default are filled in."""
    if is_block(value):
        filled: JsonObject = dict(mapping(value))
        for name, one in mapping(schema.get("properties")).items():
            if filled.get(name) is None and "default" in mapping(one):
                filled[name] = mapping(one)["default"]
        return {name: with_defaults(one, child(schema, name) or {}) for name, one in filled.items()}
    if is_list(value):
        inner = mapping(schema.get("items"))
        return [with_defaults(one, inner) for one in items(value)]
    return value


def _plain(value: object) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
