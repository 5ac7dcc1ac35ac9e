"""The raw objects of one context, and who wants to know that they changed.

Objects are kept exactly as the API server sent them (an edit must write back what it read); nothing here cleans or
renders. Floods of changes become one notification per ``delay``, because a screen can show no more than that. Must only
be used from the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from itertools import islice
from types import MappingProxyType
from typing import Final

from kagent_tui.cluster.kinds import CONFIGMAP, PROMPTS, JsonObject, ObjectRef
from kagent_tui.cluster.references import references

__all__ = ["COALESCE_SECONDS", "PAGE", "Changes", "Store"]

# 20 notifications a second: below what the eye sees as lag, and it bounds the cost of a relist.
COALESCE_SECONDS: Final = 0.05
# Of 10,000 changes at once (a first list, a relist) so many are told at a time, so that keys are heard in between.
PAGE: Final = 500
_BREATH_SECONDS: Final = 0.005

Changes = frozenset[ObjectRef]
Listener = Callable[[Changes], None]


class Store:
    """Raw objects by kind, with an index of who refers to whom."""

    def __init__(self, *, delay: float = COALESCE_SECONDS) -> None:
        self._delay = delay
        self._objects: dict[str, dict[ObjectRef, JsonObject]] = {}
        self._targets: dict[ObjectRef, frozenset[ObjectRef]] = {}
        self._users: dict[ObjectRef, set[ObjectRef]] = {}
        self._listeners: list[Listener] = []
        # In the order they came, which is that of a list: what is seen first is told first.
        self._changed: dict[ObjectRef, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def objects(self, kind: str) -> Mapping[ObjectRef, JsonObject]:
        """Return a read-only view of all objects of a kind."""
        return MappingProxyType(self._objects.get(kind, {}))

    def find(self, ref: ObjectRef) -> JsonObject | None:
        """Return one object, or None when it is not there."""
        return self._objects.get(ref.kind, {}).get(ref)

    def used_by(self, ref: ObjectRef) -> list[ObjectRef]:
        """Return the objects that refer to this one, sorted."""
        # Agents name a prompt library as the ConfigMap that it is.
        named = ref._replace(kind=CONFIGMAP) if ref.kind == PROMPTS else ref
        return sorted(self._users.get(named, ()))

    def put(self, ref: ObjectRef, obj: JsonObject, *, quiet: bool = False) -> None:
        """Add or replace one object; ``quiet`` tells nobody (they are not there yet)."""
        objects = self._objects.setdefault(ref.kind, {})
        before = objects.get(ref)
        objects[ref] = obj
        if before is not None and _version(before) == _version(obj):
            # A snapshot's object that is confirmed: it looks the same.
            return
        self._index(ref, frozenset(reference.target for reference in references(obj)))
        if not quiet:
            self._mark(ref)

    def remove(self, ref: ObjectRef) -> None:
        """Forget one object."""
        if self._objects.get(ref.kind, {}).pop(ref, None) is not None:
            self._index(ref, frozenset())
            self._mark(ref)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with the refs that changed, at most once per delay; the result ends that."""
        self._listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return unsubscribe

    def flush(self) -> None:
        """Tell the listeners now what has changed so far."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._tell(list(self._changed))

    def close(self) -> None:
        """Drop every listener and pending notification."""
        self._listeners.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _mark(self, ref: ObjectRef) -> None:
        self._changed[ref] = None
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._delay, self._expired)

    def _expired(self) -> None:
        self._timer = None
        self._tell(list(islice(self._changed, PAGE)))
        if self._changed:
            self._timer = asyncio.get_running_loop().call_later(_BREATH_SECONDS, self._expired)

    def _tell(self, refs: list[ObjectRef]) -> None:
        for ref in refs:
            del self._changed[ref]
        if refs:
            for listener in tuple(self._listeners):
                listener(frozenset(refs))

    def _index(self, ref: ObjectRef, targets: frozenset[ObjectRef]) -> None:
        for gone in self._targets.get(ref, frozenset()) - targets:
            users = self._users.get(gone)
            if users is not None:
                users.discard(ref)
                if not users:
                    del self._users[gone]
        for target in targets:
            self._users.setdefault(target, set()).add(ref)
        if targets:
            self._targets[ref] = targets
        else:
            self._targets.pop(ref, None)


def _version(obj: JsonObject) -> tuple[object, object]:
    meta: JsonObject = obj.get("metadata") or {}
    # Objects without a version (tests, half-read ones) are never the same.
    return meta.get("uid"), meta.get("resourceVersion") or object()
