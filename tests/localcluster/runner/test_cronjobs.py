"""CronJobs make Jobs when they are due, and keep their number."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kagent_localcluster.runner.controllers.cronjob import CronJobController
from kagent_localcluster.runner.events import EventRecorder
from kagent_localcluster.runner.fields import Key
from kagent_localcluster.runner.informer import Informer
from kagent_localcluster.runner.resources import CRONJOBS, EVENTS, JOBS
from kagent_localcluster.seams import JsonObject

SLEEP = "import time; time.sleep(600)"


def cronjob(name: str, schedule: str, code: str = "pass", **spec: Any) -> JsonObject:
    container: JsonObject = {"name": "main", "image": "python:3", "args": ["-c", code]}
    template: JsonObject = {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}}}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"schedule": schedule, "jobTemplate": template, **spec},
    }


class Clock:
    """A clock that a test moves; it starts at the real time, since creation times are real."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


class Timed:
    """A CronJob controller of the test's own, beside a cluster whose own one finds nothing due."""

    def __init__(self, cluster: Any) -> None:
        self.cluster = cluster
        self.clock = Clock()
        self.jobs = Informer(cluster.objects, JOBS)
        events = EventRecorder(cluster.objects, "cronjob-controller")
        self._controller = CronJobController(
            cluster.objects, Informer(cluster.objects, CRONJOBS), self.jobs, events, self.clock
        )

    def look(self, name: str, later: timedelta = timedelta()) -> float | None:
        self.clock.now += later
        for job in self.cluster.objects.list(JOBS, "default"):
            self.jobs.note_created(job)
        return self._controller.reconcile(Key("default", name))

    def names(self) -> list[str]:
        return sorted(job["metadata"]["name"] for job in self.cluster.objects.list(JOBS, "default"))

    def status(self, name: str) -> JsonObject:
        return self.cluster.objects.get(CRONJOBS, "default", name).get("status", {})

    def reasons(self, name: str) -> list[str]:
        events = self.cluster.objects.list(EVENTS, "default")
        return [event["reason"] for event in events if event["involvedObject"]["name"] == name]


@pytest.fixture
async def timed(start_cluster: Any) -> Timed:
    return Timed(await start_cluster("hollow"))


DAY = timedelta(days=1)


async def test_a_job_is_made_when_it_is_due_and_once(timed: Timed) -> None:
    timed.cluster.objects.create(CRONJOBS, "default", cronjob("tick", "0 0 * * *"))
    wait = timed.look("tick")
    assert wait is not None
    assert timed.names() == []
    for _ in range(2):
        timed.look("tick", DAY if not timed.names() else timedelta())
    midnight = timed.clock.now.replace(hour=0, minute=0, second=0, microsecond=0)
    assert timed.names() == [f"tick-{int(midnight.timestamp()) // 60}"]
    status = timed.status("tick")
    assert status["lastScheduleTime"] == midnight.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert [reference["name"] for reference in status["active"]] == timed.names()
    (job,) = timed.cluster.objects.list(JOBS, "default")
    assert job["metadata"]["ownerReferences"][0]["kind"] == "CronJob"


@pytest.mark.parametrize(("policy", "jobs"), [("Allow", 2), ("Forbid", 1), ("Replace", 1)])
async def test_a_run_that_is_not_over_is_treated_by_the_concurrency_policy(
    timed: Timed, policy: str, jobs: int
) -> None:
    timed.cluster.objects.create(CRONJOBS, "default", cronjob("tick", "@daily", concurrencyPolicy=policy))
    timed.look("tick", DAY)
    first = timed.names()
    timed.look("tick", DAY)
    await timed.cluster.until(lambda: len(timed.names()) == jobs)
    assert (first[0] in timed.names()) == (policy != "Replace")
    assert ("JobAlreadyActive" in timed.reasons("tick")) == (policy == "Forbid")


async def test_a_time_that_is_too_long_past_is_not_made_up_for(timed: Timed) -> None:
    timed.cluster.objects.create(CRONJOBS, "default", cronjob("late", "@daily", startingDeadlineSeconds=60))
    noon = timed.clock.now.replace(hour=12, minute=0) + DAY
    timed.look("late", noon - timed.clock.now)
    assert timed.names() == []


async def test_many_missed_times_make_one_job_and_a_warning(timed: Timed) -> None:
    timed.cluster.objects.create(CRONJOBS, "default", cronjob("tick", "* * * * *"))
    timed.look("tick", 30 * DAY)
    minute = timed.clock.now.replace(second=0, microsecond=0)
    assert timed.names()[-1] == f"tick-{int(minute.timestamp()) // 60}"
    assert "TooManyMissedTimes" in timed.reasons("tick")


async def test_a_suspended_cronjob_and_one_that_cannot_be_read_make_nothing(timed: Timed) -> None:
    timed.cluster.objects.create(CRONJOBS, "default", cronjob("still", "@daily", suspend=True))
    timed.look("still", DAY)
    assert timed.names() == []


async def test_a_cronjob_runs_in_the_cluster_and_keeps_what_succeeded_within_its_limit(cluster: Any) -> None:
    cluster.objects.create(CRONJOBS, "default", cronjob("now", "@every 1s", successfulJobsHistoryLimit=0))
    await cluster.until(
        lambda: (
            cluster.objects.get(CRONJOBS, "default", "now")["status"].get("lastSuccessfulTime")
            and not cluster.objects.list(JOBS, "default")
        )
    )
    reasons = {event["reason"] for event in cluster.objects.list(EVENTS, "default")}
    assert {"SuccessfulCreate", "SawCompletedJob", "SuccessfulDelete"} <= reasons


async def test_deleting_a_cronjob_takes_its_jobs_with_it(timed: Timed) -> None:
    timed.cluster.objects.create(CRONJOBS, "default", cronjob("tick", "@daily"))
    timed.look("tick", DAY)
    assert timed.names()
    timed.cluster.objects.delete(CRONJOBS, "default", "tick")
    await timed.cluster.until(lambda: not timed.names())
