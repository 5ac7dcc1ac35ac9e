"""Structural schemas of core/v1 and meta/v1 objects, read from the table. Must never describe or default on its own."""

from __future__ import annotations

import json
import re
from functools import cache

from kagent_api.core_table import CORE_TYPES
from kagent_api.schema import JsonObject

__all__ = ["core_schema"]

# resource.Quantity and intstr.IntOrString, as CRD generators write them.
_QUANTITY = (
    r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$"
)
_INT_OR_STRING: JsonObject = {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True}
_FIELD = re.compile(r"(?P<name>\w+)(?P<required>!?)(?::(?P<code>[^=|]*))?(?:\|(?P<keys>[^=]+))?(?:=(?P<default>.+))?")


@cache
def core_schema(name: str) -> JsonObject:
    """Return the schema of a type in the table. It is shared: callers must not change it."""
    words = CORE_TYPES[name].split()
    schema: JsonObject = {"type": "object"}
    if words[0] == "@atomic":
        schema["x-kubernetes-map-type"] = "atomic"
        words = words[1:]
    properties: JsonObject = {}
    required: list[str] = []
    for word in words:
        match = _FIELD.fullmatch(word)
        if match is None:
            raise ValueError(f"core_table: {name} has a field that cannot be read: {word}")
        field = _typed(match["code"] or "", match["keys"] or "")
        if match["default"]:
            field["default"] = json.loads(match["default"])
        if match["required"]:
            required.append(match["name"])
        properties[match["name"]] = field
    schema["properties"] = properties
    if required:
        schema["required"] = sorted(required)
    return schema


def _typed(code: str, keys: str) -> JsonObject:
    if code.endswith("[]"):
        field: JsonObject = {"type": "array", "items": _typed(code[:-2], "")}
        if not keys:
            return field | {"x-kubernetes-list-type": "atomic"}
        if keys == "set":
            return field | {"x-kubernetes-list-type": "set"}
        return field | {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys.split(",")}
    if code.endswith("{}"):
        return {"type": "object", "additionalProperties": _typed(code[:-2], "")}
    match code:
        case "":
            return {"type": "string"}
        case "bool":
            return {"type": "boolean"}
        case "int32" | "int64":
            return {"type": "integer", "format": code}
        case "intstr":
            return dict(_INT_OR_STRING)
        case "quantity":
            return _INT_OR_STRING | {"pattern": _QUANTITY}
        case _:
            return dict(core_schema(code))
