"""A Pod without processes, for scale: Ready at once, gone at once."""

from __future__ import annotations

from collections.abc import Callable

from kagent_localcluster.errors import ApiError, NotFound
from kagent_localcluster.runner.fields import first, items, labels_of, mapping, name_of, text, uid_of
from kagent_localcluster.runner.metadata import now
from kagent_localcluster.runner.pod_status import ContainerReport, PodReport, pod_status
from kagent_localcluster.runner.resources import PODS
from kagent_localcluster.seams import JsonObject, Objects

__all__ = ["HollowPod"]


class HollowPod:
    """Writes the status of a running Pod once; keeps only what Services ask for."""

    def __init__(self, objects: Objects, pod: JsonObject, on_end: Callable[[], None]) -> None:
        self._objects = objects
        self._on_end = on_end
        self.uid = uid_of(pod)
        self.namespace, self.name = text(pod, "metadata", "namespace"), name_of(pod)
        self.labels = labels_of(pod)
        self.ready = True
        state = mapping(first(items(pod, "status", "containerStatuses")), "state")
        if "running" not in state:
            self._write()

    def update(self, pod: JsonObject) -> None:
        self.labels = labels_of(pod)

    def resolve(self, declared: object) -> int | None:
        """Return the declared number; nobody listens there."""
        return int(declared) if isinstance(declared, int | str) and str(declared).isdigit() else None

    def remove(self) -> None:
        """Let the Pod go."""
        self.ready = False
        try:
            self._objects.delete(PODS, self.namespace, self.name, uid=self.uid)
        except ApiError:
            return  # gone already
        finally:
            self._on_end()

    def _write(self) -> None:
        try:
            pod = self._objects.get(PODS, self.namespace, self.name)  # somebody may have changed it since the event
        except NotFound:
            return
        if uid_of(pod) != self.uid:
            return
        report = PodReport(_reports(pod, "containers", ready=True), _reports(pod, "initContainers"), True, False)
        status = pod_status(pod, report)
        self._objects.update(PODS, self.namespace, self.name, {**pod, "status": status}, subresource="status")


def _reports(pod: JsonObject, field: str, *, ready: bool = False) -> tuple[ContainerReport, ...]:
    stamp = now()
    ended = {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": stamp, "finishedAt": stamp}}
    state: JsonObject = {"running": {"startedAt": stamp}} if ready else ended
    specs = items(pod, "spec", field)
    return tuple(ContainerReport(text(spec, "name"), text(spec, "image"), state, {}, 0, True, ready) for spec in specs)
