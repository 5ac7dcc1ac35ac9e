"""The Node object: this machine, as ``kubectl get nodes`` shows it."""

from __future__ import annotations

import asyncio
import platform
from importlib.metadata import PackageNotFoundError, version

from kagent_localcluster.errors import NotFound
from kagent_localcluster.runner.fields import items, mapping, uid_of
from kagent_localcluster.runner.metadata import now, precise_now, set_condition
from kagent_localcluster.runner.quantities import machine_resources
from kagent_localcluster.runner.resources import LEASES, NODES
from kagent_localcluster.runner.settings import NODE_NAME
from kagent_localcluster.seams import JsonObject, Objects

__all__ = ["NodeKeeper"]

HEARTBEAT_SECONDS = 300.0  # a kubelet's nodeStatusReportFrequency
LEASE_NAMESPACE = "kube-node-lease"
LEASE_SECONDS = 600  # two heartbeats: nobody here takes a node for dead, so that it need not be written every 10 s
MOST_PODS = "1000"
ARCHITECTURES = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64"}


class NodeKeeper:
    """Writes the Node at start and now and then."""

    def __init__(self, objects: Objects, node: str) -> None:
        self._objects = objects
        self._kind = node

    def write(self) -> None:
        """Create or refresh the Node."""
        architecture = ARCHITECTURES.get(platform.machine(), platform.machine())
        system = platform.system().lower()
        labels = {
            "kubernetes.io/arch": architecture,
            "kubernetes.io/hostname": NODE_NAME,
            "kubernetes.io/os": system,
            "node.kubernetes.io/instance-type": self._kind,
        }
        try:
            node = self._objects.get(NODES, "", NODE_NAME)
        except NotFound:
            metadata: JsonObject = {"name": NODE_NAME, "labels": labels}
            body: JsonObject = {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": {}}
            node = self._objects.create(NODES, "", body)
        status = self._status(node, system, architecture)
        node = self._objects.update(NODES, "", NODE_NAME, {**node, "status": status}, subresource="status")
        self._renew_lease(node)

    def _renew_lease(self, node: JsonObject) -> None:
        """Write the Lease by which ``kubectl describe node`` judges a node's life."""
        spec: JsonObject = {
            "holderIdentity": NODE_NAME,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": precise_now(),
        }
        try:
            lease = self._objects.get(LEASES, LEASE_NAMESPACE, NODE_NAME)
            self._objects.update(LEASES, LEASE_NAMESPACE, NODE_NAME, {**lease, "spec": spec})
        except NotFound:
            owner = {"apiVersion": "v1", "kind": "Node", "name": NODE_NAME, "uid": uid_of(node)}
            metadata = {"name": NODE_NAME, "namespace": LEASE_NAMESPACE, "ownerReferences": [owner]}
            body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
            self._objects.create(LEASES, LEASE_NAMESPACE, body)

    async def beat(self) -> None:
        """Keep the heartbeat until cancelled."""
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            self.write()

    def _status(self, node: JsonObject, system: str, architecture: str) -> JsonObject:
        conditions = items(node, "status", "conditions")
        for kind, reason in (
            ("MemoryPressure", "KubeletHasSufficientMemory"),
            ("DiskPressure", "KubeletHasNoDiskPressure"),
            ("PIDPressure", "KubeletHasSufficientPID"),
        ):
            conditions = set_condition(conditions, kind, False, reason=reason)
        what = (
            "Pods run as processes of this machine" if self._kind == "process" else "Pods are Ready without processes"
        )
        conditions = set_condition(conditions, "Ready", True, reason="KubeletReady", message=what)
        capacity = {**machine_resources(), "pods": MOST_PODS}
        return {
            **mapping(node, "status"),
            "capacity": capacity,
            "allocatable": capacity,
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": NODE_NAME}],
            "conditions": [{**condition, "lastHeartbeatTime": now()} for condition in conditions],
            "nodeInfo": {
                "architecture": architecture,
                "bootID": "",
                "containerRuntimeVersion": f"{self._kind}://{_own_version()}",
                "kernelVersion": platform.release(),
                "kubeProxyVersion": "",
                "kubeletVersion": f"v{_own_version()}",
                "machineID": "",
                "operatingSystem": system,
                "osImage": platform.platform(terse=True),
                "systemUUID": "",
            },
        }


def _own_version() -> str:
    try:
        return version("kagent-localcluster")
    except PackageNotFoundError:
        return "0.0.0"
