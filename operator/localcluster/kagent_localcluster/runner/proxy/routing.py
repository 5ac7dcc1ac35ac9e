"""Where a request of a Pod goes: to a ready Pod of a Service, to a host elsewhere, or nowhere, with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from kagent_localcluster.errors import NotFound
from kagent_localcluster.runner.identity import PodIdentity
from kagent_localcluster.runner.proxy.outside import Outside, UserProxy
from kagent_localcluster.runner.proxy.pool import Target
from kagent_localcluster.runner.services import ClusterName
from kagent_localcluster.seams import Address

__all__ = ["Names", "Refused", "Route", "Router"]


class Names(Protocol):
    """What the router asks about the cluster."""

    def resolve_host(self, host: str, own_namespace: str) -> ClusterName: ...

    def addresses(self, namespace: str, service: str, port: str) -> list[Address]: ...


class Refused(Exception):
    """A request that cannot be routed: the status to answer and a message that names the host."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True)
class Route:
    """The targets in the order to try them; ``cluster`` ones are Pods, ``via`` is the person's own proxy."""

    targets: tuple[Target, ...]
    cluster: bool = False
    via: UserProxy | None = None


class Router:
    """Chooses routes, taking the ready Pods of a Service in turn."""

    def __init__(self, names: Names, outside: Outside) -> None:
        self._names = names
        self._outside = outside
        self._turn: dict[tuple[str, str], int] = {}

    def route(self, host: str, port: int, caller: PodIdentity, *, scheme: str = "http") -> Route:
        """Return where to go.

        Raises:
            Refused: a name of the cluster that is no Service (502) or has no ready Pod (503).
        """
        name = self._names.resolve_host(host, caller.namespace)
        if name.kind == "elsewhere":
            via = self._outside.proxy_for(scheme, host, port)
            return Route((Target(via.host, via.port) if via else Target(host, port),), via=via)
        if name.kind == "alias":
            return self._alias(host, name.service, port, caller, scheme)
        if name.kind == "unknown":
            where = f" in namespace '{name.namespace}'" if name.namespace else ""
            raise Refused(502, f"{host}:{port}: no Service '{name.service}'{where}")
        try:
            addresses = self._names.addresses(name.namespace, name.service, str(port))
        except NotFound as error:
            raise Refused(502, f"{host}:{port}: {error} in namespace '{name.namespace}'") from error
        if not addresses:
            raise Refused(503, f"{host}:{port}: Service '{name.namespace}/{name.service}' has no ready Pod")
        return Route(self._in_turn((name.namespace, name.service), addresses), cluster=True)

    def _alias(self, host: str, stands_for: str, port: int, caller: PodIdentity, scheme: str) -> Route:
        """Follow a Service of type ExternalName, once: such names need not end."""
        if self._names.resolve_host(stands_for, caller.namespace).kind == "alias":
            raise Refused(502, f"{host}:{port}: its external name '{stands_for}' is an external name again")
        return self.route(stands_for, port, caller, scheme=scheme)

    def _in_turn(self, service: tuple[str, str], addresses: Sequence[Address]) -> tuple[Target, ...]:
        first = self._turn[service] = (self._turn.get(service, -1) + 1) % len(addresses)
        ordered = [*addresses[first:], *addresses[:first]]
        return tuple(Target(address.host, address.port) for address in ordered)
