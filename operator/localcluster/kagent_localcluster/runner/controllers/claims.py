"""Which objects a controller owns: adopted and released by their labels, as every controller of Kubernetes does it.

An object without a controller that the selector matches is taken over; one whose labels no longer match is let go and
lives on by itself. Taking a Pod out of its Deployment to look at it (``kubectl label pod NAME app-``) rests on this.
"""

from __future__ import annotations

from kagent_localcluster.errors import Conflict, NotFound
from kagent_localcluster.runner.fields import items, key_of, labels_of, mapping, text, uid_of
from kagent_localcluster.runner.informer import Informer
from kagent_localcluster.runner.metadata import controller_uid, is_deleted, owner_reference, selector_matches
from kagent_localcluster.seams import JsonObject, Objects

__all__ = ["claim", "would_claim"]


def claim(objects: Objects, candidates: Informer, owner: JsonObject, api_version: str, kind: str) -> list[JsonObject]:
    """Adopt and release what the owner's labels say; return what it controls now, whatever its state.

    An owner that is being deleted adopts and releases nothing. A candidate that changed meanwhile is left for the next
    reconcile, which its change brings about.
    """
    selector = mapping(owner, "spec", "selector")
    claimed: list[JsonObject] = []
    for obj in candidates.owned_by(uid_of(owner)):
        if controller_uid(obj) != uid_of(owner):
            continue
        if is_deleted(owner) or selector_matches(selector, obj):
            claimed.append(obj)
        elif not is_deleted(obj):
            _release(objects, candidates, owner, obj)
    if is_deleted(owner):
        return claimed
    namespace = key_of(owner).namespace
    for obj in candidates.owned_by(""):
        if key_of(obj).namespace == namespace and would_claim(owner, obj):
            adopted = _adopt(objects, candidates, owner_reference(owner, api_version, kind), obj)
            claimed += [adopted] if adopted is not None else []
    return claimed


def would_claim(owner: JsonObject, obj: JsonObject) -> bool:
    """Tell whether an owner takes over an object that nobody controls."""
    if controller_uid(obj) or is_deleted(obj) or text(obj, "status", "phase") in ("Succeeded", "Failed"):
        return False
    return bool(labels_of(obj)) and selector_matches(mapping(owner, "spec", "selector"), obj)


def _adopt(objects: Objects, candidates: Informer, reference: JsonObject, obj: JsonObject) -> JsonObject | None:
    others = [one for one in items(obj, "metadata", "ownerReferences") if one.get("uid") != reference["uid"]]
    return _store(objects, candidates, obj, [*others, reference])


def _release(objects: Objects, candidates: Informer, owner: JsonObject, obj: JsonObject) -> None:
    left = [one for one in items(obj, "metadata", "ownerReferences") if one.get("uid") != uid_of(owner)]
    _store(objects, candidates, obj, left)


def _store(objects: Objects, candidates: Informer, obj: JsonObject, references: list[JsonObject]) -> JsonObject | None:
    body = {**obj, "metadata": {**obj["metadata"], "ownerReferences": references}}
    try:
        stored = objects.update(candidates.resource, *key_of(obj), body)
    except (Conflict, NotFound):
        return None
    candidates.note_created(stored)
    return stored
