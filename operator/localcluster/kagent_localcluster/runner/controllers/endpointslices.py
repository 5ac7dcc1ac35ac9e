"""Shows where the Pods behind a Service really listen, as EndpointSlices and as Endpoints.

All Pods have the address 127.0.0.1 and differ by port, so each Pod gets a slice of its own. Nothing here routes by
them: they are for people and for clients that read them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from kagent_localcluster.errors import NotFound
from kagent_localcluster.runner.controllers.endpoints import drop_endpoints, write_endpoints
from kagent_localcluster.runner.fields import Key, items, key_of, labels_of, mapping, name_of, text
from kagent_localcluster.runner.metadata import owner_reference
from kagent_localcluster.runner.resources import ENDPOINTSLICES, SERVICES
from kagent_localcluster.runner.settings import NODE_NAME
from kagent_localcluster.seams import Address, JsonObject, Objects, WatchEvent

__all__ = ["EndpointSliceController", "PodHere", "PodsHere"]

SERVICE_LABEL = "kubernetes.io/service-name"
MANAGER_LABEL = "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"
LONGEST_NAME = 52


class PodHere(Protocol):
    """A Pod of this node."""

    namespace: str
    name: str
    uid: str

    @property
    def ready(self) -> bool: ...

    @property
    def labels(self) -> dict[str, str]: ...


class PodsHere(Protocol):
    """The Pods of this node."""

    def endpoints(self, namespace: str) -> Iterator[PodHere]: ...

    def address(self, namespace: str, pod: str, port: object) -> Address | None: ...


class EndpointSliceController:
    """Reconciles one Service at a time."""

    def __init__(self, objects: Objects, pods: PodsHere) -> None:
        self._objects = objects
        self._pods = pods
        self._selectors: dict[Key, JsonObject] = {}

    def note_service(self, event: WatchEvent) -> None:
        """Remember which Pods a Service selects."""
        key = key_of(event.object)
        if event.type == "DELETED":
            self._selectors.pop(key, None)
        else:
            self._selectors[key] = mapping(event.object, "spec", "selector")

    def services_of(self, pod: JsonObject) -> list[Key]:
        """Return the Services that select a Pod."""
        namespace, labels = key_of(pod).namespace, labels_of(pod)
        return [
            key
            for key, selector in self._selectors.items()
            if key.namespace == namespace and selector and selector.items() <= labels.items()
        ]

    def reconcile(self, key: Key) -> float | None:
        """Write, change and delete slices until they show the Pods that are there."""
        try:
            service = self._objects.get(SERVICES, *key)
        except NotFound:
            return drop_endpoints(self._objects, key)  # its slices go with it
        selector = mapping(service, "spec", "selector")
        if not selector:
            return None
        wanted = {
            name_of(one): one
            for pod in self._pods.endpoints(key.namespace)
            if selector.items() <= pod.labels.items() and (one := self._slice(service, pod)) is not None
        }
        write_endpoints(self._objects, service, [wanted[name] for name in sorted(wanted)])
        present = self._objects.list(ENDPOINTSLICES, key.namespace, label_selector=f"{SERVICE_LABEL}={key.name}")
        for old in present:
            new = wanted.pop(name_of(old), None)
            if new is None:
                if labels_of(old).get(MANAGER_LABEL) == MANAGER:
                    self._objects.delete(ENDPOINTSLICES, *key_of(old))
            elif (old.get("endpoints"), old.get("ports")) != (new["endpoints"], new["ports"]):
                changed = {**old, "endpoints": new["endpoints"], "ports": new["ports"]}
                self._objects.update(ENDPOINTSLICES, *key_of(old), changed)
        for new in wanted.values():
            self._objects.create(ENDPOINTSLICES, key.namespace, new)
        return None

    def _slice(self, service: JsonObject, pod: PodHere) -> JsonObject | None:
        ports: list[JsonObject] = []
        for port in items(service, "spec", "ports"):
            target = port.get("targetPort") or port.get("port")
            address = self._pods.address(pod.namespace, pod.name, target)
            if address is not None:
                protocol = text(port, "protocol", default="TCP")
                ports.append({"name": text(port, "name"), "port": address.port, "protocol": protocol})
        if not ports:
            return None
        return {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": f"{name_of(service)[:LONGEST_NAME]}-{pod.uid.replace('-', '')[:10]}",
                "namespace": pod.namespace,
                "labels": {SERVICE_LABEL: name_of(service), MANAGER_LABEL: MANAGER},
                "ownerReferences": [owner_reference(service, "v1", "Service")],
            },
            "addressType": "IPv4",
            "endpoints": [
                {
                    "addresses": ["127.0.0.1"],
                    "conditions": {"ready": pod.ready, "serving": pod.ready, "terminating": False},
                    "nodeName": NODE_NAME,
                    "targetRef": {"kind": "Pod", "name": pod.name, "namespace": pod.namespace, "uid": pod.uid},
                }
            ],
            "ports": ports,
        }
