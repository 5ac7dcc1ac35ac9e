"""Deployments and ReplicaSets, on the API server's own objects and a node without processes."""

from __future__ import annotations

from typing import Any

import pytest

from kagent_localcluster.runner.resources import DEPLOYMENTS, EVENTS, PODS, REPLICASETS
from kagent_localcluster.seams import JsonObject

REVISION = "deployment.kubernetes.io/revision"


@pytest.fixture
async def hollow(start_cluster: Any) -> Any:
    return await start_cluster("hollow")


def deployment(name: str, image: str = "app:1", **spec: Any) -> JsonObject:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": image}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default", "annotations": spec.pop("annotations", {})},
        "spec": {"selector": {"matchLabels": labels}, "template": template, **spec},
    }


def get(cluster: Any, name: str) -> JsonObject:
    return cluster.objects.get(DEPLOYMENTS, "default", name)


def change(cluster: Any, name: str, **spec: Any) -> JsonObject:
    body = get(cluster, name)
    return cluster.objects.update(DEPLOYMENTS, "default", name, {**body, "spec": {**body["spec"], **spec}})


def image_of(cluster: Any, name: str, image: str) -> None:
    template = get(cluster, name)["spec"]["template"]
    template["spec"]["containers"][0]["image"] = image
    change(cluster, name, template=template)


def pods_of(cluster: Any, name: str) -> list[JsonObject]:
    return cluster.objects.list(PODS, "default", label_selector=f"app={name}")


def replicasets_of(cluster: Any, name: str) -> dict[str, JsonObject]:
    """Return the ReplicaSets by revision."""
    found = cluster.objects.list(REPLICASETS, "default", label_selector=f"app={name}")
    return {item["metadata"]["annotations"][REVISION]: item for item in found}


def complete(cluster: Any, name: str, replicas: int = 1) -> bool:
    body = get(cluster, name)
    status = body["status"]
    reason = next((c["reason"] for c in status.get("conditions", []) if c["type"] == "Progressing"), "")
    return (
        status.get("observedGeneration") == body["metadata"]["generation"]
        and status.get("updatedReplicas", 0) == status.get("replicas", 0) == replicas
        and status.get("availableReplicas", 0) == replicas
        and (reason == "NewReplicaSetAvailable")
    )


async def test_a_deployment_gets_its_pods_and_says_so(hollow: Any) -> None:
    hollow.objects.create(DEPLOYMENTS, "default", deployment("web", replicas=3))
    await hollow.until(lambda: complete(hollow, "web", 3))
    assert get(hollow, "web")["metadata"]["generation"] == 1  # what the controller writes is no change of the spec
    body = get(hollow, "web")
    assert body["metadata"]["annotations"][REVISION] == "1"
    conditions = {entry["type"]: entry["status"] for entry in body["status"]["conditions"]}
    assert conditions == {"Available": "True", "Progressing": "True"}
    (replicaset,) = replicasets_of(hollow, "web").values()
    hashed = replicaset["metadata"]["labels"]["pod-template-hash"]
    assert replicaset["metadata"]["name"] == f"web-{hashed}"
    assert replicaset["metadata"]["ownerReferences"][0]["uid"] == body["metadata"]["uid"]
    for pod in pods_of(hollow, "web"):
        assert pod["metadata"]["labels"]["pod-template-hash"] == hashed
        assert pod["metadata"]["ownerReferences"][0]["name"] == replicaset["metadata"]["name"]
    events = {(event["reason"], event["involvedObject"]["kind"]) for event in hollow.objects.list(EVENTS, "default")}
    assert {("ScalingReplicaSet", "Deployment"), ("SuccessfulCreate", "ReplicaSet")} <= events


async def test_scaling_changes_the_pods_and_not_the_revision(hollow: Any) -> None:
    hollow.objects.create(DEPLOYMENTS, "default", deployment("web"))
    await hollow.until(lambda: complete(hollow, "web"))
    change(hollow, "web", replicas=4)
    await hollow.until(lambda: complete(hollow, "web", 4))
    change(hollow, "web", replicas=0)
    await hollow.until(lambda: complete(hollow, "web", 0) and not pods_of(hollow, "web"))
    assert list(replicasets_of(hollow, "web")) == ["1"]


async def test_a_new_template_rolls_over_and_the_old_one_comes_back_as_a_new_revision(hollow: Any) -> None:
    hollow.objects.create(DEPLOYMENTS, "default", deployment("web", replicas=2))
    await hollow.until(lambda: complete(hollow, "web", 2))
    first = replicasets_of(hollow, "web")["1"]["metadata"]["name"]
    image_of(hollow, "web", "app:2")
    await hollow.until(
        lambda: complete(hollow, "web", 2) and get(hollow, "web")["metadata"]["annotations"][REVISION] == "2"
    )
    image_of(hollow, "web", "app:1")
    await hollow.until(
        lambda: complete(hollow, "web", 2) and get(hollow, "web")["metadata"]["annotations"][REVISION] == "3"
    )
    again = replicasets_of(hollow, "web")
    assert sorted(again) == ["2", "3"]
    assert again["3"]["metadata"]["name"] == first
    assert again["3"]["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"] == "1"


async def test_a_settled_deployment_is_not_written_again(hollow: Any) -> None:
    hollow.objects.create(DEPLOYMENTS, "default", deployment("web"))
    hollow.objects.create(DEPLOYMENTS, "default", deployment("other"))
    await hollow.until(lambda: complete(hollow, "web") and complete(hollow, "other"))
    before = get(hollow, "web")["metadata"]["resourceVersion"]
    replicaset = replicasets_of(hollow, "web")["1"]["metadata"]["resourceVersion"]
    change(hollow, "other", replicas=2)
    await hollow.until(lambda: complete(hollow, "other", 2))
    assert get(hollow, "web")["metadata"]["resourceVersion"] == before
    assert replicasets_of(hollow, "web")["1"]["metadata"]["resourceVersion"] == replicaset


async def test_a_paused_deployment_keeps_its_template_and_still_scales(hollow: Any) -> None:
    hollow.objects.create(DEPLOYMENTS, "default", deployment("web"))
    await hollow.until(lambda: complete(hollow, "web"))
    change(hollow, "web", paused=True)
    image_of(hollow, "web", "app:2")
    await hollow.until(
        lambda: any(c["reason"] == "DeploymentPaused" for c in get(hollow, "web")["status"]["conditions"])
    )
    assert list(replicasets_of(hollow, "web")) == ["1"]
    change(hollow, "web", paused=False)
    await hollow.until(lambda: complete(hollow, "web"))
    assert pods_of(hollow, "web")[0]["spec"]["containers"][0]["image"] == "app:2"


async def test_history_beyond_its_limit_is_deleted(hollow: Any) -> None:
    hollow.objects.create(DEPLOYMENTS, "default", deployment("web", revisionHistoryLimit=1))
    for number in range(2, 6):
        await hollow.until(lambda: complete(hollow, "web"))
        image_of(hollow, "web", f"app:{number}")
    await hollow.until(lambda: complete(hollow, "web") and sorted(replicasets_of(hollow, "web")) == ["4", "5"])


async def test_recreate_ends_the_old_pods_before_the_new_ones_start(hollow: Any) -> None:
    hollow.objects.create(DEPLOYMENTS, "default", deployment("web", replicas=2, strategy={"type": "Recreate"}))
    await hollow.until(lambda: complete(hollow, "web", 2))
    image_of(hollow, "web", "app:2")
    await hollow.until(lambda: complete(hollow, "web", 2))
    images = {pod["spec"]["containers"][0]["image"] for pod in pods_of(hollow, "web")}
    assert images == {"app:2"}
    sizes = {revision: item["spec"]["replicas"] for revision, item in replicasets_of(hollow, "web").items()}
    assert sizes == {"1": 0, "2": 2}


async def test_a_pod_that_is_deleted_is_replaced(hollow: Any) -> None:
    hollow.objects.create(DEPLOYMENTS, "default", deployment("web"))
    await hollow.until(lambda: complete(hollow, "web"))
    (before,) = pods_of(hollow, "web")
    hollow.objects.delete(PODS, "default", before["metadata"]["name"])
    (after,) = await hollow.until(
        lambda: [p for p in pods_of(hollow, "web") if p["metadata"]["uid"] != before["metadata"]["uid"]]
    )
    assert after["metadata"]["name"] != before["metadata"]["name"]


async def test_deleting_a_deployment_takes_everything_with_it(hollow: Any) -> None:
    hollow.objects.create(DEPLOYMENTS, "default", deployment("web", replicas=2))
    await hollow.until(lambda: complete(hollow, "web", 2))
    hollow.objects.delete(DEPLOYMENTS, "default", "web")
    await hollow.until(lambda: not pods_of(hollow, "web") and not replicasets_of(hollow, "web"))


async def test_a_rollout_that_never_gets_ready_leaves_the_old_version_serving_and_is_reported(cluster: Any) -> None:
    good = deployment("web", "python:3", progressDeadlineSeconds=1)
    good["spec"]["template"]["spec"]["containers"][0]["args"] = ["-c", "import time; time.sleep(600)"]
    cluster.objects.create(DEPLOYMENTS, "default", good)
    await cluster.until(lambda: complete(cluster, "web"))
    image_of(cluster, "web", "nobody-runs-this:1")
    await cluster.until(
        lambda: any(c["reason"] == "ProgressDeadlineExceeded" for c in get(cluster, "web")["status"]["conditions"])
    )
    assert get(cluster, "web")["status"]["availableReplicas"] == 1
    assert get(cluster, "web")["status"]["unavailableReplicas"] == 1


def progressing(cluster: Any, name: str) -> tuple[str, str]:
    conditions = get(cluster, name)["status"].get("conditions", [])
    return next(((c["status"], c["reason"]) for c in conditions if c["type"] == "Progressing"), ("", ""))


async def test_a_pause_is_shown_and_stops_the_deadline_until_the_rollout_is_resumed(hollow: Any) -> None:
    hollow.objects.create(DEPLOYMENTS, "default", deployment("web", replicas=1))
    await hollow.until(lambda: complete(hollow, "web"))
    change(hollow, "web", paused=True)
    await hollow.until(lambda: progressing(hollow, "web") == ("Unknown", "DeploymentPaused"))
    change(hollow, "web", paused=False)
    image_of(hollow, "web", "app:2")
    await hollow.until(lambda: complete(hollow, "web") and progressing(hollow, "web")[0] == "True")


async def test_scaling_during_a_stuck_rollout_is_spread_in_proportion(hollow: Any) -> None:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}}
    hollow.objects.create(DEPLOYMENTS, "default", deployment("web", replicas=10, strategy=rolling))
    await hollow.until(lambda: complete(hollow, "web", 10))
    template = get(hollow, "web")["spec"]["template"]
    template["spec"]["containers"][0]["image"] = "app:2"
    change(hollow, "web", template=template, minReadySeconds=300)  # the new Pods count for nothing yet

    def sizes() -> dict[str, int]:
        return {revision: rs["spec"]["replicas"] for revision, rs in replicasets_of(hollow, "web").items()}

    await hollow.until(lambda: sizes() == {"1": 8, "2": 5})
    change(hollow, "web", replicas=15)
    await hollow.until(lambda: sizes() == {"1": 11, "2": 7})
    counts = {"replicas": 18, "updatedReplicas": 7, "availableReplicas": 11, "unavailableReplicas": 7}
    await hollow.until(lambda: counts.items() <= get(hollow, "web")["status"].items())


async def test_recreate_waits_for_pods_that_are_still_ending(cluster: Any) -> None:
    body = deployment("web", "python:3", replicas=1, strategy={"type": "Recreate"})
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(99)"
    body["spec"]["template"]["spec"]["containers"][0]["args"] = ["-c", deaf]
    body["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 3
    cluster.objects.create(DEPLOYMENTS, "default", body)
    await cluster.until(lambda: complete(cluster, "web"))
    (old,) = pods_of(cluster, "web")
    image_of(cluster, "web", "python:4")
    await cluster.until(lambda: get(cluster, "web")["status"].get("terminatingReplicas") == 1)
    assert [pod["metadata"]["name"] for pod in pods_of(cluster, "web")] == [old["metadata"]["name"]]
    await cluster.until(lambda: complete(cluster, "web") and get(cluster, "web")["status"]["terminatingReplicas"] == 0)
    (new,) = pods_of(cluster, "web")
    assert new["metadata"]["uid"] != old["metadata"]["uid"]
