"""What one object has that another has not, and an object without a set of fields: structured-merge-diff's walks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kagent_localcluster.apiserver.jsonvalue import is_array, is_object
from kagent_localcluster.apiserver.patching.fieldsets import (
    MISSING,
    FieldPath,
    FieldSet,
    item_element,
    without_server_fields,
)
from kagent_localcluster.apiserver.schema.node import EMPTY, Node
from kagent_localcluster.seams import JsonObject

__all__ = ["Comparison", "compare", "compare_part", "with_named_parents", "without"]


@dataclass
class Comparison:
    """The paths by which a new value differs from an old one; containers that come or go are members themselves."""

    added: FieldSet = field(default_factory=set[FieldPath])
    removed: FieldSet = field(default_factory=set[FieldPath])
    modified: FieldSet = field(default_factory=set[FieldPath])

    @property
    def changed(self) -> FieldSet:
        return self.added | self.modified


def compare(schema: Node, old: JsonObject, new: JsonObject) -> Comparison:
    """Return how two objects differ in what managers can own."""
    found = Comparison()
    _compare(schema, without_server_fields(old), without_server_fields(new), (), found, leaf=False)
    return found


def compare_part(node: Node, old: Any, new: Any, path: FieldPath) -> Comparison:
    """Return how two values at a path differ; MISSING stands for none."""
    found = Comparison()
    if old is not MISSING or new is not MISSING:
        _compare(node, old, new, path, found, leaf=False)
    return found


def _compare(node: Node, old: Any, new: Any, path: FieldPath, found: Comparison, *, leaf: bool) -> None:
    if old is new:
        return
    sample = old if new is MISSING or new is None else new
    if is_object(sample):
        leaf = _compare_maps(node, old, new, path, found, leaf=leaf)
    elif is_array(sample) and node.list_type in ("map", "set"):
        leaf = _compare_lists(node, old, new, path, found, leaf=leaf)
    elif not leaf:
        leaf = True
        _note(old, new, path, found)
    if not leaf:
        if old is MISSING:
            found.added.add(path)
        elif new is MISSING:
            found.removed.add(path)


def _note(old: Any, new: Any, path: FieldPath, found: Comparison) -> None:
    if old is MISSING:
        found.added.add(path)
    elif new is MISSING:
        found.removed.add(path)
    elif old != new or isinstance(old, bool) != isinstance(new, bool):
        found.modified.add(path)


def _compare_maps(node: Node, old: Any, new: Any, path: FieldPath, found: Comparison, *, leaf: bool) -> bool:
    """Compare below; returns True where the maps count as one value."""
    before: dict[str, Any] = old if is_object(old) else {}
    after: dict[str, Any] = new if is_object(new) else {}
    if node.map_type == "atomic" or (not before and not after):
        if not leaf:
            _note(old, new, path, found)
        return True
    for key in {**before, **after}:
        first, second = before.get(key, MISSING), after.get(key, MISSING)
        if first is not MISSING and second is not MISSING and first == second and not isinstance(first, bool):
            continue
        _compare(node.child(key) or EMPTY, first, second, (*path, f"f:{key}"), found, leaf=leaf)
    return leaf


def _compare_lists(node: Node, old: Any, new: Any, path: FieldPath, found: Comparison, *, leaf: bool) -> bool:
    before: list[Any] = old if is_array(old) else []
    after: list[Any] = new if is_array(new) else []
    if not before and not after:
        if not leaf:
            _note(old, new, path, found)
        return True
    first, second = _by_element(node, before), _by_element(node, after)
    for element in {**first, **second}:
        here = (*path, element)
        lefts, rights = first.get(element, []), second.get(element, [])
        if len(lefts) > 1 or len(rights) > 1:
            # Items with the same key count as one value.
            one, other = lefts or MISSING, rights or MISSING
            if not leaf:
                _note(one, other, here, found)
            continue
        one, other = (lefts or [MISSING])[0], (rights or [MISSING])[0]
        _compare(node.items, one, other, here, found, leaf=leaf)
    return leaf


def _by_element(node: Node, items: list[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for item in items:
        found.setdefault(item_element(node, item), []).append(item)
    return found


def with_named_parents(schema: Node, fields: FieldSet) -> FieldSet:
    """Return the set with the declared fields that lead to its members: who owns a leaf owns the way to it."""
    found = set(fields)
    for path in fields:
        node = schema
        for end, element in enumerate(path[:-1], 1):
            if element[0] == "f":
                name = element[2:]
                if name in node.property_names:
                    found.add(path[:end])
                node = node.child(name) or EMPTY
            else:
                node = node.items
    return found


def without(node: Node, value: Any, fields: FieldSet, path: FieldPath = ()) -> Any:
    """Return a value without the fields of a set; what becomes empty stays, as an empty map or list."""
    prefixes = {member[:end] for member in fields for end in range(1, len(member) + 1)}
    return _without(node, value, fields, prefixes, path)


def _without(node: Node, value: Any, fields: FieldSet, prefixes: FieldSet, path: FieldPath) -> Any:
    if is_object(value) and node.map_type != "atomic":
        kept: JsonObject = {}
        for key, item in value.items():
            place = (*path, f"f:{key}")
            if place in fields:
                continue
            below = node.child(key) or EMPTY
            kept[key] = _without(below, item, fields, prefixes, place) if place in prefixes else item
        return kept
    if is_array(value) and node.list_type in ("map", "set"):
        items: list[Any] = []
        for item in value:
            place = (*path, item_element(node, item))
            if place in fields:
                continue
            items.append(_without(node.items, item, fields, prefixes, place) if place in prefixes else item)
        return items
    return value
