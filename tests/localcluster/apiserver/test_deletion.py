"""How objects end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx
import pytest

from kagent_localcluster.apiserver import ApiServer
from kagent_localcluster.errors import Conflict, Forbidden, Invalid, NotFound
from kagent_localcluster.seams import JsonObject, Objects, Resource

CONFIGMAPS = Resource("", "v1", "configmaps")
NAMESPACES = Resource("", "v1", "namespaces")
PODS = Resource("", "v1", "pods")
ACCOUNTS = Resource("", "v1", "serviceaccounts")
PATH = "/api/v1/namespaces/default/configmaps"


def config(name: str, *, owner: JsonObject | None = None, finalizers: list[str] | None = None) -> JsonObject:
    metadata: JsonObject = {"name": name}
    if owner is not None:
        reference = {"apiVersion": "v1", "kind": "ConfigMap", "blockOwnerDeletion": True}
        metadata["ownerReferences"] = [{**reference, **{key: owner["metadata"][key] for key in ("name", "uid")}}]
    if finalizers:
        metadata["finalizers"] = finalizers
    return {"metadata": metadata}


def is_there(objects: Objects, resource: Resource, namespace: str, name: str) -> bool:
    try:
        objects.get(resource, namespace, name)
    except NotFound:
        return False
    return True


async def eventually(holds: Callable[[], bool]) -> None:
    """Wait for what follows in later turns of the loop."""
    for _ in range(1_000):
        if holds():
            return
        await asyncio.sleep(0)
    pytest.fail("it did not come to hold")


async def test_dependents_follow_their_owner(api: ApiServer) -> None:
    objects = api.objects
    owner = objects.create(CONFIGMAPS, "default", config("owner"))
    child = objects.create(CONFIGMAPS, "default", config("child", owner=owner))
    objects.create(CONFIGMAPS, "default", config("grandchild", owner=child))
    objects.delete(CONFIGMAPS, "default", "owner")
    await eventually(lambda: not is_there(objects, CONFIGMAPS, "default", "grandchild"))
    assert not is_there(objects, CONFIGMAPS, "default", "child")


async def test_an_object_whose_owner_never_was_is_collected(api: ApiServer) -> None:
    ghost: JsonObject = {"metadata": {"name": "ghost", "uid": "no-such-uid"}}
    api.objects.create(CONFIGMAPS, "default", config("orphan", owner=ghost))
    await eventually(lambda: not is_there(api.objects, CONFIGMAPS, "default", "orphan"))


async def test_a_finalizer_holds_the_object_until_it_is_taken_away(api: ApiServer) -> None:
    objects = api.objects
    objects.create(CONFIGMAPS, "default", config("held", finalizers=["example.dev/hold"]))
    objects.delete(CONFIGMAPS, "default", "held")
    held = objects.get(CONFIGMAPS, "default", "held")
    assert held["metadata"]["deletionTimestamp"]
    held["metadata"]["finalizers"] = ["example.dev/hold", "example.dev/more"]
    with pytest.raises(Invalid, match="no new finalizers"):
        objects.update(CONFIGMAPS, "default", "held", held)
    held["metadata"]["finalizers"] = []
    objects.update(CONFIGMAPS, "default", "held", held)
    assert not is_there(objects, CONFIGMAPS, "default", "held")


async def test_foreground_deletion_ends_the_dependents_first(api: ApiServer, http: httpx.AsyncClient) -> None:
    objects = api.objects
    owner = objects.create(CONFIGMAPS, "default", config("owner"))
    objects.create(CONFIGMAPS, "default", config("child", owner=owner, finalizers=["example.dev/hold"]))
    answer = await http.delete(f"{PATH}/owner", params={"propagationPolicy": "Foreground"})
    assert answer.json()["metadata"]["finalizers"] == ["foregroundDeletion"]
    await eventually(lambda: "deletionTimestamp" in objects.get(CONFIGMAPS, "default", "child")["metadata"])
    assert is_there(objects, CONFIGMAPS, "default", "owner")
    child = objects.get(CONFIGMAPS, "default", "child")
    child["metadata"]["finalizers"] = ["foregroundDeletion"]
    objects.update(CONFIGMAPS, "default", "child", child)
    await eventually(lambda: not is_there(objects, CONFIGMAPS, "default", "owner"))


async def test_orphans_stay_without_their_reference(api: ApiServer, http: httpx.AsyncClient) -> None:
    owner = api.objects.create(CONFIGMAPS, "default", config("owner"))
    api.objects.create(CONFIGMAPS, "default", config("child", owner=owner))
    await http.delete(f"{PATH}/owner", params={"propagationPolicy": "Orphan"})
    await eventually(lambda: not is_there(api.objects, CONFIGMAPS, "default", "owner"))
    assert "ownerReferences" not in api.objects.get(CONFIGMAPS, "default", "child")["metadata"]


async def test_a_namespace_ends_with_its_content(api: ApiServer) -> None:
    objects = api.objects
    objects.create(NAMESPACES, "", {"metadata": {"name": "team"}})
    assert is_there(objects, ACCOUNTS, "team", "default")
    objects.create(CONFIGMAPS, "team", config("held", finalizers=["example.dev/hold"]))
    objects.delete(NAMESPACES, "", "team")
    assert objects.get(NAMESPACES, "", "team")["status"]["phase"] == "Terminating"
    await eventually(lambda: not is_there(objects, ACCOUNTS, "team", "default"))
    held = objects.get(CONFIGMAPS, "team", "held")
    del held["metadata"]["finalizers"]
    objects.update(CONFIGMAPS, "team", "held", held)
    await eventually(lambda: not is_there(objects, NAMESPACES, "", "team"))


async def test_the_namespaces_of_the_system_stay(api: ApiServer) -> None:
    with pytest.raises(Forbidden, match="may not be deleted"):
        api.objects.delete(NAMESPACES, "", "kube-system")


async def test_a_pod_on_a_node_gets_its_grace_and_then_goes(api: ApiServer) -> None:
    spec: JsonObject = {"nodeName": "here", "containers": [{"name": "c", "image": "i:1"}]}
    api.objects.create(PODS, "default", {"metadata": {"name": "p"}, "spec": spec})
    api.objects.delete(PODS, "default", "p")
    assert api.objects.get(PODS, "default", "p")["metadata"]["deletionGracePeriodSeconds"] == 30
    api.objects.delete(PODS, "default", "p")
    assert not is_there(api.objects, PODS, "default", "p")


async def test_a_pod_on_no_node_goes_at_once(api: ApiServer) -> None:
    spec: JsonObject = {"containers": [{"name": "c", "image": "i:1"}]}
    api.objects.create(PODS, "default", {"metadata": {"name": "p"}, "spec": spec})
    api.objects.delete(PODS, "default", "p")
    assert not is_there(api.objects, PODS, "default", "p")


async def test_preconditions_guard_a_deletion(api: ApiServer) -> None:
    api.objects.create(CONFIGMAPS, "default", config("c"))
    with pytest.raises(Conflict, match="UID in the precondition"):
        api.objects.delete(CONFIGMAPS, "default", "c", uid="another")


async def test_a_collection_goes_by_its_selector(api: ApiServer, http: httpx.AsyncClient) -> None:
    for name, label in (("a", "x"), ("b", "x"), ("c", "y")):
        api.objects.create(CONFIGMAPS, "default", {"metadata": {"name": name, "labels": {"l": label}}})
    answer = await http.delete(PATH, params={"labelSelector": "l=x"})
    assert [item["metadata"]["name"] for item in answer.json()["items"]] == ["a", "b"]
    assert is_there(api.objects, CONFIGMAPS, "default", "c")


async def test_a_default_service_account_comes_back(api: ApiServer) -> None:
    first = api.objects.get(ACCOUNTS, "default", "default")["metadata"]["uid"]
    api.objects.delete(ACCOUNTS, "default", "default")
    assert api.objects.get(ACCOUNTS, "default", "default")["metadata"]["uid"] != first
