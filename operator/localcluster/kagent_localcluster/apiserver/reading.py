"""Get, list and watch.

Bodies go out as they are stored, without being parsed, wherever no selector, other version or other representation is
asked for; that is what keeps a list of a thousand objects at a few milliseconds.
"""

from __future__ import annotations

import asyncio
import base64
import math
import random
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from kagent_localcluster.apiserver import views
from kagent_localcluster.apiserver.kinds import Kind
from kagent_localcluster.apiserver.records import Record
from kagent_localcluster.apiserver.refusals import not_found
from kagent_localcluster.apiserver.selectors import Predicate
from kagent_localcluster.apiserver.storage import Storage
from kagent_localcluster.apiserver.watchlog import Change, WatchLog
from kagent_localcluster.errors import BadRequest, Cause, Expired, Timeout, Unclassified
from kagent_localcluster.seams import JsonObject

__all__ = ["ListOptions", "Listing", "Reader", "Seen", "WatchOptions", "parse_version"]

# A reflector's page loop takes seconds; older snapshots answer 410, as compacted ones do.
_MAX_SNAPSHOTS = 32
_BOOKMARK_SECONDS = 60.0
_LAST_BOOKMARK_SECONDS = 2.0


@dataclass(frozen=True)
class ListOptions:
    """The query of a list; predicates see objects in the kind's version."""

    labels: Predicate | None = None
    fields: Predicate | None = None
    limit: int = 0
    continuation: str = ""
    resource_version: str = ""
    version_match: str = ""

    def admits(self, obj: JsonObject) -> bool:
        return (self.labels is None or self.labels(obj)) and (self.fields is None or self.fields(obj))

    @property
    def selective(self) -> bool:
        return self.labels is not None or self.fields is not None


@dataclass(frozen=True)
class WatchOptions:
    """The query of a watch beyond that of a list."""

    bookmarks: bool = False
    initial_events: bool | None = None
    timeout_seconds: float | None = None


@dataclass(frozen=True)
class Listing:
    """One page: encoded objects and the list's metadata."""

    bodies: list[bytes]
    metadata: JsonObject


class Seen(NamedTuple):
    """One event of a watch: ``body`` is the object, "" for the ERROR type the Status."""

    type: str
    body: bytes


class _Snapshot(NamedTuple):
    version: int
    records: list[Record]


class Reader:
    """Answers reads from the store and the watch log."""

    def __init__(self, storage: Storage, log: WatchLog) -> None:
        self._storage = storage
        self._log = log
        self._snapshots: OrderedDict[str, _Snapshot] = OrderedDict()
        self._next_snapshot = 0

    @property
    def stopped(self) -> bool:
        """Return True once the server stops and watches end."""
        return self._log.closed

    def get(self, kind: Kind, namespace: str, name: str) -> Record:
        """Return the stored object.

        Raises:
            NotFound: there is none.
        """
        record = self._storage.get(kind.storage_key, namespace, name)
        if record is None:
            raise not_found(kind, name)
        return record

    def list(self, kind: Kind, namespace: str, options: ListOptions) -> Listing:
        """Return one page of objects, all of one moment.

        Raises:
            BadRequest: options that contradict each other.
            Expired: a continuation or an exact version that is no longer known.
        """
        exact = self._exact_version(options)
        if options.continuation:
            snapshot, rest = self._continue(options.continuation)
        elif exact:
            rest = self._select(kind, self._records_at(kind, namespace, exact), options)
            snapshot = exact
        else:
            rest = self._select(kind, self._storage.list(kind.storage_key, namespace), options)
            snapshot = self._storage.version
        metadata: JsonObject = {"resourceVersion": str(snapshot)}
        if options.limit and len(rest) > options.limit:
            page, rest = rest[: options.limit], rest[options.limit :]
            metadata["continue"] = self._keep(snapshot, rest)
            if not options.selective:
                metadata["remainingItemCount"] = len(rest)
        else:
            page = rest
        return Listing([views.body_of(kind, record) for record in page], metadata)

    def _select(self, kind: Kind, records: list[Record], options: ListOptions) -> list[Record]:
        if not options.selective:
            return records
        return [record for record in records if options.admits(views.load(kind, record))]

    def _exact_version(self, options: ListOptions) -> int:
        """Return the version that the list must show, 0 for the present one."""
        version, match = options.resource_version, options.version_match
        if version and options.continuation and version != "0":
            raise BadRequest("specifying resource version is not allowed when using continue")
        try:
            number = parse_version(version)
        except Unclassified as error:
            raise BadRequest(f"invalid resource version: {error.message}") from error
        self.refuse_future(number)
        exact = match == "Exact" or (options.limit and number and not match)
        return number if exact else 0

    def refuse_future(self, version: int) -> None:
        """Refuse a version that is not reached yet.

        Raises:
            Timeout: a real server waits 3 seconds for it to come first.
        """
        if version > self._storage.version:
            cause = Cause("", "Too large resource version", "ResourceVersionTooLarge")
            message = f"Timeout: Too large resource version: {version}, current: {self._storage.version}"
            raise Timeout(message, causes=(cause,))

    def _records_at(self, kind: Kind, namespace: str, version: int) -> list[Record]:
        """Return the records as they were at a version, by undoing what came after it."""
        feed = self._log.feed(kind.storage_key)
        if version < feed.floor and version < self._storage.version and feed.floor:
            raise Expired(f"The provided resource version {version} is too old: the log begins at {feed.floor}")
        found = {(record.namespace, record.name): record for record in self._storage.list(kind.storage_key, namespace)}
        for change in reversed(feed.read(feed.after(version)) or []):
            if namespace and change.new.namespace != namespace:
                continue
            if change.old is None:
                found.pop((change.new.namespace, change.new.name), None)
            else:
                found[change.new.namespace, change.new.name] = change.old
        return [found[place] for place in sorted(found)]

    def _keep(self, version: int, rest: list[Record]) -> str:
        self._next_snapshot += 1
        token = base64.urlsafe_b64encode(
            orjson.dumps({"v": version, "n": self._next_snapshot, "start": f"{rest[0].namespace}/{rest[0].name}"})
        ).decode()
        self._snapshots[token] = _Snapshot(version, rest)
        while len(self._snapshots) > _MAX_SNAPSHOTS:
            self._snapshots.popitem(last=False)
        return token

    def _continue(self, token: str) -> tuple[int, list[Record]]:
        snapshot = self._snapshots.get(token)
        if snapshot is None:
            try:
                orjson.loads(base64.urlsafe_b64decode(token))
            except ValueError as error:
                raise BadRequest(f"invalid continue token: continue key is not valid: {error}") from error
            raise Expired(
                "The provided continue parameter is too old to display a consistent list result. You can start a new "
                "list without the continue parameter."
            )
        return snapshot.version, snapshot.records

    async def watch(
        self, kind: Kind, namespace: str, options: ListOptions, watch: WatchOptions
    ) -> AsyncIterator[list[Seen]]:
        """Yield batches of events until the time is over, the log is compacted past the reader, or the server stops."""
        feed = self._log.feed(kind.storage_key)
        version = parse_version(options.resource_version)
        if version and version < feed.floor and version < self._storage.version:
            yield [_expired(version, feed.floor)]
            return
        waiter = asyncio.Event()
        feed.subscribe(waiter)
        try:
            fresh = not version or watch.initial_events is True
            cursor = feed.end() if fresh else feed.after(version)
            if fresh and watch.initial_events is not False:
                records = self._select(kind, self._storage.list(kind.storage_key, namespace), options)
                first = [Seen("ADDED", views.body_of(kind, record)) for record in records]
                if watch.initial_events and watch.bookmarks:
                    first.append(self._bookmark(kind, {"annotations": {"k8s.io/initial-events-end": "true"}}))
                if first:
                    yield first
                # A watch waits for hours: it must not hold what it has told.
                del records, first
            seconds = watch.timeout_seconds or 1_800 + random.random() * 1_800  # noqa: S311 spreads reconnections
            end = time.monotonic() + seconds
            # As Kubernetes does: one a minute, and a last one while there is still time to hear it.
            last_mark = end - _LAST_BOOKMARK_SECONDS if seconds > _LAST_BOOKMARK_SECONDS else math.inf
            next_mark = time.monotonic() + _BOOKMARK_SECONDS
            while not self._log.closed:
                changes = feed.read(cursor)
                if changes is None:
                    yield [_expired(version, feed.floor)]
                    return
                cursor += len(changes)
                if batch := [seen for change in changes if (seen := _see(kind, namespace, options, change))]:
                    yield batch
                    del changes, batch
                    continue
                del changes, batch
                now = time.monotonic()
                if now >= min(next_mark, last_mark):
                    # Moved on for watchers without bookmarks too: a mark in the past would make the wait below spin.
                    next_mark = now + _BOOKMARK_SECONDS
                    last_mark = math.inf if now >= last_mark else last_mark
                    if watch.bookmarks:
                        yield [self._bookmark(kind, {})]
                if now >= end:
                    return
                # Cleared before the log is read again, so that no change is slept through.
                waiter.clear()
                if feed.end() == cursor and not self._log.closed:
                    await _wait(waiter, min(next_mark, last_mark, end) - now)
        finally:
            feed.unsubscribe(waiter)

    def _bookmark(self, kind: Kind, metadata: JsonObject) -> Seen:
        body: dict[str, Any] = {
            "kind": kind.kind,
            "apiVersion": kind.api_version,
            "metadata": {"resourceVersion": str(self._storage.version), **metadata},
        }
        return Seen("BOOKMARK", orjson.dumps(body))


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(max(seconds, 0)):
            await event.wait()
    except TimeoutError:
        return


def _see(kind: Kind, namespace: str, options: ListOptions, change: Change) -> Seen | None:
    """Return the change as the watcher sees it: an object may come into or leave its selection."""
    if namespace and change.new.namespace != namespace:
        return None
    if not options.selective:
        return Seen(change.type, _body(kind, change))
    before = change.old is not None and options.admits(_view(kind, change.old_object))
    after = change.type != "DELETED" and options.admits(_view(kind, change.new_object))
    if not before and not after:
        return None
    kind_of_change = "MODIFIED" if before and after else "ADDED" if after else "DELETED"
    if kind_of_change == "DELETED" and change.old is not None and change.type != "DELETED":
        # Leaving the selection: the last state that was in it, under the version of the change.
        last = change.old.load()
        last["metadata"]["resourceVersion"] = str(change.new.version)
        return Seen("DELETED", orjson.dumps(views.from_stored(kind, last)))
    return Seen(kind_of_change, _body(kind, change))


def _body(kind: Kind, change: Change) -> bytes:
    return change.new_body if views.shows_stored(kind) else views.body_of(kind, change.new)


def _view(kind: Kind, obj: JsonObject | None) -> JsonObject:
    return views.from_stored(kind, dict(obj or {}))


def _expired(version: int, floor: int) -> Seen:
    return Seen("ERROR", orjson.dumps(Expired(f"too old resource version: {version} ({floor})").status()))


def parse_version(text: str) -> int:
    """Return a resourceVersion as a number, 0 for none.

    Raises:
        Unclassified: the text is no version.
    """
    if not text:
        return 0
    if not text.isdecimal():
        parsing = f'strconv.ParseUint: parsing "{text}": invalid syntax'
        raise Unclassified(f'resourceVersion: Invalid value: "{text}": {parsing}')
    return int(text)
