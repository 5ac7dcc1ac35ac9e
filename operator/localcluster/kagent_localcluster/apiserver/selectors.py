"""Field selectors, and label selectors given as objects: parsed once, then asked per object."""

from __future__ import annotations

import re
from collections.abc import Callable

from kagent_localcluster.apiserver.jsonpath import find_first
from kagent_localcluster.apiserver.kinds import Kind
from kagent_localcluster.apiserver.labelselectors import Requirement
from kagent_localcluster.errors import BadRequest
from kagent_localcluster.seams import JsonObject

__all__ = ["Predicate", "field_selector", "selected_name", "selector_matches"]

Predicate = Callable[[JsonObject], bool]

_FIELDS: dict[str, frozenset[str]] = {
    "/pods": frozenset({
        "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork",
        "status.phase", "status.podIP", "status.nominatedNodeName",
    }),
    "/events": frozenset({
        "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
        "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason",
        "reportingComponent", "source", "type", "regarding.kind", "regarding.namespace", "regarding.name",
        "regarding.uid", "regarding.apiVersion", "reportingController",
    }),
    "/secrets": frozenset({"type"}),
    "/namespaces": frozenset({"status.phase"}),
    "/nodes": frozenset({"spec.unschedulable"}),
    "/services": frozenset({"spec.clusterIP", "spec.type"}),
    "apps/replicasets": frozenset({"status.replicas"}),
    "batch/jobs": frozenset({"status.successful"}),
}  # fmt: skip


def selector_matches(selector: JsonObject, labels: dict[str, str]) -> bool:
    """Tell whether a metav1.LabelSelector object admits the labels."""
    wanted: dict[str, str] = selector.get("matchLabels") or {}
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    operators = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "absent"}
    items: list[JsonObject] = selector.get("matchExpressions") or []
    if any(item.get("operator") not in operators for item in items):
        return False
    return all(
        Requirement(item["key"], operators[item["operator"]], frozenset(item.get("values") or ())).holds(labels)
        for item in items
    )


def field_selector(text: str, kind: Kind) -> Predicate | None:
    """Return the predicate of a field selector, None for an empty one.

    Raises:
        BadRequest: the text is no selector, or the field is not selectable for the kind.
    """
    tests: list[tuple[str, str, bool]] = []
    allowed = _FIELDS.get(kind.storage_key, frozenset()) | {path.lstrip(".") for path in kind.selectable}
    for field, equal, value in _field_terms(text):
        if (
            field != "metadata.name"
            and not (field == "metadata.namespace" and kind.namespaced)
            and field not in allowed
        ):
            raise BadRequest(
                f"field label not supported: {field}"
                if kind.crd or kind.storage_key in _FIELDS
                else f'"{field}" is not a known field selector: only "metadata.name", "metadata.namespace"'
            )
        tests.append((field, value, equal))
    if not tests:
        return None
    return lambda obj: all((_field_text(obj, field) == value) is equal for field, value, equal in tests)


def selected_name(text: str) -> str:
    """Return the name a field selector asks for, as RBAC's resourceNames see it; "" for none."""
    return next((value for field, equal, value in _field_terms(text) if field == "metadata.name" and equal), "")


def _field_terms(text: str) -> list[tuple[str, bool, str]]:
    terms: list[tuple[str, bool, str]] = []
    for part in re.split(r"(?<!\\),", text):
        if not part:
            continue
        match = re.fullmatch(r"([^=!]+?)(!=|==|=)(.*)", part, re.DOTALL)
        if match is None:
            raise BadRequest(f"invalid selector: '{text}'; can't understand '{part}'")
        terms.append((match[1], match[2] != "!=", re.sub(r"\\(.)", r"\1", match[3])))
    return terms


def _field_text(obj: JsonObject, field: str) -> str:
    if field == "source":
        field = "source.component" if "source" in obj else "reportingController"
    value = find_first(obj, field)
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
