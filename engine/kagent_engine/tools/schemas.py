"""Makes the schema that a server gives for a tool's arguments one that every model's provider takes.

A provider refuses the whole request over one tool it cannot read, so that one careless server would silence an agent.
Only what is refused is changed, towards accepting more: the server still judges the arguments.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

__all__ = ["accepted_schema"]

# Deeper nesting describes nothing that a model fills in, and exhausts those who walk it.
_DEEPEST: Final = 40
_COMBINED: Final = ("allOf", "anyOf", "oneOf")
_OF_SCHEMAS: Final = frozenset({"properties", "$defs", "definitions", "patternProperties", "dependentSchemas"})
_ONE_SCHEMA: Final = frozenset({"items", "additionalProperties", "not", "if", "then", "else", "contains"})
_LISTS: Final = frozenset({*_COMBINED, "prefixItems"})


def accepted_schema(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON schema of type object with ``properties``, and without alternatives at its top.

    OpenAI and Anthropic refuse ``anyOf``, ``oneOf``, ``allOf``, ``enum`` and ``not`` there, OpenAI also an object
    without properties and an array without items; a reference that leads out of the schema is followed by none.
    """
    schema = _cleaned(dict(given), 0)
    top: dict[str, Any] = {key: value for key, value in schema.items() if key not in {*_COMBINED, "enum", "not"}}
    properties = dict(cast("dict[str, Any]", top.get("properties", {})))
    required = set(cast("list[str]", top.get("required", [])))
    for key in _COMBINED:
        branches = [_resolved(branch, schema) for branch in cast("list[Any]", schema.get(key, []))]
        for branch in branches:
            for name, value in cast("dict[str, Any]", branch.get("properties", {})).items():
                properties.setdefault(name, value)
        needed = [set(cast("list[str]", branch.get("required", []))) for branch in branches]
        if needed:
            required |= needed[0].union(*needed) if key == "allOf" else needed[0].intersection(*needed)
    top = {**top, "type": "object", "properties": properties}
    top.pop("required", None)
    if required:
        first = [name for name in properties if name in required]
        top["required"] = first + sorted(required.difference(first))
    return top


def _resolved(branch: object, schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a branch, or the definition that it only refers to."""
    found = cast("dict[str, Any]", branch) if isinstance(branch, dict) else {}
    reference = str(found.get("$ref", ""))
    for place in ("$defs", "definitions"):
        if reference.startswith(f"#/{place}/"):
            named = cast("dict[str, Any]", schema.get(place, {})).get(reference.removeprefix(f"#/{place}/"))
            return cast("dict[str, Any]", named) if isinstance(named, dict) else {}
    return found


def _cleaned(schema: dict[str, Any], depth: int) -> dict[str, Any]:
    if depth > _DEEPEST:
        return {}
    result: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _OF_SCHEMAS:
            named = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
            result[key] = {name: _below(inner, depth) for name, inner in named.items()}
        elif key in _ONE_SCHEMA:
            result[key] = _below(value, depth)
        elif key in _LISTS:
            if isinstance(value, list) and value:
                result[key] = [_below(inner, depth) for inner in cast("list[Any]", value)]
        elif key == "required":
            names = cast("list[Any]", value) if isinstance(value, list) else []
            if kept := [name for name in names if isinstance(name, str)]:
                result[key] = kept
        elif key not in {"$schema", "$id"} and not (key == "$ref" and not str(value).startswith("#")):
            result[key] = value
    if result.get("type") == "array" and not isinstance(result.get("items"), dict):
        result["items"] = {}
    return result


def _below(value: object, depth: int) -> object:
    """Clean a schema in its place; ``true`` and ``false`` are schemas too."""
    if isinstance(value, dict):
        return _cleaned(cast("dict[str, Any]", value), depth + 1)
    return value if isinstance(value, bool) else {}
