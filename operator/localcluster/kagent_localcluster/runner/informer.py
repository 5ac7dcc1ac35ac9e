"""What exists, by owner and by namespace, kept current by one watch per kind.

Only keys are kept, never bodies: a reconciler reads each object fresh through ``Objects``, so there is no stale cache.
Writers note their own creations and deletions at once, so that the next reconcile counts them whatever the watch says.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import TypeAlias

from kagent_localcluster.errors import ApiError, NotFound
from kagent_localcluster.runner.fields import Key, key_of
from kagent_localcluster.runner.metadata import controller_uid
from kagent_localcluster.seams import JsonObject, Objects, Resource, WatchEvent

__all__ = ["Informer", "Listener"]

logger = logging.getLogger(__name__)

Listener: TypeAlias = Callable[[WatchEvent], None]
RETRY_SECONDS = 0.5


class Informer:
    """The keys of one kind, by owner."""

    def __init__(self, objects: Objects, resource: Resource) -> None:
        self._objects = objects
        self.resource = resource
        self._owners: dict[Key, str] = {}
        self._owned: dict[str, set[Key]] = {}
        self._listeners: list[Listener] = []

    def subscribe(self, listener: Listener) -> None:
        """Call ``listener`` for every present object (as ADDED) and every change."""
        self._listeners.append(listener)

    def read(self, key: Key) -> JsonObject | None:
        """Return the object as it is now."""
        try:
            return self._objects.get(self.resource, *key)
        except NotFound:
            return None

    def owned_by(self, uid: str) -> list[JsonObject]:
        """Return the objects that this owner controls, oldest name first."""
        return self._read_all(sorted(self._owned.get(uid, ())))

    def within(self, namespace: str) -> list[JsonObject]:
        return self._read_all(sorted(key for key in self._owners if key.namespace == namespace))

    def note_created(self, obj: JsonObject) -> None:
        self._set(key_of(obj), controller_uid(obj))

    def note_deleted(self, key: Key) -> None:
        uid = self._owners.pop(key, None)
        if uid is not None:
            siblings = self._owned.get(uid, set())
            siblings.discard(key)
            if not siblings:
                self._owned.pop(uid, None)

    async def run(self) -> None:
        """Follow the watch until cancelled; a watch that ends is opened again and compared."""
        while True:
            try:
                self._drop_vanished()
                async for event in self._objects.watch(self.resource):
                    self._apply(event)
                    await asyncio.sleep(0)  # a long list must not hold up requests
            except ApiError as error:
                logger.warning("watch of %s: %s", self.resource.plural, error)
            await asyncio.sleep(RETRY_SECONDS)

    def _read_all(self, keys: Iterable[Key]) -> list[JsonObject]:
        return [obj for key in keys if (obj := self.read(key)) is not None]

    def _set(self, key: Key, uid: str) -> None:
        if self._owners.get(key) != uid:
            self.note_deleted(key)
            self._owners[key] = uid
            self._owned.setdefault(uid, set()).add(key)

    def _drop_vanished(self) -> None:
        if not self._owners:
            return
        present = {key_of(obj) for obj in self._objects.list(self.resource)}
        for key in [key for key in self._owners if key not in present]:
            self._apply(WatchEvent("DELETED", {"metadata": {"namespace": key.namespace, "name": key.name}}))

    def _apply(self, event: WatchEvent) -> None:
        if event.type == "BOOKMARK":
            return
        if event.type == "DELETED":
            self.note_deleted(key_of(event.object))
        else:
            self.note_created(event.object)
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:
                logger.exception("%s %s: listener failed", self.resource.plural, key_of(event.object))
