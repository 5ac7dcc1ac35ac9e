"""``seams.Objects`` over the API's own write and read paths, for the controllers and the runner in this process.

Deleting a Pod has two steps, as on a node: the first call marks it (deletionTimestamp and grace period, when it is on a
node and still alive), a call on a marked Pod is the runner's word that its processes have ended, and removes it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import orjson

from kagent_localcluster.apiserver import views
from kagent_localcluster.apiserver.deletion import DeleteOptions, Deleter
from kagent_localcluster.apiserver.kinds import Kind, Registry
from kagent_localcluster.apiserver.labelselectors import label_selector as parse_label_selector
from kagent_localcluster.apiserver.reading import ListOptions, Reader, WatchOptions
from kagent_localcluster.apiserver.records import Record
from kagent_localcluster.apiserver.storage import Storage
from kagent_localcluster.apiserver.writing import WriteOptions, Writer
from kagent_localcluster.errors import NotFound
from kagent_localcluster.seams import JsonObject, Resource, WatchEvent

__all__ = ["LocalObjects"]

# managedFields entries of the built-in controllers and the kubelet stand together.
_MANAGER = "kagent-localcluster"


class LocalObjects:
    """The cluster's objects, in process."""

    def __init__(self, registry: Registry, storage: Storage, reader: Reader, writer: Writer, deleter: Deleter) -> None:
        self._registry = registry
        self._storage = storage
        self._reader = reader
        self._writer = writer
        self._deleter = deleter

    def get(self, resource: Resource, namespace: str, name: str) -> JsonObject:
        """Return a copy of the object.

        Raises:
            NotFound: no such object, or no such resource.
        """
        kind = self._kind(resource)
        return views.load(kind, self._reader.get(kind, namespace, name))

    def list(self, resource: Resource, namespace: str = "", *, label_selector: str = "") -> list[JsonObject]:
        """Return copies of the objects, of all namespaces when none is given."""
        kind = self._kind(resource)
        options = ListOptions(labels=parse_label_selector(label_selector))
        return [orjson.loads(body) for body in self._reader.list(kind, namespace, options).bodies]

    def create(self, resource: Resource, namespace: str, body: JsonObject) -> JsonObject:
        """Create the object.

        Raises:
            AlreadyExists, Invalid, NotFound, Forbidden.
        """
        return self._writer.create(self._kind(resource), namespace, body, WriteOptions(_MANAGER)).obj

    def update(
        self, resource: Resource, namespace: str, name: str, body: JsonObject, *, subresource: str = ""
    ) -> JsonObject:
        """Replace the object, or with ``subresource="status"`` its status alone.

        Raises:
            Conflict: the body carries a resourceVersion that is not the present one.
            Invalid, NotFound.
        """
        options = WriteOptions(_MANAGER, subresource=subresource)
        return self._writer.update(self._kind(resource), namespace, name, body, options).obj

    def delete(self, resource: Resource, namespace: str, name: str, *, uid: str = "") -> None:
        """Delete the object; a Pod that is already marked is removed.

        Raises:
            Conflict: another object than the one with this uid has the name.
            NotFound: there is none.
        """
        kind = self._kind(resource)
        record = self._reader.get(kind, namespace, name)
        marked = kind.storage_key == "/pods" and record.load()["metadata"].get("deletionTimestamp")
        options = DeleteOptions(uid=uid, grace_seconds=0 if marked else None)
        self._deleter.delete(kind, namespace, name, options)

    async def watch(self, resource: Resource, namespace: str = "") -> AsyncIterator[WatchEvent]:
        """Yield the present objects as ADDED, then every change, until the server stops.

        A consumer that falls behind the log gets what it missed as one difference: DELETED for what has gone, ADDED for
        all that is there.
        """
        kind = self._kind(resource)
        known: dict[tuple[str, str], Record | None] = {}
        while not self._reader.stopped:
            for place in [place for place in known if self._storage.get(kind.storage_key, *place) is None]:
                if (last := known.pop(place)) is not None:
                    yield WatchEvent("DELETED", views.load(kind, last))
            async for batch in self._reader.watch(kind, namespace, ListOptions(), WatchOptions(timeout_seconds=86_400)):
                # Taken out one by one: what was told already need not be held while a consumer takes its time.
                batch.reverse()
                while batch:
                    seen = batch.pop()
                    if seen.type == "ERROR":
                        continue
                    obj: JsonObject = orjson.loads(seen.body)
                    place = (obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
                    if seen.type == "DELETED":
                        known.pop(place, None)
                    else:
                        # The store's own record, not a copy: a thousand bodies would be held twice.
                        known[place] = self._storage.get(kind.storage_key, *place) or known.get(place)
                    yield WatchEvent(seen.type, obj)  # pyright: ignore[reportArgumentType] one of the four types
                    del seen, obj

    def _kind(self, resource: Resource) -> Kind:
        kind = self._registry.find(*resource)
        if kind is None:
            raise NotFound(f"no resource {resource.plural} in {resource.group or 'core'}/{resource.version}")
        return kind
