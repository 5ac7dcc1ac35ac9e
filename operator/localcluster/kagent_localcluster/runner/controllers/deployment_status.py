"""The status of a Deployment, worked out from its ReplicaSets: counts, Available and Progressing.

Reasons and messages are the ones that ``kubectl rollout status`` and people's scripts look for.
"""

from __future__ import annotations

import time

from kagent_localcluster.runner.controllers.rollout import limits
from kagent_localcluster.runner.fields import at, items, mapping, name_of, number, text
from kagent_localcluster.runner.metadata import now, parse_time, set_condition
from kagent_localcluster.seams import JsonObject

__all__ = ["deployment_status", "progress_deadline"]

DEFAULT_DEADLINE = 600


def deployment_status(deployment: JsonObject, new: JsonObject | None, old: list[JsonObject]) -> JsonObject:
    """Return the status that the Deployment should have now."""
    before = mapping(deployment, "status")
    everything = [*old, *([new] if new else [])]
    wanted = number(deployment, "spec", "replicas", default=1)
    total = sum(number(rs, "status", "replicas") for rs in everything)
    available = sum(number(rs, "status", "availableReplicas") for rs in everything)
    counts = {
        "replicas": total,
        "updatedReplicas": number(new, "status", "replicas") if new else 0,
        "readyReplicas": sum(number(rs, "status", "readyReplicas") for rs in everything),
        "availableReplicas": available,
        "unavailableReplicas": max(0, max(total, wanted) - available),
        "collisionCount": number(before, "collisionCount"),
    }
    status: JsonObject = {"observedGeneration": number(deployment, "metadata", "generation", default=1)}
    status |= {name: count for name, count in counts.items() if count}
    conditions = _available(deployment, items(before, "conditions"), available, wanted)
    conditions = _progressing(deployment, conditions, before, status, new, wanted)
    status["conditions"] = _replica_failure(conditions, new)
    return status


def progress_deadline(deployment: JsonObject, status: JsonObject) -> float | None:
    """Return the seconds until an unfinished rollout counts as stuck, None where that is settled."""
    condition = next((c for c in items(status, "conditions") if c.get("type") == "Progressing"), None)
    if condition is None or condition.get("reason") not in (
        "NewReplicaSetCreated",
        "ReplicaSetUpdated",
        "FoundNewReplicaSet",
    ):
        return None
    limit = number(deployment, "spec", "progressDeadlineSeconds", default=DEFAULT_DEADLINE)
    return max(0.1, parse_time(text(condition, "lastUpdateTime")) + limit - time.time() + 1)


def _available(deployment: JsonObject, conditions: list[JsonObject], available: int, wanted: int) -> list[JsonObject]:
    enough = available >= wanted - limits(deployment["spec"], wanted).unavailable
    return set_condition(
        conditions,
        "Available",
        enough,
        reason="MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable",
        message=f"Deployment {'has' if enough else 'does not have'} minimum availability.",
        extra={"lastUpdateTime": now()},
    )


def _progressing(
    deployment: JsonObject,
    conditions: list[JsonObject],
    before: JsonObject,
    status: JsonObject,
    new: JsonObject | None,
    wanted: int,
) -> list[JsonObject]:
    old = next((c for c in conditions if c.get("type") == "Progressing"), None)
    extra = {"lastUpdateTime": now()}
    if at(deployment, "spec", "paused"):
        return set_condition(
            conditions, "Progressing", False, reason="DeploymentPaused", message="Deployment is paused", extra=extra
        )
    if new is None:
        return conditions
    what = f'ReplicaSet "{name_of(new)}"'
    updated = number(status, "updatedReplicas")
    complete = (
        updated == wanted and number(status, "replicas") == wanted and number(status, "availableReplicas") == wanted
    )
    if complete:
        message = f"{what} has successfully progressed."
        return set_condition(
            conditions, "Progressing", True, reason="NewReplicaSetAvailable", message=message, extra=extra
        )
    restarted = number(before, "observedGeneration") != number(status, "observedGeneration")
    moved = any(
        number(before, name) != number(status, name)
        for name in ("updatedReplicas", "readyReplicas", "availableReplicas")
    )
    same_rollout = old is not None and text(old, "message").startswith(what)
    if old is None or not same_rollout:
        message = f"{what} is progressing." if old else f"Created new replica set {what.removeprefix('ReplicaSet ')}"
        reason = "ReplicaSetUpdated" if old else "NewReplicaSetCreated"
        return _touch(conditions, reason, message)
    if moved or restarted or old.get("reason") == "NewReplicaSetAvailable":
        if old.get("reason") == "NewReplicaSetAvailable" and not restarted:
            return conditions  # a finished rollout that lost a Pod is not a new rollout
        return _touch(conditions, "ReplicaSetUpdated", f"{what} is progressing.")
    limit = number(deployment, "spec", "progressDeadlineSeconds", default=DEFAULT_DEADLINE)
    if old.get("status") == "True" and parse_time(text(old, "lastUpdateTime")) + limit < time.time():
        message = f"{what} has timed out progressing."
        return set_condition(
            conditions, "Progressing", False, reason="ProgressDeadlineExceeded", message=message, extra=extra
        )
    return conditions


def _touch(conditions: list[JsonObject], reason: str, message: str) -> list[JsonObject]:
    """Set Progressing and start its clock anew, also where its words stay the same."""
    changed = set_condition(conditions, "Progressing", True, reason=reason, message=message)
    return [{**c, "lastUpdateTime": now()} if c.get("type") == "Progressing" else c for c in changed]


def _replica_failure(conditions: list[JsonObject], new: JsonObject | None) -> list[JsonObject]:
    failure = next((c for c in items(new or {}, "status", "conditions") if c.get("type") == "ReplicaFailure"), None)
    if failure is None:
        return [c for c in conditions if c.get("type") != "ReplicaFailure"]
    return set_condition(
        conditions,
        "ReplicaFailure",
        True,
        reason=text(failure, "reason"),
        message=text(failure, "message"),
        extra={"lastUpdateTime": now()},
    )
