"""Jobs: counted to their end, by indexes, limits, policies, suspension and time."""

from __future__ import annotations

from typing import Any

import pytest

from kagent_localcluster.runner.controllers.job_indexes import met_success_policy, parse_indexes, show_indexes
from kagent_localcluster.runner.resources import EVENTS, JOBS, PODS
from kagent_localcluster.seams import JsonObject

SLEEP = "import time; time.sleep(600)"


def job(name: str, code: str, **spec: Any) -> JsonObject:
    container = {"name": "main", "image": "python:3", "args": ["-c", code]}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": template, **spec}}


def finished(cluster: Any, name: str) -> dict[str, str]:
    status = cluster.objects.get(JOBS, "default", name)["status"]
    return {c["type"]: c.get("reason", "") for c in status.get("conditions", []) if c["status"] == "True"}


async def test_a_job_runs_to_completion(cluster: Any) -> None:
    cluster.objects.create(JOBS, "default", job("sum", "print(1 + 1)", completions=3, parallelism=2))
    await cluster.until(lambda: "Complete" in finished(cluster, "sum"))
    status = cluster.objects.get(JOBS, "default", "sum")["status"]
    assert status["succeeded"] == 3
    assert status["completionTime"] >= status["startTime"]


async def test_a_job_that_keeps_failing_gives_up_at_its_backoff_limit(cluster: Any) -> None:
    cluster.objects.create(JOBS, "default", job("bad", "raise SystemExit(1)", backoffLimit=0))
    await cluster.until(lambda: finished(cluster, "bad").get("Failed") == "BackoffLimitExceeded")
    assert cluster.objects.get(JOBS, "default", "bad")["status"]["failed"] == 1


async def test_a_job_past_its_deadline_is_ended(cluster: Any) -> None:
    cluster.objects.create(JOBS, "default", job("long", SLEEP, activeDeadlineSeconds=1))
    await cluster.until(lambda: finished(cluster, "long").get("Failed") == "DeadlineExceeded")
    await cluster.until(lambda: not cluster.objects.list(PODS, "default", label_selector="job-name=long"))


async def test_a_finished_job_goes_when_its_time_to_live_is_over(cluster: Any) -> None:
    cluster.objects.create(JOBS, "default", job("brief", "pass", ttlSecondsAfterFinished=0))
    await cluster.until(lambda: not cluster.objects.list(JOBS, "default"))


def status_of(cluster: Any, name: str) -> JsonObject:
    return cluster.objects.get(JOBS, "default", name)["status"]


def pods_of(cluster: Any, name: str) -> list[JsonObject]:
    return cluster.objects.list(PODS, "default", label_selector=f"batch.kubernetes.io/job-name={name}")


def reasons(cluster: Any, name: str) -> set[str]:
    events = cluster.objects.list(EVENTS, "default")
    return {event["reason"] for event in events if event["involvedObject"]["name"] == name}


async def test_how_a_job_ends_is_shown_as_the_job_controller_shows_it(cluster: Any) -> None:
    cluster.objects.create(JOBS, "default", job("sum", "pass"))
    await cluster.until(lambda: "Complete" in finished(cluster, "sum"))
    status = status_of(cluster, "sum")
    assert finished(cluster, "sum") == {"SuccessCriteriaMet": "CompletionsReached", "Complete": "CompletionsReached"}
    counts: JsonObject = {"ready": 0, "terminating": 0, "succeeded": 1, "uncountedTerminatedPods": {}}
    assert counts.items() <= status.items()
    assert "active" not in status
    assert {"SuccessfulCreate", "Completed"} <= reasons(cluster, "sum")
    (pod,) = pods_of(cluster, "sum")
    assert pod["metadata"].get("finalizers", []) == []


async def test_what_was_done_counts_also_when_its_pod_is_deleted(cluster: Any) -> None:
    code = "import os, time; time.sleep(600 if 'second' in open('{0}').read() else 0); open('{0}', 'w').write('second')"
    place = cluster.data_dir / "turn"
    place.write_text("first")
    cluster.objects.create(JOBS, "default", job("two", code.format(place), completions=2))
    await cluster.until(lambda: status_of(cluster, "two").get("succeeded") == 1)
    done = next(pod for pod in pods_of(cluster, "two") if pod["status"]["phase"] == "Succeeded")
    cluster.objects.delete(PODS, "default", done["metadata"]["name"])
    await cluster.until(
        lambda: done["metadata"]["name"] not in [pod["metadata"]["name"] for pod in pods_of(cluster, "two")]
    )
    await cluster.until(lambda: status_of(cluster, "two").get("active") == 1)
    assert status_of(cluster, "two")["succeeded"] == 1
    assert len(pods_of(cluster, "two")) == 1


async def test_an_indexed_job_does_each_index_once(cluster: Any) -> None:
    code = "import os; print(os.environ['JOB_COMPLETION_INDEX'], os.environ['HOSTNAME'])"
    cluster.objects.create(JOBS, "default", job("part", code, completions=3, parallelism=2, completionMode="Indexed"))
    await cluster.until(lambda: "Complete" in finished(cluster, "part"))
    assert status_of(cluster, "part")["completedIndexes"] == "0-2"
    said = sorted([(await cluster.log(pod["metadata"]["name"])).strip() for pod in pods_of(cluster, "part")])
    assert said == ["0 part-0", "1 part-1", "2 part-2"]
    assert sorted(pod["metadata"]["name"].rsplit("-", 1)[0] for pod in pods_of(cluster, "part")) == [
        "part-0",
        "part-1",
        "part-2",
    ]


async def test_indexes_fail_by_themselves_where_they_have_a_limit_of_their_own(cluster: Any) -> None:
    code = "import os; raise SystemExit(os.environ['JOB_COMPLETION_INDEX'] == '1')"
    spec: JsonObject = {"completions": 3, "parallelism": 3, "completionMode": "Indexed", "backoffLimitPerIndex": 0}
    cluster.objects.create(JOBS, "default", job("each", code, **spec))
    await cluster.until(lambda: finished(cluster, "each").get("Failed") == "FailedIndexes")
    status = status_of(cluster, "each")
    assert (status["completedIndexes"], status["failedIndexes"], status["failed"]) == ("0,2", "1", 1)


async def test_a_failure_policy_ends_the_job_or_passes_a_failure_over(cluster: Any) -> None:
    rules = [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}]
    body = job("fatal", "raise SystemExit(42)", backoffLimit=6, podFailurePolicy={"rules": rules})
    cluster.objects.create(JOBS, "default", body)
    await cluster.until(lambda: finished(cluster, "fatal").get("Failed") == "PodFailurePolicy")
    (pod,) = pods_of(cluster, "fatal")
    (message,) = {c["message"] for c in status_of(cluster, "fatal")["conditions"]}
    assert message == (
        f"Container main for pod default/{pod['metadata']['name']} failed with exit code 42 matching FailJob rule at "
        "index 0"
    )


async def test_a_suspended_job_has_no_pods_until_it_is_resumed(cluster: Any) -> None:
    cluster.objects.create(JOBS, "default", job("later", SLEEP, suspend=True))
    await cluster.until(lambda: finished(cluster, "later").get("Suspended") == "JobSuspended")
    assert "startTime" not in status_of(cluster, "later")
    assert pods_of(cluster, "later") == []
    for suspend, active in ((False, 1), (True, 0)):
        body = cluster.objects.get(JOBS, "default", "later")
        cluster.objects.update(JOBS, "default", "later", {**body, "spec": {**body["spec"], "suspend": suspend}})
        await cluster.until(lambda active=active: status_of(cluster, "later").get("active", 0) == active)
        await cluster.until(lambda active=active: len(pods_of(cluster, "later")) == active)
    assert status_of(cluster, "later").get("failed", 0) == 0  # to be suspended is no failure
    assert {"Suspended", "Resumed"} <= reasons(cluster, "later")


async def test_a_success_policy_ends_the_pods_that_are_left(cluster: Any) -> None:
    code = f"import os\nif os.environ['JOB_COMPLETION_INDEX'] != '0':\n    {SLEEP}"
    spec: JsonObject = {"completions": 2, "parallelism": 2, "completionMode": "Indexed"}
    policy = {"rules": [{"succeededIndexes": "0"}]}
    cluster.objects.create(JOBS, "default", job("leader", code, successPolicy=policy, **spec))
    await cluster.until(lambda: finished(cluster, "leader").get("Complete") == "SuccessPolicy")
    assert status_of(cluster, "leader")["completedIndexes"] == "0"


async def test_deleting_a_job_takes_its_pods_with_it(cluster: Any) -> None:
    cluster.objects.create(JOBS, "default", job("gone", SLEEP))
    await cluster.until(lambda: status_of(cluster, "gone").get("ready") == 1)
    cluster.objects.delete(JOBS, "default", "gone")
    await cluster.until(lambda: not cluster.objects.list(PODS, "default"))


async def test_a_job_under_way_goes_on_after_a_restart_of_the_local_cluster(start_cluster: Any) -> None:
    cluster = await start_cluster()
    cluster.objects.create(JOBS, "default", job("long", SLEEP, backoffLimit=3))
    await cluster.until(lambda: status_of(cluster, "long").get("ready") == 1)
    cluster = await start_cluster()
    await cluster.until(lambda: status_of(cluster, "long").get("failed") == 1)  # its process ended with the cluster


@pytest.mark.parametrize(
    ("indexes", "shown"), [(set[int](), ""), ({4}, "4"), ({0, 1}, "0,1"), ({0, 1, 2, 5, 7, 8, 9}, "0-2,5,7-9")]
)
def test_indexes_are_written_as_ranges_and_read_back(indexes: set[int], shown: str) -> None:
    assert show_indexes(indexes) == shown
    assert parse_indexes(shown) == indexes


@pytest.mark.parametrize(
    ("rule", "met"),
    [
        ({"succeededIndexes": "0,2"}, True),
        ({"succeededIndexes": "0-3"}, False),
        ({"succeededIndexes": "0-3", "succeededCount": 2}, True),
        ({"succeededCount": 3}, False),
        ({"succeededCount": 2}, True),
    ],
)
def test_a_success_policy_is_met_by_indexes_by_a_number_or_by_both(rule: JsonObject, met: bool) -> None:
    job = {"spec": {"successPolicy": {"rules": [{"succeededIndexes": "9"}, rule]}}}
    assert met_success_policy(job, {0, 2}) == (1 if met else None)
