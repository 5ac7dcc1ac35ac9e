"""Make the data files of the built-in kinds from Kubernetes' own Go modules (Apache-2.0). Never imported at run time.

    go mod download -json k8s.io/kubernetes@v1.36.0 k8s.io/api@v0.36.0 k8s.io/apimachinery@v0.36.0 \
        k8s.io/apiextensions-apiserver@v0.36.0
    python generate.py --modules "$(go env GOMODCACHE)/k8s.io" --release 1.36.0

Written beside this file under ``data/``: ``kinds`` (discovery), ``schemas`` (structural schemas, no descriptions),
``descriptions`` (for ``kubectl explain``, read only when an OpenAPI document is asked for), ``protobuf`` (field numbers
and Go types, for the bodies that typed kubectl commands send) and ``roles`` (the default ClusterRoles and bindings).
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from kagent_localcluster.apiserver.jsonvalue import is_array, is_object

DATA = Path(__file__).parent / "data"

# Group-versions served, and of each the resources; "*" is everything the release has. Kinds whose meaning lies in a
# controller or admission plug-in that is not here (quotas, webhooks, StatefulSets) are left out: a kind that is
# accepted and then ignored would be a lie.
SERVED: dict[str, set[str]] = {
    "v1": {
        "configmaps", "endpoints", "events", "namespaces", "nodes", "persistentvolumeclaims", "persistentvolumes",
        "pods", "secrets", "serviceaccounts", "services",
    },
    "apps/v1": {"controllerrevisions", "deployments", "replicasets"},
    "authentication.k8s.io/v1": {"*"},
    "authorization.k8s.io/v1": {"*"},
    "autoscaling/v2": {"*"},
    "batch/v1": {"*"},
    "coordination.k8s.io/v1": {"*"},
    "discovery.k8s.io/v1": {"*"},
    "events.k8s.io/v1": {"*"},
    "apiextensions.k8s.io/v1": {"*"},
    "networking.k8s.io/v1": {"ingressclasses", "ingresses", "networkpolicies"},
    "policy/v1": {"*"},
    "rbac.authorization.k8s.io/v1": {"*"},
}  # fmt: skip

SUBRESOURCES = {
    "status",
    "scale",
    "finalize",
    "log",
    "proxy",
    "portforward",
    "token",
}

ROLES = {
    "admin", "cluster-admin", "edit", "view", "system:aggregate-to-admin", "system:aggregate-to-edit",
    "system:aggregate-to-view", "system:auth-delegator", "system:basic-user", "system:discovery",
    "system:public-info-viewer", "system:service-account-issuer-discovery",
}  # fmt: skip

EXTRA_DEFINITIONS = (
    "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Patch",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Status",
    "io.k8s.api.autoscaling.v1.Scale",
)

GO_PACKAGES = {
    "k8s.io/api": "api",
    "k8s.io/apimachinery": "apimachinery",
    "k8s.io/apiextensions-apiserver": "apiextensions-apiserver",
}

KEPT = (
    "type", "format", "required", "enum", "x-kubernetes-list-type", "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type", "x-kubernetes-patch-merge-key", "x-kubernetes-patch-strategy",
    "x-kubernetes-group-version-kind",
)  # fmt: skip

STRUCT = re.compile(r"^type (\w+) struct \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
FIELD = re.compile(r"^\t(?:(\w+)[ \t]+)?([\w.*\[\]]+)[ \t]+`([^`]*)`", re.MULTILINE)
ALIAS = re.compile(r"^type (\w+) (\[\]string|map\[\w+\][\w.]+)$", re.MULTILINE)
TAG = re.compile(r'(\w+):"([^"]*)"')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--modules", type=Path, required=True, help="GOMODCACHE/k8s.io")
    parser.add_argument("--release", default="1.36.0", help="of k8s.io/kubernetes; the other modules are 0.MINOR.PATCH")
    options = parser.parse_args()
    kubernetes: Path = options.modules / f"kubernetes@v{options.release}"
    library = "v0." + str(options.release).split(".", 1)[1]
    kinds = read_kinds(kubernetes)
    schemas, descriptions = read_definitions(kubernetes, kinds)
    write("kinds", kinds)
    write("schemas", schemas)
    write("descriptions", descriptions)
    write("protobuf", read_messages(options.modules, library))
    write("roles", read_roles(kubernetes))


def write(name: str, value: object) -> None:
    text = json.dumps(value, separators=(",", ":"), sort_keys=name != "kinds", ensure_ascii=False)
    # mtime 0: the same input gives the same bytes.
    (DATA / f"{name}.json.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def document_name(group_version: str) -> str:
    return f"api__{group_version}" if "/" not in group_version else "apis__" + group_version.replace("/", "__")


def read_kinds(kubernetes: Path) -> list[dict[str, Any]]:
    kinds: list[dict[str, Any]] = []
    for group_version, wanted in SERVED.items():
        path = kubernetes / "api/discovery" / f"{document_name(group_version)}.json"
        resources = json.loads(path.read_text())["resources"]
        group, _, version = group_version.rpartition("/")
        for entry in resources:
            if "/" in entry["name"] or not (entry["name"] in wanted or "*" in wanted):
                continue
            subresources = [
                other["name"].partition("/")[2] for other in resources if other["name"].startswith(entry["name"] + "/")
            ]
            kinds.append({
                "group": group, "version": version, "plural": entry["name"], "kind": entry["kind"],
                "singular": entry["singularName"], "namespaced": entry["namespaced"],
                "short": entry.get("shortNames", []), "categories": entry.get("categories", []),
                "verbs": entry["verbs"], "subresources": kept_subresources(entry["name"], subresources),
            })  # fmt: skip
    return kinds


def kept_subresources(plural: str, found: list[str]) -> list[str]:
    # A node's proxy leads to its kubelet, and there is none.
    return sorted(name for name in SUBRESOURCES & set(found) if (plural, name) != ("nodes", "proxy"))


def read_definitions(kubernetes: Path, kinds: list[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    found: dict[str, Any] = {}
    for group_version in [*SERVED, "autoscaling/v1"]:
        path = kubernetes / "api/openapi-spec/v3" / f"{document_name(group_version)}_openapi.json"
        found.update(json.loads(path.read_text())["components"]["schemas"])
    wanted = {(kind["group"], kind["version"], kind["kind"]) for kind in kinds}
    todo: list[str] = list(EXTRA_DEFINITIONS)
    for name, schema in found.items():
        for gvk in schema.get("x-kubernetes-group-version-kind", ()):
            if (gvk["group"], gvk["version"], gvk["kind"]) in wanted:
                todo.append(name)
                schema["x-kubernetes-group-version-kind"] = [gvk]
    for name in EXTRA_DEFINITIONS[:2]:
        found[name].pop("x-kubernetes-group-version-kind", None)  # names every group of the release
    schemas: dict[str, Any] = {}
    descriptions: dict[str, Any] = {}
    while todo:
        name = todo.pop()
        if name in schemas:
            continue
        schemas[name] = slim(found[name])
        texts = {key: text for key, value in found[name].get("properties", {}).items() if (text := describe(value))}
        if text := found[name].get("description"):
            texts[""] = text
        descriptions[name] = texts
        todo += references(schemas[name])
    return schemas, descriptions


def describe(schema: dict[str, Any]) -> str:
    return str(schema.get("description", ""))


def references(schema: Any) -> Iterator[str]:
    if is_object(schema):
        for key, value in schema.items():
            if key == "$ref" and isinstance(value, str):
                yield value
            else:
                yield from references(value)
    elif is_array(schema):
        for value in schema:
            yield from references(value)


def slim(schema: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref") or next((part["$ref"] for part in schema.get("allOf", ()) if "$ref" in part), None)
    out: dict[str, Any] = {key: schema[key] for key in KEPT if key in schema}
    if schema.get("format") == "int-or-string":
        return {"x-kubernetes-int-or-string": True}
    if schema.get("default"):  # zero values are artefacts of Go structs, the others are +default markers
        out["default"] = schema["default"]
    if reference:
        out["$ref"] = reference.rpartition("/")[2]
    if schema.get("description", "").startswith("Quantity is a fixed-point"):
        return {"x-kubernetes-int-or-string": True, "format": "quantity"}
    if "properties" in schema:
        out["properties"] = {key: slim(value) for key, value in schema["properties"].items()}
    elif out.get("type") == "object" and "additionalProperties" not in schema and not reference:
        out["x-kubernetes-preserve-unknown-fields"] = True  # RawExtension, FieldsV1
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            out[key] = slim(schema[key])
    return out


def read_messages(modules: Path, library: str) -> dict[str, Any]:
    """Return {package: {message: [[number, JSON name ("" when inlined), Go type, omitempty], ...]}} of all types."""
    messages: dict[str, Any] = {}
    for prefix, directory in GO_PACKAGES.items():
        root = modules / f"{directory}@{library}"
        for path in sorted(root.rglob("*.go")):
            if path.name.endswith("_test.go") or path.name.startswith("zz_") or "protobuf:" not in path.read_text():
                continue
            package = f"{prefix}/{path.parent.relative_to(root)}".replace("/", ".")
            if not wanted_package(package):
                continue
            target = messages.setdefault(package, {})
            text = path.read_text()
            for name, body in STRUCT.findall(text):
                if fields := list(message_fields(body)):
                    target[name] = fields
            for name, kind in ALIAS.findall(text):
                target[name] = kind
    return messages


def wanted_package(package: str) -> bool:
    if package.startswith("k8s.io.api."):
        group, _, version = package.removeprefix("k8s.io.api.").partition(".")
        return any(
            served.rpartition("/")[2] == version and (served.partition(".")[0].partition("/")[0] == group)
            for served in [*SERVED, "autoscaling/v1"]
        ) or (group, version) in (("core", "v1"), ("rbac", "v1"))
    return package.endswith((".apis.meta.v1", ".apiextensions.v1"))


def message_fields(body: str) -> Iterator[list[Any]]:
    for _name, go_type, tags in FIELD.findall(body):
        tag = dict(TAG.findall(tags))
        if "protobuf" not in tag or tag.get("protobuf") == "-":
            continue
        json_name, _, flags = tag.get("json", "").partition(",")
        omitted = "omitempty" in flags or "omitzero" in flags
        yield [int(tag["protobuf"].split(",")[1]), "" if "inline" in flags else json_name, go_type, int(omitted)]


def read_roles(kubernetes: Path) -> list[dict[str, Any]]:
    folder = kubernetes / "plugin/pkg/auth/authorizer/rbac/bootstrappolicy/testdata"
    roles = [
        item
        for file in ("cluster-roles.yaml", "cluster-role-bindings.yaml")
        for item in yaml.safe_load((folder / file).read_text())["items"]
        if item["metadata"]["name"] in ROLES
    ]
    for role in roles:
        role["metadata"].pop("creationTimestamp", None)
        if role.get("rules", ()) is None:
            role["rules"] = []
    return roles


if __name__ == "__main__":
    main()
