"""What is served: one ``Kind`` per group, version and resource, and the registry that requests are looked up in.

A Kind is immutable; a changed CRD replaces its Kinds. Schemas are loaded when first used, so that a server with many
CRDs starts without reading them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import orjson

from kagent_localcluster.apiserver.builtin import load_data
from kagent_localcluster.apiserver.schema.node import Node
from kagent_localcluster.seams import JsonObject, Resource

__all__ = ["OBJECT_VERBS", "Column", "Kind", "Registry", "ScalePaths", "builtin_kinds", "version_rank"]

OBJECT_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")

# Groups in the order kubectl should prefer them when a short name is ambiguous; unlisted groups follow by name.
GROUP_ORDER = ("", "apps", "events.k8s.io", "batch", "autoscaling", "rbac.authorization.k8s.io")


@dataclass(frozen=True)
class Column:
    """One printer column of a Table."""

    name: str
    type: str
    json_path: str
    format: str = ""
    description: str = ""
    priority: int = 0


@dataclass(frozen=True)
class ScalePaths:
    """Where a kind keeps what its scale subresource shows, as JSON paths."""

    spec_replicas: str = ".spec.replicas"
    status_replicas: str = ".status.replicas"
    label_selector: str = ""


@dataclass(frozen=True)
class Kind:
    """One resource of one group-version; ``crd`` names the definition it came from, "" for built-in kinds."""

    group: str
    version: str
    plural: str
    kind: str
    singular: str
    namespaced: bool
    load_schema: Callable[[], Node] = field(repr=False, compare=False)
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: frozenset[str] = frozenset()
    verbs: tuple[str, ...] = OBJECT_VERBS
    list_kind: str = ""
    crd: str = ""
    storage_version: str = ""
    columns: tuple[Column, ...] | None = None
    selectable: tuple[str, ...] = ()
    scale: ScalePaths = ScalePaths()
    deprecation: str = ""
    # Several served versions: what one version's schema drops must not come back through another's.
    load_storage_schema: Callable[[], Node] | None = field(default=None, repr=False, compare=False)

    @cached_property
    def schema(self) -> Node:
        return self.load_schema()

    @cached_property
    def storage_schema(self) -> Node | None:
        return self.load_storage_schema() if self.load_storage_schema else None

    @cached_property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @cached_property
    def stored_api_version(self) -> str:
        version = self.storage_version or self.version
        return f"{self.group}/{version}" if self.group else version

    @cached_property
    def storage_key(self) -> str:
        """Return the name under which all versions of the resource are stored."""
        # Both event groups show the same objects.
        return "/events" if self.plural == "events" and self.group == "events.k8s.io" else f"{self.group}/{self.plural}"

    @cached_property
    def type_head(self) -> bytes:
        """Return how every stored body of this kind begins."""
        return orjson.dumps({"apiVersion": self.stored_api_version, "kind": self.kind})[:-1] + b","

    @cached_property
    def qualified(self) -> str:
        """Return ``plural.group``, as messages name a resource."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @cached_property
    def qualified_kind(self) -> str:
        return f"{self.kind}.{self.group}" if self.group else self.kind

    @cached_property
    def has_rules(self) -> bool:
        """Return True when a CEL rule stands anywhere in the schema."""
        return b'"x-kubernetes-validations"' in orjson.dumps(self.schema.raw)

    @cached_property
    def has_transitions(self) -> bool:
        """Return True when a rule compares with the old object."""
        return b"oldSelf" in orjson.dumps(self.schema.raw)

    @property
    def stored(self) -> bool:
        """Return False for the kinds that are only answers, such as SelfSubjectAccessReview."""
        return "get" in self.verbs

    @property
    def gvk(self) -> JsonObject:
        return {"group": self.group, "version": self.version, "kind": self.kind}


def builtin_kinds() -> list[Kind]:
    """Return the kinds every server has."""
    from kagent_localcluster.apiserver.builtin.definitions import schema_of

    kinds: list[Kind] = []
    for entry in load_data("kinds"):
        group, version, name = entry["group"], entry["version"], entry["kind"]
        kinds.append(
            Kind(
                group=group,
                version=version,
                plural=entry["plural"],
                kind=name,
                singular=entry["singular"],
                namespaced=entry["namespaced"],
                load_schema=lambda group=group, version=version, name=name: schema_of(group, version, name),
                short_names=tuple(entry["short"]),
                categories=tuple(entry["categories"]),
                subresources=frozenset(entry["subresources"]),
                verbs=tuple(entry["verbs"]),
                list_kind=f"{name}List",
                scale=ScalePaths(label_selector=".spec.selector"),
            )
        )
    return kinds


class Registry:
    """The kinds served now; ``generation`` moves with every change, for caches of discovery and OpenAPI."""

    def __init__(self, kinds: Iterable[Kind]) -> None:
        self._kinds: dict[Resource, Kind] = {}
        self.generation = 0
        self.add(kinds)

    def add(self, kinds: Iterable[Kind]) -> None:
        for kind in kinds:
            self._kinds[Resource(kind.group, kind.version, kind.plural)] = kind
        self.generation += 1

    def replace_crd(self, crd: str, kinds: Iterable[Kind]) -> None:
        """Serve exactly these kinds for a CRD; none removes it."""
        self._kinds = {key: kind for key, kind in self._kinds.items() if kind.crd != crd}
        self.add(kinds)

    def find(self, group: str, version: str, plural: str) -> Kind | None:
        return self._kinds.get(Resource(group, version, plural))

    def serves(self, group: str) -> bool:
        """Tell whether anything of a group is served."""
        return any(kind.group == group for kind in self)

    def __iter__(self) -> Iterator[Kind]:
        return iter(self._kinds.values())

    def stored_kinds(self) -> list[Kind]:
        """Return one kind per storage key: its storage version where that is served, else any served one."""
        best: dict[str, Kind] = {}
        for kind in self:
            if kind.stored and (kind.storage_key not in best or kind.version == kind.storage_version):
                best[kind.storage_key] = kind
        # Events are stored in core form.
        if core := self.find("", "v1", "events"):
            best[core.storage_key] = core
        return list(best.values())

    def group_versions(self) -> list[tuple[str, str]]:
        """Return the served (group, version) pairs; within a group the preferred version first."""
        pairs = {(kind.group, kind.version) for kind in self}
        return sorted(pairs, key=lambda pair: (_group_rank(pair[0]), pair[0], version_rank(pair[1])))


def _group_rank(group: str) -> int:
    return GROUP_ORDER.index(group) if group in GROUP_ORDER else len(GROUP_ORDER)


def version_rank(version: str) -> tuple[int, int, int, str]:
    """Order versions as apiextensions does: GA before beta before alpha, then higher numbers, then names."""
    import re

    match = re.fullmatch(r"v(\d+)(?:(alpha|beta)(\d+))?", version)
    if not match:
        return (3, 0, 0, version)
    stage = {"": 0, "beta": 1, "alpha": 2}[match[2] or ""]
    return (stage, -int(match[1]), -int(match[3] or 0), version)
