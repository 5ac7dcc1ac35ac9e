"""Kubernetes quantities (``500m``, ``2Gi``) and the downward API's view of a container's resources.

The runner enforces no limits: it tells a program what its spec says, or what the machine has where no limit is stated.
"""

from __future__ import annotations

import math
import os
from decimal import Decimal, InvalidOperation

from kagent_localcluster.runner.fields import items, mapping, text
from kagent_localcluster.seams import JsonObject

__all__ = ["container_resource", "machine_resources", "parse_quantity"]

BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60}
DECIMAL = {
    "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "k": Decimal(10**3), "M": Decimal(10**6),
    "G": Decimal(10**9), "T": Decimal(10**12), "P": Decimal(10**15), "E": Decimal(10**18),
}  # fmt: skip


def parse_quantity(value: str) -> Decimal:
    """Return the number of a quantity; 0 for an unreadable one."""
    for suffix, factor in BINARY.items():
        if value.endswith(suffix):
            return _number(value.removesuffix(suffix)) * factor
    if value and value[-1] in DECIMAL and not value[-2:].lower().startswith("e"):
        return _number(value[:-1]) * DECIMAL[value[-1]]
    return _number(value)


def machine_resources() -> dict[str, str]:
    """Return cpu and memory of this machine as a Node states them."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {"cpu": str(os.cpu_count() or 1), "memory": f"{pages * size // 1024}Ki"}


def container_resource(pod: JsonObject, container: JsonObject, reference: JsonObject) -> str:
    """Return the value of a resourceFieldRef, rounded up by its divisor as the downward API does."""
    named = text(reference, "containerName")
    if named:
        everyone = [*items(pod, "spec", "containers"), *items(pod, "spec", "initContainers")]
        container = next((other for other in everyone if text(other, "name") == named), container)
    kind, _, resource = text(reference, "resource").partition(".")
    stated = mapping(container, "resources", kind).get(resource)
    if stated is None:  # a request that is not stated follows the limit, a limit that is not stated the machine
        limit = mapping(container, "resources", "limits").get(resource)
        stated = limit or "0" if kind == "requests" else machine_resources().get(resource, "0")
    amount = parse_quantity(str(stated))
    divisor = parse_quantity(str(reference.get("divisor") or "1")) or Decimal(1)
    return str(math.ceil(amount / divisor))


def _number(value: str) -> Decimal:
    try:
        return Decimal(value)
    except InvalidOperation:
        return Decimal(0)
