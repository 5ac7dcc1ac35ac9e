"""Phases and conditions, by the kubelet's rules."""

from __future__ import annotations

import pytest

from kagent_localcluster.runner.pod_status import ContainerReport, PodReport, pod_status
from kagent_localcluster.seams import JsonObject

RUNNING: JsonObject = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
WAITING: JsonObject = {"waiting": {"reason": "ContainerCreating"}}
BACKOFF: JsonObject = {"waiting": {"reason": "CrashLoopBackOff"}}


def ended(code: int) -> JsonObject:
    return {"terminated": {"exitCode": code}}


def container(state: JsonObject, *, ready: bool = False, before: JsonObject | None = None) -> ContainerReport:
    return ContainerReport("c", "i", state, before or {}, 0, ready, ready)


def report(*containers: ContainerReport, stopping: bool = False, initialized: bool = True) -> PodReport:
    return PodReport(containers, (), initialized, stopping)


def pod(policy: str = "Always") -> JsonObject:
    return {"metadata": {"generation": 3}, "spec": {"restartPolicy": policy, "containers": [{"name": "c"}]}}


@pytest.mark.parametrize(
    ("policy", "containers", "phase"),
    [
        ("Always", [container(WAITING)], "Pending"),
        ("Always", [container(RUNNING), container(WAITING)], "Pending"),
        ("Always", [container(RUNNING)], "Running"),
        ("Always", [container(BACKOFF, before=ended(1))], "Running"),
        ("Always", [container(ended(1))], "Running"),
        ("OnFailure", [container(ended(1))], "Running"),
        ("OnFailure", [container(ended(0))], "Succeeded"),
        ("Never", [container(ended(0)), container(RUNNING)], "Running"),
        ("Never", [container(ended(0)), container(ended(0))], "Succeeded"),
        ("Never", [container(ended(0)), container(ended(2))], "Failed"),
    ],
)
def test_the_phase_follows_from_states_and_restart_policy(
    policy: str, containers: list[ContainerReport], phase: str
) -> None:
    assert pod_status(pod(policy), report(*containers))["phase"] == phase


def conditions(status: JsonObject) -> dict[str, JsonObject]:
    return {entry["type"]: entry for entry in status["conditions"]}


def test_a_pod_is_ready_when_all_its_containers_are_and_it_is_not_stopping() -> None:
    good = container(RUNNING, ready=True)
    assert conditions(pod_status(pod(), report(good)))["Ready"]["status"] == "True"
    assert conditions(pod_status(pod(), report(good, stopping=True)))["Ready"]["status"] == "False"
    found = conditions(pod_status(pod(), report(good, container(RUNNING))))["Ready"]
    assert (found["status"], found["reason"]) == ("False", "ContainersNotReady")
    assert found["message"] == "containers with unready status: [c]"


def test_the_time_of_a_condition_moves_only_with_its_status() -> None:
    old = "2001-01-01T00:00:00Z"
    before = {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": old, "observedGeneration": 3}]}
    good = report(container(RUNNING, ready=True))
    assert conditions(pod_status({**pod(), "status": before}, good))["Ready"]["lastTransitionTime"] == old
    bad = report(container(RUNNING))
    assert conditions(pod_status({**pod(), "status": before}, bad))["Ready"]["lastTransitionTime"] != old


def test_a_pod_before_its_init_containers_are_done_is_pending_and_says_which() -> None:
    body = pod()
    init = (
        ContainerReport("one", "i", ended(0), {}, 0, True, False),
        ContainerReport("two", "i", RUNNING, {}, 0, False, True),
    )
    status = pod_status(body, PodReport((container(WAITING),), init, False, False))
    assert status["phase"] == "Pending"
    assert conditions(status)["Initialized"]["message"] == "containers with incomplete status: [two]"


def test_a_pod_that_failed_as_a_whole_says_why() -> None:
    failed = PodReport((container(ended(137)),), (), True, False, ("DeadlineExceeded", "too long"))
    status = pod_status(pod(), failed)
    assert (status["phase"], status["reason"], status["message"]) == ("Failed", "DeadlineExceeded", "too long")


@pytest.mark.parametrize(
    ("resources", "quality"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}, "Burstable"),
    ],
)
def test_the_quality_of_service_follows_from_the_resources(resources: JsonObject, quality: str) -> None:
    body: JsonObject = {"metadata": {}, "spec": {"containers": [{"name": "c", "resources": resources}]}}
    assert pod_status(body, report(container(RUNNING)))["qosClass"] == quality
