"""The variables by which a Pod finds the Services of its namespace (``WEB_SERVICE_HOST``, ``WEB_PORT_80_TCP``).

They name cluster IPs, as a kubelet's do; the forward proxy knows what those mean.
"""

from __future__ import annotations

from collections.abc import Iterator

from kagent_localcluster.runner.fields import at, items, name_of, number, text
from kagent_localcluster.runner.resources import SERVICES
from kagent_localcluster.seams import JsonObject, Objects

__all__ = ["service_variables"]

API_SERVER = ("default", "kubernetes")


def service_variables(objects: Objects, pod: JsonObject) -> dict[str, str]:
    """Return the variables of the Services beside a Pod, none where it says ``enableServiceLinks: false``.

    Those of the API server are not among them: where it is, only a Pod's way to it says.
    """
    if at(pod, "spec", "enableServiceLinks") is False:
        return {}
    namespace = text(pod, "metadata", "namespace")
    services = (one for one in objects.list(SERVICES, namespace) if (namespace, name_of(one)) != API_SERVER)
    return dict(pair for service in services for pair in _variables(service))


def _variables(service: JsonObject) -> Iterator[tuple[str, str]]:
    address, ports = text(service, "spec", "clusterIP"), items(service, "spec", "ports")
    if address in ("", "None") or not ports:
        return
    prefix = name_of(service).upper().replace("-", "_")
    yield f"{prefix}_SERVICE_HOST", address
    yield f"{prefix}_SERVICE_PORT", str(number(ports[0], "port"))
    for port in ports:
        if name := text(port, "name"):
            yield f"{prefix}_SERVICE_PORT_{name.upper().replace('-', '_')}", str(number(port, "port"))
    for index, port in enumerate(ports):
        protocol = text(port, "protocol", default="TCP")
        url = f"{protocol.lower()}://{address}:{number(port, 'port')}"
        if index == 0:
            yield f"{prefix}_PORT", url
        which = f"{prefix}_PORT_{number(port, 'port')}_{protocol}"
        yield which, url
        yield f"{which}_PROTO", protocol.lower()
        yield f"{which}_PORT", str(number(port, "port"))
        yield f"{which}_ADDR", address
