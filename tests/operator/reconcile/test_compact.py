"""Copies of the cluster are kept small and say the same as before."""

from __future__ import annotations

import copy
import json
from typing import Any

from kagent_operator.reconcile.compact import Compactor

JsonObject = dict[str, Any]


def _deployment(name: str) -> JsonObject:
    container: JsonObject = {
        "name": "kagent",
        "ports": [{"containerPort": 8080}],
        "tty": True,
        "stdin": 1,
        "args": [],
        "env": None,
    }
    pod: JsonObject = {"containers": [container], "securityContext": {}, "replicas": 1.0}
    meta: JsonObject = {"name": name, "uid": f"uid-{name}", "resourceVersion": "7", "managedFields": [{"manager": "m"}]}
    return {"kind": "Deployment", "metadata": meta, "spec": {"template": {"spec": pod}, "long": "x" * 500}}


def test_equal_parts_are_one_and_nothing_else_changes() -> None:
    compactor = Compactor()
    # Texts as a JSON parser makes them: equal and not identical.
    one, other = (json.loads(json.dumps(_deployment(name))) for name in ("one", "other"))
    wanted = copy.deepcopy([one, other])
    for obj in (one, other):
        compactor.compact(obj)
    for obj in wanted:
        del obj["metadata"]["managedFields"]
    assert json.dumps([one, other]) == json.dumps(wanted), "True, 1 and 1.0 are kept apart, and the order too"
    assert one["spec"]["template"] is other["spec"]["template"]
    assert one["metadata"] is not other["metadata"]


def test_a_pod_is_kept_without_its_spec() -> None:
    pod: JsonObject = {
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {"containers": []},
        "status": {"phase": "Running"},
    }
    Compactor().compact(pod)
    assert pod == {"kind": "Pod", "metadata": {"name": "p"}, "status": {"phase": "Running"}}


def test_what_was_seen_is_forgotten_in_time() -> None:
    compactor = Compactor()
    for number in range(30_000):
        compactor.compact({"kind": "Secret", "metadata": {"name": f"s{number}", "labels": {"n": str(number)}}})
    assert len(compactor._parts) < 10_000  # pyright: ignore[reportPrivateUsage]  # its memory is what is tested
