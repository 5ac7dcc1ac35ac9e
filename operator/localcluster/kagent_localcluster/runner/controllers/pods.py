"""What every controller of Pods needs: making one from a template, and judging those it has."""

from __future__ import annotations

import time
from copy import deepcopy

from kagent_localcluster.runner.fields import at, first, items, mapping, name_of, number, text
from kagent_localcluster.runner.metadata import is_deleted, owner_reference, parse_time
from kagent_localcluster.seams import JsonObject

__all__ = ["available_in", "is_active", "is_ready", "pod_from_template", "removal_order"]

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


def pod_from_template(owner: JsonObject, api_version: str, kind: str, template: JsonObject, *, node: str) -> JsonObject:
    """Return a new Pod of this owner, to be named by the API server.

    It is put on the only node at once, which saves the scheduler's write, unless scheduling gates hold it.
    """
    spec = deepcopy(mapping(template, "spec"))
    if not items(spec, "schedulingGates"):
        spec["nodeName"] = text(spec, "nodeName") or node
    metadata = mapping(template, "metadata")
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": f"{name_of(owner)}-",
            "namespace": text(owner, "metadata", "namespace"),
            "labels": deepcopy(mapping(metadata, "labels")),
            "annotations": deepcopy(mapping(metadata, "annotations")),
            "ownerReferences": [owner_reference(owner, api_version, kind)],
        },
        "spec": spec,
    }


def is_active(pod: JsonObject) -> bool:
    return text(pod, "status", "phase") not in ("Succeeded", "Failed") and not is_deleted(pod)


def is_ready(pod: JsonObject) -> bool:
    return _ready_condition(pod).get("status") == "True"


def available_in(pod: JsonObject, min_ready_seconds: int) -> float | None:
    """Return the seconds until a Pod counts as available: 0.0 for now, None while it is not ready."""
    if not is_ready(pod):
        return None
    if min_ready_seconds == 0:
        return 0.0
    ready_since = parse_time(text(_ready_condition(pod), "lastTransitionTime"))
    return max(0.0, ready_since + min_ready_seconds - time.time())


def removal_order(pod: JsonObject) -> tuple[bool, bool, bool, int, float, int, float]:
    """Return a sort key that puts the Pod that is missed least first.

    That is one without a node, then one that never ran, is not ready, is cheap to delete, became ready last, restarted
    often, is young.
    """
    cost = at(pod, "metadata", "annotations", DELETION_COST)
    restarts = max((number(status, "restartCount") for status in items(pod, "status", "containerStatuses")), default=0)
    ready_since = parse_time(text(_ready_condition(pod), "lastTransitionTime"))
    created = parse_time(text(pod, "metadata", "creationTimestamp"))
    price = int(cost) if isinstance(cost, str) and cost.lstrip("-").isdigit() else 0
    started = text(pod, "status", "phase", default="Pending") != "Pending"
    return (bool(text(pod, "spec", "nodeName")), started, is_ready(pod), price, -ready_since, -restarts, -created)


def _ready_condition(pod: JsonObject) -> JsonObject:
    return first(item for item in items(pod, "status", "conditions") if item.get("type") == "Ready")
