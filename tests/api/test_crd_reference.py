"""The generated schemas against the field tables of the reference, both ways."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, cast

import pytest

from kagent_api.core_schema import core_schema
from kagent_api.crd_schema import object_schema
from kagent_api.crds import crd_schema, crds
from kagent_api.meta import Condition

Json = dict[str, Any]
KINDS = {
    "Agent": "### 1.1 Agent", "ModelConfig": "### 1.2 ModelConfig", "RemoteMCPServer": "### 1.3 RemoteMCPServer",
    "ModelProviderConfig": "### 1.4 ModelProviderConfig", "AgentHarness": "### 1.6 AgentHarness",
    "MCPServer": "### 1.8 MCPServer",
}  # fmt: skip
SIMPLE = {
    "string": {"type": "string"},
    "integer": {"type": "integer"},
    "boolean": {"type": "boolean"},
    "object": {"type": "object"},
    "map<string,string>": {"type": "object", "additionalProperties": {"type": "string"}},
    "any JSON": {"x-kubernetes-preserve-unknown-fields": True},
}


def rows_of(text: str, heading: str) -> dict[str, tuple[str, str, str, str]]:
    section = text[text.index(heading) :]
    section = section[: section.index("\n### ", 5)]
    rows = re.findall(r"^\| `([^`]+)` \| ([^|]*) \| ([^|]*) \| ([^|]*) \| ([^|]*) \|$", section, re.M)
    return {
        path: (kind.strip(), req.strip(), default.strip(), limits.strip()) for path, kind, req, default, limits in rows
    }


def at(schema: Json, path: str) -> tuple[Json, bool]:
    """Return the schema at a table path, and whether its parent requires it."""
    required = False
    for step in path.split("."):
        name, items = step.removesuffix("[]"), step.endswith("[]")
        required = name in schema.get("required", [])
        schema = schema["properties"][name]
        if items:
            schema = schema["items"]
    return schema, required


def named_type(name: str) -> Json:
    if name.endswith("[]"):
        return {"type": "array", "items": named_type(name[:-2])}
    if name in SIMPLE:
        return SIMPLE[name]
    if name == "meta/v1 Condition":
        return object_schema(Condition)
    return core_schema(name.rpartition("v1 ")[2])


def limits_of(cell: str) -> Json:
    limits: Json = {}
    for part in cell.split(", ") if cell else []:
        if part == "free-form":
            continue
        key, _, value = part.partition("=")
        limits[key] = value.split("/") if key == "enum" else int(value) if value.isdigit() else value
    return limits


def check_row(schema: Json, path: str, row: tuple[str, str, str, str]) -> None:
    kind, required, default, limits = row
    found, is_required = at(schema, path)
    expected = named_type(kind.partition(" (")[0])
    for key, value in expected.items():
        if key == "items" and value == {"type": "object"}:
            assert found["items"]["type"] == "object", path
        else:
            assert found.get(key) == value, f"{path}: {key}"
    assert is_required == (required == "yes"), f"{path}: required"
    shown = found.get("default", "")
    assert (shown if isinstance(shown, str) else json.dumps(shown)) == default, f"{path}: default"
    keywords = {"enum", "maxItems", "minItems", "minLength", "maxLength", "minimum", "maximum", "pattern", "format"}
    assert {key: found[key] for key in keywords & found.keys()} == limits_of(limits), f"{path}: limits"


def paths_of(schema: Json, prefix: str = "") -> set[str]:
    """Return every table path of a schema, not entering core types."""
    found: set[str] = set()
    for name, part in cast("dict[str, Json]", schema.get("properties", {})).items():
        path = f"{prefix}{name}"
        found.add(path)
        if is_core(part) or is_core(part.get("items", {})):
            continue
        found |= paths_of(part, f"{path}.")
        if "items" in part:
            found |= paths_of(part["items"], f"{path}[].")
    return found


CORE_ROOTS = (
    "Affinity", "Container", "EnvFromSource", "EnvVar", "LocalObjectReference", "PodSecurityContext",
    "ResourceRequirements", "SecurityContext", "Toleration", "Volume", "VolumeMount", "LabelSelector",
)  # fmt: skip


def is_core(schema: Json) -> bool:
    return schema in [core_schema(name) for name in CORE_ROOTS] or schema == object_schema(Condition)


@pytest.mark.parametrize("kind", KINDS)
def test_schema_has_exactly_the_fields_of_the_reference(kind: str, shared: Path) -> None:
    rows = rows_of((shared / "reference/kagent-v1alpha2.md").read_text(), KINDS[kind])
    schema = crd_schema(kind)
    byo = rows.pop("spec.byo.deployment", None)
    for path, row in rows.items():
        check_row(schema, path, row)
    wanted = set(rows) | {"spec", "status", "apiVersion", "kind", "metadata"}
    if byo:
        shared_fields = {path for path in rows if path.startswith("spec.declarative.deployment.")}
        shared_fields = {path.replace("declarative", "byo", 1) for path in shared_fields}
        wanted |= shared_fields - {"spec.byo.deployment.imageRegistry"} | {"spec.byo.deployment"}
        wanted |= {f"spec.byo.deployment.{name}" for name in ("image", "cmd", "args", "workingDir")}
    assert paths_of(schema) == wanted


def test_every_kind_of_the_reference_is_defined_as_upstream_defines_it(shared: Path) -> None:
    text = (shared / "reference/kagent-v1alpha2.md").read_text()
    rows = re.findall(r"^\| (\w+)(?: \(kmcp\))? \| ([^|]+) \| (\w+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", text, re.M)
    rows = [row for row in rows if "v1alpha" in row[1]]
    assert len(rows) == 9
    definitions = {crd["spec"]["names"]["kind"]: crd for crd in crds()}
    assert set(definitions) == {row[0] for row in rows}
    for kind, versions, plural, short, category, columns in rows:
        spec = definitions[kind]["spec"]
        assert definitions[kind]["metadata"]["name"] == f"{plural}.kagent.dev"
        assert spec["names"]["plural"] == plural
        assert spec["names"].get("shortNames", ["–"])[0] == short.split(" ")[0]
        assert spec["names"].get("categories", ["–"]) == [category]
        served = [version["name"] + ("*" if version["storage"] else "") for version in spec["versions"]]
        assert served == versions.split(", ")
        shown = [column["name"] for column in spec["versions"][-1].get("additionalPrinterColumns", [])]
        head = re.sub(r"\([^)]*\)", "", columns)
        named = [part.partition("←")[0].strip() for part in head.split(";")]
        assert shown == ([] if named == ["none"] else named)
        assert all(version["subresources"] == {"status": {}} for version in spec["versions"])
