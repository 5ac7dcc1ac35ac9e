"""Pods and ReplicaSets are taken over and let go by their labels."""

from __future__ import annotations

from typing import Any

import pytest

from kagent_localcluster.runner.resources import DEPLOYMENTS, PODS, REPLICASETS
from kagent_localcluster.seams import JsonObject

LABELS = {"app": "web"}


@pytest.fixture
async def hollow(start_cluster: Any) -> Any:
    return await start_cluster("hollow")


def replicaset(replicas: int) -> JsonObject:
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": LABELS}, "template": template("app:1")},
    }


def template(image: str) -> JsonObject:
    return {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "main", "image": image}]}}


def pods(cluster: Any) -> list[JsonObject]:
    return cluster.objects.list(PODS, "default")


def owner(obj: JsonObject) -> str:
    return next((ref["name"] for ref in obj["metadata"].get("ownerReferences", []) if ref.get("controller")), "")


def ready(cluster: Any) -> int:
    return cluster.objects.get(REPLICASETS, "default", "web")["status"].get("readyReplicas", 0)


async def test_a_pod_whose_label_is_taken_away_is_let_go_and_replaced(hollow: Any) -> None:
    hollow.objects.create(REPLICASETS, "default", replicaset(2))
    await hollow.until(lambda: ready(hollow) == 2)
    looked_at = pods(hollow)[0]
    name = looked_at["metadata"]["name"]
    fresh = hollow.pod(name)
    relabelled = {**fresh, "metadata": {**fresh["metadata"], "labels": {"app": "under-inspection"}}}
    hollow.objects.update(PODS, "default", name, relabelled)
    await hollow.until(lambda: len(pods(hollow)) == 3 and ready(hollow) == 2)
    assert owner(hollow.pod(name)) == ""
    assert "deletionTimestamp" not in hollow.pod(name)["metadata"]


async def test_a_pod_without_a_controller_is_taken_over_where_a_selector_fits(hollow: Any) -> None:
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "mine", "namespace": "default", "labels": LABELS}}
    hollow.objects.create(PODS, "default", {**body, "spec": template("app:1")["spec"]})
    await hollow.until(lambda: hollow.pod("mine")["status"].get("startTime"))  # seen by everybody
    hollow.objects.create(REPLICASETS, "default", replicaset(1))
    await hollow.until(lambda: ready(hollow) == 1)
    assert [pod["metadata"]["name"] for pod in pods(hollow)] == ["mine"]
    assert owner(hollow.pod("mine")) == "web"


async def test_a_pod_that_comes_later_counts_too_and_the_surplus_goes(hollow: Any) -> None:
    hollow.objects.create(REPLICASETS, "default", replicaset(1))
    await hollow.until(lambda: ready(hollow) == 1)
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "late", "namespace": "default", "labels": LABELS}}
    hollow.objects.create(PODS, "default", {**body, "spec": template("app:1")["spec"]})
    await hollow.until(lambda: len(pods(hollow)) == 1 and owner(pods(hollow)[0]) == "web")


async def test_a_deployment_takes_over_the_replicaset_that_another_one_left(hollow: Any) -> None:
    body: JsonObject = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"replicas": 1, "selector": {"matchLabels": LABELS}, "template": template("app:1")},
    }
    hollow.objects.create(DEPLOYMENTS, "default", body)
    (left,) = await hollow.until(lambda: hollow.objects.list(REPLICASETS, "default"))
    orphan = hollow.objects.get(REPLICASETS, "default", left["metadata"]["name"])
    # What deletion with propagation policy Orphan leaves behind:
    hollow.objects.delete(DEPLOYMENTS, "default", "web")
    orphan["metadata"] = {
        name: value
        for name, value in orphan["metadata"].items()
        if name not in ("ownerReferences", "uid", "resourceVersion")
    }
    await hollow.until(lambda: not hollow.objects.list(REPLICASETS, "default"))
    made = hollow.objects.create(REPLICASETS, "default", orphan)
    hollow.objects.create(DEPLOYMENTS, "default", body)
    await hollow.until(lambda: owner(hollow.objects.get(REPLICASETS, "default", made["metadata"]["name"])) == "web")
    assert len(hollow.objects.list(REPLICASETS, "default")) == 1
