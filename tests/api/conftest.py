"""Shared by the tests of kagent_api: the reference folder, and a small API-server-like check of one object."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import cel
import pytest

from kagent_api.crds import crd_schema
from kagent_api.defaults import apply_defaults

Json = dict[str, Any]
SHARED = Path(__file__).parents[2].parent / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of facts and fixtures beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip("the folder ../shared with upstream's facts is not on this machine")
    return SHARED


@pytest.fixture(scope="session")
def faults() -> Callable[[Json], list[str]]:
    """Return a function that lists what an API server would refuse in an object: structure first, then CEL."""

    def check(obj: Json) -> list[str]:
        version = str(obj["apiVersion"]).rpartition("/")[2]
        schema = crd_schema(str(obj["kind"]), version)
        filled = apply_defaults(obj, schema)
        found = list(_structural(filled, schema, ""))
        if len(str(obj["metadata"]["name"])) > 253:
            found.append("metadata.name: too long")
        return found or list(_rules(filled, schema, ""))

    return check


def _structural(value: object, schema: Json, path: str) -> Iterator[str]:
    if schema.get("x-kubernetes-int-or-string"):
        if not isinstance(value, int | str) or isinstance(value, bool):
            yield f"{path}: must be an integer or a string"
        return
    kind = cast("str | None", schema.get("type"))
    if kind is None:
        return
    types: dict[str, tuple[type, ...]] = {
        "object": (dict,), "array": (list,), "string": (str,), "integer": (int,), "boolean": (bool,),
        "number": (int, float),
    }  # fmt: skip
    if not isinstance(value, types[kind]) or (kind != "boolean" and isinstance(value, bool)):
        yield f"{path}: must be of type {kind}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f'{path}: Unsupported value: "{value}"'
    if isinstance(value, str):
        yield from _text(value, schema, path)
    elif isinstance(value, dict):
        yield from _object(cast("Json", value), schema, path)
    elif isinstance(value, list):
        items = cast("list[object]", value)
        if len(items) > schema.get("maxItems", len(items)):
            yield f"{path}: must have at most {schema['maxItems']} items"
        if len(items) < schema.get("minItems", 0):
            yield f"{path}: must have at least {schema['minItems']} items"
        for index, item in enumerate(items):
            yield from _structural(item, schema["items"], f"{path}[{index}]")
    elif isinstance(value, int) and "minimum" in schema and value < schema["minimum"]:
        yield f"{path}: must be at least {schema['minimum']}"


def _text(value: str, schema: Json, path: str) -> Iterator[str]:
    if len(value) > schema.get("maxLength", len(value)) or len(value) < schema.get("minLength", 0):
        yield f"{path}: length"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{path}: should match {schema['pattern']}"


def _object(value: Json, schema: Json, path: str) -> Iterator[str]:
    properties = cast("dict[str, Json]", schema.get("properties", {}))
    for name in cast("list[str]", schema.get("required", [])):
        if name not in value:
            yield f"{path}.{name}: Required value".lstrip(".")
    for name, item in value.items():
        if name in properties:
            yield from _structural(item, properties[name], f"{path}.{name}".lstrip("."))
        elif isinstance(schema.get("additionalProperties"), dict):
            yield from _structural(item, schema["additionalProperties"], f"{path}.{name}")


def _rules(value: object, schema: Json, path: str) -> Iterator[str]:
    for rule in cast("list[Json]", schema.get("x-kubernetes-validations", [])):
        if cel.evaluate(rule["rule"], {"self": value}) is not True:
            yield f"{path}: {rule['message']}"
    if isinstance(value, dict):
        properties = cast("dict[str, Json]", schema.get("properties", {}))
        for name, item in cast("Json", value).items():
            if name in properties:
                yield from _rules(item, properties[name], f"{path}.{name}".lstrip("."))
    elif isinstance(value, list):
        for index, item in enumerate(cast("list[object]", value)):
            yield from _rules(item, schema["items"], f"{path}[{index}]")
