"""The real ports of one Pod's container ports.

A program that ignores its port and listens on the container's own is noticed later; its port is then adopted, which one
Pod at a time can do.
"""

from __future__ import annotations

from kagent_localcluster.runner.fields import at, items, number, text
from kagent_localcluster.runner.ports import Ports, bindable
from kagent_localcluster.seams import JsonObject

__all__ = ["PodPorts", "all_containers"]

PROBES = ("readinessProbe", "livenessProbe", "startupProbe")


def all_containers(pod: JsonObject) -> list[JsonObject]:
    """Return init containers and containers."""
    return [*items(pod, "spec", "initContainers"), *items(pod, "spec", "containers")]


class PodPorts:
    """Which real port stands for each port that a Pod declares or probes."""

    def __init__(self, book: Ports, pod: JsonObject) -> None:
        self._book = book
        self._pod = pod
        self._taken: set[int] = set()
        self.real: dict[int, int] = {}
        self.names: dict[str, int] = {}

    def take(self) -> None:
        """Choose a real port for every declared one; again for those that are new only.

        Raises:
            NoFreePort: the whole range is taken.
        """
        host_network = bool(at(self._pod, "spec", "hostNetwork"))
        for container in all_containers(self._pod):
            for port in items(container, "ports"):
                declared = number(port, "containerPort")
                if text(port, "name"):
                    self.names[text(port, "name")] = declared
                fixed = declared if host_network else number(port, "hostPort")
                self._take_one(declared, fixed)
        for declared in self._probed():
            self._take_one(declared, declared if host_network else 0)

    def leave_to_strangers(self, container: JsonObject) -> None:
        """Choose other ports where somebody else listens on those of a container that does not run just now.

        Raises:
            NoFreePort: the whole range is taken.
        """
        for port in items(container, "ports"):
            declared = number(port, "containerPort")
            real = self.real.get(declared)
            if real in self._taken and not bindable(real):
                self.real[declared] = self._book.take()
                self._taken ^= {real, self.real[declared]}
                self._book.give_back(real)

    def resolve(self, declared: object) -> int | None:
        """Return the real port for a number or name; an undeclared number stands for itself."""
        if isinstance(declared, str) and not declared.isdigit():
            known = self.names.get(declared)
            return None if known is None else self.real.get(known, known)
        if isinstance(declared, int | str):
            return self.real.get(int(declared), int(declared))
        return None

    def adopt(self, declared: int) -> None:
        """Use the container's own number: that is where its program listens."""
        real = self.real.get(declared)
        if real is not None and real in self._taken:
            self._taken.discard(real)
            self._book.give_back(real)
        self.real[declared] = declared

    def give_back(self) -> None:
        for port in self._taken:
            self._book.give_back(port)
        self._taken.clear()

    def _take_one(self, declared: int, fixed: int) -> None:
        if not declared or declared in self.real:
            return
        if fixed:
            self.real[declared] = fixed
            return
        self.real[declared] = self._book.take()
        self._taken.add(self.real[declared])

    def _probed(self) -> list[int]:
        found: list[int] = []
        for container in all_containers(self._pod):
            for probe in PROBES:
                for action in ("httpGet", "tcpSocket", "grpc"):
                    port = at(container, probe, action, "port")
                    if isinstance(port, int) and not at(container, probe, action, "host"):
                        found.append(port)
        return found
