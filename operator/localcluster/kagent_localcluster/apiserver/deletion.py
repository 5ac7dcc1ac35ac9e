"""How objects end: finalizers, grace, owner references, namespaces and CRDs with what is in them.

Deletion proceeds in small steps, each started by a change in the store and run on the next turn of the event loop, so a
crash in between loses nothing: ``resume`` looks for unfinished business at start. Cascades never wait and never run
inside another write.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from kagent_localcluster.apiserver import views
from kagent_localcluster.apiserver.jsonvalue import dig, list_at, object_at, objects_at
from kagent_localcluster.apiserver.kinds import Kind, Registry
from kagent_localcluster.apiserver.meta import now
from kagent_localcluster.apiserver.records import Record
from kagent_localcluster.apiserver.refusals import not_found
from kagent_localcluster.apiserver.storage import Locator, Storage, StoredChange
from kagent_localcluster.apiserver.writing import CRD_KEY
from kagent_localcluster.errors import Conflict, Forbidden, NotFound
from kagent_localcluster.seams import JsonObject

__all__ = ["PROPAGATIONS", "DeleteOptions", "Deleted", "Deleter"]

logger = logging.getLogger(__name__)

Propagation = Literal["", "Background", "Foreground", "Orphan"]
PROPAGATIONS: dict[str, Propagation] = {
    "": "",
    "Background": "Background",
    "Foreground": "Foreground",
    "Orphan": "Orphan",
}

_FOREGROUND = "foregroundDeletion"
_ORPHAN = "orphan"
_CRD_CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
_PROTECTED_NAMESPACES = frozenset({"default", "kube-system", "kube-public"})


@dataclass(frozen=True)
class DeleteOptions:
    """What a deletion asked for; ``grace_seconds`` None is the Pod's own period, "" propagation the kind's default."""

    propagation: Propagation = ""
    uid: str = ""
    resource_version: str = ""
    grace_seconds: int | None = None
    dry_run: bool = False


@dataclass(frozen=True)
class Deleted:
    """The last or present state; ``gone`` tells which."""

    obj: JsonObject
    gone: bool


class Deleter:
    """Deletes objects and follows up on what their end means for others."""

    def __init__(self, storage: Storage, registry: Registry) -> None:
        self._storage = storage
        self._registry = registry
        self._pending: list[Callable[[], None]] = []
        self._scheduled: asyncio.Handle | None = None
        storage.listeners.append(self._on_change)

    def delete(self, kind: Kind, namespace: str, name: str, options: DeleteOptions) -> Deleted:
        """Delete an object, or mark it when finalizers, its grace period or its content hold it.

        Raises:
            NotFound, Conflict (preconditions), Forbidden (namespaces that must stay).
        """
        record = self._storage.get(kind.storage_key, namespace, name)
        if record is None:
            raise not_found(kind, name)
        obj = record.load()
        _check_preconditions(kind, obj, options)
        if kind.storage_key == "/namespaces" and name in _PROTECTED_NAMESPACES:
            raise Forbidden(
                f'namespaces "{name}" is forbidden: this namespace may not be deleted', kind="namespaces", name=name
            )
        finalizers = _finalizers_for(kind, obj, options.propagation)
        grace = _grace_seconds(kind, obj, options.grace_seconds)
        # A namespace is held by spec.finalizers until its content is gone.
        if not finalizers and not grace and not (kind.storage_key == "/namespaces" and dig(obj, "spec", "finalizers")):
            gone = not options.dry_run
            return Deleted(views.from_stored(kind, self._remove(kind, record) if gone else obj), gone=True)
        return self._mark(kind, obj, finalizers, grace, dry_run=options.dry_run)

    def _mark(self, kind: Kind, obj: JsonObject, finalizers: list[str], grace: int, *, dry_run: bool) -> Deleted:
        metadata = obj["metadata"]
        shorter = grace < (metadata.get("deletionGracePeriodSeconds") or 0)
        if metadata.get("deletionTimestamp") and finalizers == metadata.get("finalizers", []) and not shorter:
            return Deleted(views.from_stored(kind, obj), gone=False)
        if not metadata.get("deletionTimestamp") or shorter:
            end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=grace)
            metadata["deletionTimestamp"] = end.strftime("%Y-%m-%dT%H:%M:%SZ")
            if kind.storage_key != "/namespaces":
                metadata["deletionGracePeriodSeconds"] = grace
            if "generation" in metadata:
                metadata["generation"] += 1
        if finalizers:
            metadata["finalizers"] = finalizers
        if kind.storage_key == "/namespaces":
            obj["status"] = {**object_at(obj, "status"), "phase": "Terminating"}
        if kind.storage_key == CRD_KEY:
            _set_terminating(obj)
        if not dry_run:
            obj = self._storage.put(kind.storage_key, obj).load()
        return Deleted(views.from_stored(kind, obj), gone=False)

    def finish(self, kind: Kind, obj: JsonObject) -> JsonObject:
        """Remove an object whose last finalizer was just taken away, keeping its final state for watchers."""
        metadata = obj["metadata"]
        if kind.storage_key == "/namespaces" and dig(obj, "spec", "finalizers"):
            return views.load(kind, self._storage.put(kind.storage_key, views.to_stored(kind, obj)))
        record = self._storage.get(kind.storage_key, metadata.get("namespace", ""), metadata["name"])
        if record is None:
            raise not_found(kind, metadata["name"])
        return views.from_stored(kind, self._remove(kind, record))

    def _remove(self, kind: Kind, record: Record) -> JsonObject:
        return self._storage.delete(kind.storage_key, record.namespace, record.name).load()

    def resume(self) -> None:
        """Take up what a former process left unfinished: orphans, ending namespaces, CRDs and foreground deletions."""
        for key in self._storage.used_keys():
            for record in self._storage.list(key):
                if b'"deletionTimestamp"' in record.body or b'"ownerReferences"' in record.body:
                    self._follow_up(key, record)

    def _on_change(self, change: StoredChange) -> None:
        if change.type == "DELETED":
            self._after_removal(change)
        elif b'"ownerReferences"' in change.new.body or b'"deletionTimestamp"' in change.new.body:
            self._follow_up(change.key, change.new)

    def _after_removal(self, change: StoredChange) -> None:
        record = change.new
        if self._storage.dependents(record.uid):
            self._later(lambda: self._collect_dependents(record.uid))
        if b'"ownerReferences"' in record.body:
            owners = [owner["uid"] for owner in record.load()["metadata"].get("ownerReferences") or ()]
            self._later(lambda: self._advance_owners(owners))
        if record.namespace:
            self._later(lambda: self._advance_namespace(record.namespace))
        kind = self._kind_of(change.key)
        if kind is not None and (crd := kind.crd):
            self._later(lambda: self._advance_crd(crd))
        if change.key == CRD_KEY:
            self._registry.replace_crd(record.name, ())

    def _follow_up(self, key: str, record: Record) -> None:
        metadata = record.load()["metadata"]
        where = Locator(key, record.namespace, record.name)
        if metadata.get("ownerReferences"):
            self._later(lambda: self._collect(where))
        if metadata.get("deletionTimestamp"):
            finalizers = list_at(metadata, "finalizers")
            if key == "/namespaces":
                self._later(lambda: self._end_namespace(record.name))
            if _CRD_CLEANUP in finalizers:
                self._later(lambda: self._end_crd(record.name))
            if _FOREGROUND in finalizers or _ORPHAN in finalizers:
                self._later(lambda: self._advance_foreground(record.uid))

    def _later(self, step: Callable[[], None]) -> None:
        self._pending.append(step)
        if self._scheduled is None:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                return  # before the loop runs: start() calls run_pending
            self._scheduled = loop.call_soon(self.run_pending)

    def run_pending(self) -> None:
        """Carry out the steps that are due; more may follow from them."""
        self._scheduled = None
        steps, self._pending = self._pending, []
        for step in steps:
            try:
                step()
            except (NotFound, Conflict):
                # Someone else changed or removed the object in between: that change brings its own step.
                continue
            except Exception:
                # One step that fails must not take the others with it; the next start takes it up again.
                logger.exception("a step of a deletion failed")

    def _kind_of(self, key: str) -> Kind | None:
        return next((kind for kind in self._registry.stored_kinds() if kind.storage_key == key), None)

    def _delete_at(self, where: Locator, options: DeleteOptions) -> None:
        kind = self._kind_of(where.key)
        if kind is not None and self._storage.get(where.key, where.namespace, where.name) is not None:
            self.delete(kind, where.namespace, where.name, options)

    def _collect_dependents(self, uid: str) -> None:
        for where in self._storage.dependents(uid):
            self._collect(where)

    def _collect(self, where: Locator) -> None:
        """Delete an object none of whose owners are there, or drop the references to those that are not."""
        record = self._storage.get(where.key, where.namespace, where.name)
        if record is None:
            return
        obj = record.load()
        owners: list[JsonObject] = obj["metadata"].get("ownerReferences") or []
        present = [owner for owner in owners if self._is_there(owner, where)]
        if owners and not present:
            self._delete_at(where, DeleteOptions(propagation="Background", uid=record.uid))
        elif len(present) < len(owners):
            obj["metadata"]["ownerReferences"] = present
            self._storage.put(where.key, obj)

    def _is_there(self, owner: JsonObject, dependent: Locator) -> bool:
        found = self._storage.find_uid(owner["uid"])
        return found is not None and found.namespace in ("", dependent.namespace)

    def _advance_owners(self, uids: list[str]) -> None:
        for uid in uids:
            self._advance_foreground(uid)

    def _advance_foreground(self, uid: str) -> None:
        """Move a foreground or orphaning deletion on: dependents first, then the finalizer, then the owner."""
        where = self._storage.find_uid(uid)
        record = self._storage.get(*where) if where else None
        if where is None or record is None:
            return
        obj = record.load()
        finalizers: list[str] = obj["metadata"].get("finalizers") or []
        if not obj["metadata"].get("deletionTimestamp") or not {_FOREGROUND, _ORPHAN} & set(finalizers):
            return
        dependents = self._storage.dependents(uid)
        if _ORPHAN in finalizers:
            for dependent in dependents:
                self._release(dependent, uid)
        else:
            for dependent in dependents:
                self._delete_at(dependent, DeleteOptions(propagation="Foreground"))
            if any(self._blocks(dependent, uid) for dependent in self._storage.dependents(uid)):
                return
        self._drop_finalizers(where, obj, {_FOREGROUND, _ORPHAN})

    def _blocks(self, where: Locator, uid: str) -> bool:
        record = self._storage.get(*where)
        owners = record.load()["metadata"].get("ownerReferences") or () if record else ()
        return any(owner["uid"] == uid and owner.get("blockOwnerDeletion") for owner in owners)

    def _release(self, where: Locator, uid: str) -> None:
        record = self._storage.get(*where)
        if record is None:
            return
        obj = record.load()
        kept = [owner for owner in obj["metadata"]["ownerReferences"] if owner["uid"] != uid]
        if kept:
            obj["metadata"]["ownerReferences"] = kept
        else:
            del obj["metadata"]["ownerReferences"]
        self._storage.put(where.key, obj)

    def _drop_finalizers(self, where: Locator, obj: JsonObject, names: set[str]) -> None:
        metadata = obj["metadata"]
        kept = [name for name in list_at(metadata, "finalizers") if name not in names]
        if kept or metadata.get("deletionGracePeriodSeconds"):
            metadata["finalizers"] = kept
            self._storage.put(where.key, obj)
        else:
            self._storage.delete(*where)

    def _end_namespace(self, name: str) -> None:
        for key in self._storage.used_keys():
            for record in self._storage.list(key, name):
                self._delete_at(Locator(key, record.namespace, record.name), DeleteOptions(propagation="Background"))
        self._advance_namespace(name)

    def _advance_namespace(self, name: str) -> None:
        record = self._storage.get("/namespaces", "", name)
        if record is None or b'"deletionTimestamp"' not in record.body:
            return
        obj = record.load()
        if not obj["metadata"].get("deletionTimestamp") or any(
            self._storage.list(key, name) for key in self._storage.used_keys() if key != "/namespaces"
        ):
            return
        if obj["metadata"].get("finalizers"):
            if dig(obj, "spec", "finalizers"):
                obj["spec"]["finalizers"] = []
                self._storage.put("/namespaces", obj)
        else:
            self._storage.delete("/namespaces", "", name)

    def _end_crd(self, name: str) -> None:
        for key in {kind.storage_key for kind in self._registry if kind.crd == name}:
            for record in self._storage.list(key):
                self._delete_at(Locator(key, record.namespace, record.name), DeleteOptions(propagation="Background"))
        self._advance_crd(name)

    def _advance_crd(self, name: str) -> None:
        record = self._storage.get(CRD_KEY, "", name)
        if record is None:
            return
        obj = record.load()
        if not obj["metadata"].get("deletionTimestamp"):
            return
        if not any(self._storage.count(kind.storage_key) for kind in self._registry if kind.crd == name):
            self._drop_finalizers(Locator(CRD_KEY, "", name), obj, {_CRD_CLEANUP})


def _check_preconditions(kind: Kind, obj: JsonObject, options: DeleteOptions) -> None:
    metadata = obj["metadata"]
    for wanted, found, word in (
        (options.uid, metadata["uid"], "UID"),
        (options.resource_version, metadata["resourceVersion"], "ResourceVersion"),
    ):
        if wanted and wanted != found:
            name, fate = metadata["name"], "deleted and then recreated" if word == "UID" else "modified"
            text = f"the {word} in the precondition ({wanted}) does not match the {word} in record ({found})"
            # Preconditions name the kind where every other conflict names the resource.
            raise Conflict(
                f'Operation cannot be fulfilled on {kind.qualified_kind} "{name}": {text}. The object might have been '
                f"{fate}",
                kind=kind.kind, name=name, group=kind.group,
            )  # fmt: skip


def _finalizers_for(kind: Kind, obj: JsonObject, propagation: str) -> list[str]:
    finalizers: list[str] = list(list_at(obj["metadata"], "finalizers"))
    if propagation in ("Foreground", "Orphan"):
        wanted = _FOREGROUND if propagation == "Foreground" else _ORPHAN
        finalizers = [name for name in finalizers if name not in (_FOREGROUND, _ORPHAN)] + [wanted]
    elif propagation == "Background":
        finalizers = [name for name in finalizers if name not in (_FOREGROUND, _ORPHAN)]
    if kind.storage_key == CRD_KEY and _CRD_CLEANUP not in finalizers:
        finalizers.append(_CRD_CLEANUP)
    return finalizers


def _grace_seconds(kind: Kind, obj: JsonObject, asked: int | None) -> int:
    """Return how long the object may still live: Pods on a node as they ask for, everything else not at all."""
    if kind.storage_key != "/pods":
        return 0
    phase = dig(obj, "status", "phase")
    if not dig(obj, "spec", "nodeName") or phase in ("Succeeded", "Failed"):
        return 0
    own = dig(obj, "spec", "terminationGracePeriodSeconds")
    wanted = asked if asked is not None else (30 if own is None else own)
    present = obj["metadata"].get("deletionGracePeriodSeconds")
    return max(0, wanted if present is None else min(wanted, present))


def _set_terminating(crd: JsonObject) -> None:
    status = crd.setdefault("status", {})
    conditions = [item for item in objects_at(status, "conditions") if item["type"] != "Terminating"]
    conditions.append({
        "type": "Terminating", "status": "True", "lastTransitionTime": now(),
        "reason": "InstanceDeletionInProgress", "message": "CustomResource deletion is in progress",
    })  # fmt: skip
    status["conditions"] = conditions
