"""Runs a Job's Pods to completion: parallelism, completions, indexes, limits, deadline, suspension and time to live.

A Job that is decided first says so (SuccessCriteriaMet, FailureTarget), ends the Pods that are left, and is Complete or
Failed when the last of them has ended, as the job controller does it.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from kagent_localcluster.errors import Forbidden, Invalid, NotFound
from kagent_localcluster.runner.controllers.claims import claim
from kagent_localcluster.runner.controllers.job_failures import judge, restarts_exceeded
from kagent_localcluster.runner.controllers.job_indexes import (
    failures_of,
    index_of,
    met_success_policy,
    parse_indexes,
    show_indexes,
    template_at,
)
from kagent_localcluster.runner.controllers.job_tracking import FINALIZER, count_ended, has_failed, let_go
from kagent_localcluster.runner.controllers.pods import is_active, is_ready, pod_from_template
from kagent_localcluster.runner.events import EventRecorder, EventType
from kagent_localcluster.runner.fields import (
    Key,
    at,
    first,
    items,
    key_of,
    mapping,
    name_of,
    number,
    strings,
    text,
    uid_of,
)
from kagent_localcluster.runner.informer import Informer
from kagent_localcluster.runner.metadata import is_deleted, now, parse_time, set_condition
from kagent_localcluster.runner.resources import JOBS, PODS
from kagent_localcluster.seams import JsonObject, Objects

__all__ = ["JobController"]

DEFAULT_BACKOFF_LIMIT = 6
FIRST_BACKOFF, LAST_BACKOFF = 10.0, 600.0  # Kubernetes' delays between a failed Pod and its successor
MOST_AT_ONCE = 500
OURS = "kubernetes.io/job-controller"
ENDED = ("Succeeded", "Failed")
ENDED_BY = {"SuccessCriteriaMet": "Complete", "FailureTarget": "Failed"}


class _Verdict(NamedTuple):
    """How a Job ends: the condition that says so first, its reason and message."""

    kind: str
    reason: str
    message: str


class _World:
    """A Job's Pods as one reconcile sees them."""

    def __init__(self, job: JsonObject, pods: list[JsonObject], status: JsonObject) -> None:
        self.pods = pods
        self.active = [pod for pod in pods if is_active(pod)]
        self.failed = [pod for pod in pods if has_failed(job, pod)]
        self.indexed = text(job, "spec", "completionMode") == "Indexed"
        self.index_limit = at(job, "spec", "backoffLimitPerIndex")
        self.succeeded_indexes = parse_indexes(text(status, "completedIndexes")) | {
            index_of(pod) for pod in pods if text(pod, "status", "phase") == "Succeeded"
        }
        self.failed_indexes = parse_indexes(text(status, "failedIndexes")) | {
            index_of(pod) for pod in self.failed if self._ends_its_index(job, pod)
        }

    @property
    def ending(self) -> int:
        return sum(is_deleted(pod) and text(pod, "status", "phase") not in ("Succeeded", "Failed") for pod in self.pods)

    def _ends_its_index(self, job: JsonObject, pod: JsonObject) -> bool:
        if not isinstance(self.index_limit, int):
            return False
        action = judge(job, pod).action
        return action == "FailIndex" or (action != "Ignore" and failures_of(pod) >= self.index_limit)


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
        if job is None:
            return self._release_orphans(key)
        if text(job, "spec", "managedBy", default=OURS) != OURS:
            return None
        pods = claim(self._objects, self._pods, job, "batch/v1", "Job")
        if is_deleted(job) or _finished(job):
            for pod in pods:
                let_go(self._objects, pod)
            return None if is_deleted(job) else self._expire(job)
        return self._sync(job, pods)

    def _sync(self, job: JsonObject, pods: list[JsonObject]) -> float | None:
        suspended = bool(at(job, "spec", "suspend"))
        status = dict(mapping(job, "status"))
        if not suspended:
            status.setdefault("startTime", now())

        def write(new: JsonObject) -> None:
            nonlocal job
            job = self._write(job, new)

        status = count_ended(self._objects, job, pods, status, given_up=False, write=write)
        world = _World(job, pods, status)
        verdict = self._verdict(job, status, world)
        wait: float | None = None
        if verdict is None and not suspended:
            wait = self._fill(job, status, world)
        elif verdict is None:
            self._delete(job, world.active)
            world.active = []
        verdict = verdict or self._completed(job, status, world)
        if verdict is not None:
            self._delete(job, world.active, counted=True)
            world.active = []
            if verdict.kind == "FailureTarget":
                rest = self._pods.owned_by(uid_of(job))
                status = count_ended(self._objects, job, rest, status, given_up=True, write=write)
        left = [pod for pod in self._pods.owned_by(uid_of(job)) if text(pod, "status", "phase") not in ENDED]
        status = _counted(status, world, sum(is_deleted(pod) for pod in left))
        if verdict is None:
            status = self._show_suspension(job, status, suspended)
        else:
            status = self._conclude(job, status, verdict, ended=not left)
        self._write(job, status)
        return _sooner(wait, self._deadline(job, status))

    def _verdict(self, job: JsonObject, status: JsonObject, world: _World) -> _Verdict | None:
        """Return how the Job ends whatever its Pods that still run may do."""
        for kind in ENDED_BY:
            if said := _condition(status, kind):
                return _Verdict(kind, text(said, "reason"), text(said, "message"))
        for pod in world.failed:
            if (judgement := judge(job, pod)).action == "FailJob":
                return _Verdict("FailureTarget", "PodFailurePolicy", judgement.message)
        limit = number(job, "spec", "backoffLimit", default=DEFAULT_BACKOFF_LIMIT)
        if number(status, "failed") > limit or restarts_exceeded(job, world.pods):
            return _Verdict("FailureTarget", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
        deadline = self._deadline(job, status)
        if deadline is not None and deadline <= 0:
            return _Verdict("FailureTarget", "DeadlineExceeded", "Job was active longer than specified deadline")
        return self._verdict_by_index(job, world) if world.indexed else None

    def _verdict_by_index(self, job: JsonObject, world: _World) -> _Verdict | None:
        failed, most = len(world.failed_indexes), at(job, "spec", "maxFailedIndexes")
        if isinstance(most, int) and failed > most:
            message = "Job has exceeded the specified maximal number of failed indexes"
            return _Verdict("FailureTarget", "MaxFailedIndexesExceeded", message)
        if failed and failed + len(world.succeeded_indexes) >= number(job, "spec", "completions"):
            return _Verdict("FailureTarget", "FailedIndexes", "Job has failed indexes")
        rule = met_success_policy(job, world.succeeded_indexes)
        if rule is not None:
            return _Verdict("SuccessCriteriaMet", "SuccessPolicy", f"Matched rules at index {rule}")
        return None

    def _completed(self, job: JsonObject, status: JsonObject, world: _World) -> _Verdict | None:
        """Return that the Job is done when every completion is there and nothing runs any more."""
        completions = at(job, "spec", "completions")
        succeeded = len(world.succeeded_indexes) if world.indexed else number(status, "succeeded")
        enough = succeeded >= completions if isinstance(completions, int) else succeeded > 0
        if not enough or world.active:
            return None
        return _Verdict("SuccessCriteriaMet", "CompletionsReached", "Reached expected number of succeeded pods")

    def _conclude(self, job: JsonObject, status: JsonObject, verdict: _Verdict, *, ended: bool) -> JsonObject:
        """Show how the Job ends, and that it has once its last Pod has."""
        kinds = [verdict.kind, *([ENDED_BY[verdict.kind]] if ended else [])]
        conditions = items(status, "conditions")
        for kind in kinds:
            conditions = set_condition(
                conditions,
                kind,
                True,
                reason=verdict.reason,
                message=verdict.message,
                extra={"lastProbeTime": now()},
            )
        shown: JsonObject = {**status, "conditions": conditions}
        if ended and verdict.kind == "SuccessCriteriaMet":
            shown["completionTime"] = now()
            self._event(job, "Completed", "Job completed")
        elif ended:
            self._event(job, verdict.reason, verdict.message, type="Warning")
        return shown

    def _show_suspension(self, job: JsonObject, status: JsonObject, suspended: bool) -> JsonObject:
        before = text(_condition(status, "Suspended", any_status=True), "status")
        if before == ("True" if suspended else "False") or not (suspended or before):
            return status
        reason, message = ("JobSuspended", "Job suspended") if suspended else ("JobResumed", "Job resumed")
        self._event(job, reason.removeprefix("Job"), message)
        conditions = set_condition(
            items(status, "conditions"),
            "Suspended",
            suspended,
            reason=reason,
            message=message,
            extra={"lastProbeTime": now()},
        )
        shown = {name: value for name, value in status.items() if name != "startTime"}
        return {**shown, "conditions": conditions, **({} if suspended else {"startTime": now()})}

    def _deadline(self, job: JsonObject, status: JsonObject) -> float | None:
        seconds = at(job, "spec", "activeDeadlineSeconds")
        if not isinstance(seconds, int) or _finished({"status": status}) or not text(status, "startTime"):
            return None
        return parse_time(text(status, "startTime")) + seconds - time.time()

    def _fill(self, job: JsonObject, status: JsonObject, world: _World) -> float | None:
        """Start or end Pods until as many run as should; returns when a backoff is over."""
        parallelism, completions = number(job, "spec", "parallelism", default=1), at(job, "spec", "completions")
        succeeded = len(world.succeeded_indexes) if world.indexed else number(status, "succeeded")
        wanted = parallelism
        if isinstance(completions, int):
            wanted = max(0, min(parallelism, completions - succeeded))
        elif succeeded:
            wanted = len(world.active)
        if len(world.active) > wanted:
            surplus = sorted(world.active, key=is_ready)[: len(world.active) - wanted]
            self._delete(job, surplus)
            world.active = [pod for pod in world.active if pod not in surplus]
            return None
        waits_for_ending = text(job, "spec", "podReplacementPolicy") == "Failed"
        missing = min(MOST_AT_ONCE, wanted - len(world.active) - (world.ending if waits_for_ending else 0))
        if missing <= 0:
            return None
        if world.indexed:
            return self._fill_indexes(job, world, missing)
        left = _backoff_left(world.pods, world.failed)
        if left > 0:
            return left
        for _ in range(missing):
            world.active.append(self._create(job, mapping(job, "spec", "template"), name_of(job)))
        return None

    def _fill_indexes(self, job: JsonObject, world: _World, missing: int) -> float | None:
        per_index = isinstance(world.index_limit, int)
        if not per_index and (left := _backoff_left(world.pods, world.failed)) > 0:
            return left
        busy = {index_of(pod) for pod in world.active} | world.succeeded_indexes | world.failed_indexes
        pending = [index for index in range(number(job, "spec", "completions")) if index not in busy][:missing]
        wait: float | None = None
        for index in pending:
            failed = [pod for pod in world.failed if index_of(pod) == index]
            if per_index and (left := _backoff_left(failed, failed)) > 0:
                wait = _sooner(wait, left)
                continue
            counted = [failures_of(pod) + (judge(job, pod).action != "Ignore") for pod in failed]
            template = template_at(job, index, max(counted, default=0) if per_index else None)
            world.active.append(self._create(job, template, f"{name_of(job)}-{index}"))
        return wait

    def _create(self, job: JsonObject, template: JsonObject, prefix: str) -> JsonObject:
        pod = pod_from_template(job, "batch/v1", "Job", template, node=self._node)
        pod["metadata"]["generateName"] = f"{prefix}-"
        pod["metadata"]["finalizers"] = [*strings(template, "metadata", "finalizers"), FINALIZER]
        try:
            pod = self._objects.create(PODS, pod["metadata"]["namespace"], pod)
        except (Invalid, Forbidden) as error:
            self._event(job, "FailedCreate", f"Error creating: {error}", type="Warning")
            raise
        self._pods.note_created(pod)
        self._event(job, "SuccessfulCreate", f"Created pod: {name_of(pod)}")
        return pod

    def _delete(self, job: JsonObject, pods: list[JsonObject], *, counted: bool = False) -> None:
        """End Pods; those that are not ``counted`` are let go first, so that their end is no failure."""
        for pod in pods:
            if not counted:
                let_go(self._objects, pod)
            try:
                self._objects.delete(PODS, *key_of(pod), uid=uid_of(pod))
            except NotFound:
                continue
            self._event(job, "SuccessfulDelete", f"Deleted pod: {name_of(pod)}")

    def _release_orphans(self, key: Key) -> None:
        """Let the Pods go whose Job is no longer there: nobody would take their finalizers otherwise."""
        for pod in self._pods.within(key.namespace):
            owners = items(pod, "metadata", "ownerReferences")
            ours = any(owner.get("kind") == "Job" and owner.get("name") == key.name for owner in owners)
            if ours and FINALIZER in strings(pod, "metadata", "finalizers"):
                let_go(self._objects, pod)

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

    def _write(self, job: JsonObject, status: JsonObject) -> JsonObject:
        if status == mapping(job, "status"):
            return job
        return self._objects.update(JOBS, *key_of(job), {**job, "status": status}, subresource="status")

    def _event(self, job: JsonObject, reason: str, message: str, *, type: EventType = "Normal") -> None:
        self._events.record(job, reason, message, kind="Job", api_version="batch/v1", type=type)


def _counted(status: JsonObject, world: _World, ending: int) -> JsonObject:
    """Return the status with the counts of this reconcile; those of ended Pods stand in it already."""
    counts = {
        "active": len(world.active),
        "succeeded": len(world.succeeded_indexes) if world.indexed else number(status, "succeeded"),
        "failed": number(status, "failed"),
    }
    shown = {name: value for name, value in status.items() if name not in counts}
    shown |= {name: count for name, count in counts.items() if count}
    shown |= {"ready": sum(is_ready(pod) for pod in world.active), "terminating": ending}
    if world.indexed and world.succeeded_indexes:
        shown["completedIndexes"] = show_indexes(world.succeeded_indexes)
    if isinstance(world.index_limit, int):
        shown["failedIndexes"] = show_indexes(world.failed_indexes)
    return shown


def _condition(status: JsonObject, kind: str, *, any_status: bool = False) -> JsonObject:
    return first(
        c for c in items(status, "conditions") if c.get("type") == kind and (any_status or c.get("status") == "True")
    )


def _finished(job: JsonObject) -> bool:
    return any(_condition(mapping(job, "status"), kind) for kind in ("Complete", "Failed"))


def _backoff_left(pods: list[JsonObject], failed: list[JsonObject]) -> float:
    """Return the seconds until the next Pod may start: 10 s after a failure, doubled while nothing succeeds."""
    won = max((_finished_at(pod) for pod in pods if text(pod, "status", "phase") == "Succeeded"), default=0.0)
    lost = [ended for pod in failed if (ended := _finished_at(pod)) > won]
    if not lost:
        return 0.0
    return max(lost) + min(FIRST_BACKOFF * 2 ** (len(lost) - 1), LAST_BACKOFF) - time.time()


def _finished_at(pod: JsonObject) -> float:
    ends = [text(s, "state", "terminated", "finishedAt") for s in items(pod, "status", "containerStatuses")]
    return max((parse_time(end) for end in ends), default=0.0)


def _sooner(one: float | None, other: float | None) -> float | None:
    times = [seconds for seconds in (one, other) if seconds is not None]
    return max(0.05, min(times)) if times else None
