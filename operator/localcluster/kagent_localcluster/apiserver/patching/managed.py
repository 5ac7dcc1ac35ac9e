"""Who owns which field: managedFields after ordinary writes, and server-side apply.

The versions of an entry (``apiVersion``) are kept as given; field names are compared across versions as they are,
since conversion strategy None changes no names.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from kagent_localcluster.apiserver.jsonvalue import copy_json, is_array, is_object
from kagent_localcluster.apiserver.meta import now
from kagent_localcluster.apiserver.patching import fieldsets
from kagent_localcluster.apiserver.patching.comparing import (
    Comparison,
    compare,
    compare_part,
    with_named_parents,
    without,
)
from kagent_localcluster.apiserver.patching.fieldsets import MISSING, FieldPath, FieldSet, fields_of
from kagent_localcluster.apiserver.schema.node import EMPTY, Node
from kagent_localcluster.errors import Cause, Conflict
from kagent_localcluster.seams import JsonObject

__all__ = ["Applied", "Manager", "apply_config", "read_entries", "track_part", "track_update"]


# Who owned an object's fields before anybody applied it.
_BEFORE_FIRST_APPLY = "before-first-apply"


class Manager(NamedTuple):
    """Who writes: name, operation and subresource identify an entry."""

    name: str
    operation: str
    subresource: str = ""


@dataclass(frozen=True)
class Entry:
    """One entry of managedFields."""

    manager: Manager
    api_version: str
    time: str
    fields: frozenset[tuple[str, ...]]

    def dump(self) -> JsonObject:
        entry: JsonObject = {
            "manager": self.manager.name,
            "operation": self.manager.operation,
            "apiVersion": self.api_version,
            **({"time": self.time} if self.time else {}),
            "fieldsType": "FieldsV1",
            "fieldsV1": fieldsets.encode(set(self.fields)),
        }
        if self.manager.subresource:
            entry["subresource"] = self.manager.subresource
        return entry


@dataclass(frozen=True)
class Applied:
    """The object after an apply, and its new managedFields."""

    obj: JsonObject
    managed: list[JsonObject]


def read_entries(metadata: JsonObject) -> list[Entry]:
    """Return the decoded managedFields; entries that cannot be read are dropped, as a real server does."""
    found: list[Entry] = []
    managed = metadata.get("managedFields")
    for raw in managed if is_array(managed) else ():
        if not is_object(raw) or not raw.get("manager") or not raw.get("operation"):
            continue
        fields = frozenset(fieldsets.decode(raw.get("fieldsV1")))
        if fields:
            manager = Manager(raw["manager"], raw["operation"], raw.get("subresource", ""))
            found.append(Entry(manager, raw.get("apiVersion", ""), raw.get("time", ""), fields))
    return found


def _order(raw: JsonObject) -> tuple[str, str, str, str, str]:
    fields = ("operation", "time", "manager", "apiVersion", "subresource")
    first, second, third, fourth, fifth = (str(raw.get(name, "")) for name in fields)
    return first, second, third, fourth, fifth


def _dump(entries: Iterable[Entry]) -> list[JsonObject]:
    return sorted((entry.dump() for entry in entries if entry.fields), key=_order)


def track_update(
    schema: Node, new: JsonObject, old: JsonObject, entries: list[Entry], manager: Manager, *, ignored: str = ""
) -> list[JsonObject]:
    """Return managedFields after a create (``old`` is then empty) or update: who changed a field owns it, alone.

    ``ignored`` names a top-level field that the request cannot change. An object that nobody's fields are known of
    stays so until it is applied.
    """
    if not entries and old["metadata"].get("uid"):
        return []
    comparison = _relevant(compare(schema, old, new), ignored)
    return _dump(_updated(entries, comparison, manager, new["apiVersion"]))


def _relevant(comparison: Comparison, ignored: str) -> Comparison:
    root = f"f:{ignored}"

    def keep(fields: FieldSet) -> FieldSet:
        return {path for path in fields if path[0] != root and path != ("f:metadata",)}

    return Comparison(keep(comparison.added), keep(comparison.removed), keep(comparison.modified))


def _updated(entries: list[Entry], comparison: Comparison, manager: Manager, api_version: str) -> list[Entry]:
    changed = comparison.changed
    kept: list[Entry] = []
    mine = Entry(manager, api_version, "", frozenset())
    for entry in entries:
        if entry.manager == manager and entry.api_version == api_version:
            mine = replace(entry, fields=entry.fields - comparison.removed)
        else:
            kept.append(replace(entry, fields=entry.fields - changed - comparison.removed))
    if changed:
        # Replicas that were scaled are owned without a time, as the scale subresource writes it.
        time = "" if manager.subresource == "scale" else now()
        mine = replace(mine, time=time, fields=mine.fields | changed)
    return [*kept, mine]


def track_part(
    schema: Node, part: str, new: JsonObject, old: JsonObject, managed: list[JsonObject], manager: Manager
) -> list[JsonObject]:
    """Return managedFields after a write that changed one top-level field only, such as a status.

    Entries that hold nothing of the part stay as they are, unread: this is what makes status writes cheap.
    """
    if not managed:
        return []
    node, root = schema.child(part) or EMPTY, f"f:{part}"
    comparison = compare_part(node, old.get(part, MISSING), new.get(part, MISSING), (root,))
    untouched: list[JsonObject] = []
    concerned: list[Entry] = []
    for raw in managed:
        own = (raw.get("manager"), raw.get("operation"), raw.get("subresource", "")) == manager
        if own or root in (raw.get("fieldsV1") or ()):
            concerned += read_entries({"managedFields": [raw]})
        else:
            untouched.append(raw)
    updated = _updated(concerned, comparison, manager, new["apiVersion"])
    kept = untouched + [entry.dump() for entry in updated if entry.fields]
    kept.sort(key=_order)
    return kept


def apply_config(
    schema: Node, live: JsonObject, config: JsonObject, manager: Manager, *, force: bool, ignored: str = ""
) -> Applied:
    """Return the live object with the configuration applied by server-side apply.

    ``live`` is a bare envelope when the object does not exist yet.

    Raises:
        Conflict: other managers own fields that the configuration sets differently, and not ``force``.
    """
    entries = read_entries(live["metadata"])
    if not entries and live["metadata"].get("uid"):
        empty: JsonObject = {"apiVersion": live["apiVersion"], "kind": live["kind"], "metadata": {}}
        before = Manager(_BEFORE_FIRST_APPLY, "Update")
        entries = _updated([], _relevant(compare(schema, empty, live), ""), before, live["apiVersion"])
    wanted = {path for path in fields_of(schema, config) if path[0] != f"f:{ignored}"}
    former = next((entry for entry in entries if entry.manager == manager), None)
    others = [entry for entry in entries if entry is not former]
    merged: JsonObject = _merge(schema, live, config)
    if former is not None and former.fields:
        owned = frozenset(wanted).union(*(entry.fields for entry in others))
        merged = _pruned(schema, merged, former.fields, owned)
    comparison = _relevant(compare(schema, live, merged), ignored)
    changed = comparison.changed
    conflicts = [(entry, path) for entry in others for path in sorted(entry.fields & changed)]
    if conflicts and not force:
        raise _conflict(conflicts)
    mine = Entry(manager, config["apiVersion"], now(), frozenset(wanted))
    if former is not None and former.fields == mine.fields and former.api_version == mine.api_version:
        mine = replace(mine, time=former.time)
    kept = [replace(entry, fields=entry.fields - changed - comparison.removed) for entry in others]
    return Applied(merged, _dump([*kept, mine]))


def _pruned(schema: Node, merged: JsonObject, last: frozenset[FieldPath], owned: frozenset[FieldPath]) -> JsonObject:
    """Return the object without what its applier applied last time, no longer does, and nobody else owns."""
    last_named = with_named_parents(schema, set(last))
    present = with_named_parents(schema, _all_fields(schema, merged))
    pruned = without(schema, merged, last_named)
    left = with_named_parents(schema, _all_fields(schema, pruned))
    pruned = without(schema, merged, present - left - with_named_parents(schema, set(owned)))
    left = with_named_parents(schema, _all_fields(schema, pruned))
    return without(schema, merged, (present - left) & last_named)


def _all_fields(schema: Node, obj: JsonObject) -> FieldSet:
    return fields_of(schema, obj) | {("f:metadata",)}


def _conflict(conflicts: list[tuple[Entry, FieldPath]]) -> Conflict:
    causes = tuple(
        Cause(fieldsets.show(path), f"conflict with {_shown(entry)}", "FieldManagerConflict")
        for entry, path in conflicts
    )
    count = f"{len(conflicts)} conflict{'s' if len(conflicts) > 1 else ''}"
    names = sorted({_shown(entry) for entry, _ in conflicts})
    if len(conflicts) == 1:
        text = f"conflict with {names[0]}: {fieldsets.show(conflicts[0][1])}"
    else:
        text = "\n".join(
            f"conflicts with {name}:\n"
            + "\n".join(f"- {fieldsets.show(path)}" for entry, path in conflicts if _shown(entry) == name)
            for name in names
        )
    return Conflict(f"Apply failed with {count}: {text}", causes=causes)


def _shown(entry: Entry) -> str:
    """Return a manager as conflicts name it; of updates the version is said too."""
    name, operation, subresource = entry.manager
    text = f'"{name}"'
    if subresource:
        text += f' with subresource "{subresource}"'
    if operation == "Update":
        text += f" using {entry.api_version}"
    return text


def _merge(node: Node, target: Any, config: Any) -> Any:
    """Return target and configuration merged by the schema's list and map types."""
    if config is None and node.type in ("object", "array") and target is not None:
        return target
    if is_object(config) and node.map_type != "atomic":
        merged: dict[str, Any] = dict(target) if is_object(target) else {}
        for key, value in config.items():
            merged[key] = _merge(node.child(key) or EMPTY, merged.get(key), value)
        return merged
    if is_array(config) and node.list_type == "map":
        return _merge_keyed(node, list(target) if is_array(target) else [], config)
    if is_array(config) and node.list_type == "set":
        kept: list[Any] = list(target) if is_array(target) else []
        return kept + [item for item in config if item not in kept]
    return copy_json(config)


def _merge_keyed(node: Node, target: list[Any], config: list[Any]) -> list[Any]:
    """Return both lists' items: the configuration's in its order, the others where they stood between them."""
    wanted = {fieldsets.item_key(node, item): item for item in config}
    present = [(fieldsets.item_key(node, item) if is_object(item) else "", item) for item in target]
    known = dict(present)
    merged: list[Any] = []
    done: set[str] = set()
    left = list(wanted)
    for key, item in present:
        if key not in wanted:
            merged.append(item)
            continue
        while key not in done:
            first = left.pop(0)
            done.add(first)
            merged.append(_merge(node.items, known.get(first), wanted[first]))
    return merged + [_merge(node.items, known.get(key), wanted[key]) for key in left]
