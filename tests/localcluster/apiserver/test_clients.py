"""Clients that people write controllers with, doing their ordinary work; kopf and kr8s where they are installed."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from kagent_localcluster.apiserver import ApiServer
from kagent_localcluster.seams import JsonObject

Served = tuple[ApiServer, httpx.AsyncClient]

SYNC = """
import json, sys
from kubernetes import client, config, dynamic, watch
config.load_kube_config(sys.argv[1])
core, apps, custom = client.CoreV1Api(), client.AppsV1Api(), client.CustomObjectsApi()
made = core.create_namespaced_config_map("default", client.V1ConfigMap(
    metadata=client.V1ObjectMeta(name="a", labels={"x": "y"}), data={"k": "v"}))
made.data["z"] = "1"
core.replace_namespaced_config_map("a", "default", made)
try:
    core.replace_namespaced_config_map("a", "default", made)
    stale = 200
except client.ApiException as error:
    stale = error.status
labels = {"matchLabels": {"a": "b"}}
pod = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
apps.create_namespaced_deployment("default", {"metadata": {"name": "d"}, "spec": {"selector": labels, "template": pod}})
apps.patch_namespaced_deployment_scale("d", "default", {"spec": {"replicas": 3}})
place = ("example.dev", "v1alpha2", "default", "widgets")
body = {"apiVersion": "example.dev/v1alpha2", "kind": "Widget", "metadata": {"name": "w"}}
body["spec"] = {"type": "Declarative"}
custom.create_namespaced_custom_object(*place, body)
custom.patch_namespaced_custom_object(*place, "w", {"spec": {"replicas": 4}})
ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
custom.patch_namespaced_custom_object_status(*place, "w", ready)
widgets = dynamic.DynamicClient(client.ApiClient()).resources.get(api_version="example.dev/v1alpha2", kind="Widget")
body["metadata"], body["spec"] = {"name": "applied"}, {"type": "Declarative", "replicas": 7}
widgets.server_side_apply(body=body, namespace="default", field_manager="me")
seen = []
watcher = watch.Watch()
for event in watcher.stream(core.list_namespaced_config_map, "default", label_selector="x=y", timeout_seconds=60):
    seen.append([event["type"], event["object"].metadata.name])
    watcher.stop()
print(json.dumps({
    "stale": stale, "seen": seen, "replicas": apps.read_namespaced_deployment("d", "default").spec.replicas,
    "widgets": sorted([item.metadata.name, item.spec.replicas] for item in widgets.get(namespace="default").items),
    "status": custom.get_namespaced_custom_object(*place, "w")["status"]["conditions"][0]["type"],
}))
"""

AIO = """
import asyncio, json, sys
from kubernetes.aio import client, config, watch
async def main():
    await config.load_kube_config(sys.argv[1])
    async with client.ApiClient() as api:
        core = client.CoreV1Api(api)
        await core.create_namespaced_config_map("default", {"metadata": {"name": "a", "labels": {"x": "y"}}})
        await core.patch_namespaced_config_map("a", "default", {"data": {"c": "d"}})
        seen = []
        async with watch.Watch() as watcher:
            async for event in watcher.stream(
                core.list_namespaced_config_map, "default", label_selector="x=y", timeout_seconds=60
            ):
                seen.append([event["type"], event["object"].data])
                break
        await core.delete_namespaced_config_map("a", "default")
        left = (await core.list_namespaced_config_map("default", label_selector="x=y")).items
        print(json.dumps({"seen": seen, "left": len(left)}))
asyncio.run(main())
"""

KR8S = """
import asyncio, json, sys
import kr8s.asyncio
from kr8s.asyncio.objects import ConfigMap, new_class
async def main():
    api = await kr8s.asyncio.api(kubeconfig=sys.argv[1])
    made = await ConfigMap({"metadata": {"name": "a", "namespace": "default"}, "data": {"a": "b"}}, api=api)
    await made.create()
    await made.patch({"data": {"c": "d"}})
    await made.label({"l": "m"})
    kind = new_class("Widget", version="example.dev/v1alpha2", namespaced=True)
    body = {"metadata": {"name": "w", "namespace": "default"}, "spec": {"type": "Declarative"}}
    widget = await kind(body, api=api)
    await widget.create()
    listed = [[each.name, each.kind] async for each in api.get("configmaps", namespace="default", label_selector="l=m")]
    widgets = [each.name async for each in kind.list(namespace="default", api=api)]
    await made.refresh()
    print(json.dumps({"listed": listed, "data": dict(made.data), "widgets": widgets}))
asyncio.run(main())
"""

KOPF = """
import kopf
@kopf.on.create("example.dev", "v1alpha2", "widgets")
async def made(body, spec, patch, **_):
    kopf.info(body, reason="Made", message="by kopf")
    patch.metadata.labels["made"] = "yes"
@kopf.on.delete("example.dev", "v1alpha2", "widgets")
async def gone(**_):
    pass
"""


async def _run(api: ApiServer, program: str) -> Any:
    """Run a client program against the server; returns what it printed as JSON."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(api.kubeconfig), stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE, env={**os.environ, "KUBECONFIG": str(api.kubeconfig)},
    )  # fmt: skip
    async with asyncio.timeout(120):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()[-3000:]
    return json.loads(out.splitlines()[-1])


@pytest.fixture
async def with_widgets(served: Served, widget_crd: JsonObject) -> Served:
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    (await served[1].post(path, json=widget_crd)).raise_for_status()
    return served


@pytest.mark.timeout(180)
async def test_the_official_client_works(with_widgets: Served) -> None:
    assert await _run(with_widgets[0], SYNC) == {
        "stale": 409, "seen": [["ADDED", "a"]], "replicas": 3, "widgets": [["applied", 7], ["w", 4]], "status": "Ready",
    }  # fmt: skip


@pytest.mark.timeout(180)
async def test_the_official_asynchronous_client_works(served: Served) -> None:
    assert await _run(served[0], AIO) == {"seen": [["ADDED", {"c": "d"}]], "left": 0}


@pytest.mark.timeout(180)
async def test_kr8s_works(with_widgets: Served) -> None:
    found = await _run(with_widgets[0], KR8S)
    assert found == {"listed": [["a", "ConfigMap"]], "data": {"a": "b", "c": "d"}, "widgets": ["w"]}


@pytest.mark.timeout(180)
async def test_an_operator_written_with_kopf_works(with_widgets: Served, tmp_path: Path) -> None:
    api, http = with_widgets
    program = tmp_path / "operator.py"
    program.write_text(KOPF)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "kopf", "run", "-n", "default", "--standalone", str(program),
        env={**os.environ, "KUBECONFIG": str(api.kubeconfig)},
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    widgets = "/apis/example.dev/v1alpha2/namespaces/default/widgets"
    body = {"apiVersion": "example.dev/v1alpha2", "kind": "Widget", "metadata": {"name": "w"}}
    try:
        async with asyncio.timeout(120):
            (await http.post(widgets, json={**body, "spec": {"type": "Declarative"}})).raise_for_status()
            async with http.stream("GET", widgets, params={"watch": "true", "labelSelector": "made=yes"}) as answer:
                event = json.loads(await anext(answer.aiter_lines()))
            assert event["object"]["metadata"]["finalizers"] == ["kopf.zalando.org/KopfFinalizerMarker"]
            events = "/api/v1/namespaces/default/events"
            async with http.stream("GET", events, params={"watch": "true", "fieldSelector": "reason=Made"}) as answer:
                assert json.loads(await anext(answer.aiter_lines()))["object"]["message"] == "by kopf"
            watch = {"watch": "true", "resourceVersion": event["object"]["metadata"]["resourceVersion"]}
            await http.delete(f"{widgets}/w")
            async with http.stream("GET", widgets, params=watch) as answer:
                async for line in answer.aiter_lines():
                    if json.loads(line)["type"] == "DELETED":
                        break
    finally:
        process.terminate()
        await process.wait()
