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
_PLACEHOLDER: Final = re.compile(r"<hidden value of ([^<>]+)>")


def is_secret(obj: JsonObject) -> bool:
    """Tell whether an object's values must never be written down."""
    return obj.get("kind") == SECRET


def masked(obj: JsonObject) -> JsonObject:
    """Return a Secret with a placeholder for every value; anything else as it is."""
    if not is_secret(obj):
        return obj
    return {
        **obj,
        **{
            field: {key: _placeholder(key) if value else value for key, value in mapping(obj.get(field)).items()}
            for field in _FIELDS
            if field in obj
        },
    }


def unmasked(obj: JsonObject, original: JsonObject | None) -> JsonObject:
    """Return a Secret with the values of ``original`` in place of their placeholders.

    Raises:
        InvalidSpec: a placeholder whose value is not known any more.
    """
    if not is_secret(obj):
        return obj
    known = mapping((original or {}).get("data"))
    result = dict(obj)
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
