"""Objects over HTTP: representations, lists, patches, dry runs and refusals."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx
import pytest

from kagent_localcluster.apiserver import ApiServer
from kagent_localcluster.seams import JsonObject, Objects, Resource

CONFIGMAPS = Resource("", "v1", "configmaps")
PODS = Resource("", "v1", "pods")
PATH = "/api/v1/namespaces/default/configmaps"
WIDGETS = "/apis/example.dev/v1alpha2/namespaces/default/widgets"
TABLE = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
MERGE = {"content-type": "application/merge-patch+json"}

Make = Callable[..., JsonObject]


@pytest.fixture
def three(api: ApiServer) -> Objects:
    for number, name in enumerate(("a", "b", "c")):
        body: JsonObject = {"metadata": {"name": name, "labels": {"n": str(number), "odd": str(number % 2)}}}
        api.objects.create(CONFIGMAPS, "default", body)
    return api.objects


def names(answer: httpx.Response) -> list[str]:
    return [
        item["metadata"]["name"] for item in answer.json()["items"] if item["metadata"]["name"] != "kube-root-ca.crt"
    ]


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"labelSelector": "n=1"}, ["b"]),
        ({"labelSelector": "n in (0, 2)"}, ["a", "c"]),
        ({"labelSelector": "odd!=1,n"}, ["a", "c"]),
        ({"labelSelector": "n notin (0),odd"}, ["b", "c"]),
        ({"labelSelector": "n>0"}, ["b", "c"]),
        ({"fieldSelector": "metadata.name=b"}, ["b"]),
        ({"fieldSelector": "metadata.name!=b", "labelSelector": "n"}, ["a", "c"]),
    ],
)
async def test_selectors_choose(http: httpx.AsyncClient, query: dict[str, str], found: list[str]) -> None:
    assert names(await http.get(PATH, params=query)) == found


@pytest.mark.parametrize("query", [{"labelSelector": "a=b=("}, {"fieldSelector": "data.x=1"}, {"limit": "many"}])
async def test_a_query_that_makes_no_sense_is_refused(http: httpx.AsyncClient, query: dict[str, str]) -> None:
    answer = await http.get(PATH, params=query)
    assert (answer.status_code, answer.json()["reason"]) == (400, "BadRequest")


async def test_pages_show_one_moment(http: httpx.AsyncClient, three: Objects) -> None:
    first = (await http.get(PATH, params={"limit": "2"})).json()
    three.create(CONFIGMAPS, "default", {"metadata": {"name": "aa"}})
    rest = (await http.get(PATH, params={"limit": "2", "continue": first["metadata"]["continue"]})).json()
    seen = [item["metadata"]["name"] for item in first["items"] + rest["items"]]
    assert seen == ["a", "b", "c", "kube-root-ca.crt"]
    assert first["metadata"]["remainingItemCount"] == 2
    assert rest["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


@pytest.mark.usefixtures("three")
async def test_an_unknown_continuation_has_expired(http: httpx.AsyncClient) -> None:
    answer = await http.get(PATH, params={"limit": "2", "continue": "eyJ2IjoxfQ=="})
    assert (answer.status_code, answer.json()["reason"]) == (410, "Expired")


async def test_tables_have_the_printer_columns(http: httpx.AsyncClient, widgets: Objects, widget: Make) -> None:
    await http.post(WIDGETS, json=widget())
    status: JsonObject = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    await http.patch(f"{WIDGETS}/w1/status", json=status, headers=MERGE)
    table = (await http.get(WIDGETS, headers=TABLE)).json()
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Type", "Ready", "Age"]
    assert table["rows"][0]["cells"][:3] == ["w1", "Declarative", "True"]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"


async def test_a_pods_row_says_what_holds_it_up(api: ApiServer, http: httpx.AsyncClient) -> None:
    pod = api.objects.create(
        PODS, "default", {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}
    )
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    pod["status"] = {
        "phase": "Running",
        "containerStatuses": [{"name": "c", "ready": False, "restartCount": 4, "state": waiting}],
    }
    api.objects.update(PODS, "default", "p", pod, subresource="status")
    table = (await http.get("/api/v1/namespaces/default/pods", headers=TABLE)).json()
    assert table["rows"][0]["cells"][:4] == ["p", "0/1", "CrashLoopBackOff", "4"]


@pytest.mark.usefixtures("three")
async def test_metadata_alone_and_yaml_are_served(http: httpx.AsyncClient) -> None:
    partial = {"accept": "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}
    answer = (await http.get(PATH, headers=partial)).json()
    assert answer["kind"] == "PartialObjectMetadataList"
    assert set(answer["items"][0]) == {"kind", "apiVersion", "metadata"}
    text = await http.get(f"{PATH}/a", headers={"accept": "application/yaml"})
    assert text.text.startswith("metadata:") or "kind: ConfigMap" in text.text
    refused = await http.get(PATH, headers={"accept": "application/vnd.kubernetes.protobuf"})
    assert refused.status_code == 406


async def test_a_dry_run_judges_and_stores_nothing(http: httpx.AsyncClient, widgets: Objects, widget: Make) -> None:
    assert (await http.post(WIDGETS, json=widget(), params={"dryRun": "All"})).status_code == 201
    assert (await http.post(WIDGETS, json=widget(type="No"), params={"dryRun": "All"})).status_code == 422
    assert (await http.get(f"{WIDGETS}/w1")).status_code == 404


@pytest.mark.usefixtures("widgets")
@pytest.mark.parametrize(("validation", "code"), [("Strict", 400), ("Warn", 201), ("Ignore", 201)])
async def test_unknown_fields_are_refused_warned_of_or_dropped(
    http: httpx.AsyncClient, widget: Make, validation: str, code: int
) -> None:
    answer = await http.post(WIDGETS, json=widget(typo=1), params={"fieldValidation": validation})
    assert answer.status_code == code
    assert ('unknown field \\"spec.typo\\"' in answer.headers.get("warning", "")) is (validation == "Warn")
    if validation == "Strict":
        assert 'unknown field "spec.typo"' in answer.json()["message"]


@pytest.mark.usefixtures("three")
async def test_json_and_merge_patches(http: httpx.AsyncClient) -> None:
    merged = await http.patch(f"{PATH}/a", json={"data": {"x": "1"}}, headers=MERGE)
    assert merged.json()["data"] == {"x": "1"}
    operations = [{"op": "test", "path": "/data/x", "value": "1"}, {"op": "remove", "path": "/data/x"}]
    json_patch = {"content-type": "application/json-patch+json"}
    patched = await http.patch(f"{PATH}/a", json=operations, headers=json_patch)
    assert patched.json().get("data") in ({}, None)
    failed = await http.patch(f"{PATH}/a", json=operations, headers=json_patch)
    assert (failed.status_code, failed.json()["reason"]) == (422, "Invalid")


@pytest.mark.usefixtures("widgets")
async def test_custom_resources_take_no_strategic_merge(http: httpx.AsyncClient, widget: Make) -> None:
    await http.post(WIDGETS, json=widget())
    answer = await http.patch(
        f"{WIDGETS}/w1", json={}, headers={"content-type": "application/strategic-merge-patch+json"}
    )
    assert answer.status_code == 415


@pytest.mark.usefixtures("widgets")
async def test_the_scale_subresource_moves_the_replicas(http: httpx.AsyncClient, widget: Make) -> None:
    await http.post(WIDGETS, json=widget())
    scale = (await http.get(f"{WIDGETS}/w1/scale")).json()
    assert (scale["kind"], scale["spec"]["replicas"]) == ("Scale", 1)
    scale["spec"]["replicas"] = 4
    assert (await http.put(f"{WIDGETS}/w1/scale", json=scale)).status_code == 200
    assert (await http.get(f"{WIDGETS}/w1")).json()["spec"]["replicas"] == 4
    stale = await http.put(f"{WIDGETS}/w1/scale", json=scale)
    assert stale.status_code == 409


async def test_eight_writers_with_optimistic_concurrency_lose_no_update(
    served: tuple[ApiServer, httpx.AsyncClient],
) -> None:
    _, http = served
    await http.post(PATH, json={"metadata": {"name": "counter"}, "data": {"n": "0"}})
    refused = 0

    async def add(times: int) -> None:
        nonlocal refused
        while times:
            current = (await http.get(f"{PATH}/counter")).json()
            current["data"]["n"] = str(int(current["data"]["n"]) + 1)
            answer = await http.put(f"{PATH}/counter", json=current)
            if answer.status_code == 409:
                refused += 1
            else:
                assert answer.status_code == 200
                times -= 1

    async with asyncio.timeout(60):
        await asyncio.gather(*(add(10) for _ in range(8)))
    assert (await http.get(f"{PATH}/counter")).json()["data"]["n"] == "80"
    assert refused > 0, "the writers never met"


@pytest.mark.usefixtures("widgets")
async def test_selectable_fields_of_a_definition_select(http: httpx.AsyncClient, widget: Make) -> None:
    await http.post(WIDGETS, json=widget("a"))
    await http.post(WIDGETS, json=widget("b", type="BYO", byo={}))
    assert names(await http.get(WIDGETS, params={"fieldSelector": "spec.type=BYO"})) == ["b"]


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/apis/apps/v9/widgets", 404),
        ("GET", "/api/v1/namespaces/default/configmaps/none", 404),
        ("PUT", "/api/v1/namespaces/default/configmaps", 405),
        ("GET", "/api/v1/namespaces/default/pods/p/exec", 404),
        ("POST", "/apis/apps/v1/deployments", 405),
        ("POST", "/api/v1/namespaces/default/configmaps/kube-root-ca.crt", 405),
        ("DELETE", "/api/v1/namespaces/default/status", 405),
        ("DELETE", "/apis/apps/v1/namespaces/default/deployments/web/status", 405),
        ("PATCH", "/apis/apps/v1/namespaces/default/deployments/web/scale", 404),
    ],
)
async def test_what_is_not_there_answers_as_a_real_server(
    http: httpx.AsyncClient, method: str, path: str, code: int
) -> None:
    answer = await http.request(method, path, json={})
    assert answer.status_code == code
    assert answer.json()["kind"] == "Status"


@pytest.mark.parametrize("path", ["/no/such/path", "/apis/no.such.group", "/apis/no.such.group/v1/widgets"])
async def test_a_path_that_nothing_serves_is_a_plain_404(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path)
    assert (answer.status_code, answer.text) == (404, "404 page not found\n")


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"metadata": {"name": "x"}, "kind": "Secret"}', b'{"metadata": 3}'])
async def test_bodies_that_are_no_object_of_the_kind_are_refused(http: httpx.AsyncClient, body: bytes) -> None:
    answer = await http.post(PATH, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400


async def test_a_body_may_leave_its_type_to_the_url_and_be_yaml(http: httpx.AsyncClient) -> None:
    answer = await http.post(PATH, content=b"metadata: {name: y}\n", headers={"content-type": "application/yaml"})
    assert (answer.status_code, answer.json()["kind"]) == (201, "ConfigMap")


async def test_bodies_have_a_limit(http: httpx.AsyncClient) -> None:
    answer = await http.post(PATH, content=b" " * (3 << 20) + b"{}", headers={"content-type": "application/json"})
    assert answer.status_code == 413


async def test_both_event_groups_show_the_same_events(http: httpx.AsyncClient) -> None:
    event = {
        "metadata": {"name": "e"},
        "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"},
        "reason": "Started",
        "message": "it runs",
        "type": "Normal",
        "source": {"component": "kubelet"},
    }
    assert (await http.post("/api/v1/namespaces/default/events", json=event)).status_code == 201
    newer = (await http.get("/apis/events.k8s.io/v1/namespaces/default/events/e")).json()
    assert (newer["note"], newer["regarding"]["name"], newer["apiVersion"]) == ("it runs", "p", "events.k8s.io/v1")
    found = await http.get("/api/v1/namespaces/default/events", params={"fieldSelector": "involvedObject.name=p"})
    assert names(found) == ["e"]
