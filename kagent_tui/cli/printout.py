"""Objects on standard output: aligned columns, YAML or JSON. Secret values are never written, in no format."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from kagent_api.errors import ObjectRef
from kagent_tui.cluster.kinds import AGENT, MCP_SERVER, MODEL_CONFIG, REMOTE_MCP_SERVER, JsonObject, ref_of
from kagent_tui.cluster.references import items, mapping, text
from kagent_tui.render.age import age
from kagent_tui.render.row import World
from kagent_tui.render.tables import TABLES
from kagent_tui.safety import cell_width, clean, shorten

__all__ = ["FORMATS", "Objects", "columns", "print_lines", "print_objects"]

FORMATS = ("table", "yaml", "json")
_VIEW_OF = {AGENT: "agents", MODEL_CONFIG: "models", REMOTE_MCP_SERVER: "mcp", MCP_SERVER: "mcp"}


class Objects:
    """Objects by reference, for renderers that look at what an object refers to."""

    def __init__(self, objects: Sequence[JsonObject] = ()) -> None:
        self._objects: dict[ObjectRef, JsonObject] = {}
        self.add(objects)

    def add(self, objects: Sequence[JsonObject]) -> None:
        """Know more objects."""
        self._objects.update({ref_of(obj): obj for obj in objects})

    def find(self, ref: ObjectRef) -> JsonObject | None:
        return self._objects.get(ref)

    def users_of(self, target: ObjectRef) -> list[ObjectRef]:
        """Return what refers to an object."""
        from kagent_tui.cluster.references import references

        return sorted(
            ref for ref, obj in self._objects.items() if any(each.target == target for each in references(obj))
        )


def columns(rows: Sequence[Sequence[str]], *, widest: int) -> str:
    """Return rows of raw texts, the first the header, as aligned lines; a cell takes at most ``widest`` cells."""
    shown = [[shorten(clean(value, newlines=False), widest) for value in row] for row in rows]
    widths = [max(cell_width(row[index]) for row in shown) for index in range(len(shown[0]))]
    lines = [
        "   ".join(value + " " * (width - cell_width(value)) for value, width in zip(row, widths, strict=True)).rstrip()
        for row in shown
    ]
    return "\n".join(lines) + "\n"


def print_objects(
    objects: Sequence[JsonObject], form: str, *, world: World, now: float, single: bool, namespaces: bool
) -> None:
    """Print objects of one kind; ``single`` prints one object instead of a list of one."""
    from kagent_tui.editing.masking import masked

    if form == "table":
        print_lines(_table(objects, world, now, namespaces=namespaces))
        return
    shown = [masked(_without_bookkeeping(obj)) for obj in objects]
    value = shown[0] if single and shown else {"apiVersion": "v1", "kind": "List", "items": shown}
    if form == "json":
        sys.stdout.write(json.dumps(value, indent=2) + "\n")
        return
    from kagent_tui.editing.document import to_yaml

    sys.stdout.write(to_yaml(value))


def print_lines(lines: Sequence[str]) -> None:
    """Print lines that are clean already."""
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in lines))


def _without_bookkeeping(obj: JsonObject) -> JsonObject:
    meta = {key: value for key, value in mapping(obj.get("metadata")).items() if key != "managedFields"}
    return {**obj, "metadata": meta}


def _table(objects: Sequence[JsonObject], world: World, now: float, *, namespaces: bool) -> list[str]:
    if not objects:
        return []
    view = _VIEW_OF.get(text(objects[0].get("kind")))
    rows = _view_rows(objects, view, world, now) if view else _plain_rows(objects, now)
    header = rows[0]
    if not namespaces and "NS" in header:
        # As kubectl does: one namespace was asked for, so every row would repeat it.
        place = header.index("NS")
        rows = [[*row[:place], *row[place + 1 :]] for row in rows]
    widths = [max(cell_width(row[index]) for row in rows) for index in range(len(rows[0]))]
    return ["   ".join(value + " " * (width - cell_width(value)) for value, width in zip(row, widths, strict=True))
            for row in rows]  # fmt: skip


def _view_rows(objects: Sequence[JsonObject], view: str, world: World, now: float) -> list[list[str]]:
    spec = TABLES[view]
    rows = [[column.title for column in spec.columns]]
    for obj in objects:
        rows.append([cell.text or "-" for cell in spec.row(obj, world, now).cells])
    return rows


def _plain_rows(objects: Sequence[JsonObject], now: float) -> list[list[str]]:
    pods = objects[0].get("kind") == "Pod"
    rows = [["NAME", "NS", *(["READY", "STATUS", "RESTARTS"] if pods else []), "AGE"]]
    for obj in objects:
        ref = ref_of(obj)
        created = text(mapping(obj.get("metadata")).get("creationTimestamp"))
        state = _pod_state(obj) if pods else []
        rows.append([clean(ref.name, newlines=False), clean(ref.namespace, newlines=False), *state, age(created, now)])
    return rows


def _pod_state(pod: JsonObject) -> list[str]:
    status = mapping(pod.get("status"))
    containers = [mapping(each) for each in items(status.get("containerStatuses"))]
    ready = sum(each.get("ready") is True for each in containers)
    total = len(items(mapping(pod.get("spec")).get("containers")))
    waiting = [text(mapping(mapping(each.get("state")).get("waiting")).get("reason")) for each in containers]
    phase = next(filter(None, waiting), text(status.get("phase")) or "Unknown")
    restarts = sum(count for each in containers if isinstance(count := each.get("restartCount"), int))
    return [f"{ready}/{total}", clean(phase, newlines=False), str(restarts)]
