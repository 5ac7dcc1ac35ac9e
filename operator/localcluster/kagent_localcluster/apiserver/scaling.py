"""The scale subresource: one small object in front of every workload's replica count."""

from __future__ import annotations

from kagent_localcluster.apiserver.jsonpath import find_first, set_value
from kagent_localcluster.apiserver.jsonvalue import copy_json, dig, is_object, object_at, objects_at
from kagent_localcluster.apiserver.kinds import Kind
from kagent_localcluster.apiserver.refusals import modified
from kagent_localcluster.errors import BadRequest
from kagent_localcluster.seams import JsonObject

__all__ = ["read_scale", "selector_text", "write_scale"]


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
    if not isinstance(replicas, int) or replicas < 0:
        raise BadRequest(f"spec.replicas: Invalid value: {replicas}: must be greater than or equal to 0")
    version = dig(scale, "metadata", "resourceVersion")
    if version and version != obj["metadata"]["resourceVersion"]:
        raise modified(kind, obj["metadata"]["name"])
    changed = copy_json(obj)
    set_value(changed, kind.scale.spec_replicas, replicas)
    return changed


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
