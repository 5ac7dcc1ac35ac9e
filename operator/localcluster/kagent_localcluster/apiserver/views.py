"""Stored objects as a version of the API shows them.

Objects lie in one form: the storage version of a CRD, core/v1 for events. Versions of a CRD differ in apiVersion only
(conversion strategy None); the two event groups name the same things differently.
"""

from __future__ import annotations

from typing import Any

import orjson

from kagent_localcluster.apiserver.kinds import Kind
from kagent_localcluster.apiserver.records import Record
from kagent_localcluster.seams import JsonObject

__all__ = ["body_of", "from_stored", "load", "shows_stored", "to_stored", "without_type"]

# core/v1 name -> events.k8s.io/v1 name
_EVENT_FIELDS = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}


def _is_event_view(kind: Kind) -> bool:
    return kind.group == "events.k8s.io"


def shows_stored(kind: Kind) -> bool:
    """Tell whether the kind shows objects in the form they are stored in."""
    return kind.api_version == kind.stored_api_version and not _is_event_view(kind)


def body_of(kind: Kind, record: Record) -> bytes:
    """Return the encoded object as the kind shows it; the stored bytes where nothing differs."""
    if shows_stored(kind):
        return record.body
    return orjson.dumps(load(kind, record))


def without_type(kind: Kind, body: bytes) -> bytes:
    """Return an encoded object as a typed list of a built-in kind holds it: without apiVersion and kind."""
    head = kind.type_head
    if body.startswith(head):
        return b"{" + body[len(head) :]
    obj: JsonObject = orjson.loads(body)  # written by an earlier version, in another order
    return orjson.dumps({key: value for key, value in obj.items() if key not in ("apiVersion", "kind")})


def load(kind: Kind, record: Record) -> JsonObject:
    """Return a fresh object as the kind shows it."""
    return from_stored(kind, record.load())


def from_stored(kind: Kind, obj: JsonObject) -> JsonObject:
    """Return the stored object in the form of the kind's version; the argument may be reused."""
    if _is_event_view(kind):
        obj = {_EVENT_FIELDS.get(key, key): value for key, value in obj.items()}
    obj["apiVersion"] = kind.api_version
    return obj


def to_stored(kind: Kind, obj: JsonObject) -> JsonObject:
    """Return the object in the form it is stored in; the argument stays as it is."""
    # These two first: lists leave them out without parsing anything.
    stored: dict[str, Any] = {"apiVersion": kind.stored_api_version, "kind": kind.kind}
    stored |= {key: value for key, value in obj.items() if key not in stored}
    if _is_event_view(kind):
        names = {view: core for core, view in _EVENT_FIELDS.items()}
        stored = {names.get(key, key): value for key, value in stored.items()}
        stored["apiVersion"] = "v1"
    return stored
