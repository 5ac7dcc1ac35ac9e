"""What makes Deployments, ReplicaSets, Jobs and their templates invalid (``pkg/apis/apps``, ``batch/validation``)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kagent_localcluster.apiserver.builtin.faults import forbidden, invalid, non_negative, required, unsupported
from kagent_localcluster.apiserver.builtin.podrules import check_pod_spec
from kagent_localcluster.apiserver.jsonvalue import dig, is_object, object_at, objects_at
from kagent_localcluster.apiserver.meta import label_problems
from kagent_localcluster.apiserver.selectors import selector_matches
from kagent_localcluster.errors import Cause
from kagent_localcluster.seams import JsonObject

__all__ = ["check_deployment", "check_job", "check_replica_set"]

_OPERATORS = ("DoesNotExist", "Exists", "In", "NotIn")


def check_deployment(new: JsonObject, old: JsonObject | None) -> Iterator[Cause]:
    yield from _check_scaled(new, old, "deployment")
    spec: JsonObject = object_at(new, "spec")
    yield from _check_strategy(object_at(spec, "strategy"))
    yield from non_negative("spec.revisionHistoryLimit", spec.get("revisionHistoryLimit"))
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is not None:
        yield from non_negative("spec.progressDeadlineSeconds", deadline)
        if deadline <= (spec.get("minReadySeconds") or 0):
            yield invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")


def check_replica_set(new: JsonObject, old: JsonObject | None) -> Iterator[Cause]:
    yield from _check_scaled(new, old, "replicaset")


def _check_scaled(new: JsonObject, old: JsonObject | None, kind: str) -> Iterator[Cause]:
    spec: JsonObject = object_at(new, "spec")
    yield from non_negative("spec.replicas", spec.get("replicas"))
    yield from non_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    selector = spec.get("selector")
    faults: list[Cause] = []
    if not is_object(selector):
        yield required("spec.selector")
    else:
        faults = list(check_selector(selector, "spec.selector"))
        yield from faults
        if not selector.get("matchLabels") and not selector.get("matchExpressions"):
            yield invalid("spec.selector", selector, f"empty selector is invalid for {kind}")
    if faults:
        yield invalid("spec.selector", selector, "invalid label selector")
    else:
        labels: dict[str, str] = object_at(spec, "template", "metadata", "labels")
        empty = is_object(selector) and not selector.get("matchLabels") and not selector.get("matchExpressions")
        if not empty and not (is_object(selector) and selector_matches(selector, labels)):
            field = "spec.template.metadata.labels"
            yield invalid(field, labels or None, "`selector` does not match template `labels`")
        yield from _check_template(spec, ("Always",))
    if old is not None and selector != dig(old, "spec", "selector"):
        yield invalid("spec.selector", selector, "field is immutable")


def _check_template(spec: JsonObject, policies: tuple[str, ...]) -> Iterator[Cause]:
    template: JsonObject = object_at(spec, "template")
    yield from label_problems(object_at(template, "metadata", "labels"), "spec.template.labels")
    inner: JsonObject = object_at(template, "spec")
    yield from check_pod_spec(inner, "spec.template.spec")
    if policies == ("Always",):
        if inner.get("restartPolicy") != "Always":
            yield unsupported("spec.template.spec.restartPolicy", inner.get("restartPolicy"), policies)
        if inner.get("activeDeadlineSeconds") is not None:
            yield forbidden("spec.template.spec.activeDeadlineSeconds", "may not be set in a template of replicas")


def check_selector(selector: JsonObject, path: str) -> Iterator[Cause]:
    """Yield the faults of a metav1.LabelSelector."""
    yield from label_problems(object_at(selector, "matchLabels"), f"{path}.matchLabels")
    for index, item in enumerate(objects_at(selector, "matchExpressions")):
        where = f"{path}.matchExpressions[{index}]"
        operator = item.get("operator")
        values: list[str] = item.get("values") or []
        if operator in ("In", "NotIn") and not values:
            yield required(f"{where}.values", "must be specified when `operator` is 'In' or 'NotIn'")
        elif operator in ("Exists", "DoesNotExist") and values:
            yield forbidden(f"{where}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
        elif operator not in _OPERATORS:
            yield invalid(f"{where}.operator", operator or "", "not a valid selector operator")
        yield from label_problems({str(item.get("key") or ""): ""}, f"{where}.key")
        for number, value in enumerate(values):
            yield from label_problems({"a": value}, f"{where}.values[{number}]")


def _check_strategy(strategy: JsonObject) -> Iterator[Cause]:
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    if kind == "Recreate":
        if rolling is not None:
            yield forbidden("spec.strategy.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'")
        return
    if kind != "RollingUpdate":
        yield unsupported("spec.strategy", strategy, ("Recreate", "RollingUpdate"))
        return
    amounts: JsonObject = rolling or {}
    for name in ("maxUnavailable", "maxSurge"):
        value = amounts.get(name)
        if isinstance(value, str) and not re.fullmatch(r"[0-9]+%", value):
            yield invalid(f"spec.strategy.rollingUpdate.{name}", value, "a valid percent string must be a number and %")
        elif not isinstance(value, str):
            yield from non_negative(f"spec.strategy.rollingUpdate.{name}", value)
    field, most = "spec.strategy.rollingUpdate.maxUnavailable", amounts.get("maxUnavailable")
    if not _amount(most) and not _amount(amounts.get("maxSurge")):
        yield invalid(field, most, "may not be 0 when `maxSurge` is 0")
    if isinstance(most, str) and _amount(most) > 100:
        yield invalid(field, most, "must not be greater than 100%")


def _amount(value: Any) -> int:
    if isinstance(value, str):
        return int(value[:-1]) if re.fullmatch(r"[0-9]+%", value) else 0
    return int(value or 0)


def check_job(new: JsonObject, old: JsonObject | None) -> Iterator[Cause]:
    spec: JsonObject = object_at(new, "spec")
    for name in (
        "parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished",
        "backoffLimitPerIndex", "maxFailedIndexes",
    ):  # fmt: skip
        yield from non_negative(f"spec.{name}", spec.get(name))
    mode = spec.get("completionMode")
    if mode not in ("NonIndexed", "Indexed"):
        yield unsupported("spec.completionMode", mode, ("NonIndexed", "Indexed"))
    if mode == "Indexed" and spec.get("completions") is None:
        yield required("spec.completions", "when completion mode is Indexed")
    if mode == "NonIndexed":
        for name in ("backoffLimitPerIndex", "maxFailedIndexes", "successPolicy"):
            if spec.get(name) is not None:
                yield invalid(f"spec.{name}", spec[name], "requires indexed completion mode")
    if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
        yield required("spec.backoffLimitPerIndex", "when maxFailedIndexes is specified")
    yield from _check_template(spec, ())
    policy = dig(spec, "template", "spec", "restartPolicy")
    field = "spec.template.spec.restartPolicy"
    if policy in (None, "", "Always"):
        yield required(field, 'valid values: "OnFailure", "Never"')
    elif policy not in ("OnFailure", "Never"):
        yield unsupported(field, policy, ("OnFailure", "Never"))
    yield from _check_job_selector(spec)
    if old is not None:
        former: JsonObject = object_at(old, "spec")
        for name in ("completions", "selector", "template", "completionMode"):
            if spec.get(name) != former.get(name):
                yield invalid(f"spec.{name}", spec.get(name), "field is immutable")


def _check_job_selector(spec: JsonObject) -> Iterator[Cause]:
    field, labels = "spec.template.metadata.labels", object_at(spec, "template", "metadata", "labels")
    if not spec.get("manualSelector") and spec.get("selector") is not None:
        for name in (
            "batch.kubernetes.io/controller-uid",
            "batch.kubernetes.io/job-name",
            "controller-uid",
            "job-name",
        ):
            if name not in labels:
                yield required(f"{field}[{name}]")
    selector = spec.get("selector")
    if not is_object(selector):
        yield required("spec.selector")
    elif faults := list(check_selector(selector, "spec.selector")):
        yield from faults
        return
    if not is_object(selector) or not selector_matches(selector, labels):
        yield invalid(field, labels or None, "`selector` does not match template `labels`")
