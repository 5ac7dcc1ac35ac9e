"""The two seams between API server and runner, so that neither imports the other.

The runner and the built-in controllers read and write objects through ``Objects``; the API server asks the runner for
what only it knows (addresses, logs) through ``PodBackend``. Both live on one event loop.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

__all__ = ["Address", "JsonObject", "LogOptions", "Objects", "PodBackend", "Resource", "WatchEvent"]

# A Kubernetes object as JSON gives it; its shape is the API's, known only at run time.
JsonObject: TypeAlias = dict[str, Any]

EventType = Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]


class Resource(NamedTuple):
    """Where a kind is served: group ("" for core), version and plural."""

    group: str
    version: str
    plural: str


class WatchEvent(NamedTuple):
    """One change, in the order of resource versions."""

    type: EventType
    object: JsonObject


class Address(NamedTuple):
    """Where a Pod's port really listens on this machine."""

    host: str
    port: int


class LogOptions(NamedTuple):
    """The query of ``pods/NAME/log``; ``tail_lines`` and ``since_seconds`` are None for everything."""

    container: str = ""
    follow: bool = False
    previous: bool = False
    tail_lines: int | None = None
    since_seconds: int | None = None
    timestamps: bool = False


class Objects(Protocol):
    """The API server's own objects, in process, with the rules of the wire (admission, versions, finalizers).

    Calls are synchronous and atomic with respect to the event loop. Errors are those of
    ``kagent_localcluster.errors`` (NotFound, Conflict, AlreadyExists, Invalid).
    """

    def get(self, resource: Resource, namespace: str, name: str) -> JsonObject: ...

    def list(self, resource: Resource, namespace: str = "", *, label_selector: str = "") -> list[JsonObject]: ...

    def create(self, resource: Resource, namespace: str, body: JsonObject) -> JsonObject: ...

    def update(
        self, resource: Resource, namespace: str, name: str, body: JsonObject, *, subresource: str = ""
    ) -> JsonObject: ...

    def delete(self, resource: Resource, namespace: str, name: str, *, uid: str = "") -> None: ...

    def watch(self, resource: Resource, namespace: str = "") -> AsyncIterator[WatchEvent]:
        """Yield the present objects as ADDED, then every change."""
        ...


class PodBackend(Protocol):
    """What the runner knows of running Pods."""

    def service_addresses(self, namespace: str, service: str, port: str) -> list[Address]:
        """Return the addresses of the ready Pods behind a Service port (number, name, or "" for the only one).

        Raises:
            NotFound: no such Service, or no such port on it.
        """
        ...

    def pod_address(self, namespace: str, pod: str, port: str) -> Address:
        """Return where a container port of a Pod listens.

        Raises:
            NotFound: no such Pod here.
        """
        ...

    def logs(self, namespace: str, pod: str, options: LogOptions) -> AsyncIterator[bytes]:
        """Yield log bytes; with ``follow`` until the container ends or the consumer stops.

        Raises:
            NotFound: no such Pod or container here.
        """
        ...
