"""What translation may look up: other objects, and nothing else.

Every lookup goes through this protocol, which is how the reconciler learns what an agent depends on, missing objects
included. Implementations never do I/O.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from kagent_operator.translate.fields import JsonObject, name_of, namespace_of, string_map, text

__all__ = ["Snapshot", "World"]


class World(Protocol):
    """The cluster as translation sees it."""

    def get(self, kind: str, namespace: str, name: str) -> JsonObject | None:
        """Return an object by kind (Agent, ModelConfig, Secret, ...), None when there is none."""
        ...

    def names(self, kind: str, namespace: str) -> list[str]:
        """Return the names of a kind in a namespace, for messages that say what is there instead."""
        ...

    def namespace_exists(self, name: str) -> bool:
        """Tell whether a namespace exists, as far as our rights allow to know."""
        ...

    def namespace_labels(self, name: str) -> dict[str, str] | None:
        """Return a namespace's labels, None when they cannot be read."""
        ...


class Snapshot:
    """A world made of given objects: files on the command line, fixtures in tests."""

    def __init__(self, objects: Iterable[JsonObject], *, namespaces: Iterable[str] = ()) -> None:
        self._objects = {(text(obj, "kind"), namespace_of(obj), name_of(obj)): obj for obj in objects}
        self._namespaces = {*namespaces, *(namespace for _, namespace, _ in self._objects if namespace)}
        self._namespaces.update(name for kind, _, name in self._objects if kind == "Namespace")

    def get(self, kind: str, namespace: str, name: str) -> JsonObject | None:
        return self._objects.get((kind, namespace, name))

    def names(self, kind: str, namespace: str) -> list[str]:
        return sorted(name for k, ns, name in self._objects if (k, ns) == (kind, namespace))

    def namespace_exists(self, name: str) -> bool:
        return name in self._namespaces

    def namespace_labels(self, name: str) -> dict[str, str] | None:
        namespace = self._objects.get(("Namespace", "", name))
        if namespace is not None:
            return string_map(namespace, "metadata", "labels")
        return {} if name in self._namespaces else None
