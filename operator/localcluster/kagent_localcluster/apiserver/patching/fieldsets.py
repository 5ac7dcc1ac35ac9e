"""Sets of fields as managedFields writes them (``f:spec``, ``k:{"name":"web"}``, ``v:"finalizer"``).

A set is a Python set of paths, a path a tuple of those strings. Members are leaves (scalars, atomic lists and maps,
empty containers), the items of lists with keys, the keys of maps that are no declared fields, and containers that came
or went as a whole. Kubernetes' structured-merge-diff is the model.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import orjson

from kagent_localcluster.apiserver.jsonvalue import dig, is_array, is_object
from kagent_localcluster.apiserver.schema.node import EMPTY, Node
from kagent_localcluster.seams import JsonObject

__all__ = [
    "MISSING",
    "FieldPath",
    "FieldSet",
    "decode",
    "encode",
    "fields_of",
    "item_element",
    "item_key",
    "show",
    "without_server_fields",
]

FieldPath: TypeAlias = tuple[str, ...]
FieldSet: TypeAlias = set[FieldPath]

MISSING = object()

# What the server writes itself is nobody's.
_SERVER_FIELDS = frozenset({
    "name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation", "managedFields",
    "resourceVersion",
})  # fmt: skip


def without_server_fields(obj: JsonObject) -> JsonObject:
    """Return a shallow copy with only what managers can own."""
    kept = {key: value for key, value in obj.items() if key not in ("apiVersion", "kind")}
    metadata: JsonObject = obj.get("metadata") or {}
    kept["metadata"] = {key: value for key, value in metadata.items() if key not in _SERVER_FIELDS}
    return kept


def fields_of(schema: Node, obj: JsonObject) -> FieldSet:
    """Return the fields an object has that managers can own."""
    found: FieldSet = set()
    _collect(schema, without_server_fields(obj), (), found)
    return found - {("f:metadata",)}


def _collect(node: Node, value: Any, path: FieldPath, found: FieldSet) -> None:
    if is_object(value) and node.map_type != "atomic":
        for key, item in value.items():
            place = (*path, f"f:{key}")
            _collect(node.child(key) or EMPTY, item, place, found)
            if item is None or item == {} or key not in node.property_names:
                found.add(place)
    elif is_array(value) and node.list_type in ("map", "set"):
        for item in value:
            place = (*path, item_element(node, item))
            _collect(node.items, item, place, found)
            found.add(place)
    else:
        found.add(path)


def item_element(node: Node, item: Any) -> str:
    """Return the path element of an item of a list with keys or of a set."""
    if node.list_type == "map" and is_object(item):
        return item_key(node, item)
    return "v:" + orjson.dumps(item).decode()


def item_key(node: Node, item: dict[str, Any]) -> str:
    """Return the ``k:`` element of a list item; a missing key takes the schema's default."""
    keys: dict[str, Any] = {}
    for name in sorted(node.list_keys):
        value = item.get(name)
        if value is None:
            value = dig(node.items.property_names, name, "default")
        if value is not None:
            keys[name] = value
    return "k:" + orjson.dumps(keys).decode()


def encode(fields: FieldSet) -> JsonObject:
    """Return the set as fieldsV1."""
    tree: JsonObject = {}
    for path in sorted(fields):
        level = tree
        for element in path:
            level = level.setdefault(element, {})
    _mark_members(tree, (), fields)
    return tree


def _mark_members(tree: JsonObject, path: FieldPath, fields: FieldSet) -> None:
    """Mark the members that lie above others; where nothing lies below, being there says it."""
    for element, below in tree.items():
        place = (*path, element)
        if below:
            _mark_members(below, place, fields)
            if place in fields:
                below["."] = {}


def decode(tree: Any) -> FieldSet:
    """Return the set that fieldsV1 describes."""
    found: FieldSet = set()
    _decode(tree, (), found)
    return found


def _decode(tree: Any, path: FieldPath, found: FieldSet) -> None:
    if not is_object(tree):
        return
    for element, below in tree.items():
        if element == ".":
            found.add(path)
        elif below:
            _decode(below, (*path, element), found)
        else:
            found.add((*path, element))


def show(path: FieldPath) -> str:
    """Return the path as conflict messages write it (``.spec.containers[name="web"].image``)."""
    text = ""
    for element in path:
        if element[0] == "f":
            text += "." + element[2:]
        elif element[0] == "k":
            keys: dict[str, Any] = orjson.loads(element[2:])
            text += "[" + ",".join(f"{key}={orjson.dumps(value).decode()}" for key, value in keys.items()) + "]"
        else:
            text += f"[={element[2:]}]"
    return text
