"""Keeps as many Pods as a ReplicaSet says, and its status true."""

from __future__ import annotations

from typing import Any

from kagent_localcluster.errors import Forbidden, Invalid, NotFound
from kagent_localcluster.runner.controllers.claims import claim
from kagent_localcluster.runner.controllers.pods import (
    available_in,
    is_active,
    is_ready,
    pod_from_template,
    removal_order,
)
from kagent_localcluster.runner.events import EventRecorder, EventType
from kagent_localcluster.runner.fields import Key, items, key_of, labels_of, mapping, name_of, number, text, uid_of
from kagent_localcluster.runner.informer import Informer
from kagent_localcluster.runner.metadata import is_deleted, set_condition
from kagent_localcluster.runner.resources import PODS, REPLICASETS
from kagent_localcluster.seams import JsonObject, Objects

__all__ = ["ReplicaSetController"]

BURST = 500  # Pods made or removed in one go, as kube-controller-manager's burst


class ReplicaSetController:
    """Reconciles one ReplicaSet at a time."""

    def __init__(
        self, objects: Objects, replicasets: Informer, pods: Informer, events: EventRecorder, node: str
    ) -> None:
        self._objects = objects
        self._replicasets = replicasets
        self._pods = pods
        self._events = events
        self._node = node

    def reconcile(self, key: Key) -> float | None:
        """Create or delete Pods until the number fits, then write the status."""
        replicaset = self._replicasets.read(key)
        if replicaset is None:
            return None
        pods = claim(self._objects, self._pods, replicaset, "apps/v1", "ReplicaSet")
        active = [pod for pod in pods if is_active(pod)]
        ending = sum(is_deleted(pod) and text(pod, "status", "phase") not in ("Succeeded", "Failed") for pod in pods)
        missing = number(replicaset, "spec", "replicas", default=1) - len(active)
        if is_deleted(replicaset):
            missing = 0
        failure: Invalid | Forbidden | None = None
        if missing > 0:
            created, failure = self._create(replicaset, min(missing, BURST))
            active += created
        elif missing < 0:
            before = len(active)
            active = self._delete(replicaset, active, min(-missing, BURST))
            ending += before - len(active)
        return self._write_status(replicaset, active, ending, failure)

    def _create(self, replicaset: JsonObject, count: int) -> tuple[list[JsonObject], Invalid | Forbidden | None]:
        created: list[JsonObject] = []
        for _ in range(count):
            template = mapping(replicaset, "spec", "template")
            pod = pod_from_template(replicaset, "apps/v1", "ReplicaSet", template, node=self._node)
            try:
                pod = self._objects.create(PODS, pod["metadata"]["namespace"], pod)
            except (Invalid, Forbidden) as error:
                self._event(replicaset, "FailedCreate", f"Error creating: {error}", type="Warning")
                return created, error
            self._pods.note_created(pod)
            created.append(pod)
            self._event(replicaset, "SuccessfulCreate", f"Created pod: {name_of(pod)}")
        return created, None

    def _delete(self, replicaset: JsonObject, active: list[JsonObject], count: int) -> list[JsonObject]:
        ranked = sorted(active, key=removal_order)
        for pod in ranked[:count]:
            try:
                self._objects.delete(PODS, *key_of(pod), uid=uid_of(pod))
            except NotFound:
                continue
            self._event(replicaset, "SuccessfulDelete", f"Deleted pod: {name_of(pod)}")
        return ranked[count:]

    def _write_status(
        self, replicaset: JsonObject, active: list[JsonObject], ending: int, failure: Invalid | Forbidden | None
    ) -> float | None:
        wanted_labels = mapping(replicaset, "spec", "template", "metadata", "labels").items()
        waits = [available_in(pod, number(replicaset, "spec", "minReadySeconds")) for pod in active]
        conditions = [c for c in items(replicaset, "status", "conditions") if c.get("type") != "ReplicaFailure"]
        if failure is not None:
            conditions = set_condition(
                items(replicaset, "status", "conditions"),
                "ReplicaFailure",
                True,
                reason="FailedCreate",
                message=str(failure),
            )
        counts = {
            "fullyLabeledReplicas": sum(wanted_labels <= labels_of(pod).items() for pod in active),
            "readyReplicas": sum(is_ready(pod) for pod in active),
            "availableReplicas": sum(wait == 0.0 for wait in waits),
        }
        status: dict[str, Any] = {
            "replicas": len(active),
            "observedGeneration": replicaset["metadata"].get("generation", 1),
        }
        status |= {name: count for name, count in counts.items() if count}
        status["terminatingReplicas"] = ending
        if conditions:
            status["conditions"] = conditions
        if status != mapping(replicaset, "status"):
            self._objects.update(
                REPLICASETS, *key_of(replicaset), {**replicaset, "status": status}, subresource="status"
            )
        if failure is not None:
            return 5.0
        return min((wait for wait in waits if wait), default=None)

    def _event(self, replicaset: JsonObject, reason: str, message: str, *, type: EventType = "Normal") -> None:
        self._events.record(replicaset, reason, message, kind="ReplicaSet", api_version="apps/v1", type=type)
