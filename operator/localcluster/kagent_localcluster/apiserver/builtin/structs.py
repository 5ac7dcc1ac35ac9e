"""What becomes of a built-in object on its way through Go: structs write some zero values and leave others out.

A real server decodes JSON into structs and stores what encoding them gives: empty lists of ``omitempty`` fields go,
plain struct fields are always there, null list items become zero values and quantities take one spelling. Clients that
compare what they wrote with what they read rely on it. Types are taken as right: validation comes first.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from kagent_localcluster.apiserver.builtin.gotypes import META, package_of, packages, resolve
from kagent_localcluster.apiserver.jsonvalue import is_array, is_object
from kagent_localcluster.apiserver.schema.formats import canonical_quantity
from kagent_localcluster.seams import JsonObject

__all__ = ["metadata_through_go", "through_go"]

Convert = Callable[[Any], Any]

_EMPTY: tuple[Any, ...] = ("", 0, False, [], {})
_AS_IT_IS = frozenset({"RawExtension", "FieldsV1", "JSON", "Time", "MicroTime", "Duration"})


class _Field(NamedTuple):
    """One field of a struct; ``always`` fields are written whatever they hold."""

    name: str
    convert: Convert
    pointer: bool
    always: bool


def through_go(api_version: str, kind: str, obj: JsonObject) -> JsonObject:
    """Return the object as it is after decoding and encoding; the argument stays as it is."""
    converted: JsonObject = _struct(package_of(api_version, kind), kind)(obj)
    return {"apiVersion": obj["apiVersion"], "kind": obj["kind"], **converted}


def metadata_through_go(metadata: JsonObject) -> JsonObject:
    """Return ObjectMeta as it is after decoding and encoding; custom resources' metadata takes this way too."""
    converted: JsonObject = _struct(META, "ObjectMeta")(metadata)
    return converted


@cache
def _struct(package: str, name: str) -> Convert:
    fields: list[_Field] = []
    inlined: list[Convert] = []

    def convert(value: Any) -> Any:
        if not fields and not inlined:  # made at first use: types contain themselves
            _read_fields(package, name, fields, inlined)
        given: JsonObject = value if is_object(value) else {}
        out: JsonObject = {}
        for field in fields:
            item = given.get(field.name)
            if field.pointer:
                if item is not None:
                    out[field.name] = field.convert(item)
                continue
            if item is None and not field.always:
                continue
            made = field.convert(item)
            if field.always or made not in _EMPTY:
                out[field.name] = made
        for part in inlined:
            out.update(part(given))
        return out

    return convert


def _read_fields(package: str, name: str, fields: list[_Field], inlined: list[Convert]) -> None:
    for _, json_name, go_type, omitted in packages()[package][name]:
        plain = go_type.lstrip("*")
        if not json_name:
            inlined.append(_struct(*resolve(package, plain)))
            continue
        pointer = go_type.startswith("*")
        # Go leaves no struct out for being empty; times are structs that write themselves as null, and only this one
        # is marked to be left out.
        always = not pointer and (not omitted or _is_struct(package, plain) or _is_time(plain))
        always = always and json_name != "creationTimestamp"
        fields.append(_Field(json_name, _converter(package, plain), pointer, always))


def _is_time(go_type: str) -> bool:
    return go_type.rpartition(".")[2] in ("Time", "MicroTime") and not go_type.startswith(("[]", "map["))


def _is_struct(package: str, go_type: str) -> bool:
    if go_type.startswith(("[]", "map[")):
        return False
    if go_type.rpartition(".")[2] == "IntOrString":
        return True
    where, name = resolve(package, go_type)
    return bool(where) and is_array(packages()[where][name])


@cache
def _converter(package: str, go_type: str) -> Convert:
    if go_type.startswith("[]") and go_type != "[]byte":
        return _list_of(_element(package, go_type[2:]))
    if go_type.startswith("map["):
        return _map_of(_element(package, go_type.partition("]")[2]))
    last = go_type.rpartition(".")[2]
    if go_type == "[]byte":
        return lambda value: "" if value is None else value
    if last in _AS_IT_IS:
        return _as_it_is
    if last == "Quantity":
        return canonical_quantity
    if last == "IntOrString":
        return _int_or_string
    where, name = resolve(package, go_type)
    if where:
        definition = packages()[where][name]
        return _struct(where, name) if is_array(definition) else _converter(where, definition)
    zero = False if last == "bool" else 0 if re.fullmatch(r"u?int\d*|float\d*", last) else ""
    return lambda value: zero if value is None else value


def _element(package: str, go_type: str) -> Convert:
    convert = _converter(package, go_type.lstrip("*"))
    return (lambda value: None if value is None else convert(value)) if go_type.startswith("*") else convert


def _as_it_is(value: Any) -> Any:
    return value


def _int_or_string(value: Any) -> Any:
    return 0 if value is None else value


def _list_of(convert: Convert) -> Convert:
    return lambda value: None if value is None else [convert(item) for item in value]


def _map_of(convert: Convert) -> Convert:
    return lambda value: None if value is None else {key: convert(item) for key, item in value.items()}
