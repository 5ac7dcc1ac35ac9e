"""Times, owners, names, selectors and conditions as Kubernetes writes them."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any

from kagent_localcluster.runner.fields import at, items, labels_of, mapping, name_of, strings, text, uid_of
from kagent_localcluster.seams import JsonObject

__all__ = [
    "controller_uid", "is_deleted", "now", "owner_reference", "parse_time", "precise_now", "random_suffix",
    "selector_matches", "set_condition",
]  # fmt: skip

# Kubernetes' own: no vowels, so that no words appear, and no digits that look like letters.
SAFE_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def now() -> str:
    """Return the present as metav1.Time writes it (whole seconds)."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def precise_now() -> str:
    """Return the present as metav1.MicroTime writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(value: str) -> float:
    """Return seconds since the epoch; 0.0 for an absent or unreadable time."""
    try:
        return datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return 0.0


def random_suffix(length: int = 5) -> str:
    return "".join(secrets.choice(SAFE_ALPHABET) for _ in range(length))


def is_deleted(obj: JsonObject) -> bool:
    """Tell whether somebody asked for this object to go (it may still have finalizers or processes)."""
    return bool(at(obj, "metadata", "deletionTimestamp"))


def controller_uid(obj: JsonObject) -> str:
    """Return the uid of the owner that controls this object, "" for none."""
    return next((text(ref, "uid") for ref in items(obj, "metadata", "ownerReferences") if ref.get("controller")), "")


def owner_reference(owner: JsonObject, api_version: str, kind: str) -> JsonObject:
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": name_of(owner),
        "uid": uid_of(owner),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def selector_matches(selector: JsonObject, obj: JsonObject) -> bool:
    """Tell whether a metav1.LabelSelector selects an object; an empty selector selects nothing here."""
    labels = labels_of(obj)
    wanted = mapping(selector, "matchLabels")
    expressions = items(selector, "matchExpressions")
    if not wanted and not expressions:
        return False
    return all(labels.get(name) == value for name, value in wanted.items()) and all(
        _expression_matches(expression, labels) for expression in expressions
    )


def _expression_matches(expression: JsonObject, labels: dict[str, str]) -> bool:
    value = labels.get(text(expression, "key"))
    values = strings(expression, "values")
    match text(expression, "operator"):
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case _:
            return False


def set_condition(
    conditions: list[JsonObject],
    kind: str,
    status: bool,
    *,
    reason: str = "",
    message: str = "",
    extra: dict[str, Any] | None = None,
) -> list[JsonObject]:
    """Return the conditions with one set; its transition time moves only when its status does.

    ``extra`` holds fields written whenever anything about the condition changed (``lastUpdateTime``).
    """
    word = "True" if status else "False"
    old = next((condition for condition in conditions if condition.get("type") == kind), None)
    wanted: JsonObject = {"type": kind, "status": word}
    if reason:
        wanted["reason"] = reason
    if message:
        wanted["message"] = message
    if (
        old is not None
        and {name: old[name] for name in ("type", "status", "reason", "message") if name in old} == wanted
    ):
        return conditions
    same_status = old is not None and old.get("status") == word
    wanted["lastTransitionTime"] = old.get("lastTransitionTime", now()) if old is not None and same_status else now()
    wanted |= extra or {}
    if old is None:
        return [*conditions, wanted]
    return [wanted if condition is old else condition for condition in conditions]
