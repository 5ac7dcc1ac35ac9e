"""Kubernetes Events: what happened to an object, for people.

A repeated event raises the count of the first instead of filling the store, and events older than an hour are dropped,
as a real API server's time-to-live does. Recording never fails the caller.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from typing import Literal, NamedTuple, TypeAlias

from kagent_localcluster.errors import ApiError, NotFound
from kagent_localcluster.runner.fields import Key, name_of, number, text, uid_of
from kagent_localcluster.runner.metadata import now, parse_time, random_suffix
from kagent_localcluster.runner.resources import EVENTS
from kagent_localcluster.seams import JsonObject, Objects

__all__ = ["EventRecorder", "EventType"]

logger = logging.getLogger(__name__)

EventType: TypeAlias = Literal["Normal", "Warning"]

REMEMBERED = 2_000
TIME_TO_LIVE = 3_600.0
LONGEST_MESSAGE = 1_024  # the API's own limit for core/v1 events


class _Seen(NamedTuple):
    uid: str
    reason: str
    message: str


class EventRecorder:
    """Writes events of one component."""

    def __init__(self, objects: Objects, component: str, host: str = "") -> None:
        self._objects = objects
        self._source = {"component": component, **({"host": host} if host else {})}
        self._seen: OrderedDict[_Seen, Key] = OrderedDict()

    def record(
        self,
        obj: JsonObject,
        reason: str,
        message: str,
        *,
        kind: str,
        api_version: str,
        type: EventType = "Normal",
        field_path: str = "",
    ) -> None:
        """Record that ``reason`` happened to ``obj``."""
        message = message[:LONGEST_MESSAGE]
        seen = _Seen(uid_of(obj), reason, message)
        try:
            if not self._count_up(seen):
                self._create(obj, seen, kind, api_version, type, field_path)
        except ApiError as error:
            logger.debug("event %s of %s not recorded: %s", reason, name_of(obj), error)

    def drop_old(self) -> None:
        """Delete the events whose hour is over."""
        oldest = time.time() - TIME_TO_LIVE
        for event in self._objects.list(EVENTS):
            last = (
                text(event, "lastTimestamp") or text(event, "eventTime") or text(event, "metadata", "creationTimestamp")
            )
            if last and parse_time(last) < oldest:
                try:
                    self._objects.delete(EVENTS, text(event, "metadata", "namespace"), name_of(event))
                except NotFound:
                    continue

    def _count_up(self, seen: _Seen) -> bool:
        key = self._seen.get(seen)
        if key is None:
            return False
        try:
            event = self._objects.get(EVENTS, *key)
        except NotFound:
            return False
        event = {**event, "count": number(event, "count", default=1) + 1, "lastTimestamp": now()}
        self._objects.update(EVENTS, *key, event)
        self._seen.move_to_end(seen)
        return True

    def _create(self, obj: JsonObject, seen: _Seen, kind: str, api_version: str, type: str, field_path: str) -> None:
        namespace = text(obj, "metadata", "namespace") or "default"
        name = f"{name_of(obj)}.{random_suffix(12)}"
        stamp = now()
        involved = {
            "apiVersion": api_version,
            "kind": kind,
            "name": name_of(obj),
            "namespace": text(obj, "metadata", "namespace"),
            "uid": seen.uid,
            "fieldPath": field_path,
        }
        self._objects.create(
            EVENTS,
            namespace,
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": name, "namespace": namespace},
                "involvedObject": {field: value for field, value in involved.items() if value},
                "reason": seen.reason,
                "message": seen.message,
                "type": type,
                "source": self._source,
                "reportingComponent": self._source["component"],
                "firstTimestamp": stamp,
                "lastTimestamp": stamp,
                "count": 1,
            },
        )
        self._seen[seen] = Key(namespace, name)
        while len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
