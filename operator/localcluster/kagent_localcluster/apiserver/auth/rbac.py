"""The RBAC authorizer: roles and bindings as they are stored now decide, and nothing else does.

Compiled rules are kept until a role or binding changes. ``system:masters`` may do everything, as in Kubernetes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from kagent_localcluster.apiserver.auth.users import User
from kagent_localcluster.apiserver.jsonvalue import list_at, object_at, objects_at
from kagent_localcluster.apiserver.records import Record
from kagent_localcluster.apiserver.selectors import selector_matches
from kagent_localcluster.apiserver.storage import Storage, StoredChange
from kagent_localcluster.errors import Forbidden, ForbiddenPath
from kagent_localcluster.seams import JsonObject

__all__ = ["Attributes", "Authorizer", "Rule"]

_GROUP = "rbac.authorization.k8s.io"


class Attributes(NamedTuple):
    """What is asked for; ``path`` for requests that are no resource's."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def full_resource(self) -> str:
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


class Rule(NamedTuple):
    """One PolicyRule."""

    verbs: frozenset[str]
    groups: frozenset[str]
    resources: frozenset[str]
    names: frozenset[str]
    paths: tuple[str, ...]

    def allows(self, asked: Attributes) -> bool:
        if not (asked.verb in self.verbs or "*" in self.verbs):
            return False
        if asked.path:
            return any(_path_fits(pattern, asked.path) for pattern in self.paths)
        return (
            (asked.group in self.groups or "*" in self.groups)
            and self._has_resource(asked)
            and (not self.names or asked.name in self.names)
        )

    def _has_resource(self, asked: Attributes) -> bool:
        if "*" in self.resources or asked.full_resource in self.resources:
            return True
        return bool(asked.subresource) and f"*/{asked.subresource}" in self.resources

    def dump(self) -> JsonObject:
        """Return the rule as a PolicyRule object."""
        out: JsonObject = {"verbs": sorted(self.verbs)}
        if self.paths:
            out["nonResourceURLs"] = list(self.paths)
        else:
            out["apiGroups"], out["resources"] = sorted(self.groups), sorted(self.resources)
        if self.names:
            out["resourceNames"] = sorted(self.names)
        return out


def _path_fits(pattern: str, path: str) -> bool:
    return pattern == "*" or pattern == path or (pattern.endswith("*") and path.startswith(pattern[:-1]))


class _Binding(NamedTuple):
    namespace: str
    name: str
    subjects: tuple[JsonObject, ...]
    role_kind: str
    role_name: str

    def subject_of(self, user: User) -> JsonObject | None:
        """Return the subject that the user is, None when the binding means somebody else."""
        return next((subject for subject in self.subjects if _is_subject(subject, user, self.namespace)), None)

    def describe(self, subject: JsonObject) -> str:
        """Say who gets what, in the words that Kubernetes gives as the reason of a right."""
        kind, name = subject.get("kind", ""), subject.get("name", "")
        if kind == "ServiceAccount":
            name = f"{name}/{subject.get('namespace') or self.namespace}"
        binding = (
            f'RoleBinding "{self.name}/{self.namespace}"' if self.namespace else f'ClusterRoleBinding "{self.name}"'
        )
        return f'{binding} of {self.role_kind} "{self.role_name}" to {kind} "{name}"'


def _is_subject(subject: JsonObject, user: User, namespace: str) -> bool:
    match subject.get("kind"):
        case "User":
            return subject.get("name") == user.name
        case "Group":
            return subject.get("name") in user.groups
        case "ServiceAccount":
            place = subject.get("namespace") or namespace
            return user.name == f"system:serviceaccount:{place}:{subject.get('name')}"
        case _:
            return False


class Authorizer:
    """Answers whether a user may do something."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._roles: dict[tuple[str, str, str], tuple[Rule, ...]] = {}
        self._bindings: list[_Binding] | None = None
        storage.listeners.append(self._on_change)

    def _on_change(self, change: StoredChange) -> None:
        if change.key.startswith(_GROUP):
            self._roles.clear()
            self._bindings = None

    def allows(self, user: User, asked: Attributes) -> bool:
        return user.is_master or any(rule.allows(asked) for rule in self.rules(user, asked.namespace))

    def reason(self, user: User, asked: Attributes) -> str | None:
        """Return why a user may do something, in a real server's words; None when no role allows it."""
        if user.is_master:
            return ""
        for binding, subject in self._bound(user, asked.namespace):
            if any(rule.allows(asked) for rule in self._role(binding)):
                return f"RBAC: allowed by {binding.describe(subject)}"
        return None

    def require(self, user: User, asked: Attributes) -> None:
        """Refuse what the user may not do.

        Raises:
            Forbidden: no role allows it.
        """
        if self.allows(user, asked):
            return
        if asked.path:
            raise ForbiddenPath(f'forbidden: User "{user.name}" cannot {asked.verb} path "{asked.path}"')
        where = f' in the namespace "{asked.namespace}"' if asked.namespace else " at the cluster scope"
        qualified = f"{asked.resource}.{asked.group}" if asked.group else asked.resource
        shown = f'{qualified} "{asked.name}"' if asked.name else qualified
        raise Forbidden(
            f'{shown} is forbidden: User "{user.name}" cannot {asked.verb} resource "{asked.full_resource}" in API '
            f'group "{asked.group}"{where}',
            kind=asked.resource,
            name=asked.name,
            group=asked.group,
        )

    def rules(self, user: User, namespace: str) -> Iterator[Rule]:
        """Yield the rules that hold for the user in a namespace ("" for the cluster)."""
        for binding, _ in self._bound(user, namespace):
            yield from self._role(binding)

    def _bound(self, user: User, namespace: str) -> Iterator[tuple[_Binding, JsonObject]]:
        for binding in self._all_bindings():
            if binding.namespace in ("", namespace) and (subject := binding.subject_of(user)) is not None:
                yield binding, subject

    def missing(self, user: User, namespace: str, wanted: list[Rule]) -> list[Attributes]:
        """Return the rights of some rules that the user does not hold (no escalation by writing roles)."""
        if user.is_master:
            return []
        held = list(self.rules(user, namespace))
        return [part for rule in wanted for part in _parts(rule) if not any(rule.allows(part) for rule in held)]

    def _all_bindings(self) -> list[_Binding]:
        if self._bindings is None:
            self._bindings = [
                _binding(record)
                for kind in ("clusterrolebindings", "rolebindings")
                for record in self._storage.list(f"{_GROUP}/{kind}")
            ]
        return self._bindings

    def _role(self, binding: _Binding) -> tuple[Rule, ...]:
        namespace = binding.namespace if binding.role_kind == "Role" else ""
        place = (binding.role_kind, namespace, binding.role_name)
        rules = self._roles.get(place)
        if rules is None:
            key = f"{_GROUP}/{'roles' if binding.role_kind == 'Role' else 'clusterroles'}"
            record = self._storage.get(key, namespace, binding.role_name)
            rules = self._roles[place] = tuple(self.role_rules(record.load())) if record else ()
        return rules

    def role_rules(self, role: JsonObject) -> Iterator[Rule]:
        """Yield a role's rules, aggregated ones too."""
        for rule in objects_at(role, "rules"):
            yield parse_rule(rule)
        selectors = objects_at(role, "aggregationRule", "clusterRoleSelectors")
        if selectors:
            for record in self._storage.list(f"{_GROUP}/clusterroles"):
                other = record.load()
                labels = object_at(other["metadata"], "labels")
                if record.name != role["metadata"]["name"] and any(
                    selector_matches(item, labels) for item in selectors
                ):
                    yield from self.role_rules(other)


def parse_rule(rule: JsonObject) -> Rule:
    """Return a PolicyRule object as a Rule."""
    return Rule(
        frozenset(list_at(rule, "verbs")),
        frozenset(list_at(rule, "apiGroups")),
        frozenset(list_at(rule, "resources")),
        frozenset(list_at(rule, "resourceNames")),
        tuple(list_at(rule, "nonResourceURLs")),
    )


def _parts(rule: Rule) -> Iterator[Attributes]:
    for verb in sorted(rule.verbs):
        for path in rule.paths:
            yield Attributes(verb, path=path)
        for group in sorted(rule.groups):
            for resource in sorted(rule.resources):
                plain, _, subresource = resource.partition("/")
                for name in sorted(rule.names) or ("",):
                    yield Attributes(verb, group, plain, subresource, name=name)


def _binding(record: Record) -> _Binding:
    obj = record.load()
    role: JsonObject = object_at(obj, "roleRef")
    return _Binding(
        record.namespace, record.name, tuple(objects_at(obj, "subjects")), role.get("kind", ""), role.get("name", "")
    )
