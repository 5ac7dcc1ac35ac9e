"""What the API server would fill in: a CRD's defaults, for places where no API server is."""

from __future__ import annotations

import copy
from typing import Any, cast

from kagent_api.schema import JsonObject

__all__ = ["apply_defaults"]


def apply_defaults(obj: JsonObject, schema: JsonObject) -> JsonObject:
    """Return a copy of the object in which absent fields have the schema's defaults, as the API server would do."""
    filled = copy.deepcopy(obj)
    _fill(filled, schema)
    return filled


def _fill(value: object, schema: JsonObject) -> None:
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        properties = cast("dict[str, JsonObject]", schema.get("properties", {}))
        for name, part in properties.items():
            if name in fields and fields[name] is None and not part.get("nullable"):
                del fields[name]  # the API server drops nulls where they mean nothing, before it defaults
            if name not in fields and "default" in part:
                fields[name] = copy.deepcopy(part["default"])
            if name in fields:
                _fill(fields[name], part)
        extra = schema.get("additionalProperties")
        if isinstance(extra, dict):
            for name in fields.keys() - properties.keys():
                _fill(fields[name], cast("JsonObject", extra))
    elif isinstance(value, list) and "items" in schema:
        for item in cast("list[object]", value):
            _fill(item, schema["items"])
