"""Strategic merge patch: lists with a merge key merge by it, as the built-in schemas say.

The directives: ``$patch: replace|delete|merge``, ``$retainKeys``, ``$deleteFromPrimitiveList/FIELD`` and
``$setElementOrder/FIELD``.
"""

from __future__ import annotations

from typing import Any

from kagent_localcluster.apiserver.jsonvalue import is_array, is_object
from kagent_localcluster.apiserver.schema.node import EMPTY, Node
from kagent_localcluster.errors import BadRequest, NotTyped

__all__ = ["strategic_merge"]

_DELETE_FROM = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"


def strategic_merge(node: Node, target: Any, patch: dict[str, Any]) -> dict[str, Any]:
    """Return the target object with the patch applied; the arguments stay as they are.

    Raises:
        NotTyped: a list item lacks its merge key.
        BadRequest: a directive is unknown.
    """
    directive = patch.get("$patch")
    if directive == "replace":
        return {key: value for key, value in patch.items() if key != "$patch"}
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise BadRequest(f"Unknown patch type found: {directive}")
    merged: dict[str, Any] = dict(target) if is_object(target) else {}
    if is_array(retained := patch.get("$retainKeys")):
        merged = {key: value for key, value in merged.items() if key in retained}
    for key, value in patch.items():
        if key.startswith(_DELETE_FROM):
            field = key.removeprefix(_DELETE_FROM)
            if is_array(current := merged.get(field)):
                merged[field] = [item for item in current if item not in value]
    for key, value in patch.items():
        if key.startswith("$"):
            continue
        if value is None:
            merged.pop(key, None)
        else:
            order = patch.get(_ORDER + key)
            merged[key] = _merge_field(
                node.child(key) or EMPTY, merged.get(key), value, order if is_array(order) else None
            )
    for key, order in patch.items():
        field = key.removeprefix(_ORDER)
        if field != key and field not in patch and is_array(order) and is_array(current := merged.get(field)):
            merged[field] = _ordered(current, order, (node.child(field) or EMPTY).merge_key, current)
    return merged


def _merge_field(node: Node, current: Any, value: Any, order: list[Any] | None) -> Any:
    if is_object(value):
        return strategic_merge(node, current, value)
    if not is_array(value) or "merge" not in node.patch_strategy.split(","):
        return value
    if current is None:
        return [_plain(item) for item in value if not (is_object(item) and "$patch" in item)]
    if not node.merge_key:
        # A set of plain values, such as finalizers.
        kept: list[Any] = list(current) if is_array(current) else []
        merged = kept + [item for item in value if item not in kept]
    else:
        merged = _merge_list(node, current if is_array(current) else [], value)
    if order is None and not node.merge_key:
        return merged
    return _ordered(merged, value if order is None else order, node.merge_key, current if is_array(current) else [])


def _plain(value: Any) -> Any:
    """Return what a patch adds where nothing was: without nulls and directives."""
    if not is_object(value):
        return value
    return {key: _plain(item) for key, item in value.items() if item is not None and not key.startswith("$")}


def _merge_list(node: Node, current: list[Any], patch: list[Any]) -> list[Any]:
    key = node.merge_key
    if any(is_object(item) and item.get("$patch") == "replace" for item in patch):
        return [item for item in patch if not (is_object(item) and "$patch" in item)]
    merged: list[Any] = list(current)
    for item in patch:
        if not is_object(item):
            raise NotTyped(f"map: {item!r} does not contain declared merge key: {key}")
        if key not in item:
            raise NotTyped(f"map: {_shown(item)} does not contain declared merge key: {key}")
        index = next((i for i, other in enumerate(merged) if is_object(other) and other.get(key) == item[key]), None)
        if item.get("$patch") == "delete":
            # The same key may stand twice (a port under two protocols): delete takes all of them.
            merged = [other for other in merged if not (is_object(other) and other.get(key) == item[key])]
        elif index is None:
            merged.append(strategic_merge(node.items, {}, item))
        else:
            merged[index] = strategic_merge(node.items, merged[index], item)
    return merged


def _ordered(items: list[Any], order: list[Any], key: str, live: list[Any]) -> list[Any]:
    """Put the items that the order names into that order, and the others where the live list had them among those."""

    def name(item: Any) -> Any:
        return item.get(key) if key and is_object(item) else item

    wanted, before = [name(entry) for entry in order], [name(item) for item in live]
    named = sorted((item for item in items if name(item) in wanted), key=lambda item: wanted.index(name(item)))
    others = [item for item in items if name(item) not in wanted]
    result: list[Any] = []
    while named and others:
        first, second = name(others[0]), name(named[0])
        stays = first in before and second in before and before.index(first) < before.index(second)
        result.append((others if stays else named).pop(0))
    return result + named + others


def _shown(item: dict[str, Any]) -> str:
    return "map[" + " ".join(f"{key}:{value}" for key, value in sorted(item.items())) + "]"
