"""The node that this machine is."""

from __future__ import annotations

from typing import Any

from kagent_localcluster.runner.resources import LEASES, NODES


async def test_the_node_is_ready_and_says_what_this_machine_has(start_cluster: Any) -> None:
    cluster = await start_cluster("hollow")
    node = cluster.objects.get(NODES, "", "local")
    ready = next(entry for entry in node["status"]["conditions"] if entry["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("True", "KubeletReady")
    assert int(node["status"]["capacity"]["cpu"]) >= 1
    assert {"type": "InternalIP", "address": "127.0.0.1"} in node["status"]["addresses"]
    lease = cluster.objects.get(LEASES, "kube-node-lease", "local")
    assert lease["spec"]["holderIdentity"] == "local"


async def test_a_second_start_keeps_the_node_and_renews_its_lease(start_cluster: Any) -> None:
    first = await start_cluster("hollow")
    uid = first.objects.get(NODES, "", "local")["metadata"]["uid"]
    before = first.objects.get(LEASES, "kube-node-lease", "local")["spec"]["renewTime"]
    second = await start_cluster("hollow")
    assert second.objects.get(NODES, "", "local")["metadata"]["uid"] == uid
    assert second.objects.get(LEASES, "kube-node-lease", "local")["spec"]["renewTime"] > before
