"""Server-side apply: who owns what, conflicts, and what goes when it is no longer applied."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from kagent_localcluster.seams import JsonObject, Objects

PATH = "/apis/example.dev/v1alpha2/namespaces/default/widgets/w1"
DEPLOYMENT = "/apis/apps/v1/namespaces/default/deployments/web"
APPLY = {"content-type": "application/apply-patch+yaml"}

Make = Callable[..., JsonObject]


async def apply(
    http: httpx.AsyncClient, obj: JsonObject, manager: str, path: str = PATH, **query: str
) -> httpx.Response:
    return await http.patch(path, json=obj, headers=APPLY, params={"fieldManager": manager, **query})


def manager_of(obj: JsonObject, name: str) -> JsonObject:
    return next(entry for entry in obj["metadata"]["managedFields"] if entry["manager"] == name)


@pytest.mark.usefixtures("widgets")
async def test_an_apply_creates_and_owns_only_what_it_says(http: httpx.AsyncClient, widget: Make) -> None:
    answer = await apply(http, widget(tools=[{"name": "a"}]), "me")
    assert answer.status_code == 201
    made = answer.json()
    assert made["spec"]["replicas"] == 1
    tools: Any = {'k:{"name":"a"}': {".": {}, "f:name": {}}}
    assert manager_of(made, "me")["fieldsV1"] == {"f:spec": {"f:tools": tools, "f:type": {}}}


@pytest.mark.usefixtures("widgets")
async def test_the_same_apply_again_changes_nothing(http: httpx.AsyncClient, widget: Make) -> None:
    first = (await apply(http, widget(port=80), "me")).json()
    second = await apply(http, widget(port=80), "me")
    assert second.status_code == 200
    assert second.json()["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


@pytest.mark.usefixtures("widgets")
async def test_another_managers_field_is_a_conflict_until_forced(http: httpx.AsyncClient, widget: Make) -> None:
    await apply(http, widget(port=80), "one")
    refused = await apply(http, widget(port=81), "two")
    assert refused.status_code == 409
    causes = refused.json()["details"]["causes"]
    assert causes == [{"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".spec.port"}]
    forced = (await apply(http, widget(port=81), "two", force="true")).json()
    assert forced["spec"]["port"] == 81
    assert "f:port" not in manager_of(forced, "one")["fieldsV1"]["f:spec"]


@pytest.mark.usefixtures("widgets")
async def test_the_same_value_is_owned_together(http: httpx.AsyncClient, widget: Make) -> None:
    await apply(http, widget(port=80), "one")
    shared = (await apply(http, widget(port=80), "two")).json()
    assert all("f:port" in manager_of(shared, name)["fieldsV1"]["f:spec"] for name in ("one", "two"))
    kept = (await apply(http, widget(), "one")).json()
    assert kept["spec"]["port"] == 80


@pytest.mark.usefixtures("widgets")
async def test_what_is_no_longer_applied_goes(http: httpx.AsyncClient, widget: Make) -> None:
    await apply(http, widget(port=80, labels={"a": "b"}, tools=[{"name": "a", "why": "x"}, {"name": "b"}]), "me")
    left = (await apply(http, widget(tools=[{"name": "a"}]), "me")).json()["spec"]
    assert left["tools"] == [{"name": "a", "approval": False}]
    assert "port" not in left
    assert "labels" not in left


async def test_list_items_of_others_stay(http: httpx.AsyncClient, widgets: Objects, widget: Make) -> None:
    await apply(http, widget(tools=[{"name": "a"}]), "one")
    both = (await apply(http, widget(tools=[{"name": "b"}]), "two")).json()["spec"]["tools"]
    assert [tool["name"] for tool in both] == ["a", "b"]


@pytest.mark.usefixtures("widgets")
async def test_an_update_takes_ownership_of_what_it_changes(http: httpx.AsyncClient, widget: Make) -> None:
    await apply(http, widget(port=80), "me")
    await http.patch(
        PATH, json={"spec": {"port": 9}}, headers={"content-type": "application/merge-patch+json"},
        params={"fieldManager": "editor"},
    )  # fmt: skip
    refused = await apply(http, widget(port=80), "me")
    assert refused.status_code == 409
    assert 'conflict with "editor" using example.dev/v1alpha2: .spec.port' in refused.json()["message"]


@pytest.mark.usefixtures("widgets")
async def test_the_status_has_managers_of_its_own(http: httpx.AsyncClient, widget: Make) -> None:
    await apply(http, widget(), "me")
    status: JsonObject = {**widget(), "status": {"replicas": 2}}
    del status["spec"]
    answer = (await apply(http, status, "controller", f"{PATH}/status")).json()
    assert answer["status"] == {"replicas": 2}
    entry = manager_of(answer, "controller")
    assert (entry["subresource"], entry["fieldsV1"]) == ("status", {"f:status": {"f:replicas": {}}})


async def test_containers_and_ports_merge_by_their_keys(http: httpx.AsyncClient) -> None:
    def web(**container: Any) -> JsonObject:
        labels = {"app": "web"}
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web"},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", **container}]}},
            },
        }

    await apply(
        http, web(image="i:1", ports=[{"containerPort": 80}], env=[{"name": "A", "value": "1"}]), "one", DEPLOYMENT
    )
    both = await apply(http, web(env=[{"name": "B", "value": "2"}], ports=[{"containerPort": 81}]), "two", DEPLOYMENT)
    container = both.json()["spec"]["template"]["spec"]["containers"][0]
    assert [item["name"] for item in container["env"]] == ["A", "B"]
    assert [item["containerPort"] for item in container["ports"]] == [80, 81]
    assert container["image"] == "i:1"


@pytest.mark.usefixtures("widgets")
async def test_an_apply_must_name_its_manager(http: httpx.AsyncClient, widget: Make) -> None:
    answer = await http.patch(PATH, json=widget(), headers=APPLY)
    assert answer.status_code == 422
    assert "fieldManager" in answer.json()["message"]
