"""Makes Jobs when their CronJob's schedule says so, by the rules of Kubernetes' CronJob controller."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kagent_localcluster.errors import AlreadyExists, Forbidden, Invalid, NotFound
from kagent_localcluster.runner.cron import InvalidSchedule, Schedule, parse_schedule
from kagent_localcluster.runner.events import EventRecorder, EventType
from kagent_localcluster.runner.fields import Key, at, items, key_of, mapping, name_of, number, text, uid_of
from kagent_localcluster.runner.informer import Informer
from kagent_localcluster.runner.metadata import is_deleted, owner_reference, parse_time
from kagent_localcluster.runner.resources import CRONJOBS, JOBS
from kagent_localcluster.seams import JsonObject, Objects

__all__ = ["CronJobController"]

SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"
MANY = 100  # missed times, above which the clock or the schedule is to be looked at
LONGEST_WAIT = 3_600.0  # a machine that slept wakes to a wrong timer


class CronJobController:
    """Reconciles one CronJob at a time; ``clock`` gives the present in UTC."""

    def __init__(
        self,
        objects: Objects,
        cronjobs: Informer,
        jobs: Informer,
        events: EventRecorder,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._objects = objects
        self._cronjobs = cronjobs
        self._jobs = jobs
        self._events = events
        self._clock = clock

    def reconcile(self, key: Key) -> float | None:
        """Note what has ended, start what is due; returns when the next time is due."""
        cronjob = self._cronjobs.read(key)
        if cronjob is None or is_deleted(cronjob):
            return None
        jobs = self._jobs.owned_by(uid_of(cronjob))
        cronjob = self._note_ended(cronjob, jobs)
        self._prune(cronjob, jobs)
        if at(cronjob, "spec", "suspend"):
            return None
        try:
            zone = _zone(cronjob)
            schedule = parse_schedule(text(cronjob, "spec", "schedule"))
        except ZoneInfoNotFoundError:
            name = text(cronjob, "spec", "timeZone")
            self._event(cronjob, "UnknownTimeZone", f'invalid timeZone: "{name}": unknown time zone {name}', "Warning")
            return None
        except InvalidSchedule as error:
            shown = text(cronjob, "spec", "schedule")
            self._event(cronjob, "UnparseableSchedule", f'unparseable schedule: "{shown}" : {error}', "Warning")
            return None
        due = self._due(cronjob, schedule, zone)
        if due is not None:
            self._start_due(cronjob, due)
        following = schedule.after(self._clock(), zone)
        if following is None:
            return None
        return min(LONGEST_WAIT, max(0.1, (following - self._clock()).total_seconds() + 0.1))

    def _due(self, cronjob: JsonObject, schedule: Schedule, zone: tzinfo) -> datetime | None:
        """Return the latest time that has come and was not served yet."""
        last = text(cronjob, "status", "lastScheduleTime") or text(cronjob, "metadata", "creationTimestamp")
        since = datetime.fromtimestamp(parse_time(last), UTC)
        deadline = at(cronjob, "spec", "startingDeadlineSeconds")
        if isinstance(deadline, int):
            since = max(since, self._clock() - timedelta(seconds=deadline))
        due, missed = None, 0
        while (following := schedule.after(due or since, zone)) is not None and following <= self._clock():
            due, missed = following, missed + 1
            if missed == MANY:
                message = (
                    "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
                )
                self._event(cronjob, "TooManyMissedTimes", message, "Warning")
                due = self._last_of_many(schedule, zone, due)
        return due

    def _last_of_many(self, schedule: Schedule, zone: tzinfo, earliest: datetime) -> datetime:
        """Return a due time shortly before now, so that the last one is found in few steps."""
        step = (schedule.after(earliest, zone) or earliest) - earliest
        later = schedule.after(max(earliest, self._clock() - step * MANY), zone)
        return later if later is not None and later <= self._clock() else earliest

    def _start_due(self, cronjob: JsonObject, due: datetime) -> None:
        policy = text(cronjob, "spec", "concurrencyPolicy", default="Allow")
        active = items(cronjob, "status", "active")
        if policy == "Forbid" and active:
            message = "Not starting job because prior execution is running and concurrency policy is Forbid"
            self._event(cronjob, "JobAlreadyActive", message)
            return
        if policy == "Replace":
            for reference in active:
                self._delete(cronjob, Key(key_of(cronjob).namespace, text(reference, "name")), text(reference, "uid"))
            active = []
        try:
            job = self._objects.create(JOBS, key_of(cronjob).namespace, _job_for(cronjob, due))
        except AlreadyExists:
            return  # made before a crash; the next look finds it among ours
        except (Invalid, Forbidden) as error:
            self._event(cronjob, "FailedCreate", f"Error creating job: {error}", "Warning")
            raise
        self._jobs.note_created(job)
        self._event(cronjob, "SuccessfulCreate", f"Created job {name_of(job)}")
        status = {**mapping(cronjob, "status"), "active": [*active, _reference(job)], "lastScheduleTime": _shown(due)}
        self._write(cronjob, status)

    def _note_ended(self, cronjob: JsonObject, jobs: list[JsonObject]) -> JsonObject:
        """Take ended and vanished Jobs from the active ones, and take in one that a crash left unnoted."""
        by_uid = {uid_of(job): job for job in jobs}
        noted = {text(reference, "uid") for reference in items(cronjob, "status", "active")}
        status = {**mapping(cronjob, "status")}
        active: list[JsonObject] = []
        for reference in items(cronjob, "status", "active"):
            job = by_uid.get(text(reference, "uid"))
            if job is None:
                self._event(cronjob, "MissingJob", f"Active job went missing: {text(reference, 'name')}")
            elif kind := _outcome(job):
                self._event(cronjob, "SawCompletedJob", f"Saw completed job: {name_of(job)}, condition: {kind}")
            else:
                active.append(reference)
        for job in jobs:
            if uid_of(job) not in noted and not _outcome(job):
                made_at = text(job, "metadata", "annotations", SCHEDULED)
                if not made_at:
                    message = f"Saw a job that the controller did not create or forgot: {name_of(job)}"
                    self._event(cronjob, "UnexpectedJob", message, "Warning")
                    continue
                active.append(_reference(job))
                status["lastScheduleTime"] = max(text(status, "lastScheduleTime"), made_at)
            if _outcome(job) == "Complete":
                ended = text(job, "status", "completionTime")
                status["lastSuccessfulTime"] = max(text(status, "lastSuccessfulTime"), ended)
        status = {name: value for name, value in status.items() if name != "active"}
        return self._write(cronjob, {**status, **({"active": active} if active else {})})

    def _prune(self, cronjob: JsonObject, jobs: list[JsonObject]) -> None:
        """Delete ended Jobs beyond the history limits, oldest first."""
        for kind, field, default in (
            ("Complete", "successfulJobsHistoryLimit", 3),
            ("Failed", "failedJobsHistoryLimit", 1),
        ):
            ended = [job for job in jobs if _outcome(job) == kind and not is_deleted(job)]
            ended.sort(key=lambda job: (text(job, "status", "startTime"), name_of(job)))
            for job in ended[: max(0, len(ended) - number(cronjob, "spec", field, default=default))]:
                self._delete(cronjob, key_of(job), uid_of(job))

    def _delete(self, cronjob: JsonObject, key: Key, uid: str) -> None:
        try:
            self._objects.delete(JOBS, *key, uid=uid)
        except NotFound:
            return
        self._event(cronjob, "SuccessfulDelete", f"Deleted job {key.name}")

    def _write(self, cronjob: JsonObject, status: JsonObject) -> JsonObject:
        if status == mapping(cronjob, "status"):
            return cronjob
        return self._objects.update(CRONJOBS, *key_of(cronjob), {**cronjob, "status": status}, subresource="status")

    def _event(self, cronjob: JsonObject, reason: str, message: str, type: EventType = "Normal") -> None:
        self._events.record(cronjob, reason, message, kind="CronJob", api_version="batch/v1", type=type)


def _job_for(cronjob: JsonObject, due: datetime) -> JsonObject:
    """Return the Job of a due time; its name tells the minute, so that no time is served twice."""
    template = deepcopy(mapping(cronjob, "spec", "jobTemplate"))
    metadata = mapping(template, "metadata")
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": f"{name_of(cronjob)}-{int(due.timestamp()) // 60}",
            "namespace": key_of(cronjob).namespace,
            "labels": mapping(metadata, "labels"),
            "annotations": {**mapping(metadata, "annotations"), SCHEDULED: _shown(due)},
            "ownerReferences": [owner_reference(cronjob, "batch/v1", "CronJob")],
        },
        "spec": mapping(template, "spec"),
    }


def _reference(job: JsonObject) -> JsonObject:
    namespace, name = key_of(job)
    version = text(job, "metadata", "resourceVersion")
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": name,
        "namespace": namespace,
        "resourceVersion": version,
        "uid": uid_of(job),
    }


def _outcome(job: JsonObject) -> str:
    """Return Complete or Failed, "" for a Job under way."""
    kinds = (c for c in items(job, "status", "conditions") if c.get("status") == "True")
    return next((text(c, "type") for c in kinds if c.get("type") in ("Complete", "Failed")), "")


def _zone(cronjob: JsonObject) -> tzinfo:
    name = text(cronjob, "spec", "timeZone")
    if not name:
        return UTC
    try:
        return ZoneInfo(name)
    except (ValueError, OSError) as error:
        raise ZoneInfoNotFoundError(name) from error


def _shown(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
