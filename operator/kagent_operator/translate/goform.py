"""Bring objects into the form in which the API server and upstream's controller write them.

Go writes struct fields that have no value (``status: {}``, a container's ``resources: {}``) and canonical quantities;
profile upstream shows the same, so that its objects can be compared with upstream's byte for byte.
"""

from __future__ import annotations

from kagent_operator.translate.fields import JsonObject, mapping, rows
from kagent_operator.translate.quantities import canonical, canonical_resources

__all__ = ["canonical_pod", "with_zero_values"]


def canonical_pod(pod: JsonObject) -> None:
    """Rewrite a Pod spec's quantities in place, and leave out values of variables that are empty."""
    for container in [*rows(pod, "initContainers"), *rows(pod, "containers")]:
        for variable in rows(container, "env"):
            if variable.get("value") == "":
                del variable["value"]
    _canonical_quantities(pod)


def _canonical_quantities(part: JsonObject) -> None:
    """Rewrite the quantities of an object and all below: resources, claims, sizes and divisors."""
    for key, value in part.items():
        if isinstance(value, dict):
            if key == "resources":
                part[key] = canonical_resources(mapping(part, key))
            else:
                _canonical_quantities(mapping(part, key))
        elif isinstance(value, list):
            for entry in rows(part, key):
                _canonical_quantities(entry)
        elif key in {"sizeLimit", "divisor"}:
            part[key] = canonical(str(value))


def with_zero_values(obj: JsonObject) -> JsonObject:
    """Add in place what Go writes for empty structs, and return the object."""
    if obj.get("kind") == "Deployment":
        obj["status"] = {}
        pod = mapping(obj, "spec", "template", "spec")
        for container in [*rows(pod, "initContainers"), *rows(pod, "containers")]:
            container.setdefault("resources", {})
    elif obj.get("kind") == "Service":
        obj["status"] = {"loadBalancer": {}}
    return obj
