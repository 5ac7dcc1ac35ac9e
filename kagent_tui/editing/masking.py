"""Keeps the values of Secrets out of texts: placeholders stand for them in the editor, in drafts and in $EDITOR's file.

A value that a person types anew stays in memory (``Typed``) and goes to the cluster and nowhere else. A placeholder
whose value nobody has any more (a draft of another day) is refused, never sent as a value.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

from kagent_api.errors import InvalidSpec, ObjectRef
from kagent_tui.cluster.kinds import SECRET, JsonObject, ref_of
from kagent_tui.cluster.references import mapping

__all__ = ["Typed", "absorb", "is_secret", "masked", "placeholder", "revealed", "unmasked"]

# Values typed in this program, by field and key; never written anywhere.
Typed: TypeAlias = dict[tuple[str, str], str]

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
            field: {key: placeholder(key) if value else value for key, value in mapping(obj.get(field)).items()}
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


def absorb(text: str, typed: Typed) -> str:
    """Take the values out of a Secret's text into ``typed`` and return it with placeholders; comments stay.

    Raises:
        BrokenYaml: values cannot be told apart in broken YAML.
    """
    from kagent_tui.editing.document import parse
    from kagent_tui.editing.source import put

    obj = parse(text).object
    if not is_secret(obj):
        return text
    for field in _FIELDS:
        for key, value in mapping(obj.get(field)).items():
            if value and not (isinstance(value, str) and _PLACEHOLDER.fullmatch(value)):
                typed[field, key] = str(value)
                text = put(text, (field, key), placeholder(key))
    return text


def revealed(obj: JsonObject) -> dict[str, str]:
    """Return a Secret's values in plain text, to be shown and thrown away; what is not text is said to be so."""
    found: dict[str, str] = {key: str(value) for key, value in mapping(obj.get("stringData")).items()}
    for key, value in mapping(obj.get("data")).items():
        try:
            found.setdefault(key, base64.b64decode(str(value), validate=True).decode())
        except ValueError:
            found.setdefault(key, f"({len(str(value))} characters of base64 that are no text)")
    return found


def unmasked(
    obj: JsonObject, original: JsonObject | None, typed: Mapping[tuple[str, str], str] | None = None
) -> JsonObject:
    """Return a Secret with values in place of their placeholders: those typed, else those of ``original``.

    Raises:
        InvalidSpec: a placeholder whose value is not known any more.
    """
    if not is_secret(obj):
        return obj
    known = mapping((original or {}).get("data"))
    result = {**obj, **_with_copy(obj, original or {})}
    for field in _FIELDS:
        if field in obj:
            fresh = {key: value for (where, key), value in (typed or {}).items() if where == field}
            have = {**(known if field == "data" else {}), **fresh}
            result[field] = dict(_values(mapping(obj.get(field)), have, field, ref_of(obj)))
    return result


def _values(values: JsonObject, known: JsonObject, field: str, ref: ObjectRef) -> Iterator[tuple[str, object]]:
    for key, value in values.items():
        found = _PLACEHOLDER.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            yield key, value
        elif found[1] in known:
            yield key, known[found[1]]
        else:
            raise InvalidSpec(
                f"the value of {key!r} is not known any more", ref=ref, field=f"{field}.{key}", remedy="type it again"
            )


def placeholder(key: str) -> str:
    """Return what stands in a text for a value."""
    return f"<hidden value of {key}>"
