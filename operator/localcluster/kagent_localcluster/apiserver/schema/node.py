"""One place in a structural schema, expanded only where objects really have fields.

A CRD with core/v1 types has thousands of places and most objects touch a few dozen, so children are made when asked
for and kept. Nodes never change once made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kagent_localcluster.apiserver.jsonvalue import is_object
from kagent_localcluster.seams import JsonObject

__all__ = ["EMPTY", "Node"]

Resolve = Callable[[str], "Node"]

_OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"


class Node:
    """A schema position; ``raw`` is its JSON schema with references already followed."""

    __slots__ = (
        "_children",
        "_extra",
        "_items",
        "_properties",
        "_resolve",
        "_ruled",
        "embedded",
        "int_or_string",
        "list_keys",
        "list_type",
        "map_type",
        "merge_key",
        "nullable",
        "patch_strategy",
        "preserve",
        "raw",
        "type",
    )

    def __init__(self, raw: JsonObject, *, resolve: Resolve | None = None, root: bool = False) -> None:
        if (reference := raw.get("$ref")) and resolve is not None:
            raw = {**resolve(reference).raw, **{key: value for key, value in raw.items() if key != "$ref"}}
        properties: dict[str, Any] = raw.get("properties") or {}
        self.embedded = bool(raw.get("x-kubernetes-embedded-resource"))
        if root or self.embedded:
            # The envelope is there whatever a CRD says about it, and its metadata is always ObjectMeta.
            properties = {
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                **properties,
                "metadata": {"$ref": _OBJECT_META},
            }
        self.raw = raw
        self._resolve = resolve
        self._properties = properties
        self._children: dict[str, Node] = {}
        self._items: Node | None = None
        self._extra: Node | None = None
        self._ruled: bool | None = None
        self.type: str = raw.get("type", "")
        self.nullable = bool(raw.get("nullable"))
        self.preserve = bool(raw.get("x-kubernetes-preserve-unknown-fields"))
        self.int_or_string = bool(raw.get("x-kubernetes-int-or-string"))
        self.list_type: str = raw.get("x-kubernetes-list-type", "")
        self.list_keys: tuple[str, ...] = tuple(raw.get("x-kubernetes-list-map-keys", ()))
        self.map_type: str = raw.get("x-kubernetes-map-type", "")
        self.merge_key: str = raw.get("x-kubernetes-patch-merge-key", "")
        self.patch_strategy: str = raw.get("x-kubernetes-patch-strategy", "")

    @property
    def property_names(self) -> dict[str, Any]:
        """Return the raw schemas of the declared fields."""
        return self._properties

    def field(self, name: str) -> Node | None:
        """Return the schema of a declared field, None when it is not declared."""
        node = self._children.get(name)
        if node is None and name in self._properties:
            raw = self._properties[name]
            reference = raw.get("$ref")
            if reference == _OBJECT_META:
                # Imported here: the definitions are made of nodes.
                from kagent_localcluster.apiserver.builtin.definitions import definition

                node = definition(_OBJECT_META)
            elif reference and self._resolve is not None and len(raw) == 1:
                node = self._resolve(reference)
            else:
                node = Node(raw, resolve=self._resolve)
            self._children[name] = node
        return node

    @property
    def custom(self) -> bool:
        """Return True in the schema of a CRD, False in those of built-in kinds."""
        return self._resolve is None

    @property
    def ruled(self) -> bool:
        """Return True when a CEL rule stands here or anywhere below."""
        if self._ruled is None:
            self._ruled = _holds_rules(self.raw)
        return self._ruled

    @property
    def extra(self) -> Node | None:
        """Return the schema of undeclared keys (additionalProperties), None when there is none."""
        if self._extra is None:
            raw = self.raw.get("additionalProperties")
            if is_object(raw):
                self._extra = Node(raw, resolve=self._resolve)
            elif raw is True:
                self._extra = ANYTHING
        return self._extra

    @property
    def items(self) -> Node:
        """Return the schema of list items; a node without rules when none is given."""
        if self._items is None:
            raw = self.raw.get("items")
            self._items = Node(raw, resolve=self._resolve) if is_object(raw) else EMPTY
        return self._items

    def child(self, name: str) -> Node | None:
        """Return the schema of a field, declared or additional."""
        return self.field(name) or self.extra

    @property
    def keeps_unknown(self) -> bool:
        """Return True when undeclared fields stay."""
        return self.preserve or (
            not self._properties and self.raw.get("additionalProperties") is None and not self.type
        )


def _holds_rules(raw: dict[str, Any]) -> bool:
    if "x-kubernetes-validations" in raw:
        return True
    below: list[Any] = [*(raw.get("properties") or {}).values(), raw.get("items"), raw.get("additionalProperties")]
    return any(_holds_rules(schema) for schema in below if is_object(schema))


EMPTY = Node({})
ANYTHING = Node({"x-kubernetes-preserve-unknown-fields": True})
