"""Which Pods run on this node, and what others may know of them: addresses and logs.

Pods come and go by the API server's objects alone; a Pod without a node gets this one, the only one there is.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Protocol

from kagent_localcluster.errors import ApiError, BadRequest, NotFound
from kagent_localcluster.runner.controllers.pods import is_active
from kagent_localcluster.runner.events import EventRecorder
from kagent_localcluster.runner.fields import Key, at, first, items, key_of, mapping, name_of, number, text, uid_of
from kagent_localcluster.runner.hollow import HollowPod
from kagent_localcluster.runner.logs import read_log
from kagent_localcluster.runner.metadata import is_deleted, set_condition
from kagent_localcluster.runner.pod import NodeServices, PodWorker, pod_directory
from kagent_localcluster.runner.pod_ports import all_containers
from kagent_localcluster.runner.resources import PODS
from kagent_localcluster.runner.settings import NODE_NAME
from kagent_localcluster.seams import Address, JsonObject, LogOptions, WatchEvent

__all__ = ["Endpoint", "Kubelet"]

logger = logging.getLogger(__name__)

DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
DEFAULT_GRACE = 30
FORCED_GRACE = 0.5  # a Pod that vanished from the API server still gets a moment
RENEW_SECONDS = 60.0


class Endpoint(Protocol):
    """A Pod as Services see it."""

    namespace: str
    name: str
    uid: str

    @property
    def ready(self) -> bool: ...

    @property
    def labels(self) -> dict[str, str]: ...


class Kubelet:
    """The Pods of the node."""

    def __init__(self, node: NodeServices) -> None:
        self._node = node
        self._workers: dict[str, PodWorker] = {}
        self._hollow: dict[str, HollowPod] = {}
        self._by_key: dict[Key, str] = {}
        self._scheduled = EventRecorder(node.objects, "default-scheduler")

    def adopt_present(self) -> None:
        """Take over what an earlier run left: start its Pods again, reclaim the directories of those that are gone."""
        pods = self._node.objects.list(PODS)
        known = {uid_of(pod) for pod in pods}
        if self._node.settings.pods_dir.is_dir():
            for directory in self._node.settings.pods_dir.iterdir():
                if directory.name not in known:
                    shutil.rmtree(directory, ignore_errors=True)
        for pod in pods:
            self._present(pod)

    def on_pod(self, event: WatchEvent) -> None:
        """Follow one change of a Pod."""
        if event.type == "DELETED":
            self._vanished(event.object)
        else:
            self._present(event.object)

    def on_source(self, kind: str, event: WatchEvent) -> None:
        """Follow one change of a Secret or ConfigMap."""
        namespace, name = key_of(event.object)
        for worker in self._workers.values():
            if worker.namespace == namespace:
                worker.refresh(kind, name)

    async def renew_forever(self) -> None:
        """Renew tokens until cancelled."""
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            for worker in list(self._workers.values()):
                worker.renew()

    async def stop(self) -> None:
        """End every process; the Pods stay in the API server and run again at the next start."""
        grace = self._node.settings.last_grace
        await asyncio.gather(*(worker.suspend(grace) for worker in self._workers.values()))

    def endpoints(self, namespace: str) -> Iterator[Endpoint]:
        """Yield the Pods of a namespace that run here."""
        yield from (worker for worker in self._workers.values() if worker.namespace == namespace and not worker.removed)
        yield from (hollow for hollow in self._hollow.values() if hollow.namespace == namespace)

    def address(self, namespace: str, pod: str, port: object) -> Address | None:
        """Return where a Pod's port listens, None for a name that it does not have.

        Raises:
            NotFound: no such Pod here.
        """
        uid = self._by_key.get(Key(namespace, pod), "")
        if uid in self._workers:
            real = self._workers[uid].ports.resolve(port)
        elif uid in self._hollow:
            real = self._hollow[uid].resolve(port)
        else:
            raise NotFound(f'pods "{pod}" not found on node {NODE_NAME}', kind="pods", name=pod)
        return None if real is None else Address("127.0.0.1", real)

    def pod_address(self, namespace: str, pod: str, port: str) -> Address:
        """Return where a Pod's port listens (see ``PodBackend``); "" stands for the only declared port.

        Raises:
            NotFound: no such Pod here, or no such port.
        """
        found = self.address(namespace, pod, port or self._first_port(namespace, pod))
        if found is None:
            raise NotFound(f'pod "{pod}" has no port "{port}"', kind="pods", name=pod)
        return found

    def logs(self, namespace: str, name: str, options: LogOptions) -> AsyncIterator[bytes]:
        """Return a container's log (see ``PodBackend``).

        Raises:
            NotFound: no such Pod.
            BadRequest: no such container, no such run, or the container has not started.
        """
        pod = self._node.objects.get(PODS, namespace, name)
        container = _chosen_container(pod, options.container)
        status = _container_status(pod, container)
        worker = self._workers.get(uid_of(pod))
        writer = worker.writer(container) if worker is not None else None
        directory = pod_directory(self._node.settings, uid_of(pod)) / "logs" / container
        restarts = number(status, "restartCount")
        if options.previous:
            path = directory / f"{restarts - 1}.log"
            if not path.exists():
                raise BadRequest(f'previous terminated container "{container}" in pod "{name}" not found')
            return read_log(path, options)
        path = writer.path if writer is not None else directory / f"{restarts}.log"
        if not path.exists() and uid_of(pod) not in self._hollow:
            reason = text(status, "state", "waiting", "reason", default="ContainerCreating")
            if restarts and (directory / f"{restarts - 1}.log").exists():  # between two runs: the last one's
                return read_log(directory / f"{restarts - 1}.log", options)
            raise BadRequest(f'container "{container}" in pod "{name}" is waiting to start: {reason}')
        return read_log(path, options, writer)

    def _first_port(self, namespace: str, pod: str) -> int:
        worker = self._workers.get(self._by_key.get(Key(namespace, pod), ""))
        declared = (
            [number(port, "containerPort") for spec in all_containers(worker.pod) for port in items(spec, "ports")]
            if worker
            else []
        )
        return declared[0] if declared else 80

    def _present(self, pod: JsonObject) -> None:
        node = text(pod, "spec", "nodeName")
        if not node:
            self._bind(pod)
            return
        if node != NODE_NAME:
            return
        uid = uid_of(pod)
        self._by_key[key_of(pod)] = uid
        if self._node.settings.node == "hollow":
            self._present_hollow(uid, pod)
            return
        worker = self._workers.get(uid)
        if worker is None and text(pod, "status", "phase") in ("Succeeded", "Failed"):
            if is_deleted(pod):
                self._confirm_end(pod)
            return
        if worker is None:
            worker = self._workers[uid] = PodWorker(self._node, pod)
            if not text(pod, "status", "startTime"):
                message = f"Successfully assigned {worker.namespace}/{worker.name} to {NODE_NAME}"
                self._scheduled.record(pod, "Scheduled", message, kind="Pod", api_version="v1")
            if not is_deleted(pod):
                worker.start()
        worker.update(pod)
        if is_deleted(pod):
            self._end(worker, _grace_of(pod))

    def _present_hollow(self, uid: str, pod: JsonObject) -> None:
        hollow = self._hollow.get(uid)
        if hollow is None and is_active(pod):
            self._hollow[uid] = hollow = HollowPod(self._node.objects, pod, lambda: self._forget(uid))
        if hollow is not None:
            hollow.update(pod)
            if is_deleted(pod):
                hollow.remove()

    def _bind(self, pod: JsonObject) -> None:
        """Schedule a Pod that nobody put on a node."""
        if is_deleted(pod):
            return
        namespace, name = key_of(pod)
        try:
            fresh = self._node.objects.get(PODS, namespace, name)
            if items(fresh, "spec", "schedulingGates"):
                self._show_gated(fresh)
            elif not text(fresh, "spec", "nodeName"):
                bound = {**fresh, "spec": {**fresh["spec"], "nodeName": NODE_NAME}}
                self._node.objects.update(PODS, namespace, name, bound)
        except NotFound:
            return
        except ApiError as error:
            logger.warning("pod %s/%s not scheduled: %s", namespace, name, error)

    def _show_gated(self, pod: JsonObject) -> None:
        """Show that a Pod waits until somebody takes its last scheduling gate away."""
        conditions = set_condition(
            items(pod, "status", "conditions"),
            "PodScheduled",
            False,
            reason="SchedulingGated",
            message="Scheduling is blocked due to non-empty scheduling gates",
        )
        status = {"phase": "Pending", **mapping(pod, "status"), "conditions": conditions}
        if status != mapping(pod, "status"):
            self._node.objects.update(PODS, *key_of(pod), {**pod, "status": status}, subresource="status")

    def _confirm_end(self, pod: JsonObject) -> None:
        """Let a Pod go that ended earlier; finalizers may hold it still."""
        if not at(pod, "metadata", "deletionGracePeriodSeconds"):
            return  # somebody said so before
        try:
            self._node.objects.delete(PODS, *key_of(pod), uid=uid_of(pod))
        except ApiError as error:
            logger.debug("pod %s/%s: %s", *key_of(pod), error)

    def _end(self, worker: PodWorker, grace: float) -> None:
        ending = worker.terminate(grace)
        ending.add_done_callback(lambda task: self._ended(worker.uid, task))

    def _ended(self, uid: str, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        if error := task.exception():
            logger.error("pod %s did not end cleanly", uid, exc_info=error)
        self._forget(uid)

    def _forget(self, uid: str) -> None:
        self._workers.pop(uid, None)
        self._hollow.pop(uid, None)
        for key in [key for key, known in self._by_key.items() if known == uid]:
            del self._by_key[key]

    def _vanished(self, pod: JsonObject) -> None:
        """Clean up after a Pod that is no longer in the API server."""
        uid = uid_of(pod) or self._by_key.get(key_of(pod), "")
        worker = self._workers.get(uid)
        if worker is not None:
            self._end(worker, FORCED_GRACE)
            return
        self._forget(uid)
        if uid and (directory := pod_directory(self._node.settings, uid)).exists():
            shutil.rmtree(directory, ignore_errors=True)


def _grace_of(pod: JsonObject) -> float:
    asked = at(pod, "metadata", "deletionGracePeriodSeconds")
    if isinstance(asked, int):
        return float(asked)
    return float(number(pod, "spec", "terminationGracePeriodSeconds", default=DEFAULT_GRACE))


def _chosen_container(pod: JsonObject, asked: str) -> str:
    names = [text(spec, "name") for spec in all_containers(pod)]
    if asked:
        if asked in names:
            return asked
        raise BadRequest(f"container {asked} is not valid for pod {name_of(pod)}")
    default = text(pod, "metadata", "annotations", DEFAULT_CONTAINER)
    main = [text(spec, "name") for spec in items(pod, "spec", "containers")]
    if default in names:
        return default
    if len(main) == 1:
        return main[0]
    raise BadRequest(f"a container name must be specified for pod {name_of(pod)}, choose one of: [{' '.join(main)}]")


def _container_status(pod: JsonObject, container: str) -> JsonObject:
    statuses: Iterable[JsonObject] = (
        *items(pod, "status", "containerStatuses"),
        *items(pod, "status", "initContainerStatuses"),
    )
    return first(status for status in statuses if status.get("name") == container)
