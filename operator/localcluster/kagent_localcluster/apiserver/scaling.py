"""The scale subresource: one small object in front of every workload's replica count."""

from __future__ import annotations

from kagent_localcluster.apiserver.jsonpath import find_first, set_value
from kagent_localcluster.apiserver.jsonvalue import copy_json, dig, is_object, object_at, objects_at
from kagent_localcluster.apiserver.kinds import Kind
from kagent_localcluster.apiserver.refusals import modified
from kagent_localcluster.errors import BadRequest, Cause
from kagent_localcluster.seams import JsonObject

__all__ = ["read_scale", "scale_faults", "selector_text", "write_scale"]


def read_scale(kind: Kind, obj: JsonObject) -> JsonObject:
    """Return the Scale of an object."""
    metadata = obj["metadata"]
    status: JsonObject = {"replicas": find_first(obj, kind.scale.status_replicas) or 0}
    if kind.scale.label_selector:
        selector = find_first(obj, kind.scale.label_selector)
        text = selector_text(selector) if is_object(selector) else selector
        if isinstance(text, str) and text:
            status["selector"] = text
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {
            key: metadata[key]
            for key in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
            if key in metadata
        },
        "spec": {"replicas": find_first(obj, kind.scale.spec_replicas) or 0},
        "status": status,
    }


def write_scale(kind: Kind, obj: JsonObject, scale: JsonObject) -> JsonObject:
    """Return a copy of the object with the Scale's replica count.

    Raises:
        BadRequest: the count is missing or negative.
        Conflict: the Scale was read from another version of the object.
    """
    replicas = dig(scale, "spec", "replicas")
    if replicas is None:
        replicas = 0
    if not isinstance(replicas, int) or (replicas < 0 and not kind.crd):
        raise BadRequest(f"spec.replicas: Invalid value: {replicas}: must be greater than or equal to 0")
    version = dig(scale, "metadata", "resourceVersion")
    if version and version != obj["metadata"]["resourceVersion"]:
        raise modified(kind, obj["metadata"]["name"])
    changed = copy_json(obj)
    set_value(changed, kind.scale.spec_replicas, replicas)
    return changed


def scale_faults(kind: Kind, obj: JsonObject) -> list[Cause]:
    """Return what is wrong with the replica counts that a custom resource's scale subresource shows."""
    if "scale" not in kind.subresources:
        return []
    causes: list[Cause] = []
    for path in (kind.scale.spec_replicas, kind.scale.status_replicas):
        value = find_first(obj, path) if path else None
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool):
            text = f"{path} accessor error: {value} is of the type {type_name(value)}, expected int64"
            causes.append(Cause(path, f"Invalid value: 0: {text}"))
        elif value < 0:
            causes.append(Cause(path, f"Invalid value: {value}: should be a non-negative integer"))
    return causes


def type_name(value: object) -> str:
    """Return the name of a decoded value's type in Go."""
    names = {"str": "string", "float": "float64", "dict": "map[string]interface {}", "list": "[]interface {}"}
    return names.get(type(value).__name__, type(value).__name__)


def selector_text(selector: JsonObject) -> str:
    """Return a metav1.LabelSelector as text."""
    parts = [f"{key}={value}" for key, value in sorted(object_at(selector, "matchLabels").items())]
    for item in objects_at(selector, "matchExpressions"):
        values = f"({','.join(item.get('values') or ())})"
        operator = item.get("operator")
        if operator in ("In", "NotIn"):
            parts.append(f"{item['key']} {operator.lower()} {values}")
        else:
            parts.append(item["key"] if operator == "Exists" else f"!{item['key']}")
    return ",".join(parts)
