"""Tables: what ``kubectl get`` prints, made by the server so that every client shows the same columns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import orjson

from kagent_localcluster.apiserver.builtin.columns import builtin_columns
from kagent_localcluster.apiserver.builtin.durations import age
from kagent_localcluster.apiserver.builtin.structs import through_go
from kagent_localcluster.apiserver.jsonpath import find_all
from kagent_localcluster.apiserver.kinds import Column, Kind
from kagent_localcluster.apiserver.reading import Seen
from kagent_localcluster.errors import BadRequest
from kagent_localcluster.seams import JsonObject

__all__ = ["TableWriter"]

_DEFAULT_COLUMNS = (Column("Age", "date", ".metadata.creationTimestamp"),)


class _Definition(NamedTuple):
    name: str
    type: str
    format: str
    description: str
    priority: int

    def dump(self) -> JsonObject:
        return self._asdict()


class TableWriter:
    """Makes the Tables of one request; a watch gets the column definitions in its first event only."""

    def __init__(self, kind: Kind, include: str) -> None:
        if include not in ("", "Metadata", "Object", "None"):
            raise BadRequest(
                f'Unable to convert to Table as requested: includeObject: Invalid value: "{include}": must be '
                "'Metadata', 'Object', 'None', or empty"
            )
        self._kind = kind
        self._include = include or "Metadata"
        self._columns = _DEFAULT_COLUMNS if kind.columns is None else kind.columns
        self._told = False

    def table(self, bodies: Iterable[bytes], metadata: JsonObject) -> JsonObject:
        """Return the Table of encoded objects."""
        return {
            "kind": "Table",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": metadata,
            "columnDefinitions": [definition.dump() for definition in self._definitions()],
            "rows": [self._row(orjson.loads(body)) for body in bodies],
        }

    def event(self, seen: Seen) -> JsonObject:
        """Return the Table of one watch event."""
        obj: JsonObject = orjson.loads(seen.body)
        metadata = {"resourceVersion": obj["metadata"]["resourceVersion"]}
        columns = None if self._told else [definition.dump() for definition in self._definitions()]
        self._told = True
        if seen.type == "BOOKMARK":
            partial = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}
            rows: list[JsonObject] = [{**self._row(self._empty(obj)), "object": partial}]
        else:
            rows = [self._row(obj)]
        return {
            "kind": "Table",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": metadata,
            "columnDefinitions": columns,
            "rows": rows,
        }

    def _empty(self, bookmark: JsonObject) -> JsonObject:
        """Return the object without anything that a bookmark's row is drawn from, as a real server does."""
        if self._kind.crd:
            return {**bookmark, "metadata": {**bookmark["metadata"], "name": ""}}
        bare = through_go(self._kind.api_version, self._kind.kind, {**bookmark, "metadata": {"name": ""}})
        return {**bare, "metadata": {**bookmark["metadata"], "name": ""}}

    def _definitions(self) -> list[_Definition]:
        if not self._kind.crd:
            return [
                _Definition(column.name, column.type, "name" if column.name == "Name" else "", "", column.priority)
                for column in builtin_columns(self._kind.storage_key)
            ]
        name = _Definition("Name", "string", "name", "Name of the object, unique within its namespace.", 0)
        return [name] + [
            _Definition(column.name, column.type, column.format, column.description, column.priority)
            for column in self._columns
        ]

    def _row(self, obj: JsonObject) -> JsonObject:
        if self._kind.crd:
            cells = [obj["metadata"]["name"], *(_cell(obj, column) for column in self._columns)]
        else:
            cells = [column.cell(obj) for column in builtin_columns(self._kind.storage_key)]
        row: JsonObject = {"cells": cells}
        if self._include == "None":
            row["object"] = None
        elif self._include == "Object":
            row["object"] = obj
        else:
            row["object"] = {
                "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"],
            }  # fmt: skip
        return row


def _cell(obj: JsonObject, column: Column) -> Any:
    found = find_all(obj, column.json_path)
    if not found:
        return None
    value = found[0]
    if column.type == "date":
        return age(value)
    if column.type in ("integer", "number", "boolean"):
        return value
    if len(found) > 1:
        return orjson.dumps(found).decode()
    if isinstance(value, (dict, list)):
        return orjson.dumps(value).decode()
    return str(value).lower() if isinstance(value, bool) else str(value)
