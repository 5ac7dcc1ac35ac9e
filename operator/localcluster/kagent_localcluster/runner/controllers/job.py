"""Runs a Job's Pods to completion: parallelism, completions, backoff limit, deadline and time to live."""

from __future__ import annotations

import time
from typing import Any

from kagent_localcluster.errors import Forbidden, Invalid, NotFound
from kagent_localcluster.runner.controllers.pods import is_active, is_ready, pod_from_template
from kagent_localcluster.runner.events import EventRecorder
from kagent_localcluster.runner.fields import Key, at, items, key_of, mapping, name_of, number, text, uid_of
from kagent_localcluster.runner.informer import Informer
from kagent_localcluster.runner.metadata import is_deleted, now, parse_time, set_condition
from kagent_localcluster.runner.resources import JOBS, PODS
from kagent_localcluster.seams import JsonObject, Objects

__all__ = ["JobController"]

DEFAULT_BACKOFF_LIMIT = 6
FIRST_BACKOFF, LAST_BACKOFF = 10.0, 600.0  # Kubernetes' delays between a failed Pod and its successor


class JobController:
    """Reconciles one Job at a time."""

    def __init__(self, objects: Objects, jobs: Informer, pods: Informer, events: EventRecorder, node: str) -> None:
        self._objects = objects
        self._jobs = jobs
        self._pods = pods
        self._events = events
        self._node = node

    def reconcile(self, key: Key) -> float | None:
        """Start, stop or finish; returns when a backoff, a deadline or the time to live is due."""
        job = self._jobs.read(key)
        if job is None or is_deleted(job):
            return None
        if _finished(job):
            return self._expire(job)
        pods = self._pods.owned_by(uid_of(job))
        active = [pod for pod in pods if is_active(pod)]
        succeeded = sum(text(pod, "status", "phase") == "Succeeded" for pod in pods)
        failed = [pod for pod in pods if text(pod, "status", "phase") == "Failed"]
        status: JsonObject = {**mapping(job, "status")}
        status.setdefault("startTime", now())
        conditions = items(status, "conditions")
        wait: float | None = None
        verdict = self._verdict(job, status, succeeded, len(failed), len(active))
        if verdict is not None:
            kind, reason, message = verdict
            self._delete(active)
            active = []
            conditions = set_condition(
                conditions, kind, True, reason=reason, message=message, extra={"lastProbeTime": now()}
            )
            if kind == "Complete":
                status["completionTime"] = now()
            self._event(job, "Completed" if kind == "Complete" else reason, message or "Job completed")
        elif at(job, "spec", "suspend"):
            self._delete(active)
            active = []
            conditions = set_condition(conditions, "Suspended", True, reason="JobSuspended", message="Job suspended")
        else:
            created, wait = self._fill(job, active, succeeded, failed)
            active += created
        counts = {
            "active": len(active),
            "ready": sum(is_ready(pod) for pod in active),
            "succeeded": succeeded,
            "failed": len(failed),
        }
        status = {name: value for name, value in status.items() if name not in counts}
        status |= {name: count for name, count in counts.items() if count or name == "ready"}
        if conditions:
            status["conditions"] = conditions
        if status != mapping(job, "status"):
            self._objects.update(JOBS, *key, {**job, "status": status}, subresource="status")
        return _sooner(wait, self._deadline(job, status))

    def _verdict(
        self, job: JsonObject, status: JsonObject, succeeded: int, failed: int, active: int
    ) -> tuple[str, str, str] | None:
        completions = at(job, "spec", "completions")
        parallelism = number(job, "spec", "parallelism", default=1)
        if isinstance(completions, int) and succeeded >= completions:
            return "Complete", "CompletionsReached", "Reached expected number of succeeded pods"
        if completions is None and succeeded and (not active or parallelism == 1):
            return "Complete", "CompletionsReached", "Reached expected number of succeeded pods"
        if failed > number(job, "spec", "backoffLimit", default=DEFAULT_BACKOFF_LIMIT):
            return "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit"
        deadline = self._deadline(job, status)
        if deadline is not None and deadline <= 0:
            return "Failed", "DeadlineExceeded", "Job was active longer than specified deadline"
        return None

    def _deadline(self, job: JsonObject, status: JsonObject) -> float | None:
        seconds = at(job, "spec", "activeDeadlineSeconds")
        if not isinstance(seconds, int) or _finished({"status": status}):
            return None
        return parse_time(text(status, "startTime")) + seconds - time.time()

    def _fill(
        self, job: JsonObject, active: list[JsonObject], succeeded: int, failed: list[JsonObject]
    ) -> tuple[list[JsonObject], float | None]:
        wanted = number(job, "spec", "parallelism", default=1)
        completions = at(job, "spec", "completions")
        if isinstance(completions, int):
            wanted = min(wanted, completions - succeeded)
        elif succeeded:
            wanted = 0
        missing = wanted - len(active)
        if missing <= 0:
            self._delete(active[wanted:] if missing else [])
            return [], None
        if failed:
            last = max(_finished_at(pod) for pod in failed)
            delay = min(FIRST_BACKOFF * 2 ** (len(failed) - 1), LAST_BACKOFF)
            if (left := last + delay - time.time()) > 0:
                return [], left
        return self._create(job, missing), None

    def _create(self, job: JsonObject, count: int) -> list[JsonObject]:
        created: list[JsonObject] = []
        labels = {
            "batch.kubernetes.io/controller-uid": uid_of(job),
            "batch.kubernetes.io/job-name": name_of(job),
            "controller-uid": uid_of(job),
            "job-name": name_of(job),
        }
        for _ in range(count):
            pod = pod_from_template(job, "batch/v1", "Job", mapping(job, "spec", "template"))
            pod["metadata"]["labels"] |= labels
            pod["spec"].setdefault("nodeName", self._node)
            try:
                pod = self._objects.create(PODS, pod["metadata"]["namespace"], pod)
            except (Invalid, Forbidden) as error:
                self._event(job, "FailedCreate", f"Error creating: {error}", type="Warning")
                raise
            self._pods.note_created(pod)
            created.append(pod)
            self._event(job, "SuccessfulCreate", f"Created pod: {name_of(pod)}")
        return created

    def _delete(self, pods: list[JsonObject]) -> None:
        for pod in pods:
            try:
                self._objects.delete(PODS, *key_of(pod), uid=uid_of(pod))
            except NotFound:
                continue

    def _expire(self, job: JsonObject) -> float | None:
        ttl = at(job, "spec", "ttlSecondsAfterFinished")
        if not isinstance(ttl, int):
            return None
        done = next(c for c in items(job, "status", "conditions") if c.get("type") in ("Complete", "Failed"))
        left = parse_time(text(done, "lastTransitionTime")) + ttl - time.time()
        if left > 0:
            return left
        self._objects.delete(JOBS, *key_of(job), uid=uid_of(job))
        return None

    def _event(self, job: JsonObject, reason: str, message: str, *, type: Any = "Normal") -> None:
        self._events.record(job, reason, message, kind="Job", api_version="batch/v1", type=type)


def _finished(job: JsonObject) -> bool:
    conditions = items(job, "status", "conditions")
    return any(c.get("type") in ("Complete", "Failed") and c.get("status") == "True" for c in conditions)


def _finished_at(pod: JsonObject) -> float:
    ends = [text(s, "state", "terminated", "finishedAt") for s in items(pod, "status", "containerStatuses")]
    return max((parse_time(end) for end in ends), default=0.0)


def _sooner(one: float | None, other: float | None) -> float | None:
    times = [seconds for seconds in (one, other) if seconds is not None]
    return max(0.05, min(times)) if times else None
