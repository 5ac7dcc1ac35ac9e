"""Sets of fields as managedFields writes them (``f:spec``, ``k:{"name":"web"}``, ``v:"finalizer"``).

A set is a Python set of paths, a path a tuple of those strings. Members are leaves (scalars, atomic lists and maps,
empty containers) and, for lists with keys, the items themselves. Kubernetes' structured-merge-diff is the model.
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
    "fields_below",
    "fields_of",
    "is_key_field",
    "item_key",
    "lookup",
    "remove",
    "show",
]

FieldPath: TypeAlias = tuple[str, ...]
FieldSet: TypeAlias = set[FieldPath]

MISSING = object()

# The server's own fields are nobody's.
_META_FIELDS = ("labels", "annotations", "finalizers", "ownerReferences")


def fields_of(schema: Node, obj: JsonObject) -> FieldSet:
    """Return the fields an object has that managers can own."""
    found: FieldSet = set()
    for key, value in obj.items():
        if key in ("apiVersion", "kind"):
            continue
        node = schema.child(key) or EMPTY
        if key == "metadata":
            for name in _META_FIELDS:
                if value.get(name):
                    _collect(node.child(name) or EMPTY, value[name], ("f:metadata", f"f:{name}"), found)
        else:
            _collect(node, value, (f"f:{key}",), found)
    return found


def fields_below(node: Node, value: Any, path: FieldPath) -> FieldSet:
    """Return the fields of a value that stands at a path of the object."""
    found: FieldSet = set()
    _collect(node, value, path, found)
    return found


def _collect(node: Node, value: Any, path: FieldPath, found: FieldSet) -> None:
    if is_object(value) and value and node.map_type != "atomic":
        for key, item in value.items():
            _collect(node.child(key) or EMPTY, item, (*path, f"f:{key}"), found)
    elif is_array(value) and value and node.list_type == "map":
        for item in value:
            if is_object(item):
                place = (*path, item_key(node, item))
                found.add(place)
                for key, inner in item.items():
                    _collect(node.items.child(key) or EMPTY, inner, (*place, f"f:{key}"), found)
    elif is_array(value) and value and node.list_type == "set":
        found.update((*path, "v:" + orjson.dumps(item).decode()) for item in value)
    else:
        found.add(path)


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


def lookup(schema: Node, obj: Any, path: FieldPath) -> Any:
    """Return the value at a path, MISSING when it is not there."""
    node = schema
    for element in path:
        kind, name = element[0], element[2:]
        if kind == "f":
            if not is_object(obj) or name not in obj:
                return MISSING
            obj, node = obj[name], node.child(name) or EMPTY
        elif kind == "k":
            obj = next((item for item in obj if item_key(node, item) == element), MISSING) if is_array(obj) else MISSING
            node = node.items
        elif kind == "v":
            obj = orjson.loads(name) if is_array(obj) and orjson.loads(name) in obj else MISSING
        else:
            return MISSING
        if obj is MISSING:
            return MISSING
    return obj


def remove(schema: Node, obj: JsonObject, path: FieldPath) -> None:
    """Remove the value at a path; containers that were not members themselves and become empty go too."""
    *parents, last = path
    node = schema
    container: Any = obj
    trail: list[tuple[Any, str]] = []
    for element in parents:
        inner = lookup(node, container, (element,))
        if inner is MISSING:
            return
        trail.append((container, element))
        node = (node.child(element[2:]) or EMPTY) if element[0] == "f" else node.items
        container = inner
    if last[0] == "f" and is_object(container):
        container.pop(last[2:], None)
    elif is_array(container):
        value = lookup(node, container, (last,))
        if value is not MISSING:
            container.remove(value)
    # An emptied map or list would otherwise stay as {} or [], which nobody applied.
    for parent, element in reversed(trail):
        if container or element[0] != "f" or not is_object(parent) or len(trail) == 1:
            break
        parent.pop(element[2:], None)
        container = parent


def is_key_field(path: FieldPath) -> bool:
    """Tell whether the path is one of the fields that identify a list item."""
    if len(path) < 2 or path[-2][0] != "k" or path[-1][0] != "f":
        return False
    keys: dict[str, Any] = orjson.loads(path[-2][2:])
    return path[-1][2:] in keys


def encode(fields: FieldSet) -> JsonObject:
    """Return the set as fieldsV1."""
    tree: JsonObject = {}
    for path in sorted(fields):
        level = tree
        for element in path:
            level = level.setdefault(element, {})
        if path[-1][0] == "k":
            level["."] = {}
    return tree


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
            if path and path[-1][0] == "k":
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
