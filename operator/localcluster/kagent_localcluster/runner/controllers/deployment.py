"""Turns a Deployment into ReplicaSets: one per template, rolled over without going under the wanted number.

It never touches Pods, and it never starts over: a template that was there before gets its old ReplicaSet back, which is
all that a rollback is.
"""

from __future__ import annotations

from copy import deepcopy

from kagent_localcluster.errors import AlreadyExists, NotFound
from kagent_localcluster.runner.controllers.deployment_status import deployment_status, progress_deadline
from kagent_localcluster.runner.controllers.rollout import Limits, Scale, limits, new_size, old_sizes
from kagent_localcluster.runner.controllers.template import HASH_LABEL, same_template, template_hash
from kagent_localcluster.runner.events import EventRecorder
from kagent_localcluster.runner.fields import Key, at, items, key_of, mapping, name_of, number, text, uid_of
from kagent_localcluster.runner.informer import Informer
from kagent_localcluster.runner.metadata import controller_uid, is_deleted, owner_reference, selector_matches
from kagent_localcluster.runner.resources import DEPLOYMENTS, REPLICASETS
from kagent_localcluster.seams import JsonObject, Objects, Resource

__all__ = ["DeploymentController"]

REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"
# Annotations that describe the Deployment itself and are not handed down.
NOT_COPIED = {REVISION, HISTORY, DESIRED, MAXIMUM, "kubectl.kubernetes.io/last-applied-configuration"}


class DeploymentController:
    """Reconciles one Deployment at a time."""

    def __init__(self, objects: Objects, deployments: Informer, replicasets: Informer, events: EventRecorder) -> None:
        self._objects = objects
        self._deployments = deployments
        self._replicasets = replicasets
        self._events = events

    def reconcile(self, key: Key) -> float | None:
        """Move the rollout one step, then write the status."""
        deployment = self._deployments.read(key)
        if deployment is None or is_deleted(deployment):
            return None
        owned = self._owned(deployment)
        template = mapping(deployment, "spec", "template")
        new = next((rs for rs in owned if same_template(mapping(rs, "spec", "template"), template)), None)
        old = [rs for rs in owned if rs is not new]
        paused = bool(at(deployment, "spec", "paused"))
        if not paused:
            new = self._newest(deployment, new, old)
            deployment = self._write_revision(deployment, text(new, "metadata", "annotations", REVISION))
        if new is not None:
            new, old = self._roll(deployment, new, old, paused=paused)
            old = self._prune_history(deployment, old)
        status = deployment_status(deployment, new, old)
        if status != mapping(deployment, "status"):
            self._objects.update(DEPLOYMENTS, *key, {**deployment, "status": status}, subresource="status")
        return progress_deadline(deployment, status)

    def _owned(self, deployment: JsonObject) -> list[JsonObject]:
        selector = mapping(deployment, "spec", "selector")
        for orphan in self._replicasets.owned_by(""):
            same_namespace = key_of(orphan).namespace == key_of(deployment).namespace
            if same_namespace and selector_matches(selector, orphan) and not is_deleted(orphan):
                owners = [*items(orphan, "metadata", "ownerReferences"), self._reference(deployment)]
                metadata = {**orphan["metadata"], "ownerReferences": owners}
                self._store(REPLICASETS, {**orphan, "metadata": metadata})
        owned = [rs for rs in self._replicasets.owned_by(uid_of(deployment)) if not is_deleted(rs)]
        owned = [rs for rs in owned if controller_uid(rs) == uid_of(deployment)]
        return sorted(owned, key=lambda rs: (_revision(rs), name_of(rs)))

    def _newest(self, deployment: JsonObject, new: JsonObject | None, old: list[JsonObject]) -> JsonObject:
        """Return the ReplicaSet of the present template, made or renumbered as needed."""
        revision = max((_revision(rs) for rs in old), default=0) + 1
        if new is None:
            return self._create(deployment, revision, old)
        annotations = dict(mapping(new, "metadata", "annotations"))
        if _revision(new) < revision:
            previous = text(new, "metadata", "annotations", REVISION)
            history = [number for number in (text(annotations, HISTORY), previous) if number]
            annotations |= {REVISION: str(revision), HISTORY: ",".join(history)}
        annotations |= self._handed_down(deployment)
        spec = {**new["spec"], "minReadySeconds": number(deployment, "spec", "minReadySeconds")}
        if not spec["minReadySeconds"]:
            del spec["minReadySeconds"]
        return self._store(
            REPLICASETS, {**new, "metadata": {**new["metadata"], "annotations": annotations}, "spec": spec}
        )

    def _create(self, deployment: JsonObject, revision: int, old: list[JsonObject]) -> JsonObject:
        namespace, name = key_of(deployment)
        template = deepcopy(mapping(deployment, "spec", "template"))
        hashed = template_hash(template, number(deployment, "status", "collisionCount"))
        template.setdefault("metadata", {}).setdefault("labels", {})[HASH_LABEL] = hashed
        selector = deepcopy(mapping(deployment, "spec", "selector"))
        selector.setdefault("matchLabels", {})[HASH_LABEL] = hashed
        wanted = number(deployment, "spec", "replicas", default=1)
        if text(deployment, "spec", "strategy", "type") == "Recreate" and any(
            number(rs, "status", "replicas") for rs in old
        ):
            size = 0
        else:
            size = new_size(wanted, Scale("", 0, 0), [_scale(rs) for rs in old], limits(deployment["spec"], wanted))
        body: JsonObject = {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": f"{name}-{hashed}",
                "namespace": namespace,
                "labels": deepcopy(template["metadata"]["labels"]),
                "annotations": {**self._handed_down(deployment), REVISION: str(revision)},
                "ownerReferences": [self._reference(deployment)],
            },
            "spec": {"replicas": size, "selector": selector, "template": template},
        }
        if seconds := number(deployment, "spec", "minReadySeconds"):
            body["spec"]["minReadySeconds"] = seconds
        try:
            created = self._objects.create(REPLICASETS, namespace, body)
        except AlreadyExists:
            self._resolve_collision(deployment, namespace, body["metadata"]["name"])
            raise
        self._replicasets.note_created(created)
        self._event(deployment, "ScalingReplicaSet", f"Scaled up replica set {name_of(created)} from 0 to {size}")
        return created

    def _resolve_collision(self, deployment: JsonObject, namespace: str, name: str) -> None:
        """Count a hash collision, so that the next try takes another name; an informer that lags is no collision."""
        other = self._objects.get(REPLICASETS, namespace, name)
        if controller_uid(other) == uid_of(deployment) and not is_deleted(other):
            self._replicasets.note_created(other)
            return
        count = number(deployment, "status", "collisionCount") + 1
        body = {**deployment, "status": {**mapping(deployment, "status"), "collisionCount": count}}
        self._objects.update(DEPLOYMENTS, *key_of(deployment), body, subresource="status")

    def _roll(
        self, deployment: JsonObject, new: JsonObject, old: list[JsonObject], *, paused: bool
    ) -> tuple[JsonObject, list[JsonObject]]:
        wanted = number(deployment, "spec", "replicas", default=1)
        bounds = limits(deployment["spec"], wanted)
        if text(deployment, "spec", "strategy", "type") == "Recreate":
            return self._recreate(deployment, new, old, wanted)
        alone = not any(number(rs, "spec", "replicas") for rs in old)
        if paused and not alone:
            return new, old
        size = new_size(wanted, _scale(new), [_scale(rs) for rs in old], bounds)
        new = self._resize(deployment, new, size)
        sizes = {} if paused else old_sizes(wanted, _scale(new), [_scale(rs) for rs in old], bounds)
        return new, [self._resize(deployment, rs, sizes.get(name_of(rs), number(rs, "spec", "replicas"))) for rs in old]

    def _recreate(
        self, deployment: JsonObject, new: JsonObject, old: list[JsonObject], wanted: int
    ) -> tuple[JsonObject, list[JsonObject]]:
        old = [self._resize(deployment, rs, 0) for rs in old]
        if any(number(rs, "status", "replicas") for rs in old):
            return new, old
        return self._resize(deployment, new, wanted), old

    def _resize(self, deployment: JsonObject, replicaset: JsonObject, size: int) -> JsonObject:
        before = number(replicaset, "spec", "replicas")
        annotations = {**mapping(replicaset, "metadata", "annotations"), **self._size_notes(deployment)}
        metadata = {**replicaset["metadata"], "annotations": annotations}
        if size == before and (before == 0 or metadata == replicaset["metadata"]):
            return replicaset
        stored = self._store(
            REPLICASETS, {**replicaset, "metadata": metadata, "spec": {**replicaset["spec"], "replicas": size}}
        )
        if size != before:
            direction = "up" if size > before else "down"
            what = f"Scaled {direction} replica set {name_of(replicaset)} from {before} to {size}"
            self._event(deployment, "ScalingReplicaSet", what)
        return stored

    def _prune_history(self, deployment: JsonObject, old: list[JsonObject]) -> list[JsonObject]:
        kept = number(deployment, "spec", "revisionHistoryLimit", default=10)
        empty = [rs for rs in old if not number(rs, "spec", "replicas") and not number(rs, "status", "replicas")]
        surplus = empty[: max(0, len(empty) - kept)]
        for replicaset in surplus:
            try:
                self._objects.delete(REPLICASETS, *key_of(replicaset), uid=uid_of(replicaset))
            except NotFound:
                continue
        return [rs for rs in old if rs not in surplus]

    def _write_revision(self, deployment: JsonObject, revision: str) -> JsonObject:
        if text(deployment, "metadata", "annotations", REVISION) == revision:
            return deployment
        annotations = {**mapping(deployment, "metadata", "annotations"), REVISION: revision}
        return self._store(
            DEPLOYMENTS, {**deployment, "metadata": {**deployment["metadata"], "annotations": annotations}}
        )

    def _store(self, resource: Resource, obj: JsonObject) -> JsonObject:
        stored = self._objects.get(resource, *key_of(obj))
        if stored["metadata"] == obj["metadata"] and stored["spec"] == obj["spec"]:
            return stored
        return self._objects.update(resource, *key_of(obj), obj)

    def _handed_down(self, deployment: JsonObject) -> dict[str, str]:
        own = mapping(deployment, "metadata", "annotations").items()
        return {name: str(value) for name, value in own if name not in NOT_COPIED} | self._size_notes(deployment)

    def _size_notes(self, deployment: JsonObject) -> dict[str, str]:
        wanted = number(deployment, "spec", "replicas", default=1)
        bounds: Limits = limits(deployment["spec"], wanted)
        return {DESIRED: str(wanted), MAXIMUM: str(wanted + bounds.surge)}

    def _reference(self, deployment: JsonObject) -> JsonObject:
        return owner_reference(deployment, "apps/v1", "Deployment")

    def _event(self, deployment: JsonObject, reason: str, message: str) -> None:
        self._events.record(deployment, reason, message, kind="Deployment", api_version="apps/v1")


def _revision(replicaset: JsonObject) -> int:
    value = text(replicaset, "metadata", "annotations", REVISION)
    return int(value) if value.isdigit() else 0


def _scale(replicaset: JsonObject) -> Scale:
    return Scale(
        name_of(replicaset), number(replicaset, "spec", "replicas"), number(replicaset, "status", "availableReplicas")
    )
