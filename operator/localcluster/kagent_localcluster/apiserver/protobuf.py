"""Kubernetes protobuf request bodies as the JSON objects they stand for.

Typed kubectl commands (``create deployment``, ``auth can-i``) send nothing else. Field numbers and Go types come from
``builtin/data/protobuf``; Go's way of writing zero values of plain fields is undone, as ``omitempty`` does in JSON.
"""

from __future__ import annotations

import base64
import datetime
import struct
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import orjson

from kagent_localcluster.apiserver.builtin.gotypes import package_of, packages, resolve
from kagent_localcluster.apiserver.jsonvalue import is_array
from kagent_localcluster.errors import BadRequest
from kagent_localcluster.seams import JsonObject

__all__ = ["decode"]

_MAGIC = b"k8s\x00"


class _Field(NamedTuple):
    name: str
    go_type: str


class _Truncated(ValueError):
    """The body ends inside a field."""


def decode(body: bytes) -> JsonObject:
    """Return the object in a protobuf body.

    Raises:
        BadRequest: the body is no Kubernetes protobuf, or of an unknown kind.
    """
    if not body.startswith(_MAGIC):
        raise BadRequest("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    try:
        envelope = dict(_fields(memoryview(body)[len(_MAGIC) :]))
        type_meta = dict(_fields(memoryview(envelope.get(1, b""))))
        api_version, kind = (bytes(type_meta.get(number, b"")).decode() for number in (1, 2))
        package = package_of(api_version, kind)
        obj = _message(package, kind, memoryview(envelope.get(2, b"")))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, OSError, struct.error) as error:
        raise BadRequest(f"error decoding protobuf body: {error}") from error
    return {"apiVersion": api_version, "kind": kind, **obj}


@cache
def _table(package: str, name: str) -> dict[int, _Field]:
    return {number: _Field(json_name, go_type) for number, json_name, go_type, _ in packages()[package][name]}


def _fields(data: memoryview) -> Iterator[tuple[int, Any]]:
    """Yield (field number, value): ints for varints and fixed numbers, memoryviews for the rest."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, position = _varint(data, position)
            yield number, value
        elif wire == 2:
            size, position = _varint(data, position)
            if position + size > len(data):
                raise _Truncated("the message ends inside a field")
            yield number, data[position : position + size]
            position += size
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
            yield number, struct.unpack("<d" if wire == 1 else "<f", data[position : position + size])[0]
            position += size
        else:
            raise ValueError(f"unknown wire type {wire}")


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        if position >= len(data) or shift > 63:
            raise _Truncated("the message ends inside a number")
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, position
        shift += 7


def _message(package: str, name: str, data: memoryview) -> JsonObject:
    table = _table(package, name)
    obj: JsonObject = {}
    for number, raw in _fields(data):
        field = table.get(number)
        if field is None:
            continue
        if not field.name:
            obj.update(_message(*resolve(package, field.go_type.lstrip("*")), raw))
            continue
        _set_field(obj, package, field, raw)
    return obj


def _set_field(obj: JsonObject, package: str, field: _Field, raw: Any) -> None:
    go_type = field.go_type
    pointer = go_type.startswith("*")
    go_type = go_type.lstrip("*")
    where, name = resolve(package, go_type)
    definition: Any = packages()[where][name] if where else None
    if isinstance(definition, str) and definition.startswith("map["):
        go_type = definition
    if go_type.startswith("map["):
        key, value = _map_entry(where or package, go_type, raw)
        obj.setdefault(field.name, {})[key] = value
    elif go_type.startswith("[]") and go_type != "[]byte":
        obj.setdefault(field.name, []).append(_value(package, go_type[2:].lstrip("*"), raw))
    else:
        value = _value(package, go_type, raw)
        # Plain Go fields are always written; a pointer is only written when it is set.
        if pointer or value not in ("", 0, False, None, {}):
            obj[field.name] = value


def _map_entry(package: str, go_type: str, raw: memoryview) -> tuple[str, Any]:
    value_type = go_type.partition("]")[2]
    entry = dict(_fields(raw))
    key = bytes(entry.get(1, b"")).decode()
    return key, _value(package, value_type, entry.get(2, memoryview(b"")))


def _value(package: str, go_type: str, raw: Any) -> Any:
    match go_type.rpartition(".")[2]:
        case "bool":
            return bool(raw)
        case "[]byte":
            return base64.b64encode(raw).decode()
        case "Time" | "MicroTime":
            return _time(raw, micro=go_type.endswith("MicroTime"))
        case "Quantity":
            return bytes(dict(_fields(raw)).get(1, b"")).decode()
        case "IntOrString":
            parts = dict(_fields(raw))
            return bytes(parts.get(3, b"")).decode() if parts.get(1) else _signed(parts.get(2, 0))
        case "Duration":
            return f"{_signed(dict(_fields(raw)).get(1, 0)) / 1e9:g}s"
        case "RawExtension" | "FieldsV1" | "JSON":
            return orjson.loads(bytes(dict(_fields(raw)).get(1, b"")) or b"{}")
        case _:
            pass
    if isinstance(raw, (int, float)):
        return _signed(raw)
    where, name = resolve(package, go_type)
    if not where:
        return bytes(raw).decode()
    definition = packages()[where][name]
    if is_array(definition):
        return _message(where, name, raw)
    # A named list of strings is a message with one repeated field.
    return [bytes(item).decode() for _, item in _fields(raw)]


def _signed(value: Any) -> Any:
    return value - (1 << 64) if isinstance(value, int) and value >= 1 << 63 else value


def _time(raw: memoryview, *, micro: bool) -> str | None:
    parts = dict(_fields(raw))
    if not parts:
        return None
    moment = datetime.datetime.fromtimestamp(_signed(parts.get(1, 0)), datetime.UTC)
    if micro:
        return moment.replace(microsecond=parts.get(2, 0) // 1_000).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
