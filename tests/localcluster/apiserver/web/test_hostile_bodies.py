"""Bodies that mean harm or were made by mistake: a 4xx with a reason, never a 500."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from kagent_localcluster.seams import JsonObject

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
WIDGETS = "/apis/example.dev/v1alpha2/namespaces/default/widgets"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGET = {"apiVersion": "example.dev/v1alpha2", "kind": "Widget"}
JSON = {"content-type": "application/json"}


@pytest.mark.usefixtures("widgets")
@pytest.mark.parametrize("path", [CONFIGMAPS, WIDGETS])
@pytest.mark.parametrize(
    "metadata",
    [
        {"name": 5},
        {"name": "x", "labels": []},
        {"name": "x", "labels": {"a": 1}},
        {"name": "x", "finalizers": "a"},
        {"name": "x", "finalizers": [3]},
        {"name": "x", "ownerReferences": [1]},
        {"name": "x", "managedFields": "all"},
        {"generateName": {}},
        [],
        "text",
    ],
    ids=str,
)
async def test_metadata_of_wrong_types_is_refused(http: httpx.AsyncClient, path: str, metadata: Any) -> None:
    answer = await http.post(path, json={"metadata": metadata, "spec": {"type": "Declarative"}})
    assert answer.status_code == 400
    assert answer.json()["reason"] == "BadRequest"


@pytest.mark.usefixtures("widgets")
@pytest.mark.parametrize(
    "spec", [None, [], "x", 3, {"type": []}, {"type": "BYO", "byo": 1}, {"tools": {"name": "a"}}], ids=str
)
async def test_specs_of_wrong_types_are_invalid(http: httpx.AsyncClient, spec: Any) -> None:
    answer = await http.post(WIDGETS, json={**WIDGET, "metadata": {"name": "x"}, "spec": spec})
    assert answer.status_code in (201, 422)
    if answer.status_code == 201:
        assert spec is None


@pytest.mark.parametrize(
    "spec", [None, [], {}, {"names": []}, {"names": {}, "versions": "v1"}, {"versions": [1]}], ids=str
)
async def test_definitions_that_are_none_are_refused(http: httpx.AsyncClient, spec: Any) -> None:
    answer = await http.post(CRDS, json={"metadata": {"name": "a.b.c"}, "spec": spec})
    assert answer.status_code in (400, 422)


@pytest.mark.parametrize(
    "spec",
    [None, {}, {"containers": None}, {"containers": [None]}, {"containers": [{"name": 1}]}, {"volumes": {}}],
    ids=str,
)
async def test_pods_that_are_none_are_refused(http: httpx.AsyncClient, spec: Any) -> None:
    answer = await http.post("/api/v1/namespaces/default/pods", json={"metadata": {"name": "p"}, "spec": spec})
    assert answer.status_code in (400, 422)


@pytest.mark.usefixtures("widgets")
async def test_deep_nesting_is_refused_or_kept_but_breaks_nothing(http: httpx.AsyncClient) -> None:
    deep = b'{"a":' * 900 + b"1" + b"}" * 900
    body = b'{"metadata":{"name":"x"},"spec":{"type":"Declarative","free":' + deep + b"}}"
    assert (await http.post(WIDGETS, content=body, headers=JSON)).status_code in (201, 400)
    schema = b'{"properties":{"a":' * 300 + b"{}" + b"}}" * 300
    crd = (
        b'{"metadata":{"name":"a.b.c"},"spec":{"group":"b.c","versions":[{"name":"v1","schema":{"openAPIV3Schema":'
        + schema
    )
    assert (await http.post(CRDS, content=crd + b"}}]}}", headers=JSON)).status_code in (400, 422)
    assert (await http.get("/readyz")).status_code == 200


@pytest.mark.parametrize("body", [b"", b"k8s\x00", b"k8s\x00\x0a\xff", b"k8s\x00\x0a\x02\x0a\x00", b"nonsense"])
async def test_protobuf_that_is_none_is_refused(http: httpx.AsyncClient, body: bytes) -> None:
    headers = {"content-type": "application/vnd.kubernetes.protobuf"}
    assert (await http.post(CONFIGMAPS, content=body, headers=headers)).status_code == 400


PATCHES: list[tuple[str, Any]] = [
    ("application/merge-patch+json", []),
    ("application/merge-patch+json", {"metadata": None}),
    ("application/merge-patch+json", {"metadata": {"name": "other"}}),
    ("application/json-patch+json", {}),
    ("application/json-patch+json", [{"op": "fly", "path": "/a"}]),
    ("application/json-patch+json", [{"op": "replace", "path": "", "value": []}]),
    ("application/json-patch+json", [{"op": "remove", "path": "/none"}]),
    ("application/json-patch+json", ["text"]),
]


@pytest.mark.usefixtures("widgets")
@pytest.mark.parametrize(("media", "patch"), PATCHES, ids=str)
async def test_patches_that_cannot_be_applied_are_refused(http: httpx.AsyncClient, media: str, patch: Any) -> None:
    body: JsonObject = {**WIDGET, "metadata": {"name": "w"}, "spec": {"type": "Declarative"}}
    await http.post(WIDGETS, json=body)
    answer = await http.patch(f"{WIDGETS}/w", json=patch, headers={"content-type": media})
    assert answer.status_code in (400, 422)
    assert (await http.get(f"{WIDGETS}/w")).json()["spec"]["type"] == "Declarative"
