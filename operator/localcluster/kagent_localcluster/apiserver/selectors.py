"""Label and field selectors: parsed once, then asked per object."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from kagent_localcluster.apiserver.jsonpath import find_first
from kagent_localcluster.apiserver.kinds import Kind
from kagent_localcluster.errors import BadRequest
from kagent_localcluster.seams import JsonObject

__all__ = ["Predicate", "field_selector", "label_selector", "selected_name", "selector_matches"]

Predicate = Callable[[JsonObject], bool]

_REQUIREMENT = re.compile(r"[^,(]+(?:\([^)]*\))?")
_SET = re.compile(r"(?P<key>\S+)\s+(?P<op>in|notin)\s*\((?P<values>[^)]*)\)")
_KEY = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_./]*[A-Za-z0-9])?")
_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
_COMPARED = re.compile(r"(?P<key>[^=!<>]+?)\s*(?P<op>!=|==|=|>|<)\s*(?P<value>.*)")

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


class _Requirement(NamedTuple):
    key: str
    operator: str
    values: frozenset[str]

    def holds(self, labels: dict[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "in":
                return value in self.values
            case "notin":
                return value not in self.values
            case "exists":
                return value is not None
            case "gt" | "lt":
                return value is not None and _compares(self.operator, value, next(iter(self.values)))
            case _:
                return value is None


def _compares(operator: str, value: str, bound: str) -> bool:
    try:
        return int(value) > int(bound) if operator == "gt" else int(value) < int(bound)
    except ValueError:
        return False


def label_selector(text: str) -> Predicate | None:
    """Return the predicate of a label selector, None for an empty one.

    Raises:
        BadRequest: the text is no selector.
    """
    requirements = [_requirement(part.strip(), text) for part in _REQUIREMENT.findall(text) if part.strip()]
    if not requirements:
        return None
    return lambda obj: all(item.holds(obj["metadata"].get("labels") or {}) for item in requirements)


def _requirement(part: str, whole: str) -> _Requirement:
    if match := _SET.fullmatch(part):
        values = frozenset(value.strip() for value in match["values"].split(","))
        return _Requirement(_checked(match["key"], whole), match["op"], values)
    if match := _COMPARED.fullmatch(part):
        operator = {"!=": "notin", ">": "gt", "<": "lt"}.get(match["op"], "in")
        if not _VALUE.fullmatch(match["value"].strip()):
            raise BadRequest(
                f'unable to parse requirement: invalid value "{match["value"]}" in label selector "{whole}"'
            )
        return _Requirement(_checked(match["key"], whole), operator, frozenset({match["value"].strip()}))
    if (words := part.split())[1:]:
        raise BadRequest(f"unable to parse requirement: found '{words[1]}', expected: in, notin, =, ==, !=, gt, lt")
    if part.startswith("!"):
        return _Requirement(_checked(part[1:].strip(), whole), "absent", frozenset())
    return _Requirement(_checked(part, whole), "exists", frozenset())


def _checked(key: str, whole: str) -> str:
    if not _KEY.fullmatch(key):
        raise BadRequest(f'unable to parse requirement: invalid label key "{key}" in label selector "{whole}"')
    return key


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
        _Requirement(item["key"], operators[item["operator"]], frozenset(item.get("values") or ())).holds(labels)
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
            raise BadRequest(f'invalid selector: "{text}"; can\'t understand "{part}"')
        terms.append((match[1], match[2] != "!=", re.sub(r"\\(.)", r"\1", match[3])))
    return terms


def _field_text(obj: JsonObject, field: str) -> str:
    if field == "source":
        field = "source.component" if "source" in obj else "reportingController"
    value = find_first(obj, field)
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
