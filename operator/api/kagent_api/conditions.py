"""Conditions of a status, as plain objects. A change of wording is a change; only a change of status moves the time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from kagent_api.schema import JsonObject

__all__ = ["get_condition", "remove_condition", "set_condition"]

# metav1.Condition refuses longer messages.
_MESSAGE_LIMIT = 32768


def get_condition(conditions: Sequence[JsonObject] | None, type: str) -> JsonObject | None:
    """Return the condition of this type, or None."""
    return next((condition for condition in conditions or () if condition.get("type") == type), None)


def set_condition(
    conditions: list[JsonObject],
    *,
    type: str,
    status: Literal["True", "False", "Unknown"],
    reason: str,
    message: str,
    observed_generation: int,
    now: datetime,
) -> bool:
    """Set one condition in place and say if it changed; its transition time stays while the status does."""
    if len(message) > _MESSAGE_LIMIT:
        message = message[: _MESSAGE_LIMIT - 1] + "\u2026"
    wanted: JsonObject = {
        "type": type,
        "status": status,
        "reason": reason,
        "message": message,
        "observedGeneration": observed_generation,
    }
    current = get_condition(conditions, type)
    if current is None:
        conditions.append(wanted | {"lastTransitionTime": _rfc3339(now)})
        return True
    changed = any(current.get(key) != value for key, value in wanted.items())
    if changed:
        if current.get("status") != status or not current.get("lastTransitionTime"):
            wanted["lastTransitionTime"] = _rfc3339(now)
        current.update(wanted)
    return changed


def remove_condition(conditions: list[JsonObject], type: str) -> bool:
    """Drop the condition of this type in place; say if there was one."""
    kept = [condition for condition in conditions if condition.get("type") != type]
    changed = len(kept) != len(conditions)
    conditions[:] = kept
    return changed


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
