"""Recent changes, kept per resource, that watches read with a cursor.

A watcher holds a position, not a queue: a slow client costs no memory, and when the log was compacted past its position
it is told 410 Expired and lists again, as with etcd. Changes parse their objects once, whoever asks first.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Literal

import orjson

from kagent_localcluster.apiserver.records import Record
from kagent_localcluster.apiserver.storage import StoredChange
from kagent_localcluster.seams import JsonObject

__all__ = ["Change", "Feed", "WatchLog"]

# Enough for a reflector to be away for seconds under 100 writes a second; the bytes, as held, bound large objects.
_MAX_CHANGES = 1_024
_MAX_BYTES = 2 << 20
# Watchers with selectors read the newest changes at about the same time; older ones are parsed again when asked for.
_PARSED = 32


class Change:
    """One change of one resource."""

    __slots__ = ("_fresh", "_new_body", "_new_object", "_old_object", "new", "old", "type")

    def __init__(self, change: StoredChange) -> None:
        self.type: Literal["ADDED", "MODIFIED", "DELETED"] = change.type  # pyright: ignore[reportAttributeAccessIssue] storage says these three
        self.new: Record = change.new
        self.old: Record | None = change.old
        self._fresh = True
        self._new_body: bytes | None = None
        self._new_object: JsonObject | None = None
        self._old_object: JsonObject | None = None

    @property
    def new_body(self) -> bytes:
        """Return the encoded object: unpacked once for all watchers that follow closely."""
        body = self._new_body
        if body is None:
            body = self.new.body
            if self._fresh:
                self._new_body = body
        return body

    @property
    def new_object(self) -> JsonObject:
        """Return the parsed object; shared, never to be changed."""
        parsed = self._new_object
        if parsed is None:
            parsed = orjson.loads(self.new_body)
            if self._fresh:
                self._new_object = parsed
        return parsed

    @property
    def old_object(self) -> JsonObject | None:
        """Return the parsed former object; shared, never to be changed."""
        parsed = self._old_object
        if parsed is None and self.old is not None:
            parsed = self.old.load()
            if self._fresh:
                self._old_object = parsed
        return parsed

    @property
    def held(self) -> int:
        return self.new.held + (self.old.held if self.old is not None else 0)

    def forget_parsed(self) -> None:
        """Keep only what is packed from now on."""
        self._fresh = False
        self._new_body = self._new_object = self._old_object = None


class Feed:
    """The changes of one storage key. ``floor`` is the newest version that may be missing from the log."""

    def __init__(self, floor: int) -> None:
        self.floor = floor
        self._changes: deque[Change] = deque()
        self._first = 0
        self._bytes = 0
        self._waiters: set[asyncio.Event] = set()

    def append(self, change: Change) -> None:
        self._changes.append(change)
        self._bytes += change.held
        while len(self._changes) > _MAX_CHANGES or (self._bytes > _MAX_BYTES and len(self._changes) > 1):
            dropped = self._changes.popleft()
            self._first += 1
            self._bytes -= dropped.held
            self.floor = dropped.new.version
        if len(self._changes) > _PARSED:
            self._changes[-_PARSED - 1].forget_parsed()
        for waiter in self._waiters:
            waiter.set()

    def end(self) -> int:
        """Return the cursor behind the newest change."""
        return self._first + len(self._changes)

    def after(self, version: int) -> int:
        """Return the cursor of the first change newer than a version, which must not lie below the floor."""
        cursor = self.end()
        for change in reversed(self._changes):
            if change.new.version <= version:
                break
            cursor -= 1
        return cursor

    def read(self, cursor: int) -> list[Change] | None:
        """Return the changes from the cursor on, None when some of them are gone."""
        if cursor < self._first:
            return None
        start = cursor - self._first
        return [self._changes[index] for index in range(start, len(self._changes))]

    def subscribe(self, waiter: asyncio.Event) -> None:
        """Have the event set on every change until ``unsubscribe``."""
        self._waiters.add(waiter)

    def unsubscribe(self, waiter: asyncio.Event) -> None:
        self._waiters.discard(waiter)

    def wake(self) -> None:
        """Wake every watcher without a change, so that it sees that the server stops."""
        for waiter in self._waiters:
            waiter.set()


class WatchLog:
    """The feeds by storage key; nothing before ``floor`` (the version at start) is known."""

    def __init__(self, floor: int) -> None:
        self._floor = floor
        self._feeds: dict[str, Feed] = {}
        self.closed = False

    def feed(self, key: str) -> Feed:
        feed = self._feeds.get(key)
        if feed is None:
            feed = self._feeds[key] = Feed(self._floor)
        return feed

    def append(self, change: StoredChange) -> None:
        self.feed(change.key).append(Change(change))

    def close(self) -> None:
        """End every watch."""
        self.closed = True
        for feed in self._feeds.values():
            feed.wake()
