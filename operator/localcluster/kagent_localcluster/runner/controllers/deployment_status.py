"""The status of a Deployment, worked out from its ReplicaSets: counts, Available and Progressing.

Reasons and messages are the ones that ``kubectl rollout status`` and people's scripts look for, and a condition is
written anew only when its status or reason changes, as the deployment controller does it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from kagent_localcluster.runner.controllers.rollout import limits
from kagent_localcluster.runner.fields import at, first, items, mapping, name_of, number, text
from kagent_localcluster.runner.metadata import now, parse_time
from kagent_localcluster.seams import JsonObject

__all__ = ["counted_status", "has_deadline", "is_complete", "progress_deadline", "progressed_status", "with_condition"]

PROGRESSING = "Progressing"
TIMED_OUT = "ProgressDeadlineExceeded"
COMPLETED = "NewReplicaSetAvailable"
NO_DEADLINE = 2**31 - 1


def counted_status(deployment: JsonObject, new: JsonObject | None, old: Sequence[JsonObject]) -> JsonObject:
    """Return the status with its counts and whether it is available; progress is not judged."""
    before = mapping(deployment, "status")
    everything = [*old, *([new] if new else [])]
    wanted = number(deployment, "spec", "replicas", default=1)
    available = sum(number(rs, "status", "availableReplicas") for rs in everything)
    counts = {
        "replicas": sum(number(rs, "status", "replicas") for rs in everything),
        "updatedReplicas": number(new, "status", "replicas") if new else 0,
        "readyReplicas": sum(number(rs, "status", "readyReplicas") for rs in everything),
        "availableReplicas": available,
        "unavailableReplicas": max(0, sum(number(rs, "spec", "replicas") for rs in everything) - available),
        "collisionCount": number(before, "collisionCount"),
    }
    status: JsonObject = {"observedGeneration": number(deployment, "metadata", "generation", default=1)}
    status |= {name: count for name, count in counts.items() if count}
    status["terminatingReplicas"] = sum(number(rs, "status", "terminatingReplicas") for rs in everything)
    enough = available >= wanted - limits(deployment["spec"], wanted).unavailable
    status["conditions"] = with_condition(
        items(before, "conditions"),
        "Available",
        "True" if enough else "False",
        "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable",
        f"Deployment {'has' if enough else 'does not have'} minimum availability.",
    )
    return status


def progressed_status(deployment: JsonObject, new: JsonObject | None, old: Sequence[JsonObject]) -> JsonObject:
    """Return the status with its counts, and with what became of the rollout."""
    status = counted_status(deployment, new, old)
    conditions = items(status, "conditions")
    if not has_deadline(deployment):
        conditions = _without(conditions, PROGRESSING)
    elif not _was_complete(deployment, status):
        conditions = _progress(deployment, status, conditions, new)
    status["conditions"] = _replica_failure(conditions, [*([new] if new else []), *old])
    return status


def is_complete(deployment: JsonObject, status: JsonObject) -> bool:
    """Tell whether every wanted Pod is of the newest template and available, and no other is left."""
    wanted = number(deployment, "spec", "replicas", default=1)
    return number(status, "observedGeneration") >= number(deployment, "metadata", "generation", default=1) and all(
        number(status, name) == wanted for name in ("updatedReplicas", "replicas", "availableReplicas")
    )


def has_deadline(deployment: JsonObject) -> bool:
    limit = at(deployment, "spec", "progressDeadlineSeconds")
    return isinstance(limit, int) and limit != NO_DEADLINE


def progress_deadline(deployment: JsonObject, status: JsonObject) -> float | None:
    """Return the seconds until an unfinished rollout counts as stuck, None where that is settled."""
    condition = first(c for c in items(status, "conditions") if c.get("type") == PROGRESSING)
    if not condition or not has_deadline(deployment) or at(deployment, "spec", "paused"):
        return None
    if is_complete(deployment, status) or condition.get("reason") in (TIMED_OUT, COMPLETED):
        return None
    return max(0.1, _due(deployment, condition) - time.time() + 1)  # times of conditions are whole seconds


def with_condition(
    conditions: list[JsonObject], kind: str, status: str, reason: str, message: str, *, renew: bool = False
) -> list[JsonObject]:
    """Return the conditions with one set; the same status and reason change nothing, unless ``renew`` says so."""
    old = first(condition for condition in conditions if condition.get("type") == kind)
    same_status = old.get("status") == status
    if same_status and old.get("reason") == reason and not renew:
        return conditions
    stamp = now()
    fresh: JsonObject = {
        "type": kind,
        "status": status,
        "lastUpdateTime": stamp,
        "lastTransitionTime": text(old, "lastTransitionTime", default=stamp) if same_status else stamp,
        "reason": reason,
        "message": message,
    }
    return [*_without(conditions, kind), fresh]


def _was_complete(deployment: JsonObject, status: JsonObject) -> bool:
    """Tell whether the newest ReplicaSet alone is at work and was rolled out before: nothing progresses then."""
    condition = first(c for c in items(deployment, "status", "conditions") if c.get("type") == PROGRESSING)
    alone = number(status, "replicas") == number(status, "updatedReplicas")
    return alone and condition.get("reason") == COMPLETED


def _progress(
    deployment: JsonObject, status: JsonObject, conditions: list[JsonObject], new: JsonObject | None
) -> list[JsonObject]:
    what = f'ReplicaSet "{name_of(new)}"' if new else f'Deployment "{name_of(deployment)}"'
    if is_complete(deployment, status):
        return with_condition(conditions, PROGRESSING, "True", COMPLETED, f"{what} has successfully progressed.")
    if _moved(mapping(deployment, "status"), status):
        return with_condition(
            conditions, PROGRESSING, "True", "ReplicaSetUpdated", f"{what} is progressing.", renew=True
        )
    condition = first(c for c in conditions if c.get("type") == PROGRESSING)
    waits = bool(condition) and condition.get("reason") != COMPLETED
    if waits and (condition.get("reason") == TIMED_OUT or _due(deployment, condition) < time.time()):
        return with_condition(conditions, PROGRESSING, "False", TIMED_OUT, f"{what} has timed out progressing.")
    return conditions


def _moved(before: JsonObject, after: JsonObject) -> bool:
    def old_ones(status: JsonObject) -> int:
        return number(status, "replicas") - number(status, "updatedReplicas")

    grown = any(
        number(after, name) > number(before, name) for name in ("updatedReplicas", "readyReplicas", "availableReplicas")
    )
    return grown or old_ones(after) < old_ones(before)


def _due(deployment: JsonObject, condition: JsonObject) -> float:
    limit = number(deployment, "spec", "progressDeadlineSeconds")
    return parse_time(text(condition, "lastUpdateTime")) + limit


def _replica_failure(conditions: list[JsonObject], replicasets: Sequence[JsonObject]) -> list[JsonObject]:
    """Show the failure of the newest ReplicaSet that has one."""
    failure = first(
        condition
        for replicaset in replicasets
        for condition in items(replicaset, "status", "conditions")
        if condition.get("type") == "ReplicaFailure"
    )
    if not failure:
        return _without(conditions, "ReplicaFailure")
    status, reason = text(failure, "status"), text(failure, "reason")
    return with_condition(conditions, "ReplicaFailure", status, reason, text(failure, "message"))


def _without(conditions: list[JsonObject], kind: str) -> list[JsonObject]:
    return [condition for condition in conditions if condition.get("type") != kind]
