"""JSON in and out of protobuf's Struct and Value, for the door of a2a-sdk. Whole numbers come out whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct, Value

from kagent_engine.shapes import JsonObject

__all__ = ["Struct", "Value", "plain", "struct", "struct_json", "value"]


def plain(given: Value) -> Any:
    """Return a Value as the JSON value it stands for (protobuf keeps every number as a float)."""
    match given.WhichOneof("kind"):
        case "string_value":
            return given.string_value
        case "number_value":
            number = given.number_value
            return int(number) if number.is_integer() else number
        case "bool_value":
            return given.bool_value
        case "struct_value":
            return struct_json(given.struct_value)
        case "list_value":
            return [plain(item) for item in given.list_value.values]
        case _:
            return None


def struct_json(given: Struct) -> JsonObject:
    """Return a Struct as a JSON object."""
    return {key: plain(item) for key, item in given.fields.items()}


def struct(given: Mapping[str, Any]) -> Struct:
    """Make a Struct of a JSON object."""
    made = Struct()
    made.update(cast("dict[str, Any]", given))
    return made


def value(given: object) -> Value:
    """Make a Value of any JSON value."""
    return ParseDict(cast("Any", given), Value())
