"""Rights: what roles allow, what they do not, and that nobody raises themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from kagent_localcluster.apiserver import ApiServer
from kagent_localcluster.seams import JsonObject, Resource

GROUP = "rbac.authorization.k8s.io"
ROLES = Resource(GROUP, "v1", "roles")
BINDINGS = Resource(GROUP, "v1", "rolebindings")
CLUSTER_BINDINGS = Resource(GROUP, "v1", "clusterrolebindings")
NAMESPACES = Resource("", "v1", "namespaces")
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
ACCESS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

SUBJECT = {"kind": "ServiceAccount", "name": "default", "namespace": "default"}


def role(name: str, *rules: JsonObject) -> JsonObject:
    return {"metadata": {"name": name}, "rules": list(rules)}


def binding(name: str, kind: str, of: str) -> JsonObject:
    return {"metadata": {"name": name}, "subjects": [SUBJECT], "roleRef": {"apiGroup": GROUP, "kind": kind, "name": of}}


@pytest.fixture
async def account(api: ApiServer) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the ServiceAccount default/default, which has no rights of its own."""
    headers = {"Authorization": f"Bearer {api.service_account_token('default', 'default')}"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(api), base_url="https://local", headers=headers
    ) as client:
        yield client


async def test_without_a_role_only_discovery_is_open(account: httpx.AsyncClient) -> None:
    assert (await account.get("/apis")).status_code == 200
    refused = await account.get(CONFIGMAPS)
    assert refused.status_code == 403
    assert refused.json()["message"] == (
        'configmaps is forbidden: User "system:serviceaccount:default:default" cannot list resource "configmaps" in '
        'API group "" in the namespace "default"'
    )


async def test_a_role_gives_what_it_says_where_it_is(api: ApiServer, account: httpx.AsyncClient) -> None:
    api.objects.create(NAMESPACES, "", {"metadata": {"name": "other"}})
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}
    api.objects.create(ROLES, "default", role("reader", rule))
    api.objects.create(BINDINGS, "default", binding("b", "Role", "reader"))
    assert (await account.get(CONFIGMAPS)).status_code == 200
    assert (await account.get(f"{CONFIGMAPS}/kube-root-ca.crt")).status_code == 200
    assert (await account.post(CONFIGMAPS, json={"metadata": {"name": "x"}})).status_code == 403
    assert (await account.get("/api/v1/namespaces/other/configmaps")).status_code == 403
    assert (await account.get("/api/v1/configmaps")).status_code == 403
    assert (await account.get(CONFIGMAPS, params={"watch": "true"})).status_code == 403
    api.objects.delete(BINDINGS, "default", "b")
    assert (await account.get(CONFIGMAPS)).status_code == 403


async def test_names_and_subresources_are_rights_of_their_own(api: ApiServer, account: httpx.AsyncClient) -> None:
    rule: JsonObject = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}
    rule["resourceNames"] = ["kube-root-ca.crt"]
    api.objects.create(ROLES, "default", role("one", rule, {"apiGroups": [""], "resources": ["pods"], "verbs": ["*"]}))
    api.objects.create(BINDINGS, "default", binding("b", "Role", "one"))
    assert (await account.get(f"{CONFIGMAPS}/kube-root-ca.crt")).status_code == 200
    assert (await account.get(f"{CONFIGMAPS}/other")).status_code == 403
    by_name = {"fieldSelector": "metadata.name=kube-root-ca.crt"}
    assert (await account.get(CONFIGMAPS, params=by_name)).status_code == 200
    assert (await account.get("/api/v1/namespaces/default/pods/p")).status_code == 404
    assert (await account.get("/api/v1/namespaces/default/pods/p/log")).status_code == 403


async def test_aggregated_cluster_roles_work(api: ApiServer, account: httpx.AsyncClient) -> None:
    api.objects.create(BINDINGS, "default", binding("b", "ClusterRole", "view"))
    assert (await account.get("/apis/apps/v1/namespaces/default/deployments")).status_code == 200
    assert (await account.get("/api/v1/namespaces/default/secrets")).status_code == 403


async def test_nobody_gives_rights_they_do_not_have(api: ApiServer, account: httpx.AsyncClient) -> None:
    rules = {"apiGroups": [GROUP], "resources": ["roles", "rolebindings"], "verbs": ["create", "patch", "get"]}
    own = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}
    api.objects.create(ROLES, "default", role("writer", rules, own))
    api.objects.create(BINDINGS, "default", binding("b", "Role", "writer"))
    roles, bindings = (f"/apis/{GROUP}/v1/namespaces/default/{name}" for name in ("roles", "rolebindings"))
    assert (await account.post(roles, json=role("same", own))).status_code == 201
    more = role("more", {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]})
    refused = await account.post(roles, json=more)
    assert refused.status_code == 403
    assert "not currently held" in refused.json()["message"]
    assert (await account.post(bindings, json=binding("up", "ClusterRole", "cluster-admin"))).status_code == 403
    assert (await account.post(bindings, json=binding("same", "Role", "same"))).status_code == 201


async def test_reviews_answer_as_the_authorizer_does(api: ApiServer, account: httpx.AsyncClient) -> None:
    rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
    api.objects.create(ROLES, "default", role("r", rule))
    api.objects.create(BINDINGS, "default", binding("b", "Role", "r"))
    for verb, allowed in (("get", True), ("delete", False)):
        asked = {"spec": {"resourceAttributes": {"namespace": "default", "verb": verb, "resource": "pods"}}}
        assert (await account.post(ACCESS, json=asked)).json()["status"]["allowed"] is allowed
    held = await account.post(
        "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", json={"spec": {"namespace": "default"}}
    )
    assert {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]} in held.json()["status"]["resourceRules"]


async def test_who_may_impersonate(api: ApiServer, http: httpx.AsyncClient, account: httpx.AsyncClient) -> None:
    as_account = {"Impersonate-User": "system:serviceaccount:default:default"}
    assert (await http.get(CONFIGMAPS, headers=as_account)).status_code == 403
    assert (await account.get(CONFIGMAPS, headers={"Impersonate-User": "kubernetes-admin"})).status_code == 403
    grouped = {"Impersonate-User": "jane", "Impersonate-Group": "system:masters"}
    assert (await http.get(CONFIGMAPS, headers=grouped)).status_code == 200


@pytest.mark.parametrize("header", ["Bearer wrong", "Bearer"])
async def test_bad_credentials_are_no_credentials(http: httpx.AsyncClient, header: str) -> None:
    answer = await http.get("/version", headers={"Authorization": header})
    assert (answer.status_code, answer.json()["reason"]) == (401, "Unauthorized")


async def test_another_way_to_say_who_one_is_counts_for_nothing(http: httpx.AsyncClient) -> None:
    answer = await http.get(CONFIGMAPS, headers={"Authorization": "Basic YTpi"})
    assert (answer.status_code, answer.json()["reason"]) == (403, "Forbidden")
    assert 'User "system:anonymous"' in answer.json()["message"]


@pytest.mark.parametrize("header", ["Impersonate-Group", "Impersonate-Uid", "Impersonate-Extra-Scopes"])
async def test_impersonating_something_of_nobody_is_refused(http: httpx.AsyncClient, header: str) -> None:
    assert (await http.get(CONFIGMAPS, headers={header: "x"})).status_code == 400


async def test_every_group_uid_and_extra_value_is_impersonated(http: httpx.AsyncClient) -> None:
    headers = [("Impersonate-User", "jane"), ("Impersonate-Group", "devs"), ("Impersonate-Group", "ops"),
               ("Impersonate-Uid", "7"), ("Impersonate-Extra-Example.com%2fScopes", "view")]  # fmt: skip
    answer = await http.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", json={}, headers=headers)
    assert answer.json()["status"]["userInfo"] == {
        "username": "jane",
        "groups": ["devs", "ops", "system:authenticated"],
        "uid": "7",
        "extra": {"example.com/scopes": ["view"]},
    }


async def test_anonymous_requests_see_health_and_nothing_else(api: ApiServer) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="https://local") as nobody:
        assert (await nobody.get("/readyz")).text == "ok"
        assert (await nobody.get(CONFIGMAPS)).status_code == 403
