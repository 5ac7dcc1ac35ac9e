"""Runs the reconcilers: deltas become keys, keys become work, failures become retries.

A delta of a resource itself counts when its generation, labels, annotations or deletion changed, not for the status we
write ourselves. A delta of anything a reconcile has read counts always, but for an Agent only where others can see it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from typing import Final

from kagent_api.errors import KagentError, TransientError
from kagent_api.kube import AlreadyExists, Conflict, Delta, KubeError, NotFound
from kagent_operator.reconcile.cache import Index, View, pod_owner
from kagent_operator.reconcile.context import Context, Reconciler
from kagent_operator.reconcile.keys import Key, key_of
from kagent_operator.reconcile.queue import WorkQueue
from kagent_operator.translate.fields import JsonObject, mapping, rows, text

__all__ = ["Controller"]

_log = logging.getLogger(__name__)
# Reconciling is mostly waiting for writes, up to three at once for each; beyond a dozen requests in flight the client's
# own work per request grows with their number (measured: twice as much at 24).
_WORKERS: Final = 4


class Controller:
    """One queue over all kinds."""

    def __init__(self) -> None:
        self.queue: WorkQueue[Key] = WorkQueue()
        self.index = Index()
        self.reconciles: Counter[tuple[str, str]] = Counter()
        self._reconcilers: Mapping[str, Reconciler] = {}

    def use(self, reconcilers: Mapping[str, Reconciler]) -> None:
        """Set the reconciler of each kind, before anything runs."""
        self._reconcilers = reconcilers

    def on_change(self, delta: Delta) -> None:
        """Take in a change of the cluster."""
        key = key_of(delta.object)
        if key.kind in self._reconcilers and _concerns_itself(delta):
            self.queue.add(key)
        if key.kind != "Agent" or _concerns_others(delta):
            for reader in self.index.readers(key):
                if reader != key:
                    self.queue.add(reader)
        if key.kind == "Pod" and (owner := pod_owner(delta.object)) is not None and owner.kind in self._reconcilers:
            self.queue.add(owner)

    async def run(self, context: Context) -> None:
        """Work until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(_WORKERS):
                    group.create_task(self._work(context))
        finally:
            self.queue.close()

    async def _work(self, context: Context) -> None:
        while True:
            key = await self.queue.get()
            try:
                await self._one(key, context)
            finally:
                self.queue.done(key)

    async def _one(self, key: Key, context: Context) -> None:
        view = View(key, context.cache, self.index, {*context.namespaces, context.settings.controller_namespace})
        try:
            await self._reconcilers[key.kind].reconcile(key, view)
            self.queue.succeeded(key)
            self.reconciles[key.kind, "success"] += 1
        except (Conflict, AlreadyExists, NotFound) as error:
            # The cache was behind: somebody else was quicker. The next look sees it.
            _log.debug("%s: %s", key, error)
            self.reconciles[key.kind, "conflict"] += 1
            self.queue.failed(key)
        except (TransientError, KubeError) as error:
            self.reconciles[key.kind, "error"] += 1
            _log.warning("%s: %s; trying again in %.1f s", key, error, self.queue.failed(key))
        except KagentError as error:
            self.reconciles[key.kind, "error"] += 1
            _log.error("%s: %s; trying again in %.1f s", key, error, self.queue.failed(key))
        except Exception:
            # The outer edge: a fault in our own code concerns this key only, and must not end the worker.
            self.reconciles[key.kind, "panic"] += 1
            _log.exception("%s: unexpected; trying again in %.1f s", key, self.queue.failed(key))
        finally:
            self.index.replace(key, view.reads)
            if not context.cache.has(key):
                self.queue.forget(key)


def _concerns_itself(delta: Delta) -> bool:
    if delta.type != "MODIFIED" or delta.old is None:
        return True
    return _identity(delta.object) != _identity(delta.old)


def _identity(obj: JsonObject) -> tuple[object, ...]:
    meta = mapping(obj, "metadata")
    return meta.get("generation"), meta.get("labels"), meta.get("annotations"), meta.get("deletionTimestamp")


def _concerns_others(delta: Delta) -> bool:
    """An agent that uses another one cares for its spec and whether it is ready, not for each word of its status."""
    if delta.type != "MODIFIED" or delta.old is None:
        return True
    return _identity(delta.object) != _identity(delta.old) or _ready(delta.object) != _ready(delta.old)


def _ready(obj: JsonObject) -> tuple[str, str]:
    for condition in rows(obj, "status", "conditions"):
        if text(condition, "type") == "Ready":
            return text(condition, "status"), text(condition, "message")
    return "", ""
