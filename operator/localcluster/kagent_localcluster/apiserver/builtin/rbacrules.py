"""What makes roles and bindings invalid (``pkg/apis/rbac/validation`` of Kubernetes)."""

from __future__ import annotations

from collections.abc import Iterator

from kagent_localcluster.apiserver.builtin.faults import invalid, required, unsupported
from kagent_localcluster.apiserver.jsonvalue import object_at, objects_at
from kagent_localcluster.apiserver.meta import name_problem
from kagent_localcluster.errors import Cause
from kagent_localcluster.seams import JsonObject

__all__ = ["check_binding", "check_role"]

_GROUP = "rbac.authorization.k8s.io"


def check_role(new: JsonObject, _old: JsonObject | None) -> Iterator[Cause]:
    namespaced = new["kind"] == "Role"
    for index, rule in enumerate(objects_at(new, "rules")):
        where = f"rules[{index}]"
        if not rule.get("verbs"):
            yield required(f"{where}.verbs", "verbs must contain at least one value")
        if urls := rule.get("nonResourceURLs"):
            field = f"{where}.nonResourceURLs"
            if namespaced:
                yield invalid(field, urls, "namespaced rules cannot apply to non-resource URLs")
            if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
                yield invalid(field, urls, "rules cannot apply to both regular resources and non-resource URLs")
            continue
        if not rule.get("apiGroups"):
            yield required(f"{where}.apiGroups", "resource rules must supply at least one api group")
        if not rule.get("resources"):
            yield required(f"{where}.resources", "resource rules must supply at least one resource")


def check_binding(new: JsonObject, old: JsonObject | None) -> Iterator[Cause]:
    namespaced = new["kind"] == "RoleBinding"
    role: JsonObject = object_at(new, "roleRef")
    if role.get("apiGroup") != _GROUP:
        yield unsupported("roleRef.apiGroup", role.get("apiGroup"), (_GROUP,))
    kinds = ("Role", "ClusterRole") if namespaced else ("ClusterRole",)
    if role.get("kind") not in kinds:
        yield unsupported("roleRef.kind", role.get("kind"), kinds)
    if not role.get("name"):
        yield required("roleRef.name")
    elif problem := name_problem(_GROUP, "", role["name"]):
        yield invalid("roleRef.name", role["name"], problem)
    for index, subject in enumerate(objects_at(new, "subjects")):
        yield from _check_subject(subject, f"subjects[{index}]", namespaced)
    if old is not None and role != object_at(old, "roleRef"):
        # Shown as Go's struct, not as JSON.
        shown = {"APIGroup": role.get("apiGroup", ""), "Kind": role.get("kind", ""), "Name": role.get("name", "")}
        yield invalid("roleRef", shown, "cannot change roleRef")


def _check_subject(subject: JsonObject, where: str, namespaced: bool) -> Iterator[Cause]:
    kind, name, group = subject.get("kind"), subject.get("name"), subject.get("apiGroup") or ""
    if not name:
        yield required(f"{where}.name")
    if kind == "ServiceAccount":
        if name and (problem := name_problem("", "", name)):
            yield invalid(f"{where}.name", name, problem)
        if group:
            yield unsupported(f"{where}.apiGroup", group, ("",))
        if not namespaced and not subject.get("namespace"):
            yield required(f"{where}.namespace")
    elif kind in ("User", "Group"):
        if group != _GROUP:
            yield unsupported(f"{where}.apiGroup", group, (_GROUP,))
    else:
        yield unsupported(f"{where}.kind", kind, ("ServiceAccount", "User", "Group"))
