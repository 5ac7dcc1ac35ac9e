"""A form for any kind, out of its schema: one row per field, folded where there is much. Pure.

It shows an object and never holds one: every change goes into the draft's text.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from kagent_tui.cluster.kinds import JsonObject
from kagent_tui.cluster.references import items, mapping, text
from kagent_tui.editing.guide import FLAT, Hint, applies, hint_of, pattern_of, rank
from kagent_tui.editing.schemas import child, is_block, is_list, kind_of, schema_of
from kagent_tui.editing.source import Path, at, dotted

__all__ = ["FormRow", "RowKind", "blank_value", "form_rows", "summary"]

RowKind: TypeAlias = Literal["text", "number", "switch", "choice", "block", "list", "map", "add", "free"]

_LEFT_OUT: Final = frozenset({"apiVersion", "kind", "status"})
_LONGEST: Final = 200
HIDDEN: Final = "••••••••"


@dataclass(frozen=True, slots=True)
class FormRow:
    """One row. ``value`` is a raw summary; ``path`` of an "add" row is that of the entry it would make."""

    path: Path
    kind: RowKind
    title: str
    depth: int
    schema: JsonObject
    hint: Hint
    value: str = ""
    present: bool = False
    required: bool = False
    fixed: bool = False
    opened: bool = False
    fault: str = ""

    @property
    def folds(self) -> bool:
        return self.kind in ("block", "list", "map")


def form_rows(
    obj: JsonObject, *, opened: Collection[Path] = (), everything: bool = False, creating: bool = False,
    faults: Mapping[str, str] | None = None,
) -> list[FormRow] | None:  # fmt: skip
    """Return the rows of an object, None for a kind without a schema. ``faults`` are messages by dotted path."""
    schema = schema_of(*kind_of(obj))
    if schema is None:
        return None
    return list(_Builder(obj, frozenset(opened), everything, creating, faults or {}).fields((), schema, 0))


class _Builder:
    def __init__(
        self, obj: JsonObject, opened: frozenset[Path], everything: bool, creating: bool, faults: Mapping[str, str]
    ) -> None:
        self.obj = obj
        self.kind = text(obj.get("kind"))
        self.opened = opened
        self.everything = everything
        self.creating = creating
        self.faults = faults

    def fields(self, path: Path, schema: JsonObject, depth: int) -> Iterator[FormRow]:
        properties = mapping(schema.get("properties"))
        required = items(schema.get("required"))
        value = mapping(at(self.obj, path))
        names = [name for name in properties if not (path == () and name in _LEFT_OUT)]
        for name in sorted(names, key=lambda name: (self._order((*path, name)), name)):
            here, inner = (*path, name), mapping(properties[name])
            if not self._shown(here, inner, name in value, name in required, depth):
                continue
            if pattern_of(here) in FLAT and (name in value or pattern_of(here) == "metadata" or name in ("spec",)):
                yield from self.fields(here, inner, depth)
            else:
                yield from self.field(here, inner, depth, required=name in required)

    def field(self, path: Path, schema: JsonObject, depth: int, *, required: bool = False) -> Iterator[FormRow]:
        value, kind = at(self.obj, path), _row_kind(schema)
        opened = path in self.opened and kind in ("block", "list", "map")
        yield FormRow(
            path, kind, self._title(path), depth, schema, hint_of(self.kind, path), self._value(value, path),
            value is not None, required, self._fixed(path), opened, self._fault(path, opened),
        )  # fmt: skip
        if not opened:
            return
        if kind == "block":
            yield from self.fields(path, schema, depth + 1)
            return
        entries: list[tuple[str | int, Any]] = (
            list(enumerate(items(value))) if kind == "list" else list(mapping(value).items())
        )
        for step, _ in entries:
            yield from self.field((*path, step), child(schema, step) or {}, depth + 1)
        fresh: str | int = len(entries) if kind == "list" else ""
        inner = mapping(schema.get("items" if kind == "list" else "additionalProperties"))
        yield FormRow((*path, fresh), "add", "add", depth + 1, inner, hint_of(self.kind, (*path, fresh)))

    def _value(self, value: Any, path: Path) -> str:
        if self.kind != "Secret" or path[0] not in ("data", "stringData"):
            return summary(value)
        if len(path) == 1:
            return ", ".join(mapping(value))
        return HIDDEN if value else ""

    def _shown(self, path: Path, schema: JsonObject, present: bool, required: bool, depth: int) -> bool:
        if present or required or self.everything or any(self._below(path)):
            return present or applies(self.kind, path, self.obj)
        if not applies(self.kind, path, self.obj):
            return False
        inside_opened = any(path[:length] in self.opened for length in range(1, len(path)))
        return hint_of(self.kind, path).basic or pattern_of(path) in FLAT or inside_opened

    def _below(self, path: Path) -> Iterator[str]:
        where = dotted(path)
        return (fault for fault in self.faults if fault == where or fault.startswith((f"{where}.", f"{where}[")))

    def _fault(self, path: Path, opened: bool) -> str:
        where = dotted(path)
        if where in self.faults:
            return self.faults[where]
        below = None if opened else next(self._below(path), None)
        return f"{below}: {self.faults[below]}" if below else ""

    def _order(self, path: Path) -> int:
        if len(path) == 1:
            return {"metadata": -2, "spec": -1}.get(str(path[0]), rank(self.kind, path))
        return rank(self.kind, path)

    def _fixed(self, path: Path) -> bool:
        return not self.creating and path in (("metadata", "name"), ("metadata", "namespace"))

    def _title(self, path: Path) -> str:
        last = path[-1]
        return str(last + 1) if isinstance(last, int) else last


def summary(value: Any) -> str:
    """Say what stands in a field, on one line."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        first, _, rest = value.strip("\n").partition("\n")
        more = rest.count("\n") + 1 if rest else 0
        return first[:_LONGEST] + (f" (+{more} lines)" if more else "")
    if is_list(value):
        entries = items(value)
        if all(isinstance(one, str | int | float) for one in entries):
            return ", ".join(str(one) for one in entries)[:_LONGEST] or "none"
        words = "; ".join(summary(one) for one in entries)
        return f"{len(entries)}: {words}"[:_LONGEST]
    if is_block(value):
        return _block_summary(mapping(value))
    return str(value)


def _block_summary(block: JsonObject) -> str:
    server, agent = mapping(block.get("mcpServer")), mapping(block.get("agent"))
    if server:
        names = [str(one) for one in items(server.get("toolNames"))]
        approvals = items(server.get("requireApproval"))
        said = f"{len(names)} tools" if names else "all tools"
        said += f", {len(approvals)} need approval" if approvals else ""
        return f"{text(server.get('kind')) or 'MCPServer'} {text(server.get('name'))} ({said})"
    if agent:
        return f"Agent {text(agent.get('name'))}"
    name = text(block.get("name")) or text(block.get("alias"))
    if name:
        others = [key for key in block if key not in ("name", "alias")]
        return name + (f" ({', '.join(others)})" if others else "")
    return ", ".join(
        f"{key}={one}" if isinstance(one, str | int) and "\n" not in str(one) else key for key, one in block.items()
    )[:_LONGEST]


def blank_value(schema: JsonObject) -> Any:
    """Return the least value that can stand in a field: for a fresh block or list entry."""
    if "default" in schema:
        return schema["default"]
    if "enum" in schema:
        return items(schema["enum"])[0]
    match _row_kind(schema):
        case "block":
            properties = mapping(schema.get("properties"))
            return {
                name: blank_value(mapping(properties.get(name)))
                for name in sorted(items(schema.get("required")), key=lambda name: name != "name")
            }
        case "list":
            return []
        case "map":
            return {}
        case "number":
            return schema.get("minimum", 0)
        case "switch":
            return False
        case _:
            return ""


def _row_kind(schema: JsonObject) -> RowKind:
    if "enum" in schema:
        return "choice"
    match schema.get("type"):
        case "boolean":
            return "switch"
        case "integer" | "number":
            return "number"
        case "array":
            return "list"
        case "object" if "properties" in schema:
            return "block"
        case "object" if is_block(schema.get("additionalProperties")):
            return "map"
        case "string":
            return "text"
        case _:
            return "text" if schema.get("x-kubernetes-int-or-string") else "free"
