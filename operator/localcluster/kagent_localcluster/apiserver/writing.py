"""Create, update, patch and apply: the one path by which objects change, over the wire and in process.

Every call is synchronous and atomic on the event loop: between reading the stored object and writing the new one
nothing else runs, so patches need no retry. A write that changes nothing leaves the resourceVersion alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from kagent_localcluster.apiserver import views
from kagent_localcluster.apiserver.auth.escalation import RBAC_GROUP, refuse_escalation
from kagent_localcluster.apiserver.auth.rbac import Authorizer
from kagent_localcluster.apiserver.auth.users import User
from kagent_localcluster.apiserver.builtin.strategies import accept_definition, prepare
from kagent_localcluster.apiserver.jsonvalue import copy_json, is_array, is_object, object_at
from kagent_localcluster.apiserver.kinds import Kind
from kagent_localcluster.apiserver.meta import generate_name, new_uid, now
from kagent_localcluster.apiserver.patching.managed import Manager, apply_config, read_entries, track_part, track_update
from kagent_localcluster.apiserver.patching.typed import type_problems
from kagent_localcluster.apiserver.records import Record
from kagent_localcluster.apiserver.refusals import conflict, invalid, modified, not_found
from kagent_localcluster.apiserver.storage import Storage
from kagent_localcluster.apiserver.validating import (
    check_envelope,
    decode,
    empty_object,
    forget_status,
    judge,
    shape,
    shape_part,
)
from kagent_localcluster.errors import (
    AlreadyExists,
    BadRequest,
    Cause,
    Forbidden,
    Invalid,
    NotFound,
    NotTyped,
    Unclassified,
    Undecodable,
)
from kagent_localcluster.seams import JsonObject

__all__ = ["WriteOptions", "Writer", "Written"]

CRD_KEY = "apiextensions.k8s.io/customresourcedefinitions"

# Kinds whose strategy counts generations; custom resources always do.
_COUNTED = frozenset({
    "/pods", "apps/deployments", "apps/replicasets", "batch/jobs", "batch/cronjobs", "networking.k8s.io/ingresses",
    "networking.k8s.io/networkpolicies", "policy/poddisruptionbudgets", CRD_KEY,
})  # fmt: skip

# Kinds that refuse an update without resourceVersion; custom resources do too.
_CONDITIONAL = frozenset({"coordination.k8s.io/leases", CRD_KEY})

# Kinds that an update makes where there is none.
_MADE_BY_UPDATE = frozenset({
    "/services", "/endpoints", "/events", "coordination.k8s.io/leases", "rbac.authorization.k8s.io/roles",
    "rbac.authorization.k8s.io/clusterroles", "rbac.authorization.k8s.io/rolebindings",
    "rbac.authorization.k8s.io/clusterrolebindings",
})  # fmt: skip

# What of the metadata an apply to a subresource may name; the rest of the object is not its matter.
_IDENTITY = frozenset({"name", "namespace", "uid", "resourceVersion"})

_SERVER_METADATA = (
    "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "name", "namespace",
)  # fmt: skip


@dataclass(frozen=True)
class WriteOptions:
    """How a write was asked for; ``validation`` is Ignore, Warn or Strict, ``user`` None this process itself."""

    manager: str = "local-cluster"
    dry_run: bool = False
    validation: str = "Warn"
    subresource: str = ""
    user: User | None = None
    # Fields that stood twice in the body.
    duplicates: tuple[str, ...] = ()
    # The subresource by which the object itself is changed (scale).
    through: str = ""


class Written(NamedTuple):
    """The object after a write, as the kind's version shows it."""

    obj: JsonObject
    created: bool = False
    warnings: tuple[str, ...] = ()


class Writer:
    """Applies the rules of the API to writes. ``finish`` removes an object whose last finalizer has gone."""

    def __init__(
        self, storage: Storage, authorizer: Authorizer, finish: Callable[[Kind, JsonObject], JsonObject]
    ) -> None:
        self._storage = storage
        self._authorizer = authorizer
        self._finish = finish

    def create(self, kind: Kind, namespace: str, body: JsonObject, options: WriteOptions) -> Written:
        """Store a new object.

        Raises:
            BadRequest, NotFound (namespace), Forbidden (namespace ends), AlreadyExists, Invalid.
        """
        obj = _envelope(kind, namespace, body)
        metadata = obj["metadata"]
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = generate_name(metadata["generateName"])
        obj, warnings = decode(kind, obj, options.validation, options.duplicates)
        metadata = obj["metadata"]
        if not metadata.get("name"):
            message = "Required value: name or generateName is required"
            raise invalid(kind, "", [Cause("metadata.name", message, "FieldValueRequired")])
        if metadata.get("resourceVersion"):
            raise Unclassified("resourceVersion should not be set on objects to be created")
        self._check_namespace(kind, namespace)
        for field in ("deletionTimestamp", "deletionGracePeriodSeconds", "resourceVersion", "selfLink"):
            metadata.pop(field, None)
        metadata["uid"] = new_uid()
        metadata["creationTimestamp"] = now()
        if kind.crd or kind.storage_key in _COUNTED:
            metadata["generation"] = 1
        if "status" in kind.subresources:
            forget_status(kind, obj)
        shape(kind, obj)
        entries, manager = read_entries(metadata), Manager(options.manager, "Update")
        managed = track_update(kind.schema, obj, empty_object(kind), entries, manager, ignored=_reset(kind))
        if not kind.crd:
            prepare(kind.storage_key, obj, None)
        judge(kind, obj, None)
        self._refuse_escalation(kind, obj, None, options)
        if self._storage.get(kind.storage_key, namespace, metadata["name"]) is not None:
            raise AlreadyExists(
                f'{kind.qualified} "{metadata["name"]}" already exists',
                kind=kind.plural, name=metadata["name"], group=kind.group,
            )  # fmt: skip
        metadata["managedFields"] = managed
        return self._store(kind, obj, options, created=True, warnings=warnings)

    def update(self, kind: Kind, namespace: str, name: str, body: JsonObject, options: WriteOptions) -> Written:
        """Replace an object or, with ``subresource="status"``, its status.

        Raises:
            BadRequest, NotFound, Conflict, Invalid.
        """
        if options.subresource and options.user is None:
            body = _part(body, options.subresource)
        obj = _envelope(kind, namespace, body)
        given = obj["metadata"].get("name")
        if not given:
            raise BadRequest(f"the name of the object ({name} based on URL) was undeterminable: name must be provided")
        if given != name:
            raise BadRequest(f"the name of the object ({given}) does not match the name on the URL ({name})")
        if kind.storage_key in _MADE_BY_UPDATE and not options.subresource:
            record = self._storage.get(kind.storage_key, namespace, name)
            if record is None and not obj["metadata"].get("resourceVersion"):
                return self.create(kind, namespace, body, options)
        obj, warnings = decode(kind, obj, options.validation, options.duplicates)
        old = self._load(kind, namespace, name)
        if not obj["metadata"].get("resourceVersion") and (kind.crd or kind.storage_key in _CONDITIONAL):
            message = "Invalid value: 0: must be specified for an update"
            named = replace(kind, kind=kind.plural) if kind.crd else kind
            raise invalid(named, name, [Cause("metadata.resourceVersion", message)])
        return self._change(kind, old, obj, options, warnings)

    def patch(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        change: Callable[[JsonObject], JsonObject],
        options: WriteOptions,
    ) -> Written:
        """Store what ``change`` makes of the present object; it must not change its argument.

        Raises:
            NotFound, Conflict, Invalid, and whatever ``change`` raises.
        """
        old = self._load(kind, namespace, name)
        changed = change(old)
        _refuse_identity_changes(kind, changed, old)
        obj = _envelope(kind, namespace, changed, patched=True)
        if obj["metadata"].get("name") != name:
            raise BadRequest(
                f"the name of the object ({obj['metadata'].get('name')}) does not match the name on the URL ({name})"
            )
        try:
            obj, warnings = decode(kind, obj, options.validation)
        except Undecodable as error:
            raise _not_patched(error) from error
        return self._change(kind, old, obj, options, warnings)

    def apply(
        self, kind: Kind, namespace: str, name: str, config: JsonObject, options: WriteOptions, *, force: bool
    ) -> Written:
        """Apply a configuration server-side, creating the object when there is none.

        Raises:
            BadRequest, NotFound (namespace, or a subresource of no object), Conflict, Invalid.
        """
        given = config.get("apiVersion") or "", config.get("kind") or ""
        if not all(given):
            group, _, version = str(given[0]).rpartition("/")
            raise BadRequest(f"invalid object type: {group}/{version}, Kind={given[1]}")
        obj = _envelope(kind, namespace, config, typed=True)
        metadata = obj["metadata"]
        if metadata.setdefault("name", name) != name:
            raise BadRequest(f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})")
        if metadata.get("managedFields") is not None:
            raise BadRequest("metadata.managedFields must be nil")
        if problems := type_problems(kind.schema, obj):
            raise _not_typed(kind, config, problems)
        warnings: list[str] = []
        record = self._storage.get(kind.storage_key, namespace, name)
        if record is None and options.subresource:
            raise not_found(kind, name)
        if record is None and (uid := metadata.get("uid")):
            reason = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
            raise conflict(kind, name, reason)
        live = views.load(kind, record) if record else empty_object(kind)
        manager = Manager(options.manager, "Apply", options.subresource)
        if version := metadata.pop("resourceVersion", ""):
            _check_version(kind, name, version, live)
        if options.subresource:
            obj = {key: obj[key] for key in ("apiVersion", "kind", "metadata", options.subresource) if key in obj}
            metadata = obj["metadata"] = {key: value for key, value in metadata.items() if key in _IDENTITY}
        elif "status" in kind.subresources:
            obj.pop("status", None)
        config_meta = {key: value for key, value in metadata.items() if key not in ("creationTimestamp", "uid")}
        ignored = "" if options.subresource else _reset(kind)
        config = {**obj, "metadata": config_meta}
        applied = apply_config(kind.schema, live, config, manager, force=force, ignored=ignored)
        try:
            new, _ = decode(kind, copy_json(applied.obj), "Ignore")
        except Undecodable as error:
            raise NotTyped(f"failed to convert new object ({name}) to proper version: {error.message}") from error
        if record is not None:
            new["metadata"]["managedFields"] = applied.managed
            return self._change(kind, live, new, options, warnings, managed=applied.managed)
        new["metadata"]["managedFields"] = applied.managed
        created = self.create(kind, namespace, new, replace(options, dry_run=True, validation="Ignore"))
        # Defaults belong to nobody after an apply: only what was applied is owned.
        created.obj["metadata"]["managedFields"] = applied.managed
        return self._store(kind, created.obj, options, created=True, warnings=warnings)

    def _load(self, kind: Kind, namespace: str, name: str) -> JsonObject:
        record = self._storage.get(kind.storage_key, namespace, name)
        if record is None:
            raise not_found(kind, name)
        return views.load(kind, record)

    def _check_namespace(self, kind: Kind, namespace: str) -> None:
        if not kind.namespaced:
            return
        record = self._storage.get("/namespaces", "", namespace)
        if record is None:
            raise NotFound(f'namespaces "{namespace}" not found', kind="namespaces", name=namespace)
        if b'"deletionTimestamp"' in record.body and record.load()["metadata"].get("deletionTimestamp"):
            cause = Cause("metadata.namespace", f"namespace {namespace} is being terminated", "NamespaceTerminating")
            message = f"unable to create new content in namespace {namespace} because it is being terminated"
            raise Forbidden(
                f"{kind.qualified} is forbidden: {message}",
                kind=kind.plural, group=kind.group,
                causes=(cause,),
            )  # fmt: skip

    def _refuse_escalation(self, kind: Kind, new: JsonObject, old: JsonObject | None, options: WriteOptions) -> None:
        if kind.group == RBAC_GROUP and options.user is not None:
            refuse_escalation(self._authorizer, self._storage, options.user, new, old)

    def _change(
        self,
        kind: Kind,
        old: JsonObject,
        new: JsonObject,
        options: WriteOptions,
        warnings: list[str],
        *,
        managed: list[JsonObject] | None = None,
    ) -> Written:
        name = old["metadata"]["name"]
        _check_version(kind, name, new["metadata"].get("resourceVersion"), old)
        if (uid := new["metadata"].get("uid")) and uid != old["metadata"]["uid"]:
            raise conflict(
                kind,
                name,
                f"Precondition failed: UID in precondition: {uid}, UID in object meta: {old['metadata']['uid']}",
            )
        if options.subresource == "status":
            return self._change_status(kind, old, new, options, warnings, managed)
        new = _carry_over(kind, old, new, options.subresource)
        shape(kind, new)
        if managed is None:
            entries = _chosen_entries(new["metadata"], old["metadata"])
            manager = Manager(options.manager, "Update", options.subresource or options.through)
            managed = track_update(kind.schema, new, old, entries, manager, ignored=_reset(kind))
        if not kind.crd:
            prepare(kind.storage_key, new, old)
        judge(kind, new, old)
        self._refuse_escalation(kind, new, old, options)
        metadata = new["metadata"]
        counted = kind.crd or kind.storage_key in _COUNTED
        if counted and _spec_changed(kind, new, old):
            metadata["generation"] = old["metadata"].get("generation", 1) + 1
        metadata["managedFields"] = managed
        metadata["resourceVersion"] = old["metadata"]["resourceVersion"]
        if _same(new, old):
            return Written(old, warnings=tuple(warnings))
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers") and not _has_grace(metadata):
            return Written(new if options.dry_run else self._finish(kind, new), warnings=tuple(warnings))
        return self._store(kind, new, options, created=False, warnings=warnings)

    def _change_status(
        self,
        kind: Kind,
        old: JsonObject,
        sent: JsonObject,
        options: WriteOptions,
        warnings: list[str],
        managed: list[JsonObject] | None,
    ) -> Written:
        """Store a status: nothing else is looked at, which is most of what such a write would cost."""
        new: JsonObject = {**old, "metadata": {**old["metadata"]}}
        new.pop("status", None)
        if (status := sent.get("status")) is not None:
            new["status"] = status
            shape_part(kind, "status", status)
        if kind.storage_key == "apps/deployments" and "annotations" in sent["metadata"]:
            new["metadata"]["annotations"] = sent["metadata"]["annotations"]  # its controller's revision: no generation
        if kind.crd:
            judge(kind, new, old)
        else:
            prepare(kind.storage_key, new, old)
        metadata = new["metadata"]
        if managed is None:
            manager = Manager(options.manager, "Update", "status")
            entries: list[JsonObject] = (
                sent["metadata"].get("managedFields") or old["metadata"].get("managedFields") or []
            )
            managed = track_part(kind.schema, "status", new, old, entries, manager)
        metadata["managedFields"] = managed
        if _same(new, old):
            return Written(old, warnings=tuple(warnings))
        return self._store(kind, new, options, created=False, warnings=warnings)

    def _store(
        self, kind: Kind, obj: JsonObject, options: WriteOptions, *, created: bool, warnings: list[str]
    ) -> Written:
        if kind.storage_key == CRD_KEY:
            accept_definition(obj)
        if not obj["metadata"].get("managedFields"):
            obj["metadata"].pop("managedFields", None)
        if not options.dry_run:
            stored = views.to_stored(kind, obj)
            record: Record = self._storage.put(kind.storage_key, stored)
            if not views.shows_stored(kind):
                obj = views.load(kind, record)
        return Written(obj, created, tuple(warnings))


def _not_patched(error: Undecodable) -> Invalid:
    """Return the refusal of a patch whose outcome does not decode."""
    cause = Cause("patch", f"Invalid value: {error.message}")
    return Invalid(f' "" is invalid: patch: {cause.message}', causes=(cause,))


def _not_typed(kind: Kind, obj: JsonObject, problems: list[str]) -> NotTyped:
    metadata: JsonObject = object_at(obj, "metadata")
    where = f"{metadata.get('namespace', '')}/{metadata.get('name', '')}; {kind.api_version}, Kind={kind.kind}"
    listed = problems[0] if len(problems) == 1 else "errors:\n" + "\n".join(f"  {problem}" for problem in problems)
    return NotTyped(f"failed to create typed patch object ({where}): {listed}")


def _envelope(
    kind: Kind, namespace: str, body: JsonObject, *, patched: bool = False, typed: bool = False
) -> JsonObject:
    """Return a copy with type and namespace filled in from the URL, which the body must not contradict.

    Metadata of wrong types is refused here; a ``typed`` configuration is about to be judged as a whole.
    """
    try:
        obj = copy_json(body)
    except TypeError as error:
        raise BadRequest(f"the object cannot be written as JSON: {error}") from error
    given = (obj.setdefault("apiVersion", kind.api_version), obj.setdefault("kind", kind.kind))
    # Empty strings come from Go clients that leave the type out.
    obj["apiVersion"], obj["kind"] = given[0] or kind.api_version, given[1] or kind.kind
    if (obj["apiVersion"], obj["kind"]) != (kind.api_version, kind.kind):
        found = obj["apiVersion"]
        raise BadRequest(
            f"the API version in the data ({found}) does not match the expected API version ({kind.api_version})"
            if obj["kind"] == kind.kind
            else f'no kind "{obj["kind"]}" is registered here: this resource holds {kind.kind} of {kind.api_version}'
        )
    metadata: Any = obj.get("metadata")
    if metadata is None:
        metadata = obj["metadata"] = {}
    if not is_object(metadata):
        raise BadRequest(f"{kind.kind}: metadata must be an object")
    try:
        check_envelope(kind, metadata)
    except Undecodable as error:
        if patched:
            raise _not_patched(error) from error
        if not typed:
            raise
        raise _not_typed(kind, obj, type_problems(kind.schema, obj)) from error
    if not kind.namespaced:
        metadata.pop("namespace", None)
    elif metadata.get("namespace") not in (None, "", namespace):
        raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")
    else:
        metadata["namespace"] = namespace
    return obj


def _refuse_identity_changes(kind: Kind, changed: JsonObject, old: JsonObject) -> None:
    """Refuse a patch of what makes the object this object: its type, uid and deletion.

    Raises:
        Invalid: naming the field.
    """
    given = (changed.get("apiVersion"), changed.get("kind"))
    if given != (old["apiVersion"], old["kind"]):
        raise _not_patched(Undecodable(f"{given[1]} of {given[0]} is no {kind.kind} of {kind.api_version}"))
    metadata: Any = changed.get("metadata")
    if not is_object(metadata):
        return
    former = old["metadata"]
    causes: list[Cause] = []
    for field in ("uid", "deletionTimestamp"):
        value = metadata.get(field)
        if isinstance(value, str) and value and value != former.get(field):
            causes.append(Cause(f"metadata.{field}", f'Invalid value: "{value}": field is immutable'))
    if causes:
        raise invalid(kind, former["name"], causes)


def _reset(kind: Kind) -> str:
    """Return the field that writes to the object itself cannot change, "" for none."""
    return "status" if "status" in kind.subresources else ""


def _check_version(kind: Kind, name: str, version: str | None, live: JsonObject) -> None:
    if version and not version.isdecimal():
        raise Unclassified(f'strconv.ParseUint: parsing "{version}": invalid syntax')
    if version and version != live["metadata"].get("resourceVersion"):
        raise modified(kind, name)


def _carry_over(kind: Kind, old: JsonObject, new: JsonObject, subresource: str) -> JsonObject:
    """Return the new object with everything the request may not change taken from the old one."""
    if subresource:
        # A status write changes nothing else; finalize is a namespace's way to drop spec.finalizers.
        field = "spec" if subresource == "finalize" else "status"
        managed = new["metadata"].get("managedFields")
        changed = new.get(field)
        new = copy_json(old)
        if changed is None:
            new.pop(field, None)
        else:
            new[field] = changed
        if managed is not None:
            new["metadata"]["managedFields"] = managed
        return new
    metadata, former = new["metadata"], old["metadata"]
    for field in _SERVER_METADATA:
        metadata.pop(field, None)
        if field in former:
            metadata[field] = former[field]
    if former.get("deletionTimestamp") and (added := _added_finalizers(metadata, former)):
        shown = ", ".join(added)
        message = f"no new finalizers can be added if the object is being deleted, found new finalizers {shown}"
        cause = Cause("metadata.finalizers", f"Forbidden: {message}", "FieldValueForbidden")
        raise invalid(kind, metadata["name"], [cause])
    if "status" in kind.subresources:
        new.pop("status", None)
        if "status" in old:
            new["status"] = copy_json(old["status"])
    return new


def _part(body: JsonObject, field: str) -> JsonObject:
    """Return what a write of this process to a subresource is about; the rest of the body was read from here."""
    metadata = object_at(body, "metadata")
    kept = {key: metadata[key] for key in (*_IDENTITY, "annotations") if key in metadata}
    return {**{key: body[key] for key in ("apiVersion", "kind", field) if key in body}, "metadata": kept}


def _added_finalizers(metadata: JsonObject, former: JsonObject) -> list[str]:
    return [name for name in metadata.get("finalizers") or () if name not in (former.get("finalizers") or ())]


def _chosen_entries(metadata: JsonObject, former: JsonObject) -> list[Any]:
    """Return the entries a write starts from: those it sent, or the stored ones when it sent none."""
    sent = metadata.get("managedFields")
    if is_array(sent) and sent:
        # [{}] asks for a fresh start.
        return read_entries(metadata)
    return read_entries(former)


def _has_grace(metadata: JsonObject) -> bool:
    return bool(metadata.get("deletionGracePeriodSeconds"))


def _spec_changed(kind: Kind, new: JsonObject, old: JsonObject) -> bool:
    if kind.storage_key == "apps/deployments" and new["metadata"].get("annotations") != old["metadata"].get(
        "annotations"
    ):
        return True
    if kind.storage_key == "/pods" and not old["spec"].get("nodeName"):
        # To be put on a node is no change of what is wanted.
        return {**new["spec"], "nodeName": ""} != {**old["spec"], "nodeName": ""}
    ignored = {"metadata", "status"} if "status" in kind.subresources else {"metadata"}
    return any(new.get(key) != old.get(key) for key in {*new, *old} - ignored)


def _same(new: JsonObject, old: JsonObject) -> bool:
    """Tell whether a write changed nothing; times of managedFields entries are no change."""
    if any(new.get(key) != old.get(key) for key in {*new, *old} - {"metadata"}):
        return False
    first, second = new["metadata"], old["metadata"]
    if any(first.get(key) != second.get(key) for key in {*first, *second} - {"managedFields"}):
        return False
    return _timeless(first) == _timeless(second)


def _timeless(metadata: JsonObject) -> list[JsonObject]:
    entries: list[JsonObject] = metadata.get("managedFields") or []
    return [{key: value for key, value in entry.items() if key != "time"} for entry in entries]
