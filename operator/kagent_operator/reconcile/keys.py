"""Names of the things that are reconciled and looked up."""

from __future__ import annotations

from typing import NamedTuple

from kagent_operator.translate.fields import JsonObject, name_of, namespace_of, text

__all__ = ["Key", "key_of"]


class Key(NamedTuple):
    """One object, whether it exists or not."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


def key_of(obj: JsonObject) -> Key:
    """Return the key of an object."""
    return Key(text(obj, "kind"), namespace_of(obj), name_of(obj))
