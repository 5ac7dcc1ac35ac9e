"""Discovery and OpenAPI as clients read them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from kagent_localcluster.apiserver.jsonvalue import is_array, is_object
from kagent_localcluster.seams import JsonObject


async def test_discovery_lists_what_is_served(http: httpx.AsyncClient) -> None:
    groups = {group["name"] for group in (await http.get("/apis")).json()["groups"]}
    assert {"apps", "batch", "rbac.authorization.k8s.io", "apiextensions.k8s.io", "coordination.k8s.io"} <= groups
    core = (await http.get("/api/v1")).json()["resources"]
    names = {resource["name"] for resource in core}
    assert {"pods", "pods/log", "pods/portforward", "services/proxy", "serviceaccounts/token"} <= names
    # What has no controller here is not offered either.
    assert not {"replicationcontrollers", "resourcequotas", "pods/exec", "nodes/proxy"} & names


@pytest.mark.usefixtures("widgets")
async def test_aggregated_discovery_has_custom_resources(http: httpx.AsyncClient) -> None:
    accept = {"accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"}
    answer = await http.get("/apis", headers=accept)
    assert "as=APIGroupDiscoveryList" in answer.headers["content-type"]
    group = next(item for item in answer.json()["items"] if item["metadata"]["name"] == "example.dev")
    assert [version["version"] for version in group["versions"]] == ["v1alpha2", "v1alpha1"]
    resource = group["versions"][0]["resources"][0]
    assert (resource["resource"], resource["shortNames"]) == ("widgets", ["wd"])
    assert {item["subresource"] for item in resource["subresources"]} == {"status", "scale"}


def references(value: Any) -> set[str]:
    if is_object(value):
        found = {str(value["$ref"])} if isinstance(value.get("$ref"), str) else set[str]()
        return found.union(*(references(item) for item in value.values()))
    return set[str]().union(*(references(item) for item in value)) if is_array(value) else set()


@pytest.mark.usefixtures("widgets")
async def test_every_document_is_closed_and_knows_its_kinds(http: httpx.AsyncClient) -> None:
    index = (await http.get("/openapi/v3")).json()["paths"]
    for path, entry in index.items():
        document = (await http.get(entry["serverRelativeURL"])).json()
        schemas: JsonObject = document["components"]["schemas"]
        broken = {name for name in references(document) if name.removeprefix("#/components/schemas/") not in schemas}
        assert broken == set(), path
        assert document["paths"], path


@pytest.mark.usefixtures("widgets")
async def test_a_patch_says_that_it_validates_fields(http: httpx.AsyncClient) -> None:
    document = (await http.get("/openapi/v3/apis/example.dev/v1alpha2")).json()
    patch = document["paths"]["/apis/example.dev/v1alpha2/namespaces/{namespace}/widgets/{name}"]["patch"]
    assert patch["x-kubernetes-group-version-kind"] == {"group": "example.dev", "version": "v1alpha2", "kind": "Widget"}
    assert "fieldValidation" in {parameter["name"] for parameter in patch["parameters"]}


async def test_merge_keys_and_descriptions_are_there(http: httpx.AsyncClient) -> None:
    schemas = (await http.get("/openapi/v3/api/v1")).json()["components"]["schemas"]
    containers = schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
    assert (containers["x-kubernetes-patch-merge-key"], containers["x-kubernetes-list-type"]) == ("name", "map")
    assert containers["description"].startswith("List of containers")


async def test_the_older_document_has_the_same_definitions(http: httpx.AsyncClient) -> None:
    document = (await http.get("/openapi/v2")).json()
    assert "io.k8s.api.apps.v1.Deployment" in document["definitions"]
    broken = {
        name for name in references(document) if name.removeprefix("#/definitions/") not in document["definitions"]
    }
    assert broken == set()


@pytest.mark.usefixtures("widgets")
async def test_a_new_definition_changes_its_documents_address(http: httpx.AsyncClient, widget_crd: JsonObject) -> None:
    before = (await http.get("/openapi/v3")).json()["paths"]
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.dev"
    crd = (await http.get(path)).json()
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["description"] = "Changed."
    assert (await http.put(path, json=crd)).status_code == 200
    after = (await http.get("/openapi/v3")).json()["paths"]
    assert before["apis/example.dev/v1alpha2"] != after["apis/example.dev/v1alpha2"]
    assert before["api/v1"] == after["api/v1"]
    document = (await http.get("/openapi/v3/apis/example.dev/v1alpha2")).json()
    assert document["components"]["schemas"]["dev.example.v1alpha2.Widget"]["description"] == "Changed."
