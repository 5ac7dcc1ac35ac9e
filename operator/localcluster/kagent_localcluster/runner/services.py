"""From a Service's name and port to the addresses behind it."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from kagent_localcluster.errors import NotFound
from kagent_localcluster.runner.fields import at, items, mapping, name_of, number, strings, text
from kagent_localcluster.runner.kubelet import Kubelet
from kagent_localcluster.runner.resources import ENDPOINTS, ENDPOINTSLICES, NAMESPACES, SERVICES
from kagent_localcluster.seams import Address, JsonObject, Objects

__all__ = ["ClusterName", "Services"]

SUFFIXES = (".svc.cluster.local", ".svc")
SERVICE_LABEL = "kubernetes.io/service-name"
ADDRESS = re.compile(r"10\.(9[6-9]|10\d|11[01])(\.\d{1,3}){2}")  # 10.96.0.0/12, from which Services get their IPs


class ClusterName(NamedTuple):
    """What a host name means: a Service, a name that belongs to the cluster but is none, or a host elsewhere.

    ``alias`` is a Service of type ExternalName; ``service`` holds the host that it stands for.
    """

    kind: Literal["service", "alias", "unknown", "elsewhere"]
    namespace: str = ""
    service: str = ""


class Services:
    """Looks Services up as they are now; keeps nothing."""

    def __init__(self, objects: Objects, kubelet: Kubelet) -> None:
        self._objects = objects
        self._kubelet = kubelet

    def resolve_host(self, host: str, own_namespace: str) -> ClusterName:
        """Tell what a host name means to a Pod of a namespace."""
        name = host.lower().rstrip(".")
        if ADDRESS.fullmatch(name):
            return self._by_cluster_ip(name)
        certain = False
        for suffix in SUFFIXES:
            if name.endswith(suffix):
                name, certain = name.removesuffix(suffix), True
                break
        labels = name.split(".")
        if len(labels) == 1:
            found = ClusterName("service", own_namespace, labels[0])
        elif len(labels) == 2 and all(labels):
            found = ClusterName("service", labels[1], labels[0])
            certain = certain or self._exists(labels[1])
        else:
            return ClusterName("unknown", "", name) if certain else ClusterName("elsewhere")
        if (service := self._service(found.namespace, found.service)) is not None:
            if text(service, "spec", "type") == "ExternalName":
                return ClusterName("alias", found.namespace, text(service, "spec", "externalName"))
            return found
        return ClusterName("unknown", found.namespace, found.service) if certain else ClusterName("elsewhere")

    def addresses(self, namespace: str, service: str, port: str) -> list[Address]:
        """Return the addresses of the ready Pods behind a Service port (see ``PodBackend``)."""
        found = self._service(namespace, service)
        if found is None:
            raise NotFound(f'services "{service}" not found', kind="services", name=service)
        declared = _service_port(found, port)
        if declared is None:
            raise NotFound(f'service "{service}" has no port "{port}"', kind="services", name=service)
        target = declared.get("targetPort") or declared.get("port")
        selector = mapping(found, "spec", "selector")
        if not selector:
            return self._given_addresses(namespace, service, declared)
        unready_too = bool(at(found, "spec", "publishNotReadyAddresses"))
        addresses = [
            self._kubelet.address(namespace, pod.name, target)
            for pod in self._kubelet.endpoints(namespace)
            if (pod.ready or unready_too) and selector.items() <= pod.labels.items()
        ]
        return [address for address in addresses if address is not None]

    def _given_addresses(self, namespace: str, service: str, declared: JsonObject) -> list[Address]:
        """Return what Endpoints or EndpointSlices say: a Service without selector is kept by hand."""
        try:
            endpoints = self._objects.get(ENDPOINTS, namespace, service)
        except NotFound:
            return self._sliced_addresses(namespace, service, declared)
        found: list[Address] = []
        for subset in items(endpoints, "subsets"):
            port = _same_name(items(subset, "ports"), declared)
            if port is not None:
                found += [Address(text(one, "ip"), number(port, "port")) for one in items(subset, "addresses")]
        return found

    def _sliced_addresses(self, namespace: str, service: str, declared: JsonObject) -> list[Address]:
        found: list[Address] = []
        for part in self._objects.list(ENDPOINTSLICES, namespace, label_selector=f"{SERVICE_LABEL}={service}"):
            port = _same_name(items(part, "ports"), declared)
            ready = (one for one in items(part, "endpoints") if at(one, "conditions", "ready") is not False)
            found += [Address(ip, number(port, "port")) for one in ready for ip in strings(one, "addresses") if port]
        return found

    def _by_cluster_ip(self, address: str) -> ClusterName:
        for service in self._objects.list(SERVICES):
            if text(service, "spec", "clusterIP") == address:
                return ClusterName("service", text(service, "metadata", "namespace"), name_of(service))
        return ClusterName("elsewhere")

    def _service(self, namespace: str, name: str) -> JsonObject | None:
        try:
            return self._objects.get(SERVICES, namespace, name)
        except NotFound:
            return None

    def _exists(self, namespace: str) -> bool:
        try:
            self._objects.get(NAMESPACES, "", namespace)
        except NotFound:
            return False
        return True


def _same_name(ports: list[JsonObject], declared: JsonObject) -> JsonObject | None:
    """Return the port of an endpoint that stands behind a Service's port."""
    same = (one for one in ports if text(one, "name") == text(declared, "name"))
    return next(same, ports[0] if len(ports) == 1 else None)


def _service_port(service: JsonObject, wanted: str) -> JsonObject | None:
    ports = items(service, "spec", "ports")
    if not wanted:
        return ports[0] if len(ports) == 1 else None
    return next((port for port in ports if wanted in (str(port.get("port")), port.get("name"))), None)
