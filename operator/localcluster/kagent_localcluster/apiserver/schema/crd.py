"""CustomResourceDefinitions: what is wrong with one, and the kinds it serves."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from kagent_localcluster.apiserver.jsonpath import path_problem
from kagent_localcluster.apiserver.jsonvalue import dig, is_array, is_object, list_at, object_at, objects_at
from kagent_localcluster.apiserver.kinds import Column, Kind, ScalePaths, version_rank
from kagent_localcluster.apiserver.schema.celrules import compile_problem
from kagent_localcluster.apiserver.schema.node import Node
from kagent_localcluster.errors import Cause
from kagent_localcluster.seams import JsonObject

__all__ = ["check_definition", "default_definition", "kinds_of", "mark_accepted"]


def default_definition(crd: JsonObject) -> None:
    """Set what apiextensions sets on a definition."""
    spec = crd.setdefault("spec", {})
    names = spec.setdefault("names", {})
    names.setdefault("listKind", f"{names.get('kind', '')}List")
    names.setdefault("singular", str(names.get("kind", "")).lower())
    spec.setdefault("conversion", {"strategy": "None"})


def mark_accepted(crd: JsonObject, time: str) -> None:
    """Set the status of a definition that is served; this server serves at once, so nothing is ever pending."""
    status = crd.setdefault("status", {})
    spec = crd["spec"]
    status["acceptedNames"] = spec["names"]
    stored: list[str] = status.setdefault("storedVersions", [])
    stored += [version["name"] for version in spec["versions"] if version["storage"] and version["name"] not in stored]
    known = {condition["type"]: condition for condition in objects_at(status, "conditions")}
    for kind, reason, message in (
        ("NamesAccepted", "NoConflicts", "no conflicts found"),
        ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
    ):
        if known.get(kind, {}).get("status") != "True":
            known[kind] = {
                "type": kind, "status": "True", "lastTransitionTime": time, "reason": reason, "message": message,
            }  # fmt: skip
    status["conditions"] = list(known.values())


def check_definition(crd: JsonObject, old: JsonObject | None = None) -> Iterator[Cause]:
    """Yield the faults of a definition that would make it unservable; versions that ``old`` has are not read again."""
    spec, name = crd["spec"], crd["metadata"]["name"]
    plural, group = dig(spec, "names", "plural") or "", spec.get("group") or ""
    if name != f"{plural}.{group}":
        yield Cause("metadata.name", f'Invalid value: "{name}": must be spec.names.plural+"."+spec.group')
    if "." not in group:
        yield Cause("spec.group", f'Invalid value: "{group}": should be a domain with at least one dot')
    if spec.get("scope") not in ("Namespaced", "Cluster"):
        yield Cause(
            "spec.scope",
            f'Unsupported value: "{spec.get("scope", "")}": supported values: "Cluster", "Namespaced"',
            "FieldValueNotSupported",
        )
    if dig(spec, "conversion", "strategy") == "Webhook":
        yield Cause(
            "spec.conversion.strategy", "Unsupported value: \"Webhook\": this server converts with strategy None only",
            "FieldValueNotSupported",
        )  # fmt: skip
    versions: list[JsonObject] = spec.get("versions") or []
    if sum(bool(version.get("storage")) for version in versions) != 1:
        yield Cause("spec.versions", "Invalid value: must have exactly one version marked as storage version")
    known = objects_at(old, "spec", "versions")
    for index, version in enumerate(versions):
        if version in known:
            continue
        yield from _check_version(version, f"spec.versions[{index}]")


def _check_version(version: JsonObject, path: str) -> Iterator[Cause]:
    schema = dig(version, "schema", "openAPIV3Schema")
    where = f"{path}.schema.openAPIV3Schema"
    if not is_object(schema):
        yield Cause(where, "Required value: schemas are required", "FieldValueRequired")
        return
    if schema.get("type") != "object":
        yield Cause(f"{where}.type", f'Invalid value: "{schema.get("type", "")}": must be object at the root')
    yield from _check_schema(schema, where)
    for index, column in enumerate(objects_at(version, "additionalPrinterColumns")):
        if problem := path_problem(column.get("jsonPath", "")):
            yield Cause(f"{path}.additionalPrinterColumns[{index}].jsonPath", f"Invalid value: {problem}")


def _check_schema(schema: dict[str, Any], path: str) -> Iterator[Cause]:
    """Check what makes a schema structural, and that every rule compiles."""
    free = schema.get("x-kubernetes-int-or-string") or schema.get("x-kubernetes-preserve-unknown-fields")
    if not schema.get("type") and not free:
        yield Cause(
            f"{path}.type", "Required value: must not be empty for specified object fields", "FieldValueRequired"
        )
    if "properties" in schema and schema.get("additionalProperties"):
        yield Cause(
            f"{path}.additionalProperties",
            "Forbidden: additionalProperties and properties are mutual exclusive",
            "FieldValueForbidden",
        )
    if schema.get("x-kubernetes-list-type") == "map" and not schema.get("x-kubernetes-list-map-keys"):
        yield Cause(
            f"{path}.x-kubernetes-list-map-keys",
            "Required value: must not be empty if x-kubernetes-list-type is map",
            "FieldValueRequired",
        )
    if pattern := schema.get("pattern"):
        try:
            re.compile(pattern)
        except re.error as error:
            yield Cause(f"{path}.pattern", f"Invalid value: {pattern!r}: must be a valid regular expression: {error}")
    for index, rule in enumerate(objects_at(schema, "x-kubernetes-validations")):
        if problem := compile_problem(str(rule.get("rule", ""))):
            yield Cause(
                f"{path}.x-kubernetes-validations[{index}].rule",
                f"Invalid value: {rule.get('rule', '')!r}: compilation failed: {problem}",
            )
    for key, below in object_at(schema, "properties").items():
        if is_object(below):
            yield from _check_schema(below, f"{path}.properties[{key}]")
    for key in ("items", "additionalProperties"):
        below = schema.get(key)
        if is_object(below):
            yield from _check_schema(below, f"{path}.{key}")
        elif is_array(below):
            yield Cause(
                f"{path}.{key}", "Forbidden: items must be a schema object and not an array", "FieldValueForbidden"
            )


def kinds_of(crd: JsonObject, load: Callable[[], JsonObject]) -> list[Kind]:
    """Return the kinds a definition serves. ``load`` reads the definition again when a schema is first needed."""
    spec = crd["spec"]
    names = spec["names"]
    storage = next(version["name"] for version in spec["versions"] if version["storage"])
    several = sum(bool(version["served"]) for version in spec["versions"]) > 1
    kinds: list[Kind] = []
    for version in spec["versions"]:
        if not version["served"]:
            continue
        subresources: JsonObject = object_at(version, "subresources")
        columns = version.get("additionalPrinterColumns")
        scale = object_at(subresources, "scale")
        kinds.append(
            Kind(
                group=spec["group"],
                version=version["name"],
                plural=names["plural"],
                kind=names["kind"],
                singular=names.get("singular") or names["kind"].lower(),
                namespaced=spec["scope"] == "Namespaced",
                load_schema=_loader(load, version["name"]),
                short_names=tuple(list_at(names, "shortNames")),
                categories=tuple(list_at(names, "categories")),
                subresources=frozenset(subresources),
                list_kind=names.get("listKind") or f"{names['kind']}List",
                crd=crd["metadata"]["name"],
                storage_version=storage,
                columns=None if columns is None else tuple(_column(column) for column in columns),
                selectable=tuple(field["jsonPath"] for field in objects_at(version, "selectableFields")),
                scale=ScalePaths(
                    scale.get("specReplicasPath", ""),
                    scale.get("statusReplicasPath", ""),
                    scale.get("labelSelectorPath", ""),
                ),
                deprecation=_deprecation(spec, version),
                load_storage_schema=_loader(load, storage) if several and version["name"] != storage else None,
            )
        )
    return kinds


def _deprecation(spec: JsonObject, version: JsonObject) -> str:
    if not version.get("deprecated"):
        return ""
    if text := version.get("deprecationWarning"):
        return str(text)
    kind, name = f"{spec['names']['kind']}", version["name"]
    better = [
        other["name"]
        for other in objects_at(spec, "versions")
        if other["served"] and not other.get("deprecated") and version_rank(other["name"]) < version_rank(name)
    ]
    remedy = f"; use {spec['group']}/{min(better, key=version_rank)} {kind}" if better else ""
    return f"{spec['group']}/{name} {kind} is deprecated{remedy}"


def _loader(load: Callable[[], JsonObject], version: str) -> Callable[[], Node]:
    def build() -> Node:
        found = next(item for item in load()["spec"]["versions"] if item["name"] == version)
        return Node(found["schema"]["openAPIV3Schema"], root=True)

    return build


def _column(column: JsonObject) -> Column:
    return Column(
        name=column["name"],
        type=column["type"],
        json_path=column["jsonPath"],
        format=column.get("format", ""),
        description=column.get("description", ""),
        priority=column.get("priority", 0),
    )
