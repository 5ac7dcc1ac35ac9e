"""Keeps the values of Secrets out of texts: placeholders stand for them in the editor, in drafts and in $EDITOR's file.

A value that a person types anew goes to the cluster and nowhere else. A placeholder whose value nobody has any more
(a draft of another day) is refused, never sent as a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from kagent_api.errors import InvalidSpec, ObjectRef
from kagent_tui.cluster.kinds import SECRET, JsonObject, ref_of
from kagent_tui.cluster.references import mapping

__all__ = ["is_secret", "masked", "unmasked"]

_FIELDS: Final = ("data", "stringData")
# kubectl apply keeps the whole object there, values and all.
_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_PLACEHOLDER: Final = re.compile(r"<hidden value of ([^<>]+)>")


def is_secret(obj: JsonObject) -> bool:
    """Tell whether an object's values must never be written down."""
    return obj.get("kind") == SECRET


def masked(obj: JsonObject) -> JsonObject:
    """Return a Secret with a placeholder for every value and without kubectl's copy of it; anything else as it is."""
    if not is_secret(obj):
        return obj
    return {
        **obj,
        **_without_copy(obj),
        **{
            field: {key: _placeholder(key) if value else value for key, value in mapping(obj.get(field)).items()}
            for field in _FIELDS
            if field in obj
        },
    }


def _without_copy(obj: JsonObject) -> JsonObject:
    meta = mapping(obj.get("metadata"))
    if _LAST_APPLIED not in mapping(meta.get("annotations")):
        return {}
    kept = {key: value for key, value in mapping(meta["annotations"]).items() if key != _LAST_APPLIED}
    bare = {key: value for key, value in meta.items() if key != "annotations"}
    return {"metadata": {**bare, **({"annotations": kept} if kept else {})}}


def _with_copy(obj: JsonObject, original: JsonObject) -> JsonObject:
    """Return the metadata with kubectl's copy as it was: leaving it out of a text must not delete it."""
    copy = mapping(mapping(original.get("metadata")).get("annotations")).get(_LAST_APPLIED)
    if copy is None:
        return {}
    meta = mapping(obj.get("metadata"))
    return {"metadata": {**meta, "annotations": {_LAST_APPLIED: copy, **mapping(meta.get("annotations"))}}}


def unmasked(obj: JsonObject, original: JsonObject | None) -> JsonObject:
    """Return a Secret with the values of ``original`` in place of their placeholders.

    Raises:
        InvalidSpec: a placeholder whose value is not known any more.
    """
    if not is_secret(obj):
        return obj
    known = mapping((original or {}).get("data"))
    result = {**obj, **_with_copy(obj, original or {})}
    for field in _FIELDS:
        if field in obj:
            result[field] = dict(_values(mapping(obj.get(field)), known, field, ref_of(obj)))
    return result


def _values(values: JsonObject, known: JsonObject, field: str, ref: ObjectRef) -> Iterator[tuple[str, object]]:
    for key, value in values.items():
        found = _PLACEHOLDER.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            yield key, value
        elif field == "data" and found[1] in known:
            yield key, known[found[1]]
        else:
            raise InvalidSpec(
                f"the value of {key!r} is not known any more", ref=ref, field=f"{field}.{key}", remedy="type it again"
            )


def _placeholder(key: str) -> str:
    return f"<hidden value of {key}>"
