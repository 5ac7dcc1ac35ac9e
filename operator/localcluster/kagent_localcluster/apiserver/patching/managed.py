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
from kagent_localcluster.apiserver.patching.fieldsets import FieldSet
from kagent_localcluster.apiserver.schema.node import EMPTY, Node
from kagent_localcluster.errors import Cause, Conflict
from kagent_localcluster.seams import JsonObject

__all__ = ["Applied", "Manager", "apply_config", "read_entries", "track_part", "track_update"]


_NONE: FieldSet = set()


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
            "time": self.time,
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


def _dump(entries: Iterable[Entry]) -> list[JsonObject]:
    kept = [entry for entry in entries if entry.fields]
    # Apply entries first, then by age, as a real server sorts them.
    kept.sort(key=lambda entry: (entry.manager.operation != "Apply", entry.time, entry.manager.name))
    return [entry.dump() for entry in kept]


def track_update(
    schema: Node, new: JsonObject, old: JsonObject | None, entries: list[Entry], manager: Manager
) -> list[JsonObject]:
    """Return managedFields after a create or update: who changed a field owns it, alone."""
    after = fieldsets.fields_of(schema, new)
    if old is None:
        changed = after
    else:
        before = fieldsets.fields_of(schema, old)
        changed: FieldSet = {
            path
            for path in after
            if path not in before or fieldsets.lookup(schema, new, path) != fieldsets.lookup(schema, old, path)
        }
        # Items of keyed lists are members without a value of their own: only their coming is a change.
        changed = {path for path in changed if path[-1][0] != "k" or path not in before}
    kept: list[Entry] = []
    mine: Entry | None = None
    for entry in entries:
        fields = entry.fields & after
        if entry.manager == manager:
            mine = replace(entry, fields=fields)
        else:
            kept.append(replace(entry, fields=fields - changed))
    if changed:
        fields = frozenset(changed) if mine is None else frozenset(changed) | mine.fields
        kept.append(Entry(manager, new["apiVersion"], now(), fields))
    elif mine is not None:
        kept.append(mine)
    return _dump(kept)


def track_part(
    schema: Node, part: str, new: JsonObject, old: JsonObject, managed: list[JsonObject], manager: Manager
) -> list[JsonObject]:
    """Return managedFields after a write that changed one top-level field only, such as a status.

    Entries that hold nothing of the part stay as they are, unread: this is what makes status writes cheap.
    """
    node, root = schema.child(part) or EMPTY, f"f:{part}"
    after = fieldsets.fields_below(node, new[part], (root,)) if part in new else _NONE
    before = fieldsets.fields_below(node, old[part], (root,)) if part in old else _NONE
    changed: FieldSet = {
        path
        for path in after
        if path not in before
        or (path[-1][0] != "k" and fieldsets.lookup(schema, new, path) != fieldsets.lookup(schema, old, path))
    }
    kept: list[JsonObject] = []
    mine: Entry | None = None
    for raw in managed:
        own = (raw.get("manager"), raw.get("operation"), raw.get("subresource", "")) == manager
        if not own and root not in (raw.get("fieldsV1") or ()):
            kept.append(raw)
            continue
        for entry in read_entries({"managedFields": [raw]}):
            fields = frozenset(path for path in entry.fields if path[0] != root or path in after)
            if own:
                mine = replace(entry, fields=fields)
            elif fields := fields - changed:
                kept.append(replace(entry, fields=fields).dump())
    if changed:
        fields = frozenset(changed) if mine is None else frozenset(changed) | mine.fields
        mine = Entry(manager, new["apiVersion"], now(), fields)
    if mine is not None and mine.fields:
        kept.append(mine.dump())
    kept.sort(key=lambda raw: (raw.get("operation") != "Apply", raw.get("time", ""), raw.get("manager", "")))
    return kept


def apply_config(
    schema: Node, live: JsonObject, config: JsonObject, manager: Manager, *, force: bool, qualified: str
) -> Applied:
    """Return the live object with the configuration applied by server-side apply.

    ``live`` is a bare envelope when the object does not exist yet.

    Raises:
        Conflict: another manager owns a field that the configuration sets differently, and not ``force``.
    """
    entries = read_entries(live["metadata"])
    wanted = fieldsets.fields_of(schema, config)
    conflicts: list[tuple[str, tuple[str, ...]]] = []
    others: list[Entry] = []
    former: Entry | None = None
    for entry in entries:
        if entry.manager == manager:
            former = entry
            continue
        contested = {path for path in entry.fields & wanted if _differs(schema, live, config, path)}
        conflicts += [(entry.manager.name, path) for path in sorted(contested)]
        others.append(replace(entry, fields=entry.fields - contested) if force else entry)
    if conflicts and not force:
        raise _conflict(conflicts, qualified)
    merged: JsonObject = _merge(schema, live, config)
    if former is not None:
        held = frozenset[tuple[str, ...]]().union(*(entry.fields for entry in others))
        dropped = former.fields - wanted - held
        # Items of keyed lists first: what is left of a removed item goes with it, and its keys tell which one it is.
        for path in sorted(dropped, key=len):
            if path[-1][0] == "k":
                if not any(other[: len(path)] == path for other in held | wanted):
                    fieldsets.remove(schema, merged, path)
            elif not fieldsets.is_key_field(path):
                fieldsets.remove(schema, merged, path)
    mine = Entry(manager, config["apiVersion"], now(), frozenset(wanted))
    if former is not None and former.fields == mine.fields and former.api_version == mine.api_version:
        mine = replace(mine, time=former.time)
    present = fieldsets.fields_of(schema, merged)
    kept = [replace(entry, fields=entry.fields & present) for entry in others]
    return Applied(merged, _dump([*kept, mine]))


def _differs(schema: Node, live: JsonObject, config: JsonObject, path: tuple[str, ...]) -> bool:
    if path[-1][0] in "kv":
        return False
    return fieldsets.lookup(schema, live, path) != fieldsets.lookup(schema, config, path)


def _conflict(conflicts: list[tuple[str, tuple[str, ...]]], qualified: str) -> Conflict:
    names = sorted({name for name, _ in conflicts})
    causes = tuple(
        Cause(fieldsets.show(path), f'conflict with "{name}"', "FieldManagerConflict") for name, path in conflicts
    )
    count = f"{len(conflicts)} conflict{'s' if len(conflicts) > 1 else ''}"
    if len(conflicts) == 1:
        text = f'conflict with "{names[0]}": {fieldsets.show(conflicts[0][1])}'
    else:
        text = "conflicts with " + "\n".join(
            f'"{name}":\n' + "\n".join(f"- {fieldsets.show(path)}" for other, path in conflicts if other == name)
            for name in names
        )
    return Conflict(f"Apply failed with {count}: {text}", kind=qualified, causes=causes)


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
