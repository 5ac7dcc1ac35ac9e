"""Is the Deployment that we want now the one that runs? If not: what do its Pods say?

Ready means that the current generation is rolled out and nothing of an older one still answers, so that an edit is seen
to take effect. Pure functions over a Deployment and its Pods.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from kagent_operator.translate.fields import JsonObject, flag, integer, mapping, name_of, rows, section, text

__all__ = ["Rollout", "judge", "pod_problem"]

_MAX_MESSAGE: Final = 600
# What a container says while it is simply starting.
_STARTING: Final = {"ContainerCreating", "PodInitializing"}


@dataclass(frozen=True)
class Rollout:
    """The judgement; reason and message are those of upstream where upstream has them."""

    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str


def judge(deployment: JsonObject | None, pods: list[JsonObject]) -> Rollout:
    """Judge one Deployment by its status, and its Pods for the reason."""
    if deployment is None:
        return Rollout("False", "DeploymentNotFound", "the Deployment is not there yet")
    generation = integer(deployment, "metadata", "generation") or 0
    status = mapping(deployment, "status")
    wanted = integer(deployment, "spec", "replicas")
    wanted = 1 if wanted is None else wanted
    total, updated, available = (
        integer(status, key) or 0 for key in ("replicas", "updatedReplicas", "availableReplicas")
    )
    counted = f"{available}/{wanted} pods are ready"
    if wanted == 0:
        return Rollout("False", "ScaledToZero", "Deployment is scaled to 0 replicas")
    if (integer(status, "observedGeneration") or 0) < generation:
        return Rollout("False", "DeploymentNotReady", f"Deployment is rolling out generation {generation}, {counted}")
    failure = _condition(deployment, "ReplicaFailure", "True")
    if updated == total and available > 0:
        note = "" if available >= wanted else f", {counted}"
        return Rollout("True", "DeploymentReady", f"Deployment is ready{note}")
    if available > 0:
        fresh = [pod for pod in pods if not text(pod, "metadata", "deletionTimestamp")]
        why = next(filter(None, (pod_problem(pod) for pod in fresh)), "") or (
            f"{updated} new and {total - updated} old pods"
        )
        return Rollout("False", "DeploymentNotReady", _cut(f"Deployment is rolling out, {counted}: {why}"))
    why = text(failure, "message") if failure else _worst(pods)
    return Rollout("False", "DeploymentNotReady", _cut(f"Deployment is not ready, {counted}{': ' if why else ''}{why}"))


def _worst(pods: list[JsonObject]) -> str:
    newest = sorted(pods, key=lambda pod: text(pod, "metadata", "creationTimestamp"), reverse=True)
    return next((problem for problem in map(pod_problem, newest) if problem), "")


def pod_problem(pod: JsonObject) -> str:
    """Return why a Pod does not work, in the words of the scheduler, the kubelet or the program; empty when it does."""
    name = name_of(pod)
    if text(pod, "metadata", "deletionTimestamp"):
        return ""
    scheduled = _condition(pod, "PodScheduled", "False")
    if scheduled is not None:
        return f"pod {name} cannot be scheduled: {text(scheduled, 'message') or text(scheduled, 'reason')}"
    status = mapping(pod, "status")
    for field in ("initContainerStatuses", "containerStatuses"):
        for container in rows(status, field):
            if problem := _container_problem(container):
                return f"pod {name}: container {text(container, 'name')}: {problem}"
    if text(status, "phase") == "Failed":
        return f"pod {name} failed: {text(status, 'reason')} {text(status, 'message')}".strip()
    return ""


def _container_problem(container: JsonObject) -> str:
    waiting = section(container, "state", "waiting")
    if waiting is not None:
        reason, message = text(waiting, "reason"), text(waiting, "message")
        if reason in _STARTING or not reason:
            return ""
        ended = section(container, "lastState", "terminated")
        if ended is not None:
            return f"{reason}: {_ended(ended)}"
        return f"{reason}: {message}" if message else reason
    ended = section(container, "state", "terminated")
    if ended is not None and integer(ended, "exitCode"):
        return _ended(ended)
    if section(container, "state", "running") is not None and not flag(container, "ready"):
        last = section(container, "lastState", "terminated")
        return f"started again after {_ended(last)}" if last is not None and integer(last, "exitCode") else ""
    return ""


def _ended(terminated: JsonObject) -> str:
    reason, code = text(terminated, "reason") or "Error", integer(terminated, "exitCode")
    message = " | ".join(line.strip() for line in text(terminated, "message").splitlines()[-3:] if line.strip())
    return f"{reason}, exit code {code}{': ' if message else ''}{message}"


def _condition(obj: JsonObject, kind: str, status: str) -> JsonObject | None:
    for condition in rows(obj, "status", "conditions"):
        if text(condition, "type") == kind and text(condition, "status") == status:
            return condition
    return None


def _cut(message: str) -> str:
    return message if len(message) <= _MAX_MESSAGE else message[: _MAX_MESSAGE - 1] + "…"
