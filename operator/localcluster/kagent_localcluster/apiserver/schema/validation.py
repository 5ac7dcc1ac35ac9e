"""Structural validation, with the fields, reasons and order of causes a real API server gives.

CEL rules are a second pass (``celrules``), run only when this one found nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import orjson

from kagent_localcluster.apiserver.jsonvalue import at, is_array, is_object
from kagent_localcluster.apiserver.schema.formats import format_problem
from kagent_localcluster.apiserver.schema.node import Node
from kagent_localcluster.errors import Cause

__all__ = ["counterpart", "missing_fields", "type_name", "validate"]


def type_name(value: Any) -> str:
    """Return the JSON type as messages name it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    for kind, name in ((dict, "object"), (list, "array"), (str, "string"), (int, "integer")):
        if isinstance(value, kind):
            return name
    return "number"


def validate(node: Node, value: Any, path: str = "", old: Any = None) -> Iterator[Cause]:
    """Yield every fault of the value.

    What equals its ``old`` counterpart is not judged again, so that an object that an older schema let in can still be
    changed elsewhere (Kubernetes' validation ratcheting).
    """
    if old is not None and value == old:
        return
    where = path or "<nil>"
    if value is None:
        if not node.nullable and node.type:
            yield Cause(
                where,
                f'Invalid value: "null": {path} in body must be of type {node.type}: "null"',
                "FieldValueTypeInvalid",
            )
        return
    raw = node.raw
    if node.int_or_string:
        if isinstance(value, bool) or not isinstance(value, (int, str)):
            kind = type_name(value)
            yield Cause(
                where, f'Invalid value: "{kind}": {path} in body must be of type integer or string: "{kind}"',
                "FieldValueTypeInvalid",
            )  # fmt: skip
            return
    elif node.type and not _is_type(node.type, value):
        if is_array(value) and "format" in raw and node.custom:
            return  # go-openapi takes a list for a string with a format, and so does every real server
        kind = type_name(value)
        yield Cause(
            where,
            f'Invalid value: "{kind}": {path} in body must be of type {node.type}: "{kind}"',
            "FieldValueTypeInvalid",
        )
        if "enum" in raw:
            yield _unsupported(where, value, raw["enum"])
        return
    if "enum" in raw and value not in raw["enum"]:
        yield _unsupported(where, value, raw["enum"])
    yield from _bounds(raw, value, path, where)
    yield from _combinations(node, value, path, where)
    if is_object(value):
        yield from _object(node, value, path, old)
    elif is_array(value):
        yield from _array(node, value, path, old)


# Metadata has its own rules, and a status is what controllers make of it.
_NOT_HERE = frozenset({"metadata", "status"})


def missing_fields(node: Node, value: Any, path: str = "") -> Iterator[Cause]:
    """Yield the required fields of a built-in object that are empty; numbers are judged by their ranges."""
    if is_object(value):
        for key in node.raw.get("required", ()):
            if value.get(key) in (None, "", []):
                yield Cause(f"{path}.{key}" if path else key, "Required value", "FieldValueRequired")
        for key, item in value.items():
            if isinstance(item, (dict, list)) and key not in _NOT_HERE and (child := node.child(key)):
                yield from missing_fields(child, item, f"{path}.{key}" if path else key)
    elif is_array(value):
        for index, item in enumerate(value):
            yield from missing_fields(node.items, item, f"{path}[{index}]")


def _is_type(kind: str, value: Any) -> bool:
    match kind:
        case "object":
            return is_object(value)
        case "array":
            return is_array(value)
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return (isinstance(value, int) and not isinstance(value, bool)) or (
                isinstance(value, float) and value.is_integer()
            )
        case _:
            return isinstance(value, (int, float)) and not isinstance(value, bool)


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _unsupported(where: str, value: Any, choices: list[Any]) -> Cause:
    shown = _json(value) if not isinstance(value, (dict, list)) else f'"{type_name(value)}"'
    supported = ", ".join(_json(choice) for choice in choices)
    return Cause(where, f"Unsupported value: {shown}: supported values: {supported}", "FieldValueNotSupported")


def _bounds(raw: dict[str, Any], value: Any, path: str, where: str) -> Iterator[Cause]:
    if isinstance(value, str):
        if len(value) < raw.get("minLength", 0):
            yield Cause(
                where, f'Invalid value: "{value}": {path} in body should be at least {raw["minLength"]} chars long'
            )
        if len(value) > raw.get("maxLength", math.inf):
            yield Cause(where, f"Too long: may not be more than {raw['maxLength']} bytes", "FieldValueTooLong")
        if "pattern" in raw and not _pattern(raw["pattern"]).search(value):
            yield Cause(where, f"Invalid value: \"{value}\": {path} in body should match '{raw['pattern']}'")
        if "format" in raw and format_problem(raw["format"], value):
            text = f'Invalid value: "{value}": {path} in body must be of type {raw["format"]}: "{value}"'
            yield Cause(where, text, "FieldValueTypeInvalid")
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        low, high = raw.get("minimum"), raw.get("maximum")
        if low is not None and (value < low or (raw.get("exclusiveMinimum") and value == low)):
            word = "greater than" if raw.get("exclusiveMinimum") else "greater than or equal to"
            yield Cause(where, f"Invalid value: {value}: {path} in body should be {word} {low}")
        if high is not None and (value > high or (raw.get("exclusiveMaximum") and value == high)):
            word = "less than" if raw.get("exclusiveMaximum") else "less than or equal to"
            yield Cause(where, f"Invalid value: {value}: {path} in body should be {word} {high}")
        if (step := raw.get("multipleOf")) and not math.isclose(value / step, round(value / step), abs_tol=1e-9):
            yield Cause(where, f"Invalid value: {value}: {path} in body should be a multiple of {step}")
        if (bits := _integer_bits(raw)) and not -(1 << bits) <= value < (1 << bits):
            yield Cause(where, f'Invalid value: {value}: {path} in body must be of type {raw["format"]}: "{value}"')


def _integer_bits(raw: dict[str, Any]) -> int:
    return {"int32": 31, "int64": 63}.get(raw.get("format", ""), 0) if raw.get("type") == "integer" else 0


@lru_cache(maxsize=512)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)


def _combinations(node: Node, value: Any, path: str, where: str) -> Iterator[Cause]:
    """Check allOf, anyOf, oneOf and not, which carry value rules only (structural schemas forbid types in them)."""
    raw = node.raw
    if node.int_or_string:
        return
    for part in raw.get("allOf", ()):
        yield from validate(Node(part), value, path)
    if (any_of := raw.get("anyOf")) and not any(_fits(part, value, path) for part in any_of):
        yield Cause(
            where, f'Invalid value: "{type_name(value)}": {path} in body must validate at least one schema (anyOf)'
        )
    if one_of := raw.get("oneOf"):
        fitting = sum(_fits(part, value, path) for part in one_of)
        if fitting != 1:
            found = "Found none valid" if not fitting else f"Found {fitting} valid alternatives"
            yield Cause(
                where,
                f'Invalid value: "{type_name(value)}": {path} in body must validate one and only one schema (oneOf). '
                f"{found}",
            )
    if (negated := raw.get("not")) is not None and _fits(negated, value, path):
        yield Cause(where, f'Invalid value: "{type_name(value)}": {path} in body must not validate the schema (not)')


def _fits(part: dict[str, Any], value: Any, path: str) -> bool:
    return next(validate(Node(part), value, path), None) is None


def _object(node: Node, value: dict[str, Any], path: str, old: Any) -> Iterator[Cause]:
    raw = node.raw
    for key in raw.get("required", ()):
        if key not in value:
            yield Cause(f"{path}.{key}" if path else key, "Required value", "FieldValueRequired")
    if len(value) > raw.get("maxProperties", math.inf):
        yield Cause(
            path, f"Too many: {len(value)}: must have at most {raw['maxProperties']} items", "FieldValueTooMany"
        )
    if len(value) < raw.get("minProperties", 0):
        yield Cause(
            path, f"Invalid value: {len(value)}: {path} in body should have at least {raw['minProperties']} properties"
        )
    for key, item in value.items():
        if child := node.child(key):
            yield from validate(child, item, f"{path}.{key}" if path else key, at(old, key))


def _array(node: Node, value: list[Any], path: str, old: Any) -> Iterator[Cause]:
    raw = node.raw
    if len(value) > raw.get("maxItems", math.inf):
        yield Cause(path, f"Too many: {len(value)}: must have at most {raw['maxItems']} items", "FieldValueTooMany")
    if len(value) < raw.get("minItems", 0):
        yield Cause(path, f"Invalid value: {len(value)}: {path} in body should have at least {raw['minItems']} items")
    for index, item in enumerate(value):
        yield from validate(node.items, item, f"{path}[{index}]", counterpart(node, item, old))
    if node.list_type == "map":
        yield from _duplicate_keys(node, value, path)
    elif node.list_type == "set" or raw.get("uniqueItems"):
        seen: set[bytes] = set()
        for index, item in enumerate(value):
            text = orjson.dumps(item, option=orjson.OPT_SORT_KEYS)
            if text in seen:
                yield Cause(f"{path}[{index}]", f"Duplicate value: {_json(item)}", "FieldValueDuplicate")
            seen.add(text)


def counterpart(node: Node, item: Any, old: Any) -> Any:
    """Return the old list's item with the same keys, None where lists have no keys or there was no such item."""
    if node.list_type != "map" or not is_array(old) or not is_object(item):
        return None
    wanted = [item.get(key) for key in node.list_keys]
    return next(
        (other for other in old if is_object(other) and [other.get(key) for key in node.list_keys] == wanted), None
    )


def _duplicate_keys(node: Node, value: list[Any], path: str) -> Iterator[Cause]:
    seen: set[bytes] = set()
    for index, item in enumerate(value):
        if is_object(item):
            keys = {key: item.get(key) for key in node.list_keys}
            text = orjson.dumps(keys, option=orjson.OPT_SORT_KEYS)
            if text in seen:
                yield Cause(f"{path}[{index}]", f"Duplicate value: {_json(keys)}", "FieldValueDuplicate")
            seen.add(text)
