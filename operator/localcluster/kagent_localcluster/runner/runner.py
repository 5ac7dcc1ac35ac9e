"""Composes the runner: informers feed the controllers' queues and the kubelet; the proxy asks the Services.

``start`` returns when what an earlier run left is taken over and the node is there; ``stop`` when no process is left.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from kagent_localcluster.runner.access import ApiAccess
from kagent_localcluster.runner.controllers.claims import would_claim
from kagent_localcluster.runner.controllers.cronjob import CronJobController
from kagent_localcluster.runner.controllers.deployment import DeploymentController
from kagent_localcluster.runner.controllers.endpointslices import EndpointSliceController
from kagent_localcluster.runner.controllers.job import JobController
from kagent_localcluster.runner.controllers.replicaset import ReplicaSetController
from kagent_localcluster.runner.events import EventRecorder
from kagent_localcluster.runner.fields import Key, items, key_of, text
from kagent_localcluster.runner.identity import Identities, PodIdentity
from kagent_localcluster.runner.images import ImageMap
from kagent_localcluster.runner.informer import Informer
from kagent_localcluster.runner.kubelet import Kubelet
from kagent_localcluster.runner.node import NodeKeeper
from kagent_localcluster.runner.pod import NodeServices
from kagent_localcluster.runner.ports import Ports
from kagent_localcluster.runner.proxy.outside import Outside
from kagent_localcluster.runner.proxy.pool import Pool
from kagent_localcluster.runner.proxy.routing import Router
from kagent_localcluster.runner.proxy.server import ForwardProxy
from kagent_localcluster.runner.resources import (
    CONFIGMAPS,
    CRONJOBS,
    DEPLOYMENTS,
    JOBS,
    PODS,
    REPLICASETS,
    SECRETS,
    SERVICES,
)
from kagent_localcluster.runner.services import Services
from kagent_localcluster.runner.settings import NODE_NAME, RunnerSettings
from kagent_localcluster.runner.workqueue import Reconcile, WorkQueue
from kagent_localcluster.seams import Address, JsonObject, LogOptions, Objects, WatchEvent

__all__ = ["Runner"]

logger = logging.getLogger(__name__)

EVENT_SWEEP_SECONDS = 300.0


class Runner:
    """Controllers, kubelet and forward proxy of one local cluster; implements ``PodBackend``."""

    def __init__(
        self, objects: Objects, api: ApiAccess, images: ImageMap, settings: RunnerSettings, outside: Outside
    ) -> None:
        self._settings = settings
        self._outside = outside
        self._identities = Identities()
        self._pool = Pool()
        self._tasks: list[asyncio.Task[None]] = []
        self._events = EventRecorder(objects, "kubelet", NODE_NAME)
        node = NodeServices(
            objects=objects,
            images=images,
            ports=Ports(settings.data_dir / "ports"),
            identities=self._identities,
            api=api,
            events=self._events,
            settings=settings,
            proxy_variables=self._proxy_variables,
            drained=self._pool.drained,
        )
        self.kubelet = Kubelet(node)
        self._services = Services(objects, self.kubelet)
        self._proxy = ForwardProxy(Router(self._services, outside), self._identities, self._pool)
        self._node = NodeKeeper(objects, settings.node)
        self._informers = {
            resource: Informer(objects, resource)
            for resource in (PODS, REPLICASETS, DEPLOYMENTS, JOBS, CRONJOBS, SECRETS, CONFIGMAPS, SERVICES)
        }
        self._slices = EndpointSliceController(objects, self.kubelet)
        self._queues = self._controllers(objects)
        self._connect()

    async def start(self) -> None:
        """Begin; Pods of an earlier run start again before anybody can ask."""
        self._settings.pods_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        await self._proxy.start()
        self._node.write()
        self.kubelet.adopt_present()
        for informer in self._informers.values():
            self._spawn(informer.run(), f"informer {informer.resource.plural}")
        for name, queue in self._queues.items():
            self._spawn(queue.run(), f"{name} controller")
        self._spawn(self._proxy.run(), "proxy sweep")
        self._spawn(self._node.beat(), "node heartbeat")
        self._spawn(self.kubelet.renew_forever(), "token renewal")
        self._spawn(self._drop_events(), "event sweep")

    async def stop(self) -> None:
        """End controllers first, so that nothing is started anew, then every process, then the proxy."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.kubelet.stop()
        await self._proxy.stop()

    def service_addresses(self, namespace: str, service: str, port: str) -> list[Address]:
        return self._services.addresses(namespace, service, port)

    def pod_address(self, namespace: str, pod: str, port: str) -> Address:
        return self.kubelet.pod_address(namespace, pod, port)

    def logs(self, namespace: str, pod: str, options: LogOptions) -> AsyncIterator[bytes]:
        return self.kubelet.logs(namespace, pod, options)

    def _controllers(self, objects: Objects) -> dict[str, WorkQueue]:
        pods, replicasets = self._informers[PODS], self._informers[REPLICASETS]
        deployment = DeploymentController(
            objects, self._informers[DEPLOYMENTS], replicasets, pods, EventRecorder(objects, "deployment-controller")
        )
        replicaset = ReplicaSetController(
            objects, replicasets, pods, EventRecorder(objects, "replicaset-controller"), NODE_NAME
        )
        job = JobController(objects, self._informers[JOBS], pods, EventRecorder(objects, "job-controller"), NODE_NAME)
        cronjob = CronJobController(
            objects, self._informers[CRONJOBS], self._informers[JOBS], EventRecorder(objects, "cronjob-controller")
        )
        reconcilers: dict[str, Reconcile] = {
            "Deployment": deployment.reconcile,
            "ReplicaSet": replicaset.reconcile,
            "Job": job.reconcile,
            "CronJob": cronjob.reconcile,
        }
        if self._settings.node == "process":  # nobody listens behind a hollow Pod
            reconcilers["Service"] = self._slices.reconcile
        return {kind: WorkQueue(kind, reconcile) for kind, reconcile in reconcilers.items()}

    def _connect(self) -> None:
        self._informers[PODS].subscribe(self.kubelet.on_pod)
        self._informers[PODS].subscribe(self._wake_owner)
        self._informers[REPLICASETS].subscribe(self._wake_owner)
        self._informers[JOBS].subscribe(self._wake_owner)
        for resource, kind in (
            (DEPLOYMENTS, "Deployment"),
            (REPLICASETS, "ReplicaSet"),
            (JOBS, "Job"),
            (CRONJOBS, "CronJob"),
        ):
            queue = self._queues[kind]
            self._informers[resource].subscribe(lambda event, queue=queue: queue.add(key_of(event.object)))
        if (services := self._queues.get("Service")) is not None:
            self._informers[SERVICES].subscribe(self._slices.note_service)
            self._informers[SERVICES].subscribe(lambda event: services.add(key_of(event.object)))
            self._informers[PODS].subscribe(self._wake_services)
        self._informers[SECRETS].subscribe(lambda event: self.kubelet.on_source("Secret", event))
        self._informers[CONFIGMAPS].subscribe(lambda event: self.kubelet.on_source("ConfigMap", event))

    def _wake_owner(self, event: WatchEvent) -> None:
        owners = _controllers_of(event.object)
        for owner in owners:
            queue = self._queues.get(text(owner, "kind"))
            if queue is not None:
                queue.add(Key(key_of(event.object).namespace, text(owner, "name")))
        if not owners and event.type != "DELETED" and event.object.get("kind") != "Job":
            self._wake_adopters(event.object)

    def _wake_adopters(self, orphan: JsonObject) -> None:
        """Have those look at an object without a controller that may take it over."""
        resource, kind = (REPLICASETS, "ReplicaSet") if orphan.get("kind") == "Pod" else (DEPLOYMENTS, "Deployment")
        for owner in self._informers[resource].within(key_of(orphan).namespace):
            if would_claim(owner, orphan):
                self._queues[kind].add(key_of(owner))

    def _wake_services(self, event: WatchEvent) -> None:
        for key in self._slices.services_of(event.object):
            self._queues["Service"].add(key)

    def _proxy_variables(self, identity: PodIdentity) -> dict[str, str]:
        return self._outside.pod_variables(self._identities.proxy_url(identity, self._proxy.port))

    async def _drop_events(self) -> None:
        while True:
            self._events.drop_old()
            await asyncio.sleep(EVENT_SWEEP_SECONDS)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(_complain)
        self._tasks.append(task)


def _controllers_of(obj: JsonObject) -> list[JsonObject]:
    return [owner for owner in items(obj, "metadata", "ownerReferences") if owner.get("controller")]


def _complain(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("%s ended unexpectedly", task.get_name(), exc_info=error)
