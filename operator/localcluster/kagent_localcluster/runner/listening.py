"""Notices a program that ignores the port it was given.

Its arguments and PORT say which port to use; a program with a fixed port binds it all the same. If that is the
container's own port, the first such Pod gets it; the next one fails, and both are told what helps.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from kagent_localcluster.runner.fields import items, number, text
from kagent_localcluster.runner.pod_ports import PodPorts
from kagent_localcluster.runner.process import Process
from kagent_localcluster.runner.processes import listening_ports
from kagent_localcluster.seams import JsonObject

__all__ = ["ListeningWatch"]

LOOKS = (1.0, 1.0, 2.0, 4.0, 7.0, 15.0)  # seconds between looks; each costs about 5 ms
TAKEN = ("address already in use", "eaddrinuse", "errno 98", "errno 48", "only one usage of each socket address")


class _Host(Protocol):
    @property
    def ports(self) -> PodPorts: ...

    def event(self, reason: str, message: str, *, warning: bool = False, container: str = "") -> None: ...

    def changed(self) -> None: ...


class ListeningWatch:
    """Watches one run of one container."""

    def __init__(self, host: _Host, spec: JsonObject, process: Process) -> None:
        self._host = host
        self._name = text(spec, "name")
        self._process = process
        self._probed = "readinessProbe" in spec
        declared = (port for port in items(spec, "ports") if text(port, "protocol", default="TCP") == "TCP")
        self._declared = [number(port, "containerPort") for port in declared]

    async def run(self, is_ready: Callable[[], bool]) -> None:
        """Look until every declared port is listened on, or the looks are used up."""
        for number_of_look, pause in enumerate(LOOKS if self._declared else ()):
            await asyncio.sleep(pause)
            if self._probed and is_ready():
                return
            found = await asyncio.to_thread(self._listens)
            missing = [port for port in self._declared if self._host.ports.real.get(port) not in found]
            for port in missing:
                if port in found:
                    self._adopt(port)
            others = sorted(found - set(self._host.ports.real.values()))
            if missing and others and number_of_look == len(LOOKS) - 1:
                self._name_others(missing, others)
            if not [port for port in missing if port not in found]:
                return

    def explain_exit(self, code: int, output: str) -> str:
        """Return why a run failed where its output says that its address was taken."""
        if code == 0 or not self._declared or not any(word in output.lower() for word in TAKEN):
            return ""
        ports = ", ".join(str(port) for port in self._declared)
        return (
            f"port {ports}: the address is taken on this machine. All Pods of a local cluster share its ports, so a "
            "program that listens on a fixed one can run once; let it read the port from PORT or from its arguments"
        )

    def _listens(self) -> set[int]:
        return listening_ports(self._process.members())

    def _adopt(self, port: int) -> None:
        given = self._host.ports.real.get(port)
        self._host.ports.adopt(port)
        self._host.event(
            "PortIgnored",
            f"Container {self._name} listens on {port} itself and not on {given}, which PORT and its arguments say; it "
            "is used there, but a second such Pod cannot start. Let the program read PORT",
            warning=True,
            container=self._name,
        )
        self._host.changed()

    def _name_others(self, missing: list[int], others: list[int]) -> None:
        self._host.event(
            "PortIgnored",
            f"Container {self._name} declares port {', '.join(map(str, missing))} but listens on "
            f"{', '.join(map(str, others))}; let it read PORT, or declare the port it uses",
            warning=True,
            container=self._name,
        )
