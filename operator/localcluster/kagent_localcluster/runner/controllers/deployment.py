"""Turns a Deployment into ReplicaSets: one per template, rolled over without going under the wanted number.

It never touches Pods, and it never starts over: a template that was there before gets its old ReplicaSet back, which is
all that a rollback is. One reconcile takes one step - scale up, or scale down, or clean up - and the change it makes
brings about the next, as Kubernetes' deployment controller works.
"""

from __future__ import annotations

from kagent_localcluster.errors import AlreadyExists, ApiError, NotFound
from kagent_localcluster.runner.controllers.claims import claim
from kagent_localcluster.runner.controllers.deployment_status import (
    counted_status,
    has_deadline,
    is_complete,
    progress_deadline,
    progressed_status,
    with_condition,
)
from kagent_localcluster.runner.controllers.revisions import (
    REVISION,
    new_replicaset,
    renumbered,
    revision_of,
    size_notes,
    sized_for,
)
from kagent_localcluster.runner.controllers.rollout import Scale, limits, new_size, old_sizes, proportional_sizes
from kagent_localcluster.runner.controllers.template import same_template
from kagent_localcluster.runner.events import EventRecorder, EventType
from kagent_localcluster.runner.fields import Key, at, first, items, key_of, mapping, name_of, number, text, uid_of
from kagent_localcluster.runner.informer import Informer
from kagent_localcluster.runner.metadata import controller_uid, is_deleted
from kagent_localcluster.runner.resources import DEPLOYMENTS, REPLICASETS
from kagent_localcluster.seams import JsonObject, Objects

__all__ = ["DeploymentController"]

FAILED_CREATE = "ReplicaSetCreateError"


class DeploymentController:
    """Reconciles one Deployment at a time."""

    def __init__(
        self, objects: Objects, deployments: Informer, replicasets: Informer, pods: Informer, events: EventRecorder
    ) -> None:
        self._objects = objects
        self._deployments = deployments
        self._replicasets = replicasets
        self._pods = pods
        self._events = events

    def reconcile(self, key: Key) -> float | None:
        """Move the rollout one step, then write the status."""
        deployment = self._deployments.read(key)
        if deployment is None:
            return None
        owned = claim(self._objects, self._replicasets, deployment, "apps/v1", "Deployment")
        owned.sort(key=_age)
        template = mapping(deployment, "spec", "template")
        new = next((rs for rs in owned if same_template(mapping(rs, "spec", "template"), template)), None)
        old = [rs for rs in owned if rs is not new]
        if is_deleted(deployment):
            return self._write(deployment, counted_status(deployment, new, old))
        deployment = self._note_pause(deployment)
        if at(deployment, "spec", "paused") or self._is_scaled(deployment, owned):
            return self._resume_size(deployment, new, old)
        if text(deployment, "spec", "strategy", "type") == "Recreate":
            return self._recreate(deployment, new, old)
        return self._roll(deployment, new, old)

    def _roll(self, deployment: JsonObject, new: JsonObject | None, old: list[JsonObject]) -> float | None:
        """Take one step of a rolling update."""
        wanted = number(deployment, "spec", "replicas", default=1)
        bounds = limits(deployment["spec"], wanted)
        active = [_scale(rs) for rs in old if number(rs, "spec", "replicas")]
        if new is None:
            size = new_size(wanted, Scale("", 0, 0), active, bounds)
            deployment, new = self._create(deployment, size, old)
        else:
            deployment, new = self._renumber(deployment, new, old)
        resized = self._resize(deployment, new, new_size(wanted, _scale(new), active, bounds))
        if resized is not new:
            return self._write(deployment, progressed_status(deployment, resized, old))
        sizes = old_sizes(wanted, _scale(new), active, bounds)
        if sizes:
            old = [self._resize(deployment, rs, sizes.get(name_of(rs), number(rs, "spec", "replicas"))) for rs in old]
        elif is_complete(deployment, mapping(deployment, "status")):
            old = self._prune_history(deployment, old)
        return self._write(deployment, progressed_status(deployment, new, old))

    def _recreate(self, deployment: JsonObject, new: JsonObject | None, old: list[JsonObject]) -> float | None:
        """Take one step of an update that ends the old Pods before the new ones start."""
        if new is not None:
            deployment, new = self._renumber(deployment, new, old)
        emptied = [self._resize(deployment, rs, 0) for rs in old]
        if any(after is not before for after, before in zip(emptied, old, strict=True)) or self._old_pods_run(old):
            return self._write(deployment, progressed_status(deployment, new, emptied))
        wanted = number(deployment, "spec", "replicas", default=1)
        if new is None:
            deployment, new = self._create(deployment, wanted, old)
        new = self._resize(deployment, new, wanted)
        if is_complete(deployment, mapping(deployment, "status")):
            old = self._prune_history(deployment, old)
        return self._write(deployment, progressed_status(deployment, new, old))

    def _resume_size(self, deployment: JsonObject, new: JsonObject | None, old: list[JsonObject]) -> float | None:
        """Follow a change of the wanted number, or just that while the Deployment is paused."""
        if new is not None:
            deployment, new = self._renumber(deployment, new, old)
        sizes = self._sizes(deployment, new, old)
        everything = [*old, *([new] if new is not None else [])]
        for rs in everything:
            if name_of(rs) in sizes:
                self._set_size(deployment, rs, sizes[name_of(rs)])
        if at(deployment, "spec", "paused"):
            old = self._prune_history(deployment, old)
        return self._write(deployment, counted_status(deployment, new, old))

    def _sizes(self, deployment: JsonObject, new: JsonObject | None, old: list[JsonObject]) -> dict[str, int]:
        """Return the sizes that a changed number of replicas asks for, by name."""
        wanted = number(deployment, "spec", "replicas", default=1)
        everything = [*old, *([new] if new is not None else [])]
        active = [rs for rs in everything if number(rs, "spec", "replicas")]
        if len(active) <= 1:
            latest = active[:1] or everything[-1:]
            return {name_of(rs): wanted for rs in latest}
        if new is not None and _is_saturated(new, wanted):
            return {name_of(rs): 0 for rs in active if rs is not new}
        if text(deployment, "spec", "strategy", "type") == "Recreate":
            return {}
        present = number(deployment, "status", "replicas")
        return proportional_sizes(wanted, [_scale(rs) for rs in active], limits(deployment["spec"], wanted), present)

    def _is_scaled(self, deployment: JsonObject, owned: list[JsonObject]) -> bool:
        """Tell whether somebody changed the number of replicas since the ReplicaSets at work got their sizes."""
        wanted = number(deployment, "spec", "replicas", default=1)
        return any(number(rs, "spec", "replicas") and sized_for(rs)[0] not in (None, wanted) for rs in owned)

    def _old_pods_run(self, old: list[JsonObject]) -> bool:
        pods = [pod for rs in old for pod in self._pods.owned_by(uid_of(rs))]
        unfinished = any(text(pod, "status", "phase") not in ("Failed", "Succeeded") for pod in pods)
        return unfinished or any(number(rs, "status", "replicas") for rs in old)

    def _create(self, deployment: JsonObject, size: int, old: list[JsonObject]) -> tuple[JsonObject, JsonObject]:
        """Make the ReplicaSet of a new template; returns the Deployment, which has its revision then, and it."""
        revision = max((revision_of(rs) for rs in old), default=0) + 1
        body = new_replicaset(deployment, revision, size)
        try:
            created = self._objects.create(REPLICASETS, key_of(deployment).namespace, body)
        except AlreadyExists:
            self._resolve_collision(deployment, name_of(body))
            raise
        except ApiError as error:
            message = f'Failed to create new replica set "{name_of(body)}": {error}'
            self._event(deployment, FAILED_CREATE, message, type="Warning")
            self._show_progress(deployment, "False", FAILED_CREATE, message)
            raise
        self._replicasets.note_created(created)
        if size:
            self._event(deployment, "ScalingReplicaSet", f"Scaled up replica set {name_of(created)} from 0 to {size}")
        deployment = self._write_revision(deployment, str(revision))
        message = f'Created new replica set "{name_of(created)}"'
        return self._show_progress(deployment, "True", "NewReplicaSetCreated", message), created

    def _renumber(
        self, deployment: JsonObject, new: JsonObject, old: list[JsonObject]
    ) -> tuple[JsonObject, JsonObject]:
        """Make a ReplicaSet that was there before the newest again."""
        revision = max((revision_of(rs) for rs in old), default=0) + 1
        new = self._store(new, renumbered(deployment, new, revision))
        deployment = self._write_revision(deployment, text(new, "metadata", "annotations", REVISION))
        if not _progress_of(deployment):
            message = f'Found new replica set "{name_of(new)}"'
            deployment = self._show_progress(deployment, "True", "FoundNewReplicaSet", message)
        return deployment, new

    def _resolve_collision(self, deployment: JsonObject, name: str) -> None:
        """Count a hash collision, so that the next try takes another name; an informer that lags is no collision."""
        other = self._objects.get(REPLICASETS, key_of(deployment).namespace, name)
        template = mapping(deployment, "spec", "template")
        ours = controller_uid(other) == uid_of(deployment)
        if ours and same_template(mapping(other, "spec", "template"), template):
            self._replicasets.note_created(other)
            return
        count = number(deployment, "status", "collisionCount") + 1
        self._write_status(deployment, {**mapping(deployment, "status"), "collisionCount": count})

    def _resize(self, deployment: JsonObject, replicaset: JsonObject, size: int) -> JsonObject:
        """Return the ReplicaSet at this size; the very same object where it has it already."""
        before = number(replicaset, "spec", "replicas")
        if size == before:
            return replicaset
        return self._set_size(deployment, replicaset, size)

    def _set_size(self, deployment: JsonObject, replicaset: JsonObject, size: int) -> JsonObject:
        """Give a ReplicaSet its size, and note for which number of replicas it was chosen."""
        before = number(replicaset, "spec", "replicas")
        annotations = {**mapping(replicaset, "metadata", "annotations"), **size_notes(deployment)}
        metadata = {**replicaset["metadata"], "annotations": annotations}
        spec = {**replicaset["spec"], "replicas": size}
        stored = self._store(replicaset, {**replicaset, "metadata": metadata, "spec": spec})
        if size != before:
            direction = "up" if size > before else "down"
            what = f"Scaled {direction} replica set {name_of(replicaset)} from {before} to {size}"
            self._event(deployment, "ScalingReplicaSet", what)
        return stored

    def _prune_history(self, deployment: JsonObject, old: list[JsonObject]) -> list[JsonObject]:
        kept = at(deployment, "spec", "revisionHistoryLimit")
        alive = sorted((rs for rs in old if not is_deleted(rs)), key=revision_of)
        surplus = alive[: max(0, len(alive) - kept)] if isinstance(kept, int) else []
        for replicaset in surplus:
            if number(replicaset, "spec", "replicas") or number(replicaset, "status", "replicas"):
                continue
            if number(replicaset, "metadata", "generation") > number(replicaset, "status", "observedGeneration"):
                continue
            try:
                self._objects.delete(REPLICASETS, *key_of(replicaset), uid=uid_of(replicaset))
            except NotFound:
                continue
        return old

    def _note_pause(self, deployment: JsonObject) -> JsonObject:
        """Show that the rollout stands still, or goes on: its deadline does not run meanwhile."""
        reason = _progress_of(deployment).get("reason")
        if reason == "ProgressDeadlineExceeded" or not has_deadline(deployment):
            return deployment
        paused = bool(at(deployment, "spec", "paused"))
        if paused and reason != "DeploymentPaused":
            return self._show_progress(deployment, "Unknown", "DeploymentPaused", "Deployment is paused")
        if not paused and reason == "DeploymentPaused":
            return self._show_progress(deployment, "Unknown", "DeploymentResumed", "Deployment is resumed")
        return deployment

    def _show_progress(self, deployment: JsonObject, status: str, reason: str, message: str) -> JsonObject:
        if not has_deadline(deployment):
            return deployment
        before = mapping(deployment, "status")
        conditions = with_condition(items(before, "conditions"), "Progressing", status, reason, message)
        return self._write_status(deployment, {**before, "conditions": conditions})

    def _write_revision(self, deployment: JsonObject, revision: str) -> JsonObject:
        if text(deployment, "metadata", "annotations", REVISION) == revision:
            return deployment
        annotations = {**mapping(deployment, "metadata", "annotations"), REVISION: revision}
        # By the status, as the real controller does: annotations written otherwise would raise the generation.
        body = {**deployment, "metadata": {**deployment["metadata"], "annotations": annotations}}
        return self._objects.update(DEPLOYMENTS, *key_of(deployment), body, subresource="status")

    def _write(self, deployment: JsonObject, status: JsonObject) -> float | None:
        return progress_deadline(deployment, self._write_status(deployment, status)["status"])

    def _write_status(self, deployment: JsonObject, status: JsonObject) -> JsonObject:
        if status == mapping(deployment, "status"):
            return deployment
        body = {**deployment, "status": status}
        return self._objects.update(DEPLOYMENTS, *key_of(deployment), body, subresource="status")

    def _store(self, before: JsonObject, after: JsonObject) -> JsonObject:
        if after["metadata"] == before["metadata"] and after["spec"] == before["spec"]:
            return before
        return self._objects.update(REPLICASETS, *key_of(before), after)

    def _event(self, deployment: JsonObject, reason: str, message: str, *, type: EventType = "Normal") -> None:
        self._events.record(deployment, reason, message, kind="Deployment", api_version="apps/v1", type=type)


def _progress_of(deployment: JsonObject) -> JsonObject:
    return first(c for c in items(deployment, "status", "conditions") if c.get("type") == "Progressing")


def _is_saturated(new: JsonObject, wanted: int) -> bool:
    sizes = (number(new, "spec", "replicas"), sized_for(new)[0], number(new, "status", "availableReplicas"))
    return sizes == (wanted, wanted, wanted)


def _age(replicaset: JsonObject) -> tuple[str, str]:
    return text(replicaset, "metadata", "creationTimestamp"), name_of(replicaset)


def _scale(replicaset: JsonObject) -> Scale:
    return Scale(
        name_of(replicaset),
        number(replicaset, "spec", "replicas"),
        number(replicaset, "status", "availableReplicas"),
        most=sized_for(replicaset)[1],
        age=text(replicaset, "metadata", "creationTimestamp"),
    )
