"""Objects at rest: SQLite for durability, an index of encoded bodies in memory for speed.

Every write is one committed transaction before the call returns, so a change that anyone was told of, by answer or by
watch, has been handed to the operating system. WAL with ``synchronous=NORMAL``: a commit is a ``write()`` without
``fsync``, which a ``kill -9`` of this process cannot undo, because the page cache belongs to the kernel; a power cut or
kernel crash may cost the last moments before it but never leaves the database damaged, because checkpoints do sync.
OFF would risk the latter and FULL would pay an fsync a write for a laptop's development cluster. Checkpoints run on a
thread of their own with their own connection: an fsync must never hold up the event loop.

Bodies are the JSON they are sent as, kept deflated (``records``). Nothing here knows the rules of the API.
"""

from __future__ import annotations

import bisect
import fcntl
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from kagent_localcluster.apiserver.records import Record, RecordMaker
from kagent_localcluster.errors import CannotStore, DataDirectoryInUse, NewerDataDirectory
from kagent_localcluster.seams import JsonObject

__all__ = ["SCHEMA_VERSION", "Storage", "StoredChange"]

SCHEMA_VERSION = 1

# One page is 4 KiB: a checkpoint after about 8 MB of WAL.
_CHECKPOINT_WRITES = 1_000


class StoredChange(NamedTuple):
    """A committed write; ``old`` is None for a new object and ``new`` is the last state for a deleted one."""

    key: str
    type: str
    new: Record
    old: Record | None


class Locator(NamedTuple):
    """Where an object lies."""

    key: str
    namespace: str
    name: str


class Storage:
    """All objects of the cluster; ``key`` is ``group/plural``. ``listeners`` hear of every committed change."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.listeners: list[Callable[[StoredChange], None]] = []
        self._lock_file = self._lock()
        self._path = directory / "cluster.db"
        self._db = sqlite3.connect(self._path, isolation_level=None)
        self._prepare()
        self._make = RecordMaker()
        self._records: dict[str, dict[tuple[str, str], Record]] = {}
        self._order: dict[str, list[tuple[str, str]]] = {}
        self._by_uid: dict[str, Locator] = {}
        self._dependents: dict[str, set[Locator]] = {}
        self.version = self._load()
        self._writes = 0
        self._checkpointing: threading.Thread | None = None

    def _lock(self) -> Any:
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = (self.directory / "cluster.lock").open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            raise DataDirectoryInUse(self.directory) from error
        return file

    def _prepare(self) -> None:
        (found,) = self._db.execute("PRAGMA user_version").fetchone()
        if found > SCHEMA_VERSION:
            self._db.close()
            self._lock_file.close()
            raise NewerDataDirectory(self.directory, found, SCHEMA_VERSION)
        for statement in (
            "PRAGMA journal_mode=WAL",
            "PRAGMA synchronous=NORMAL",
            "PRAGMA wal_autocheckpoint=0",
            # In kB: reads are answered from memory, so the cache only has to hold the pages of a write.
            "PRAGMA cache_size=-256",
            "CREATE TABLE IF NOT EXISTS objects (key TEXT, namespace TEXT, name TEXT, uid TEXT, version INTEGER,"
            " body BLOB, PRIMARY KEY (key, namespace, name)) WITHOUT ROWID",
            "CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID",
            f"PRAGMA user_version={SCHEMA_VERSION}",
        ):
            self._db.execute(statement)

    def _load(self) -> int:
        for key, namespace, name, uid, version, body in self._db.execute(
            "SELECT key, namespace, name, uid, version, body FROM objects ORDER BY key, namespace, name"
        ):
            record = self._make(key, namespace, name, uid, version, body)
            self._records.setdefault(key, {})[namespace, name] = record
            self._order.setdefault(key, []).append((namespace, name))
            self._index(key, record, owners_of(body) if b'"ownerReferences"' in body else ())
        row = self._db.execute("SELECT value FROM counters WHERE name = 'version'").fetchone()
        return row[0] if row else 1

    def get(self, key: str, namespace: str, name: str) -> Record | None:
        return self._records.get(key, {}).get((namespace, name))

    def list(self, key: str, namespace: str = "") -> list[Record]:
        """Return the records in order of namespace and name."""
        order = self._order.get(key, [])
        records = self._records.get(key, {})
        if not namespace:
            return [records[place] for place in order]
        start = bisect.bisect_left(order, (namespace, ""))
        found: list[Record] = []
        for place in order[start:]:
            if place[0] != namespace:
                break
            found.append(records[place])
        return found

    def count(self, key: str) -> int:
        return len(self._records.get(key, ()))

    def used_keys(self) -> list[str]:
        """Return the keys that hold objects."""
        return [key for key, records in self._records.items() if records]

    def find_uid(self, uid: str) -> Locator | None:
        return self._by_uid.get(uid)

    def dependents(self, uid: str) -> list[Locator]:
        """Return where the objects lie that name the uid in their ownerReferences."""
        return sorted(self._dependents.get(uid, ()))

    def put(self, key: str, obj: JsonObject) -> Record:
        """Store the object under the next version, which is written into it, and return the record."""
        metadata = obj["metadata"]
        version = self.version + 1
        metadata["resourceVersion"] = str(version)
        body = orjson.dumps(obj)
        record = self._make(key, metadata.get("namespace", ""), metadata["name"], metadata["uid"], version, body)
        place = (record.namespace, record.name)
        old = self._records.get(key, {}).get(place)
        self._commit(
            version,
            "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?)",
            (key, record.namespace, record.name, record.uid, version, body),
        )
        if old is None:
            bisect.insort(self._order.setdefault(key, []), place)
        else:
            self._unindex(key, old)
        self._records.setdefault(key, {})[place] = record
        self._index(key, record, _owner_uids(obj))
        self._announce(StoredChange(key, "MODIFIED" if old else "ADDED", record, old))
        return record

    def delete(self, key: str, namespace: str, name: str) -> Record:
        """Remove the object and return its last state under the version of the removal."""
        old = self._records[key].pop((namespace, name))
        version = self.version + 1
        try:
            self._commit(
                version, "DELETE FROM objects WHERE key = ? AND namespace = ? AND name = ?", (key, namespace, name)
            )
        except CannotStore:
            self._records[key][namespace, name] = old
            raise
        order = self._order[key]
        del order[bisect.bisect_left(order, (namespace, name))]
        self._unindex(key, old)
        last = old.load()
        last["metadata"]["resourceVersion"] = str(version)
        record = self._make(key, namespace, name, old.uid, version, orjson.dumps(last))
        self._announce(StoredChange(key, "DELETED", record, old))
        return record

    def close(self) -> None:
        """Finish the checkpoint and leave one plain database file behind."""
        if self._checkpointing is not None:
            self._checkpointing.join()
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._db.close()
        self._lock_file.close()

    def _commit(self, version: int, statement: str, values: tuple[Any, ...]) -> None:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute(statement, values)
            self._db.execute("INSERT OR REPLACE INTO counters VALUES ('version', ?)", (version,))
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:  # a full disk may have ended it
                self._db.execute("ROLLBACK")
            raise CannotStore(f"Internal error occurred: {self._path} cannot be written: {error}") from error
        self.version = version
        self._writes += 1
        if self._writes >= _CHECKPOINT_WRITES and (self._checkpointing is None or not self._checkpointing.is_alive()):
            self._writes = 0
            self._checkpointing = threading.Thread(target=self._checkpoint, name="checkpoint", daemon=True)
            self._checkpointing.start()

    def _checkpoint(self) -> None:
        connection = sqlite3.connect(self._path, isolation_level=None)
        try:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        finally:
            connection.close()

    def _index(self, key: str, record: Record, owners: Iterator[str] | tuple[str, ...]) -> None:
        where = Locator(key, record.namespace, record.name)
        self._by_uid[record.uid] = where
        for uid in owners:
            self._dependents.setdefault(uid, set()).add(where)

    def _unindex(self, key: str, record: Record) -> None:
        self._by_uid.pop(record.uid, None)
        if b'"ownerReferences"' in record.body:
            where = Locator(key, record.namespace, record.name)
            for uid in owners_of(record.body):
                dependents = self._dependents.get(uid, set())
                dependents.discard(where)
                if not dependents:
                    self._dependents.pop(uid, None)

    def _announce(self, change: StoredChange) -> None:
        for listener in self.listeners:
            listener(change)


def owners_of(body: bytes) -> Iterator[str]:
    """Yield the uids of an encoded object's owners."""
    return _owner_uids(orjson.loads(body))


def _owner_uids(obj: JsonObject) -> Iterator[str]:
    for reference in obj["metadata"].get("ownerReferences") or ():
        yield reference["uid"]
