"""What happens to an object before it is judged: nulls dropped, defaults set, unknown fields found and pruned.

All three change the object in place; callers pass objects they own.
"""

from __future__ import annotations

from typing import Any

from kagent_localcluster.apiserver.jsonvalue import copy_json, is_array, is_object
from kagent_localcluster.apiserver.schema.node import EMPTY, Node

__all__ = ["drop_nulls", "prune", "set_defaults"]


_NOTHING = Node({"type": "object"})


def drop_nulls(node: Node, value: Any) -> None:
    """Drop null fields that are not nullable, map values too, so that a default can take their place."""
    if is_object(value):
        for key in list(value):
            child = node.child(key)
            if value[key] is None:
                if child is not None and not child.nullable and not child.preserve:
                    del value[key]
            elif child is not None:
                drop_nulls(child, value[key])
    elif is_array(value):
        for item in value:
            drop_nulls(node.items, item)


def set_defaults(node: Node, value: Any) -> None:
    """Set the defaults of missing fields, also inside defaults just set."""
    if is_object(value):
        for key, raw in node.property_names.items():
            if key not in value and "default" in raw:
                value[key] = copy_json(raw["default"])
        for key, item in value.items():
            if isinstance(item, (dict, list)) and (child := node.child(key)):
                set_defaults(child, item)
    elif is_array(value):
        items = node.items
        if items is not EMPTY:
            for item in value:
                set_defaults(items, item)


def prune(node: Node, value: Any, path: str = "") -> list[str]:
    """Remove fields that no schema declares and return their paths (``spec.tools[0].nam``)."""
    unknown: list[str] = []
    _prune(node, value, path, unknown)
    return unknown


def _prune(node: Node, value: Any, path: str, unknown: list[str]) -> None:
    if is_object(value):
        keep = node.keeps_unknown
        for key in list(value):
            child = node.child(key)
            where = f"{path}.{key}" if path else str(key)
            if child is not None:
                _prune(child, value[key], where, unknown)
            elif not keep:
                unknown.append(where)
                del value[key]
    elif is_array(value):
        # A list where the schema has none declares nothing about its items.
        items = _NOTHING if node.type and not node.preserve and "items" not in node.raw else node.items
        for index, item in enumerate(value):
            _prune(items, item, f"{path}[{index}]", unknown)
