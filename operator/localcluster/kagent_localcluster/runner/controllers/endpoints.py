"""The Endpoints object of a Service, the older form of its EndpointSlices that ``kubectl get endpoints`` shows.

All Pods have the address 127.0.0.1 and differ by port, so each Pod is a subset of its own. Endpoints that somebody
keeps by hand, for a Service without selector, are left alone.
"""

from __future__ import annotations

from collections.abc import Iterable

from kagent_localcluster.errors import NotFound
from kagent_localcluster.runner.fields import Key, items, key_of, labels_of
from kagent_localcluster.runner.resources import ENDPOINTS
from kagent_localcluster.seams import JsonObject, Objects

__all__ = ["drop_endpoints", "write_endpoints"]

MANAGER_LABEL = "endpoints.kubernetes.io/managed-by"
MANAGER = "endpoint-controller"


def write_endpoints(objects: Objects, service: JsonObject, slices: Iterable[JsonObject]) -> None:
    """Create or change a Service's Endpoints to say what its slices say."""
    namespace, name = key_of(service)
    subsets = [_subset(one) for one in slices]
    labels = {**labels_of(service), MANAGER_LABEL: MANAGER}
    try:
        present = objects.get(ENDPOINTS, namespace, name)
    except NotFound:
        metadata: JsonObject = {"name": name, "namespace": namespace, "labels": labels}
        body: JsonObject = {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": subsets}
        objects.create(ENDPOINTS, namespace, body)
        return
    if items(present, "subsets") != subsets or labels_of(present) != labels:
        metadata = {**present["metadata"], "labels": labels}
        objects.update(ENDPOINTS, namespace, name, {**present, "metadata": metadata, "subsets": subsets})


def drop_endpoints(objects: Objects, key: Key) -> None:
    """Delete the Endpoints of a Service that is gone."""
    try:
        if labels_of(objects.get(ENDPOINTS, *key)).get(MANAGER_LABEL) == MANAGER:
            objects.delete(ENDPOINTS, *key)
    except NotFound:
        return


def _subset(part: JsonObject) -> JsonObject:
    (endpoint,) = items(part, "endpoints")
    address = {
        "ip": endpoint["addresses"][0],
        "nodeName": endpoint["nodeName"],
        "targetRef": endpoint["targetRef"],
    }
    field = "addresses" if endpoint["conditions"]["ready"] else "notReadyAddresses"
    ports = [{name: value for name, value in port.items() if value != ""} for port in items(part, "ports")]
    return {field: [address], "ports": ports}
