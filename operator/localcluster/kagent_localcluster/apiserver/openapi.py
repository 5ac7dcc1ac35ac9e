"""OpenAPI documents: what ``kubectl explain``, ``create`` and ``apply`` read. Made when asked for, and kept encoded.

Version 3 has one document a group-version; version 2 is one document of definitions with the same contents.
"""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

from kagent_localcluster.apiserver.builtin import load_data
from kagent_localcluster.apiserver.builtin.definitions import OBJECT_META, definition_name, raw_definitions
from kagent_localcluster.apiserver.jsonvalue import is_object, object_at
from kagent_localcluster.apiserver.kinds import Kind, Registry
from kagent_localcluster.errors import NotFound
from kagent_localcluster.seams import JsonObject

__all__ = ["OpenApi"]

_V3 = "#/components/schemas/"
_V2 = "#/definitions/"
_INFO = {"title": "Kubernetes", "version": "v1.36.0"}
_STATUS = "io.k8s.apimachinery.pkg.apis.meta.v1.Status"
_OPTIONS = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"
_LIST_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"
_PATCH_TYPES = ("application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml")

# kubectl looks for fieldValidation on PATCH before it trusts the server with validation.
_WRITE_PARAMETERS: list[JsonObject] = [
    {"name": name, "in": "query", "schema": {"type": kind, "uniqueItems": True}}
    for name, kind in (("dryRun", "string"), ("fieldManager", "string"), ("fieldValidation", "string"))
]
_FORCE: JsonObject = {"name": "force", "in": "query", "schema": {"type": "boolean", "uniqueItems": True}}


class OpenApi:
    """Makes and keeps the documents; a changed registry makes them anew."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._generation = -1
        self._documents: dict[str, bytes] = {}

    def version_3(self, path: str) -> bytes:
        """Return the index ("") or the document of ``api/v1`` or ``apis/GROUP/VERSION``.

        Raises:
            NotFound: no such group-version.
        """
        return self._kept(f"v3/{path}", lambda: self._index() if not path else self._group_version(path))

    def version_2(self) -> bytes:
        """Return the one document of version 2."""
        return self._kept("v2", self._version_2)

    def _kept(self, name: str, make: Any) -> bytes:
        if self._generation != self._registry.generation:
            self._documents.clear()
            self._generation = self._registry.generation
        if name not in self._documents:
            self._documents[name] = orjson.dumps(make())
        return self._documents[name]

    def _index(self) -> JsonObject:
        paths: JsonObject = {}
        for group, version in self._registry.group_versions():
            path = _path_of(group, version)
            kinds = self._kinds(group, version)
            # The hash lets clients keep a document until its group-version changes.
            digest = hashlib.sha256(f"{_INFO['version']}{self._crd_marks(kinds)}".encode()).hexdigest()[:32].upper()
            paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest}"}
        return {"paths": paths}

    def _crd_marks(self, kinds: list[Kind]) -> str:
        return str(self._registry.generation) if any(kind.crd for kind in kinds) else ""

    def _kinds(self, group: str, version: str) -> list[Kind]:
        return [kind for kind in self._registry if (kind.group, kind.version) == (group, version)]

    def _group_version(self, path: str) -> JsonObject:
        found = next((pair for pair in self._registry.group_versions() if _path_of(*pair) == path), None)
        if found is None:
            raise NotFound("the server could not find the requested resource")
        schemas = _Schemas(_V3)
        paths: JsonObject = {}
        for kind in self._kinds(*found):
            paths.update(_paths(kind, schemas.add_kind(kind), f"/{path}"))
        schemas.add(_STATUS)
        schemas.add(_OPTIONS)
        return {"openapi": "3.0.0", "info": _INFO, "paths": paths, "components": {"schemas": schemas.finish()}}

    def _version_2(self) -> JsonObject:
        schemas = _Schemas(_V2)
        paths: JsonObject = {}
        for kind in self._registry:
            name = schemas.add_kind(kind)
            place = "/namespaces/{namespace}" if kind.namespaced else ""
            base = f"/{_path_of(kind.group, kind.version)}{place}/{kind.plural}"
            for verb, action in (("get", "get"), ("put", "put"), ("patch", "patch"), ("delete", "delete")):
                if not kind.stored:
                    continue
                paths.setdefault(f"{base}/{{name}}", {})[verb] = {
                    "x-kubernetes-action": action,
                    "x-kubernetes-group-version-kind": kind.gvk,
                    "parameters": [
                        {"name": item["name"], "in": "query", "type": item["schema"]["type"]}
                        for item in _WRITE_PARAMETERS
                    ],
                    "responses": {"200": {"description": "OK", "schema": {"$ref": _V2 + name}}},
                }
        return {"swagger": "2.0", "info": _INFO, "paths": paths, "definitions": schemas.finish()}


def _path_of(group: str, version: str) -> str:
    return f"apis/{group}/{version}" if group else f"api/{version}"


class _Schemas:
    """Collects definitions with everything they refer to, with descriptions put back."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._wanted: dict[str, JsonObject] = {}
        self._todo: list[str] = []

    def add(self, name: str) -> None:
        if name not in self._wanted:
            self._wanted[name] = {}
            self._todo.append(name)

    def add_kind(self, kind: Kind) -> str:
        """Add a kind and its list; return the kind's definition name."""
        name = definition_name(kind.group, kind.version, kind.kind)
        if name:
            self.add(name)
        else:
            name = f"{'.'.join(reversed(kind.group.split('.')))}.{kind.version}.{kind.kind}"
            self._wanted[name] = self._custom(kind)
        if kind.stored:
            self._wanted[f"{name}List"] = self._list(kind, name)
        return name

    def _custom(self, kind: Kind) -> JsonObject:
        raw = kind.schema.raw
        properties = {
            "apiVersion": {"type": "string", "description": "The version of the schema this object is written in."},
            "kind": {"type": "string", "description": "The kind of this object."},
            **object_at(raw, "properties"),
            "metadata": {"allOf": [{"$ref": self._prefix + OBJECT_META}], "description": "Standard object's metadata."},
        }
        self.add(OBJECT_META)
        return {**raw, "properties": properties, "x-kubernetes-group-version-kind": [kind.gvk]}

    def _list(self, kind: Kind, name: str) -> JsonObject:
        self.add(_LIST_META)
        return {
            "type": "object",
            "description": f"A list of {kind.kind}.",
            "required": ["items"],
            "properties": {
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                "metadata": {"allOf": [{"$ref": self._prefix + _LIST_META}]},
                "items": {"type": "array", "items": {"allOf": [{"$ref": self._prefix + name}]}},
            },
            "x-kubernetes-group-version-kind": [{**kind.gvk, "kind": kind.list_kind}],
        }

    def finish(self) -> JsonObject:
        """Return all definitions."""
        descriptions: dict[str, dict[str, str]] = load_data("descriptions")
        definitions = raw_definitions()
        while self._todo:
            name = self._todo.pop()
            self._wanted[name] = self._described(definitions[name], descriptions.get(name, {}))
        return self._wanted

    def _described(self, raw: JsonObject, texts: dict[str, str]) -> JsonObject:
        schema: JsonObject = self._linked(raw)
        if text := texts.get(""):
            schema["description"] = text
        for key, value in object_at(schema, "properties").items():
            if text := texts.get(key):
                value["description"] = text
        return schema

    def _linked(self, raw: JsonObject) -> JsonObject:
        """Return a copy of a schema with references written out in this document's way."""
        schema: JsonObject = {}
        for key, value in raw.items():
            match key:
                case "$ref":
                    self.add(value)
                    schema["allOf"] = [{"$ref": self._prefix + value}]
                case "x-kubernetes-int-or-string":
                    schema.update({"oneOf": [{"type": "integer"}, {"type": "string"}], "format": "int-or-string"})
                case "x-kubernetes-preserve-unknown-fields":
                    schema.setdefault("type", "object")
                case "properties":
                    schema[key] = {name: self._linked(below) for name, below in value.items()}
                case "items" | "additionalProperties":
                    schema[key] = self._linked(value) if is_object(value) else value
                case _:
                    schema[key] = value
        if raw.get("format") == "quantity":
            schema["format"] = "quantity"
        return schema


def _paths(kind: Kind, name: str, base: str) -> JsonObject:
    reference = {"$ref": _V3 + name}
    answer = {"200": {"description": "OK", "content": {"application/json": {"schema": reference}}}}
    body = {"required": True, "content": {"application/json": {"schema": reference}}}
    patch = {"required": True, "content": {media: {"schema": {"type": "object"}} for media in _PATCH_TYPES}}

    def operation(action: str, parameters: list[JsonObject], request: JsonObject | None = None) -> JsonObject:
        made: JsonObject = {
            "x-kubernetes-action": action, "x-kubernetes-group-version-kind": kind.gvk,
            "parameters": parameters, "responses": answer,
        }  # fmt: skip
        if request is not None:
            made["requestBody"] = request
        return made

    place = f"{base}/namespaces/{{namespace}}/{kind.plural}" if kind.namespaced else f"{base}/{kind.plural}"
    if not kind.stored:
        return {place: {"post": operation("post", _WRITE_PARAMETERS, body)}}
    return {
        place: {
            "get": operation("list", []),
            "post": operation("post", _WRITE_PARAMETERS, body),
        },
        f"{place}/{{name}}": {
            "get": operation("get", []),
            "put": operation("put", _WRITE_PARAMETERS, body),
            "patch": operation("patch", [*_WRITE_PARAMETERS, _FORCE], patch),
            "delete": operation("delete", []),
        },
    }
