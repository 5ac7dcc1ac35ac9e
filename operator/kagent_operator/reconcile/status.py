"""Conditions and status: computed whole each time, written only when something a reader would notice has changed."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, Literal

from kagent_api.conditions import get_condition, remove_condition, set_condition
from kagent_api.kube import Resource
from kagent_operator.reconcile.apply import KubeWriter
from kagent_operator.reconcile.cache import Cache
from kagent_operator.reconcile.events import EventRecorder
from kagent_operator.translate.fields import JsonObject, integer, mapping, name_of, namespace_of, rows, text

__all__ = ["Now", "StatusDraft", "StatusWriter", "utc_now"]

_log = logging.getLogger(__name__)
Now = Callable[[], datetime]
# False at first for everything that has to start.
_STARTS_FALSE: Final = {"Ready", "ToolsReady", "ToolsDiscovered"}
ConditionStatus = Literal["True", "False", "Unknown"]


def utc_now() -> datetime:
    """Return the time; replaced in tests."""
    return datetime.now(UTC)


class StatusDraft:
    """The status of one object as it shall be; starts as it is."""

    def __init__(self, obj: JsonObject, now: Now) -> None:
        self._now = now
        self._before = mapping(obj, "status")
        self.generation = integer(obj, "metadata", "generation") or 0
        self.fields: dict[str, Any] = {
            key: copy.deepcopy(value) for key, value in self._before.items() if key != "conditions"
        }
        self.conditions: list[JsonObject] = copy.deepcopy(rows(self._before, "conditions"))
        self.fields["observedGeneration"] = self.generation

    def condition(self, kind: str, status: ConditionStatus, reason: str, message: str) -> None:
        """Set a condition; its transition time moves with its status only."""
        set_condition(
            self.conditions,
            type=kind,
            status=status,
            reason=reason,
            message=message,
            observed_generation=self.generation,
            now=self._now(),
        )

    def without(self, kind: str) -> None:
        """Remove a condition that does not apply."""
        remove_condition(self.conditions, kind)

    def value(self) -> JsonObject:
        """Return the whole status."""
        return {**self.fields, "conditions": self.conditions}

    def changed(self) -> bool:
        """Tell whether writing it would change anything."""
        return self.value() != {**self._before, "conditions": rows(self._before, "conditions")}

    def transitions(self) -> list[JsonObject]:
        """Return the conditions worth telling: of changed status or reason, or new and more than a normal start."""
        before = rows(self._before, "conditions")
        found: list[JsonObject] = []
        for condition in self.conditions:
            kind, now = text(condition, "type"), (text(condition, "status"), text(condition, "reason"))
            old = get_condition(before, kind)
            if old is None:
                worth = kind == "Accepted" or (now[0] == "False" and kind not in _STARTS_FALSE)
            else:
                worth = (text(old, "status"), text(old, "reason")) != now
            if worth:
                found.append(condition)
        return found


class StatusWriter:
    """Writes a status and tells its transitions as Kubernetes Events."""

    def __init__(self, client: KubeWriter, cache: Cache, events: EventRecorder) -> None:
        self._client = client
        self._cache = cache
        self._events = events

    async def write(self, resource: Resource, obj: JsonObject, draft: StatusDraft) -> bool:
        """Write a status if it changed. Raises the client's errors."""
        if not draft.changed():
            return False
        removed = [key for key in mapping(obj, "status") if key not in draft.value()]
        body: JsonObject = {"status": {**draft.value(), **dict.fromkeys(removed)}}
        updated = await self._client.patch(resource, name_of(obj), body, namespace_of(obj), subresource="status")
        updated.setdefault("apiVersion", resource.api_version)
        updated.setdefault("kind", resource.kind)
        self._cache.remember(updated)
        for condition in draft.transitions():
            _log.info(
                "%s %s/%s: %s is %s (%s): %s",
                resource.kind,
                namespace_of(obj),
                name_of(obj),
                text(condition, "type"),
                text(condition, "status"),
                text(condition, "reason"),
                text(condition, "message"),
            )
            self._events.record(obj, condition)
        return True
