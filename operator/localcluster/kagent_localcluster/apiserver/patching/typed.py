"""Whether a configuration fits its schema's types, as server-side apply asks before it looks at anything else.

Kubernetes' structured-merge-diff (``typed/validate.go``) is the model, its messages included: clients see them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from kagent_localcluster.apiserver.jsonvalue import is_array, is_object
from kagent_localcluster.apiserver.patching.fieldsets import item_key, show
from kagent_localcluster.apiserver.schema.node import Node
from kagent_localcluster.seams import JsonObject

__all__ = ["type_problems"]


def type_problems(schema: Node, obj: JsonObject) -> list[str]:
    """Return what does not fit (``.spec.replicas: expected numeric (int or float), got string``)."""
    found: list[str] = []
    for key, value in obj.items():
        if key in ("apiVersion", "kind"):
            continue
        if (node := schema.child(key)) is not None:
            found += _problems(node, value, f".{key}")
        elif not schema.keeps_unknown:
            found.append(f".{key}: field not declared in schema")
    return found


def _problems(node: Node, value: Any, path: str) -> Iterator[str]:
    if value is None:
        return
    if node.int_or_string:
        if isinstance(value, (dict, list)):
            yield f"{path}: expected any scalar, got {_shown(value)}"
        return
    match node.type:
        case "object":
            yield from _object(node, value, path)
        case "array":
            yield from _array(node, value, path)
        case "":
            # A field without a type holds anything.
            return
        case kind:
            if problem := _scalar_problem(kind, node.raw.get("format", ""), value):
                yield f"{path}: {problem}, got {_shown(value)}"


def _scalar_problem(kind: str, form: str, value: Any) -> str:
    match kind:
        case "string" if form in ("", "byte"):
            return "" if isinstance(value, str) else "expected string"
        case "integer" | "number":
            return (
                ""
                if isinstance(value, (int, float)) and not isinstance(value, bool)
                else "expected numeric (int or float)"
            )
        case "boolean":
            return "" if isinstance(value, bool) else "expected boolean"
        case _:
            return "expected any scalar" if isinstance(value, (dict, list)) else ""


def _object(node: Node, value: Any, path: str) -> Iterator[str]:
    if not is_object(value):
        yield f"{path}: expected map, got {_shown(value)}"
        return
    for key, item in value.items():
        if (child := node.child(key)) is not None:
            yield from _problems(child, item, f"{path}.{key}")
        elif not node.keeps_unknown and (node.property_names or node.extra is not None):
            # Where nothing is said about fields, their types are deduced.
            yield f"{path}.{key}: field not declared in schema"


def _array(node: Node, value: Any, path: str) -> Iterator[str]:
    if not is_array(value):
        yield f"{path}: expected list, got {_shown(value)}"
        return
    keyed = node.list_type == "map"
    seen: set[str] = set()
    for index, item in enumerate(value):
        where = f"{path}[{index}]"
        if keyed and not is_object(item):
            yield f"{path}: element {index}: associative list with keys may not have non-map elements"
            continue
        if keyed or node.list_type == "set":
            key = item_key(node, item) if keyed else "v:" + orjson.dumps(item).decode()
            if key in seen:
                yield f"{path}: duplicate entries for key {show((key,))}"
            seen.add(key)
            where = f"{path}{show((key,))}" if keyed else where
        yield from _problems(node.items, item, where)


def _shown(value: Any) -> str:
    """Return the value's type as messages name it."""
    match value:
        case bool():
            return "boolean"
        case str():
            return "string"
        case int():
            return "integer"
        case float():
            return "float"
        case dict():
            return "map"
        case _:
            return "list" if isinstance(value, list) else "null"
