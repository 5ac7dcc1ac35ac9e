"""Strategic merge patches by the merge keys of the built-in schemas."""

from __future__ import annotations

from typing import Any

import pytest

from kagent_localcluster.apiserver.builtin.definitions import schema_of
from kagent_localcluster.apiserver.patching.strategic import strategic_merge
from kagent_localcluster.errors import NotTyped
from kagent_localcluster.seams import JsonObject

POD = schema_of("", "v1", "Pod")
DEPLOYMENT = schema_of("apps", "v1", "Deployment")


def pod(*containers: JsonObject, **spec: Any) -> JsonObject:
    return {"spec": {"containers": list(containers), **spec}}


def test_containers_merge_by_name() -> None:
    live = pod({"name": "a", "image": "1"}, {"name": "b", "image": "1"})
    merged = strategic_merge(POD, live, pod({"name": "b", "image": "2"}))
    assert merged == pod({"name": "a", "image": "1"}, {"name": "b", "image": "2"})
    assert live["spec"]["containers"][1]["image"] == "1"


def test_an_item_is_deleted_by_directive() -> None:
    live = pod({"name": "a"}, {"name": "b"})
    assert strategic_merge(POD, live, pod({"name": "a", "$patch": "delete"})) == pod({"name": "b"})


def test_a_list_is_replaced_by_directive() -> None:
    live = pod({"name": "a"}, {"name": "b"})
    assert strategic_merge(POD, live, pod({"$patch": "replace"}, {"name": "c"})) == pod({"name": "c"})


def test_lists_without_a_merge_key_are_replaced() -> None:
    live = pod({"name": "a", "args": ["x", "y"]})
    assert strategic_merge(POD, live, pod({"name": "a", "args": ["z"]})) == pod({"name": "a", "args": ["z"]})


def test_the_element_order_is_kept() -> None:
    live = pod({"name": "a"}, {"name": "b"})
    patch = pod({"name": "c"})
    patch["spec"]["$setElementOrder/containers"] = [{"name": "c"}, {"name": "a"}, {"name": "b"}]
    merged = strategic_merge(POD, live, patch)
    assert [item["name"] for item in merged["spec"]["containers"]] == ["c", "a", "b"]


def test_finalizers_join_and_leave_one_by_one() -> None:
    live: JsonObject = {"metadata": {"finalizers": ["a", "b"]}}
    assert strategic_merge(POD, live, {"metadata": {"finalizers": ["c"]}})["metadata"]["finalizers"] == ["a", "b", "c"]
    gone = strategic_merge(POD, live, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}})
    assert gone["metadata"]["finalizers"] == ["b"]


def test_retained_keys_drop_the_others() -> None:
    live: JsonObject = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    patch: JsonObject = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert strategic_merge(DEPLOYMENT, live, patch) == {"spec": {"strategy": {"type": "Recreate"}}}


def test_null_removes() -> None:
    assert strategic_merge(POD, {"metadata": {"labels": {"a": "b"}}}, {"metadata": {"labels": {"a": None}}}) == {
        "metadata": {"labels": {}}
    }


def test_an_item_without_its_merge_key_is_refused() -> None:
    with pytest.raises(NotTyped, match="merge key: name"):
        strategic_merge(POD, pod(), pod({"image": "x"}))
