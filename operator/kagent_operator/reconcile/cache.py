"""The cluster as the reconcilers see it: copies kept by reflectors, newer than them by what we wrote ourselves.

Reading through a View records what was read, missing objects included. That record is the reverse index: when one of
these objects appears, changes or goes, whoever read it is reconciled again. Nothing here does I/O but the reflectors.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from kagent_api.errors import TransientError
from kagent_api.kube import Delta, LinkState, NotFound, Reflector, Resource
from kagent_api.kube.resources import NAMESPACES
from kagent_operator.reconcile.compact import Compactor
from kagent_operator.reconcile.keys import Key, key_of
from kagent_operator.translate.fields import JsonObject, rows, string_map, text

__all__ = ["Cache", "CannotRead", "Index", "ReflectorFactory", "View", "pod_owner"]

_log = logging.getLogger(__name__)


class CannotRead(TransientError):
    """Objects of a kind cannot be read (no rights, or the server is away), so nothing can be said about them."""


class ReflectorFactory(Protocol):
    """Makes the reflector of one kind in one namespace (None: all)."""

    def __call__(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        on_delta: Callable[[Delta], None],
        on_state: Callable[[LinkState], None],
    ) -> Reflector: ...


class Index:
    """Who read what, both ways."""

    def __init__(self) -> None:
        self._readers: dict[Key, set[Key]] = {}
        self._reads: dict[Key, set[Key]] = {}

    def add(self, reader: Key, read: Key) -> None:
        self._readers.setdefault(read, set()).add(reader)
        self._reads.setdefault(reader, set()).add(read)

    def replace(self, reader: Key, reads: set[Key]) -> None:
        """Keep only what the last reconcile read."""
        for stale in self._reads.get(reader, set()) - reads:
            self._readers[stale].discard(reader)
            if not self._readers[stale]:
                del self._readers[stale]
        for read in reads:
            self._readers.setdefault(read, set()).add(reader)
        if reads:
            self._reads[reader] = set(reads)
        else:
            self._reads.pop(reader, None)

    def readers(self, key: Key) -> set[Key]:
        return self._readers.get(key, set())


def pod_owner(pod: JsonObject) -> Key | None:
    """Return the Agent or MCPServer that a Pod runs, by the labels their Deployments give it."""
    labels, namespace = string_map(pod, "metadata", "labels"), text(pod, "metadata", "namespace")
    if labels.get("app") == "kagent" and "kagent" in labels:
        return Key("Agent", namespace, labels["kagent"])
    if labels.get("app.kubernetes.io/managed-by") == "kmcp" and "app.kubernetes.io/instance" in labels:
        return Key("MCPServer", namespace, labels["app.kubernetes.io/instance"])
    return None


class Cache:
    """Every watched object by key. ``on_change`` is told of each delta after the cache has it."""

    def __init__(
        self,
        resources: Sequence[Resource],
        namespaces: Sequence[str],
        make_reflector: ReflectorFactory,
        on_change: Callable[[Delta], None],
    ) -> None:
        self._on_change = on_change
        self._compactor = Compactor()
        self._settled: list[asyncio.Event] = []
        self._reflectors: dict[str, list[Reflector]] = {}
        self._written: dict[Key, JsonObject] = {}
        self._owned: dict[str, set[Key]] = {}
        self._pods: dict[Key, set[Key]] = {}
        for resource in resources:
            scopes: list[str | None] = list(namespaces) or [None]
            for namespace in scopes if resource.namespaced else [None]:
                settled = asyncio.Event()
                self._settled.append(settled)
                reflector = make_reflector(
                    resource, namespace, on_delta=self._delta, on_state=_settle_when_known(settled, resource)
                )
                self._reflectors.setdefault(resource.kind, []).append(reflector)

    async def run(self) -> None:
        """Keep every copy until cancelled."""
        async with asyncio.TaskGroup() as group:
            for reflectors in self._reflectors.values():
                for reflector in reflectors:
                    group.create_task(reflector.run())

    async def wait_until_known(self) -> None:
        """Wait until every kind was listed once, or is known not to be readable."""
        for settled in self._settled:
            await settled.wait()

    def problems(self) -> list[str]:
        """Return what cannot be read at the moment and why, one line per kind and namespace."""
        return [
            f"{reflector.resource.qualified}: {reflector.state.error}"
            for reflectors in self._reflectors.values()
            for reflector in reflectors
            if reflector.state.status in {"lost", "refused"} and not _absent(reflector)
        ]

    def get(self, key: Key) -> JsonObject | None:
        """Return an object, our own last write where the watch lags behind.

        Raises CannotRead when its kind was never read.
        """
        written = self._written.get(key)
        found = self._stored(key)
        if written is not None and (found is None or _version(found) < _version(written)):
            return written
        return found

    def has(self, key: Key) -> bool:
        """Whether an object is there, as far as is known."""
        where = (key.namespace, key.name)
        return key in self._written or any(where in r.store for r in self._reflectors.get(key.kind, []))

    def list(self, kind: str, namespace: str | None = None) -> list[JsonObject]:
        """Return the objects of a kind, of one namespace or of all."""
        return [
            obj
            for reflector in self._reflectors.get(kind, [])
            for (where, _), obj in reflector.store.items()
            if namespace is None or where == namespace
        ]

    def owned(self, uid: str) -> set[Key]:
        """Return the keys of what an owner owns."""
        return self._owned.get(uid, set())

    def pods(self, owner: Key) -> list[JsonObject]:
        """Return the Pods that run an Agent or MCPServer."""
        found = (self._stored(key) for key in self._pods.get(owner, set()))
        return [pod for pod in found if pod is not None]

    def remember(self, obj: JsonObject) -> None:
        """Take in what the server answered to a write of ours, until the watch has it."""
        self._compactor.compact(obj)
        self._written[key_of(obj)] = obj
        self._index_owner(obj)

    def namespaces_known(self) -> bool:
        """Whether Namespace objects are watched (cluster-wide operation)."""
        return NAMESPACES.kind in self._reflectors

    def _stored(self, key: Key) -> JsonObject | None:
        unread: Reflector | None = None
        for reflector in self._reflectors.get(key.kind, []):
            if reflector.namespace not in {None, key.namespace}:
                continue
            found = reflector.store.get((key.namespace, key.name))
            if found is not None:
                return found
            if not reflector.synced.is_set() and not _absent(reflector):
                unread = reflector
        if unread is not None:
            reason = unread.state.error or "not listed yet"
            raise CannotRead(f"{unread.resource.qualified} in namespace '{key.namespace}' cannot be read: {reason}")
        return None

    def _delta(self, delta: Delta) -> None:
        obj = delta.object
        self._compactor.compact(obj)
        key = key_of(obj)
        written = self._written.get(key)
        if written is not None and (delta.type == "DELETED" or _version(obj) >= _version(written)):
            del self._written[key]
        if delta.type == "DELETED":
            self._forget_owner(obj, key)
        else:
            self._index_owner(obj)
        self._on_change(delta)

    def _index_owner(self, obj: JsonObject) -> None:
        key = key_of(obj)
        for reference in rows(obj, "metadata", "ownerReferences"):
            if text(reference, "apiVersion").startswith("kagent.dev/"):
                self._owned.setdefault(text(reference, "uid"), set()).add(key)
        if key.kind == "Pod" and (owner := pod_owner(obj)):
            self._pods.setdefault(owner, set()).add(key)

    def _forget_owner(self, obj: JsonObject, key: Key) -> None:
        for reference in rows(obj, "metadata", "ownerReferences"):
            _discard(self._owned, text(reference, "uid"), key)
        if key.kind == "Pod" and (owner := pod_owner(obj)):
            _discard(self._pods, owner, key)


def _discard(index: dict[Any, set[Key]], where: object, key: Key) -> None:
    if where in index:
        index[where].discard(key)
        if not index[where]:
            del index[where]


def _absent(reflector: Reflector) -> bool:
    """A kind the server does not serve is a kind without objects."""
    return isinstance(reflector.state.error, NotFound)


def _settle_when_known(settled: asyncio.Event, resource: Resource) -> Callable[[LinkState], None]:
    def on_state(state: LinkState) -> None:
        if state.status in {"live", "refused"}:
            settled.set()
        if state.status == "refused":
            _log.warning("cannot watch %s: %s", resource.qualified, state.error)
        elif state.status == "lost":
            _log.info("lost the watch of %s: %s", resource.qualified, state.error)

    return on_state


def _version(obj: JsonObject) -> int:
    # Versions of one object can be compared as numbers (Kubernetes says so officially since 1.35).
    version = text(obj, "metadata", "resourceVersion")
    return int(version) if version.isdigit() else 0


class View:
    """The world of one reconcile: reads the cache and records what it read."""

    def __init__(self, reader: Key, cache: Cache, index: Index, namespaces: Iterable[str]) -> None:
        self._reader = reader
        self._cache = cache
        self._index = index
        self._namespaces = frozenset(namespaces)
        self.reads: set[Key] = set()

    def get(self, kind: str, namespace: str, name: str) -> JsonObject | None:
        key = Key(kind, namespace, name)
        # Recorded before reading, so that a change in between is not missed.
        self.reads.add(key)
        self._index.add(self._reader, key)
        return self._cache.get(key)

    def names(self, kind: str, namespace: str) -> list[str]:
        return sorted(text(obj, "metadata", "name") for obj in self._cache.list(kind, namespace))

    def namespace_exists(self, name: str) -> bool:
        if self._cache.namespaces_known():
            return self.get("Namespace", "", name) is not None
        return name in self._namespaces

    def namespace_labels(self, name: str) -> dict[str, str] | None:
        if not self._cache.namespaces_known():
            return None
        namespace = self.get("Namespace", "", name)
        return None if namespace is None else string_map(namespace, "metadata", "labels")
