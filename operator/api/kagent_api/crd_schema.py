"""From a resource type to its OpenAPI schema, as a CRD holds it.

A field's Python type gives the structure, its `crd(...)` marker the limits and defaults, the class its CEL rules.
Must never write a description: the Agent CRD has to stay below what client-side `kubectl apply` can annotate.
"""

from __future__ import annotations

from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

from pydantic.fields import FieldInfo

from kagent_api.core_schema import core_schema
from kagent_api.meta import Resource
from kagent_api.schema import UNSET, Core, Crd, JsonObject, Shape, wire_name

__all__ = ["object_schema", "resource_schema"]


def resource_schema(kind: type[Resource]) -> JsonObject:
    """Return the schema of a whole resource, with ``metadata`` left to the API server."""
    fields = kind.model_fields
    return {
        "type": "object",
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            **{name: _field_schema(fields[name]) for name in ("spec", "status") if name in fields},
        },
    }


def object_schema(shape: type[Shape]) -> JsonObject:
    """Return the schema of one object type."""
    schema: JsonObject = {"type": "object"}
    required: list[str] = []
    properties: JsonObject = {}
    for attribute, field in shape.model_fields.items():
        name = wire_name(attribute)
        properties[name] = _field_schema(field)
        if any(isinstance(marker, Crd) and marker.required for marker in field.metadata):
            required.append(name)
    if properties:
        schema["properties"] = dict(sorted(properties.items()))
    if required:
        schema["required"] = sorted(required)
    if shape.rules:
        schema["x-kubernetes-validations"] = [{"rule": rule.rule, "message": rule.message} for rule in shape.rules]
    return schema


def _field_schema(field: FieldInfo) -> JsonObject:
    return _annotated(field.annotation, field.metadata)


def _annotated(annotation: Any, metadata: list[Any]) -> JsonObject:
    schema: JsonObject = {}
    for marker in metadata:
        if isinstance(marker, Core):
            return dict(core_schema(marker.name))
    if annotation is not Any:
        schema = _typed(annotation)
    for marker in metadata:
        if isinstance(marker, Crd):
            schema |= dict(marker.keywords)
            if marker.default is not UNSET:
                schema["default"] = marker.default
    return schema


def _typed(annotation: Any) -> JsonObject:
    origin = get_origin(annotation)
    args = get_args(annotation)
    if origin is Annotated:
        return _annotated(args[0], list(args[1:]))
    if origin in (Union, UnionType):
        return _union([arg for arg in args if arg is not NoneType])
    if origin is Literal:
        return {"type": "string", "enum": list(args)}
    if origin is list:
        return {"type": "array", "items": _typed(args[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": _typed(args[1])}
    if isinstance(annotation, type) and issubclass(annotation, Shape):
        return object_schema(annotation)
    simple = {str: "string", int: "integer", bool: "boolean", float: "number"}.get(cast("type", annotation))
    if simple is None:
        raise TypeError(f"no CRD schema for {annotation!r}")
    return {"type": simple}


def _union(members: list[Any]) -> JsonObject:
    """Fields with fixed values read as `Literal[...] | str`: the schema holds the fixed values."""
    fixed = [member for member in members if get_origin(member) is Literal]
    chosen = fixed or members
    if len(chosen) != 1:
        raise TypeError(f"no CRD schema for a union of {members!r}")
    return _typed(chosen[0])
