"""Make the cluster hold what we want: create, update, delete - and write nothing when it already does.

An object is ours when its owner reference names our owner's uid. Anything else of that name is reported and left alone.
What we last wanted is remembered as a hash in an annotation, so that a removed field is noticed; what others changed is
noticed by comparing. Labels, annotations and fields that others added stay (autoscalers, rollout restarts, meshes).
"""

from __future__ import annotations

import asyncio
import base64
import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol, cast

from kagent_api.errors import ObjectRef, TransientError
from kagent_api.kube import NotFound, Resource
from kagent_api.kube.resources import CONFIGMAPS, DEPLOYMENTS, SECRETS, SERVICEACCOUNTS, SERVICES
from kagent_api.names import OWN_GROUP
from kagent_operator.errors import ForeignObject
from kagent_operator.reconcile.cache import Cache, View
from kagent_operator.reconcile.keys import Key, key_of
from kagent_operator.translate.fields import JsonObject, mapping, rows, string_map, text

__all__ = ["APPLIED", "OWNED_RESOURCES", "KubeWriter", "Writer", "matches"]

APPLIED: Final = f"{OWN_GROUP}/applied"
_BEFORE_PODS: Final = {"Secret", "ConfigMap", "ServiceAccount"}
_MANAGERS: Final = {"kagent", "kmcp"}
OWNED_RESOURCES: Final[dict[str, Resource]] = {
    resource.kind: resource for resource in (SECRETS, SERVICEACCOUNTS, CONFIGMAPS, DEPLOYMENTS, SERVICES)
}


class KubeWriter(Protocol):
    """The writing half of KubeClient."""

    async def create(self, resource: Resource, obj: JsonObject) -> JsonObject: ...

    async def update(self, resource: Resource, obj: JsonObject) -> JsonObject: ...

    async def patch(
        self, resource: Resource, name: str, body: JsonObject, namespace: str | None = None, *, subresource: str = ""
    ) -> JsonObject: ...

    async def delete(
        self, resource: Resource, name: str, namespace: str | None = None, *, uid: str = ""
    ) -> JsonObject: ...


class Writer:
    """Applies desired objects for their owners."""

    def __init__(self, client: KubeWriter, cache: Cache) -> None:
        self._client = client
        self._cache = cache
        # What the server made of our update where that is not what we asked for (a mutating webhook): not fought over.
        self._settled: dict[Key, tuple[str, str]] = {}

    async def ensure(
        self, owner: JsonObject, desired: Sequence[JsonObject], view: View, *, made_from: Sequence[JsonObject] = ()
    ) -> None:
        """Create or update objects: what Pods mount first, then what starts and finds them, each group at once.

        ``made_from`` are live objects from which the desired ones of their names were made (they keep a word of them):
        when they have changed meanwhile, that is a Conflict, and not ours to overwrite.

        Raises ForeignObject (that object is not written, nor any of a later group), Conflict and the client's other
        errors; of several the first.
        """
        bases = {key_of(obj): obj for obj in made_from}
        for kinds in (_BEFORE_PODS, set(OWNED_RESOURCES) - _BEFORE_PODS):
            writes = [self._ensure_one(owner, _as_stored(obj), view, bases) for obj in desired if obj["kind"] in kinds]
            for outcome in await asyncio.gather(*writes, return_exceptions=True):
                if outcome is not None:
                    raise outcome

    async def prune(self, owner: JsonObject, wanted: set[Key]) -> None:
        """Delete what was made for an owner and is no longer wanted; what others hung on the owner stays."""
        namespace = text(owner, "metadata", "namespace")
        for key in sorted(self._cache.owned(text(owner, "metadata", "uid")) - wanted):
            if key.kind in OWNED_RESOURCES and key.namespace == namespace:
                await self._delete(key)

    async def _ensure_one(
        self, owner: JsonObject, desired: JsonObject, view: View, bases: Mapping[Key, JsonObject]
    ) -> None:
        key = key_of(desired)
        resource = OWNED_RESOURCES[key.kind]
        live = bases.get(key) or view.get(*key)
        digest = _digest(desired)
        annotated = copy.deepcopy(desired)
        annotated["metadata"].setdefault("annotations", {})[APPLIED] = digest
        if live is None:
            self._cache.remember(await self._client.create(resource, annotated))
            return
        _check_owner(live, owner, key)
        current = string_map(live, "metadata", "annotations").get(APPLIED) == digest
        if current and (matches(desired, live) or self._settled.get(key) == (digest, _digest(_content(live)))):
            return
        updated = await self._client.update(resource, _merged(annotated, live))
        self._cache.remember(updated)
        if matches(desired, updated):
            self._settled.pop(key, None)
        else:
            self._settled[key] = (digest, _digest(_content(updated)))

    async def _delete(self, key: Key) -> None:
        live = self._cache.get(key)
        if live is None or text(live, "metadata", "deletionTimestamp") or not _made_by_controller(live):
            return
        try:
            await self._client.delete(
                OWNED_RESOURCES[key.kind], key.name, key.namespace, uid=text(live, "metadata", "uid")
            )
        except NotFound:
            return


def _made_by_controller(live: JsonObject) -> bool:
    """Tell whether we, or upstream's controllers before us, made an object."""
    return (
        APPLIED in string_map(live, "metadata", "annotations")
        or text(live, "metadata", "labels", "app.kubernetes.io/managed-by") in _MANAGERS
    )


def _check_owner(live: JsonObject, owner: JsonObject, key: Key) -> None:
    references = rows(live, "metadata", "ownerReferences")
    uid = text(owner, "metadata", "uid")
    if any(text(reference, "uid") == uid for reference in references):
        return
    ref = ObjectRef(text(owner, "kind"), text(owner, "metadata", "namespace"), text(owner, "metadata", "name"))
    same_name = [r for r in references if (text(r, "kind"), text(r, "name")) == (ref.kind, ref.name)]
    if same_name:
        raise TransientError(f"{key} of the {ref.kind} that had this name before is still being removed", ref=ref)
    raise ForeignObject(
        f"{key} exists and does not belong to this {ref.kind}; it is left as it is",
        ref=ref,
        remedy=f"rename the {ref.kind}, or delete or rename the {key.kind}",
    )


def _as_stored(obj: JsonObject) -> JsonObject:
    """Return an object as the server keeps it: no status, no stringData."""
    stored = {key: value for key, value in obj.items() if key not in {"status", "stringData"}}
    if "stringData" in obj:
        stored["data"] = {
            key: base64.b64encode(value.encode()).decode() for key, value in string_map(obj, "stringData").items()
        }
    return stored


def _digest(obj: JsonObject) -> str:
    # A Secret's values stay out: a hash of a short one could be guessed. They are compared directly.
    content = {key: value for key, value in obj.items() if key != "data" or obj.get("kind") == "ConfigMap"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _content(live: JsonObject) -> JsonObject:
    return {key: value for key, value in live.items() if key not in {"metadata", "status"}}


def matches(desired: object, live: object) -> bool:
    """Tell whether what we want is there; the server's defaults do not count, nor do empty fields that it drops."""
    if isinstance(desired, dict):
        if not isinstance(live, dict):
            return not desired and live is None
        wanted, found = cast(dict[str, Any], desired), cast(dict[str, Any], live)
        # The keys of data are all ours; in every other object the server and others may add some.
        for key in ("data",):
            if key in wanted and set(mapping(wanted, key)) != set(mapping(found, key)):
                return False
        # Empty text is unset text to Go: the server may have put its default there.
        return all(
            value == "" or matches(value, found[key]) if key in found else _empty(value)
            for key, value in wanted.items()
        )
    if isinstance(desired, list):
        entries = cast(list[object], desired)
        there = cast(list[object], live) if isinstance(live, list) else []
        return len(entries) == len(there) and all(map(matches, entries, there))
    return desired == live


def _empty(value: object) -> bool:
    return value is None or value is False or value in ("", 0) or value == {} or value == []


def _merged(desired: JsonObject, live: JsonObject) -> JsonObject:
    """Return the live object with our part replaced; its resourceVersion makes a lost race a Conflict."""
    merged = {key: value for key, value in copy.deepcopy(live).items() if key != "status"}
    merged["metadata"] = _merged_meta(desired["metadata"], merged["metadata"])
    kind = desired["kind"]
    if kind in {"ConfigMap", "Secret"}:
        merged.pop("binaryData", None)
        merged["data"] = desired.get("data") or {}
    elif kind in {"Service", "Deployment"}:
        spec: JsonObject = {**mapping(merged, "spec"), **copy.deepcopy(desired["spec"])}
        if kind == "Deployment":
            spec["selector"] = mapping(live, "spec", "selector")  # immutable
            template = mapping(live, "spec", "template", "metadata")
            spec["template"]["metadata"] = {
                **template,
                "labels": {**string_map(template, "labels"), **string_map(spec["template"], "metadata", "labels")},
                "annotations": {
                    **string_map(template, "annotations"),
                    **string_map(spec["template"], "metadata", "annotations"),
                },
            }
        merged["spec"] = spec
    return merged


def _merged_meta(desired: JsonObject, live: JsonObject) -> JsonObject:
    meta = dict(live)
    for key in ("labels", "annotations"):
        if combined := {**string_map(live, key), **string_map(desired, key)}:
            meta[key] = combined
    ours = rows(desired, "ownerReferences")
    uids = {text(reference, "uid") for reference in ours}
    meta["ownerReferences"] = [r for r in rows(live, "ownerReferences") if text(r, "uid") not in uids] + ours
    return meta
