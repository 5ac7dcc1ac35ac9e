"""Schemas of careless servers become such that every provider takes them, and good ones are left as they are."""

from __future__ import annotations

from typing import Any

import pytest

from kagent_engine.tools.schemas import accepted_schema

TEXT = {"type": "string"}


def test_a_good_schema_is_left_as_it_is() -> None:
    good = {
        "type": "object",
        "properties": {"a": TEXT, "b": {"anyOf": [TEXT, {"type": "null"}]}, "c": {"$ref": "#/$defs/C"}},
        "required": ["a"],
        "additionalProperties": False,
        "$defs": {"C": {"type": "object", "properties": {"again": {"$ref": "#/$defs/C"}}}},
    }
    assert accepted_schema(good) == good


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ({}, {"type": "object", "properties": {}}),
        ({"type": "string"}, {"type": "object", "properties": {}}),
        ({"type": "object", "properties": None, "required": "a"}, {"type": "object", "properties": {}}),
        (
            {"type": "object", "properties": {"a": {"type": "array"}, "b": True, "c": "text"}},
            {"type": "object", "properties": {"a": {"type": "array", "items": {}}, "b": True, "c": {}}},
        ),
        (
            {"$schema": "http://x", "properties": {"a": {"$ref": "http://elsewhere/schema.json"}}},
            {"type": "object", "properties": {"a": {}}},
        ),
        ({"type": "object", "properties": {"a": {"anyOf": []}}}, {"type": "object", "properties": {"a": {}}}),
    ],
)
def test_what_a_provider_refuses_is_mended(given: dict[str, Any], made: dict[str, Any]) -> None:
    assert accepted_schema(given) == made


def test_alternatives_at_the_top_become_one_object_that_takes_each() -> None:
    by_id = {"properties": {"id": TEXT, "force": TEXT}, "required": ["id", "force"]}
    by_name = {"$ref": "#/$defs/ByName"}
    defined = {"ByName": {"properties": {"name": TEXT, "force": TEXT}, "required": ["name", "force"]}}
    made = accepted_schema({"oneOf": [by_id, by_name], "$defs": defined})
    assert made["properties"] == {"id": TEXT, "force": TEXT, "name": TEXT}
    assert made["required"] == ["force"]
    assert "oneOf" not in made
    assert accepted_schema({"allOf": [by_id, by_name], "$defs": defined})["required"] == ["id", "force", "name"]


def test_a_schema_without_an_end_is_cut() -> None:
    deep: dict[str, Any] = {}
    for _ in range(5000):
        deep = {"type": "object", "properties": {"x": deep}}
    made, depth = accepted_schema(deep), 0
    while made := made.get("properties", {}).get("x", {}):
        depth += 1
    assert depth == 40
