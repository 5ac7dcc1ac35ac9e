"""The revisions of a Deployment: numbers and annotations on its ReplicaSets, which is all that a history is."""

from __future__ import annotations

from copy import deepcopy

from kagent_localcluster.runner.controllers.rollout import limits
from kagent_localcluster.runner.controllers.template import HASH_LABEL, template_hash
from kagent_localcluster.runner.fields import at, key_of, mapping, number, text
from kagent_localcluster.runner.metadata import owner_reference
from kagent_localcluster.seams import JsonObject

__all__ = ["REVISION", "new_replicaset", "renumbered", "revision_of", "size_notes", "sized_for"]

REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"
# Annotations that describe the Deployment itself and are not handed down.
NOT_COPIED = {
    REVISION,
    HISTORY,
    DESIRED,
    MAXIMUM,
    "kubectl.kubernetes.io/last-applied-configuration",
    "deprecated.deployment.rollback.to",
}
LONGEST_HISTORY = 2_000
LONGEST_NAME = 253


def revision_of(replicaset: JsonObject) -> int:
    """Return the revision of a ReplicaSet, 0 for none."""
    value = text(replicaset, "metadata", "annotations", REVISION)
    return int(value) if value.isdigit() else 0


def sized_for(replicaset: JsonObject) -> tuple[int | None, int]:
    """Return how many Pods the Deployment wanted, and at most had, when this ReplicaSet got its size."""
    annotations = mapping(replicaset, "metadata", "annotations")
    wanted, most = str(annotations.get(DESIRED, "")), str(annotations.get(MAXIMUM, ""))
    return int(wanted) if wanted.isdigit() else None, int(most) if most.isdigit() else 0


def size_notes(deployment: JsonObject) -> dict[str, str]:
    """Return the annotations that ``sized_for`` reads."""
    wanted = number(deployment, "spec", "replicas", default=1)
    return {DESIRED: str(wanted), MAXIMUM: str(wanted + limits(deployment["spec"], wanted).surge)}


def renumbered(deployment: JsonObject, replicaset: JsonObject, revision: int) -> JsonObject:
    """Return the ReplicaSet of the present template as it should be: newest number, the Deployment's annotations."""
    annotations = {**mapping(replicaset, "metadata", "annotations"), **_handed_down(deployment)}
    if revision_of(replicaset) < revision:
        previous = text(annotations, REVISION)
        annotations[REVISION] = str(revision)
        if previous:
            annotations[HISTORY] = _longer_history(text(annotations, HISTORY), previous)
    spec = {name: value for name, value in replicaset["spec"].items() if name != "minReadySeconds"}
    if seconds := number(deployment, "spec", "minReadySeconds"):
        spec["minReadySeconds"] = seconds
    return {**replicaset, "metadata": {**replicaset["metadata"], "annotations": annotations}, "spec": spec}


def new_replicaset(deployment: JsonObject, revision: int, size: int) -> JsonObject:
    """Return the ReplicaSet to create for the present template."""
    namespace, name = key_of(deployment)
    template = deepcopy(mapping(deployment, "spec", "template"))
    hashed = template_hash(template, number(deployment, "status", "collisionCount"))
    labels = {**mapping(template, "metadata", "labels"), HASH_LABEL: hashed}
    template["metadata"] = {**mapping(template, "metadata"), "labels": labels}
    selector = deepcopy(mapping(deployment, "spec", "selector"))
    selector["matchLabels"] = {**mapping(selector, "matchLabels"), HASH_LABEL: hashed}
    body: JsonObject = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{name[: LONGEST_NAME - len(hashed) - 1]}-{hashed}",
            "namespace": namespace,
            "labels": dict(labels),
            "annotations": {**_handed_down(deployment), **size_notes(deployment), REVISION: str(revision)},
            "ownerReferences": [owner_reference(deployment, "apps/v1", "Deployment")],
        },
        "spec": {"replicas": size, "selector": selector, "template": template},
    }
    if seconds := at(deployment, "spec", "minReadySeconds"):
        body["spec"]["minReadySeconds"] = seconds
    return body


def _handed_down(deployment: JsonObject) -> dict[str, str]:
    own = mapping(deployment, "metadata", "annotations").items()
    return {name: str(value) for name, value in own if name not in NOT_COPIED}


def _longer_history(history: str, previous: str) -> str:
    """Append a number; the oldest go where the annotation grows too long."""
    numbers = [*(number for number in history.split(",") if number), previous]
    while len(numbers) > 1 and len(",".join(numbers)) > LONGEST_HISTORY:
        numbers.pop(0)
    return ",".join(numbers)
