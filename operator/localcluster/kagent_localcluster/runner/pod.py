"""One Pod on this node: its volumes, its containers in their order, its status, its end.

The object in the API server is the only truth about what is wanted; this worker is the only writer of its status.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from kagent_localcluster.errors import ApiError, CannotStore, NotFound
from kagent_localcluster.runner.access import ACCOUNT_PATH, ApiAccess, PodAccess, mounts_token
from kagent_localcluster.runner.container import Container, ContainerPaths, RestartPolicy
from kagent_localcluster.runner.environment import ConfigProblem, declared_variables, machine_variables
from kagent_localcluster.runner.events import EventRecorder
from kagent_localcluster.runner.fields import at, first, items, labels_of, mapping, name_of, number, text, uid_of
from kagent_localcluster.runner.identity import Identities, PodIdentity
from kagent_localcluster.runner.images import ImageMap, ImageRule
from kagent_localcluster.runner.launch import DEFAULT_MESSAGE_PATH, Launch, Surroundings, plan_launch
from kagent_localcluster.runner.logs import LogWriter
from kagent_localcluster.runner.metadata import parse_time
from kagent_localcluster.runner.pod_ports import PodPorts
from kagent_localcluster.runner.pod_status import ContainerReport, PodReport, closed_gates, pod_status
from kagent_localcluster.runner.ports import Ports
from kagent_localcluster.runner.resources import PODS
from kagent_localcluster.runner.settings import RunnerSettings
from kagent_localcluster.runner.volumes import PodVolumes, VolumePlaces, VolumeProblem
from kagent_localcluster.seams import JsonObject, Objects

__all__ = ["NodeServices", "PodWorker", "pod_directory"]

logger = logging.getLogger(__name__)

DEFAULT_GRACE = 30
LONGEST_HOSTNAME = 63
STORE_AGAIN = 2.0  # seconds until what a full disk refused is tried again
LOST = {"exitCode": 255, "reason": "Unknown", "message": "the local cluster ended while this container ran"}
NEVER_RAN = {
    "exitCode": 137,
    "reason": "ContainerStatusUnknown",
    "message": "the Pod was deleted before it could start",
}


@dataclass(frozen=True)
class NodeServices:
    """What all Pods of the node share.

    ``proxy_variables`` gives a Pod's proxy settings; ``drained`` returns once no request is on its way to these ports.
    """

    objects: Objects
    images: ImageMap
    ports: Ports
    identities: Identities
    api: ApiAccess
    events: EventRecorder
    settings: RunnerSettings
    proxy_variables: Callable[[PodIdentity], dict[str, str]]
    drained: Callable[[Iterable[int], float], Awaitable[None]]


def pod_directory(settings: RunnerSettings, uid: str) -> Path:
    return settings.pods_dir / uid


class PodWorker:
    """Runs one Pod until it is done or deleted."""

    def __init__(self, node: NodeServices, pod: JsonObject) -> None:
        self._node = node
        self.pod = pod
        self.uid = uid_of(pod)
        self.namespace, self.name = text(pod, "metadata", "namespace"), name_of(pod)
        self._directory = pod_directory(node.settings, self.uid)
        places = VolumePlaces(self._directory / "volumes", node.settings.data_dir / "claims")
        self._volumes = PodVolumes(node.objects, node.api.issuer, pod, places)
        self._access = PodAccess(node.api, pod, self._directory / "access")
        self._ports = PodPorts(node.ports, pod)
        self._init = [self._container(spec, init=True) for spec in items(pod, "spec", "initContainers")]
        self._main = [self._container(spec, init=False) for spec in items(pod, "spec", "containers")]
        self._initialized = not self._init
        self._failure: tuple[str, str] | None = None
        self._stopping = False
        self._suspended = False
        self._write_due = False
        self._task: asyncio.Task[None] | None = None
        self._end: asyncio.Task[None] | None = None
        self._grace_given = 0.0
        self.removed = False

    @property
    def title(self) -> str:
        return f"{self.name}_{self.namespace}({self.uid})"

    @property
    def ports(self) -> PodPorts:
        return self._ports

    @property
    def images(self) -> ImageMap:
        return self._node.images

    @property
    def ready(self) -> bool:
        """Whether Services may send requests here."""
        if self._stopping or self._suspended or not self._initialized or closed_gates(self.pod):
            return False
        return all(container.ready for container in (*self._sidecars(), *self._main))

    @property
    def labels(self) -> dict[str, str]:
        return labels_of(self.pod)

    def start(self) -> None:
        """Begin; also for a Pod that ran under an earlier process of the local cluster."""
        self._task = asyncio.create_task(self._live(), name=f"pod {self.title}")
        self.changed()

    def update(self, pod: JsonObject) -> None:
        """Take over what changed in the object; labels and annotations may stand in files."""
        before, self.pod = self.pod, pod
        if self._task is not None and not self._stopping:
            self._redefine()
        if items(pod, "spec", "readinessGates") and self._end is None and not self._suspended:
            self.changed()  # somebody else may have set a condition that its gates wait for
        if any(
            mapping(before, "metadata", kind) != mapping(pod, "metadata", kind) for kind in ("labels", "annotations")
        ):
            self._volumes.pod = pod
            if self._task is not None and not self._stopping:
                self._rewrite()

    def _redefine(self) -> None:
        """Let containers start anew whose image was changed, which alone of a Pod's containers may change."""
        for field, containers in (("initContainers", self._init), ("containers", self._main)):
            specs = {text(spec, "name"): spec for spec in items(self.pod, "spec", field)}
            for container in containers:
                spec = specs.get(container.name, container.spec)
                if text(spec, "image") != text(container.spec, "image"):
                    container.redefine(spec)

    def refresh(self, kind: str, name: str) -> None:
        """Show a changed Secret or ConfigMap in the volumes, and let waiting containers try again."""
        if self._volumes.references(kind, name) and not self._stopping:
            self._rewrite()
        self._poke()

    def renew(self) -> None:
        """Replace tokens that have lived most of their life."""
        if self._stopping:
            return
        if self._volumes.renewable():
            self._rewrite()
        if self._access.kubeconfig.exists():
            try:
                self._access.write()
            except ApiError as error:
                logger.warning("%s: token not renewed: %s", self.title, error)

    def writer(self, container: str) -> LogWriter | None:
        """Return the log of a container's present run."""
        return next((one.log for one in (*self._init, *self._main) if one.name == container), None)

    def terminate(self, grace: float) -> asyncio.Task[None]:
        """End the Pod and remove it from the API server; called again, only a shorter grace period changes anything."""
        if self._end is None or (grace < self._grace_given and not self.removed):
            if self._end is not None:
                self._end.cancel()
            self._grace_given = grace
            self._end = asyncio.create_task(self._terminate(grace), name=f"end of pod {self.title}")
        return self._end

    async def suspend(self, grace: float) -> None:
        """End the processes because the local cluster ends; the Pod stays and runs again at the next start."""
        if self._end is not None:
            await asyncio.wait([self._end], timeout=grace + 1)
            return
        self._suspended = True
        self._cancel_life()
        await self._stop_containers(grace)
        self._write()
        self.removed = True  # whatever still ends reports to a closed store
        self._ports.give_back()

    def plan(self, container: JsonObject, rule: ImageRule) -> tuple[Launch, Surroundings]:
        """Work out what to start for a container (see ``ContainerHost``)."""
        self._ports.take()
        self._ports.leave_to_strangers(container)
        variables = declared_variables(self._node.objects, self.pod, container)
        self._volumes.write()
        files = self._paths(text(container, "name"))
        paths = {text(container, "terminationMessagePath", default=DEFAULT_MESSAGE_PATH): str(files.message)}
        provided = self._provided()
        if mounts_token(self._node.objects, self.pod):
            try:
                self._access.write()
            except NotFound as error:
                account = text(self.pod, "spec", "serviceAccountName", default="default")
                raise ConfigProblem(f"ServiceAccount '{account}' of namespace '{self.namespace}': {error}") from error
            paths[ACCOUNT_PATH] = str(self._access.directory)
            provided |= self._access.variables()
        directory = files.message.parent
        directory.mkdir(parents=True, exist_ok=True)
        around = Surroundings(
            machine=machine_variables(self._node.settings.environment),
            provided=provided,
            ports=self._ports.real,
            mounts=self._volumes.mounts(container, variables.values),
            paths=paths,
            directory=directory,
        )
        return plan_launch(container, rule, variables, around), around

    def changed(self) -> None:
        """Have the status written on the next turn of the loop; many changes make one write."""
        if not self._write_due:
            self._write_due = True
            asyncio.get_running_loop().call_soon(self._write)

    def event(self, reason: str, message: str, *, warning: bool = False, container: str = "") -> None:
        kind = "initContainers" if any(one.name == container for one in self._init) else "containers"
        self._node.events.record(
            self.pod,
            reason,
            message,
            kind="Pod",
            api_version="v1",
            type="Warning" if warning else "Normal",
            field_path=f"spec.{kind}{{{container}}}" if container else "",
        )

    async def _live(self) -> None:
        try:
            if self._lost():
                return
            async with asyncio.timeout(self._time_left()):
                if not await self._run_init():
                    return
                self._initialized = True
                for container in self._main:
                    if not container.finished.is_set():
                        container.start()
                self.changed()
                await asyncio.gather(*(container.finished.wait() for container in self._main))
            await self._stop_sidecars(self._grace())
        except TimeoutError:
            await self._fail("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
        except Exception:
            logger.exception("pod %s", self.title)
        finally:
            if not self._stopping:
                self.changed()

    def _lost(self) -> bool:
        """Take over how containers ended that must not run twice; returns whether that is all of them.

        Under restart policy Never that is also one that ran when the local cluster ended: its process ended with it.
        """
        policy = text(self.pod, "spec", "restartPolicy", default="Always")
        statuses = items(self.pod, "status", "containerStatuses")
        by_name = {text(status, "name"): mapping(status, "state") for status in statuses}
        for container in self._main if policy != "Always" else ():
            state = by_name.get(container.name, {})
            if "terminated" in state and (policy == "Never" or not number(state, "terminated", "exitCode")):
                container.keep(state["terminated"])
        if policy == "Never" and any("running" in state or "terminated" in state for state in by_name.values()):
            for container in self._main:
                if not container.finished.is_set():
                    container.keep(LOST)
        self._initialized = self._initialized or all(container.finished.is_set() for container in self._main)
        return all(container.finished.is_set() for container in self._main)

    def _time_left(self) -> float | None:
        """Return the seconds of ``activeDeadlineSeconds`` that are left; they run from the Pod's start."""
        deadline = at(self.pod, "spec", "activeDeadlineSeconds")
        if not isinstance(deadline, int):
            return None
        begun = parse_time(text(self.pod, "status", "startTime")) or time.time()
        return max(0.0, begun + deadline - time.time())

    async def _run_init(self) -> bool:
        for container in self._init:
            rule = self.images.find(text(container.spec, "image"))
            if rule is not None and rule.skip:
                container.skip()
                continue
            container.start()
            if container.spec.get("restartPolicy") == "Always":
                await container.running.wait()
                continue
            await container.finished.wait()
            if container.exit_code:
                return False
        return True

    async def _terminate(self, grace: float) -> None:
        was_ready = self.ready
        self._stopping = True
        self._write()  # out of the endpoints first
        begun = time.monotonic()
        if was_ready and grace > 0:
            await asyncio.sleep(self._node.settings.settle)
            await self._node.drained(set(self._ports.real.values()), min(self._node.settings.drain, grace))
        self._cancel_life()
        await self._stop_containers(max(0.0, grace - (time.monotonic() - begun)))
        for container in (*self._main, *self._init):
            if "terminated" not in container.state:
                container.state = {"terminated": NEVER_RAN}
        self._initialized = True
        self._write()
        self._ports.give_back()
        self._node.identities.revoke(self.uid)
        self.removed = True
        while True:
            if self._delete():
                break
            await asyncio.sleep(STORE_AGAIN)
        await asyncio.to_thread(shutil.rmtree, self._directory, True)

    def _delete(self) -> bool:
        """Remove the Pod from the API server; returns False where that is to be tried again."""
        try:
            self._node.objects.delete(PODS, self.namespace, self.name, uid=self.uid)
        except CannotStore as error:
            logger.warning("%s: %s", self.title, error)
            return False
        except ApiError as error:
            if error.code not in (404, 409):  # gone already, or another Pod has its name by now
                logger.warning("%s: %s", self.title, error)
        return True

    def _cancel_life(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _stop_containers(self, grace: float) -> None:
        begun = time.monotonic()
        others = [container for container in self._init if container not in self._sidecars()]
        await asyncio.gather(*(container.stop(grace) for container in (*self._main, *others)))
        await self._stop_sidecars(max(0.0, grace - (time.monotonic() - begun)))

    async def _stop_sidecars(self, grace: float) -> None:
        """End the sidecars in the reverse order of their start; they share one grace period."""
        deadline = time.monotonic() + grace
        for container in reversed(self._sidecars()):
            await container.stop(max(0.0, deadline - time.monotonic()))

    async def _fail(self, reason: str, message: str) -> None:
        self._failure = (reason, message)
        await self._stop_containers(self._grace())

    def _write(self) -> None:
        self._write_due = False
        if self.removed:
            return
        try:
            pod = self._node.objects.get(PODS, self.namespace, self.name)
            if uid_of(pod) != self.uid:
                return
            status = pod_status(pod, self._report())
            if status != mapping(pod, "status"):
                pod = self._node.objects.update(
                    PODS, self.namespace, self.name, {**pod, "status": status}, subresource="status"
                )
            self.pod = pod
        except NotFound:
            return
        except CannotStore as error:
            logger.warning("status of %s not written: %s", self.title, error)
            asyncio.get_running_loop().call_later(STORE_AGAIN, self.changed)
        except ApiError as error:
            logger.warning("status of %s not written: %s", self.title, error)

    def _report(self) -> PodReport:
        stopping = self._stopping or self._failure is not None
        return PodReport(
            containers=tuple(self._shown(container) for container in self._main),
            init=tuple(self._shown(container) for container in self._init),
            initialized=self._initialized,
            stopping=stopping,
            failure=self._failure,
        )

    def _shown(self, container: Container) -> ContainerReport:
        completed_init = container in self._init and container.exit_code == 0
        return ContainerReport(
            name=container.name,
            image=text(container.spec, "image"),
            state=container.state,
            last_state=container.last_state,
            restarts=container.restarts,
            ready=(container.ready and not self._suspended) or completed_init,
            started=container.started,
            identity=container.identity,
        )

    def _container(self, spec: JsonObject, *, init: bool) -> Container:
        statuses = items(self.pod, "status", "initContainerStatuses" if init else "containerStatuses")
        previous = first(status for status in statuses if status.get("name") == spec.get("name"))
        policy = text(self.pod, "spec", "restartPolicy", default="Always")
        restart: RestartPolicy = "Never" if policy == "Never" else "OnFailure" if policy == "OnFailure" else "Always"
        if init and spec.get("restartPolicy") != "Always":
            restart = "Never" if restart == "Never" else "OnFailure"
        elif init:
            restart = "Always"
        return Container(
            self,
            spec,
            restart=restart,
            grace=self._grace(),
            paths=self._paths(text(spec, "name")),
            rules=self._node.settings.backoff,
            mark=f"{self.uid}/{text(spec, 'name')}",
            previous=previous,
            waiting="PodInitializing" if items(self.pod, "spec", "initContainers") else "ContainerCreating",
        )

    def _paths(self, container: str) -> ContainerPaths:
        return ContainerPaths(
            logs=self._directory / "logs" / container,
            message=self._directory / "containers" / container / "termination-log",
        )

    def _provided(self) -> dict[str, str]:
        temporary = self._directory / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        identity = PodIdentity(self.namespace, self.name, self.uid)
        return {
            "HOSTNAME": text(self.pod, "spec", "hostname") or self.name[:LONGEST_HOSTNAME].rstrip("-."),
            "PYTHONUNBUFFERED": "1",  # a log that is followed must not come in blocks
            "TMPDIR": str(temporary),
            **self._node.settings.marks,
            **self._node.proxy_variables(identity),
        }

    def _rewrite(self) -> None:
        try:
            self._volumes.write()
        except VolumeProblem as problem:
            self.event("FailedMount", str(problem), warning=True)

    def _poke(self) -> None:
        for container in (*self._init, *self._main):
            container.poke()

    def _sidecars(self) -> list[Container]:
        return [one for one in self._init if one.spec.get("restartPolicy") == "Always"]

    def _grace(self) -> float:
        return float(number(self.pod, "spec", "terminationGracePeriodSeconds", default=DEFAULT_GRACE))
