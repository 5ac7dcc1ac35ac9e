"""Keeps the copies of the cluster small: parts that many objects have in common are held once, what nobody reads not.

A thousand agents have a thousand Deployments that differ in a few words. What is kept must not be changed in place, as
everywhere in the cache.
"""

from __future__ import annotations

from typing import Any, Final, cast

from kagent_operator.translate.fields import JsonObject

__all__ = ["Compactor"]

# Emptied when full: what is in use is soon there again, what was of a deleted object is not.
_LIMIT: Final = 8192
# Longer texts (prompts, configuration) are hardly ever equal.
_SHORT: Final = 128
# What differs in every object.
_UNIQUE: Final = {"uid", "resourceVersion", "selfLink"}
# A Pod is half spec, and only whether it runs is asked of it.
_UNREAD: Final = {"Pod": ("spec",)}


class Compactor:
    """Rewrites objects in place; equal parts of all it has seen lately become one."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._parts: dict[tuple[object, ...], Any] = {}

    def compact(self, obj: JsonObject) -> None:
        """Drop what nobody reads and share what is equal elsewhere."""
        metadata = obj.get("metadata")
        if isinstance(metadata, dict):
            # Half of an object's bytes, one entry per field manager.
            cast(JsonObject, metadata).pop("managedFields", None)
        for field in _UNREAD.get(str(obj.get("kind")), ()):
            obj.pop(field, None)
        for key, value in obj.items():
            obj[key] = self._shared(value)[0]
        if len(self._parts) > _LIMIT:
            self._parts.clear()
        if len(self._texts) > _LIMIT:
            self._texts.clear()

    def _shared(self, value: Any) -> tuple[Any, object]:
        """Return the value to keep, and what stands for it in the key of its container; None for what is unique."""
        if isinstance(value, str):
            if len(value) > _SHORT:
                return value, None
            kept = self._texts.setdefault(value, value)
            return kept, kept
        if isinstance(value, dict):
            return self._dict(cast(JsonObject, value))
        if isinstance(value, list):
            entries = [self._shared(entry) for entry in cast(list[object], value)]
            return self._part(["list", *(token for _, token in entries)], [entry for entry, _ in entries])
        # True and 1 are equal as keys of a dict, and are not the same JSON.
        return value, (type(cast(object, value)), value)

    def _dict(self, value: JsonObject) -> tuple[Any, object]:
        fresh: JsonObject = {}
        token: list[object] = []
        for key, entry in value.items():
            kept, name = (entry, None) if key in _UNIQUE else self._shared(entry)
            fresh[self._texts.setdefault(key, key)] = kept
            token += (key, name)
        return self._part(token, fresh)

    def _part(self, token: list[object], fresh: Any) -> tuple[Any, object]:
        if None in token:
            return fresh, None
        kept = self._parts.setdefault(tuple(token), fresh)
        # Its address stands for its content, since the table holds it until this object is done.
        return kept, ("part", id(kept))
