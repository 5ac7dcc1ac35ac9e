"""Real programs that find each other by name, while one of them is replaced."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import httpx

from kagent_localcluster.runner.resources import DEPLOYMENTS, ENDPOINTSLICES, PODS, SERVICES
from kagent_localcluster.seams import JsonObject

# Answers with its version; finishes what it has when asked to end, as common servers do.
SERVER = """
import asyncio, os, signal, sys
async def serve(reader, writer):
    try:
        while True:
            head = await reader.readuntil(b"\\r\\n\\r\\n")
            body = os.environ["VERSION"].encode()
            writer.write(b"HTTP/1.1 200 OK\\r\\ncontent-length: %d\\r\\n\\r\\n%s" % (len(body), body))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
async def main():
    end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end.set)
    server = await asyncio.start_server(serve, sys.argv[1], int(sys.argv[2]))
    await end.wait()
asyncio.run(main())
"""
PROXY = "import os, time; print(os.environ['HTTP_PROXY'], flush=True); time.sleep(600)"


def deployment(version: str, replicas: int = 1) -> JsonObject:
    labels = {"app": "web"}
    container = {
        "name": "main",
        "image": "python:3",
        "args": ["-c", SERVER, "0.0.0.0", "8080"],
        "env": [{"name": "VERSION", "value": version}],
        "ports": [{"containerPort": 8080}],
        "readinessProbe": {"tcpSocket": {"port": 8080}, "initialDelaySeconds": 15, "periodSeconds": 15},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 5},
            },
        },
    }


async def test_a_rollout_under_load_loses_no_request_and_never_goes_back(cluster: Any) -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
    }
    client_pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "client", "namespace": "default"},
        "spec": {"containers": [{"name": "main", "image": "python:3", "args": ["-c", PROXY]}]},
    }
    cluster.objects.create(SERVICES, "default", service)
    cluster.objects.create(DEPLOYMENTS, "default", deployment("1"))
    cluster.objects.create(PODS, "default", client_pod)
    await cluster.until(lambda: cluster.runner.service_addresses("default", "web", "80"))
    await cluster.until(lambda: "running" in cluster.state("client"))
    url = ""
    while not url:
        url = (await cluster.log("client")).strip()
        await asyncio.sleep(0.01)

    seen: list[str] = []
    failures: Counter[str] = Counter()
    done = asyncio.Event()

    async def load(method: str) -> None:
        async with httpx.AsyncClient(proxy=url, timeout=20) as client:
            while not done.is_set():
                try:
                    answer = await client.request(method, "http://web.default.svc.cluster.local/")
                except httpx.HTTPError as error:
                    failures[repr(error)] += 1
                    continue
                if answer.status_code != 200:
                    failures[answer.text] += 1
                seen.append(answer.text)

    async with asyncio.TaskGroup() as group:
        for method in ("GET", "POST"):
            group.create_task(load(method))
        await cluster.until(lambda: len(seen) > 20)
        body = cluster.objects.get(DEPLOYMENTS, "default", "web")
        changed = {**body, "spec": deployment("2")["spec"]}
        cluster.objects.update(DEPLOYMENTS, "default", "web", changed)
        old_gone = "app=web"
        await cluster.until(lambda: "2" in seen)
        await cluster.until(lambda: len(cluster.objects.list(PODS, "default", label_selector=old_gone)) == 1)
        count = len(seen)
        await cluster.until(lambda: len(seen) > count + 20)
        done.set()

    def settled() -> bool:
        slices = cluster.objects.list(ENDPOINTSLICES, "default", label_selector="kubernetes.io/service-name=web")
        return len(slices) == 1 and slices[0]["endpoints"][0]["conditions"]["ready"] is True

    await cluster.until(settled)
    (shown,) = cluster.objects.list(ENDPOINTSLICES, "default", label_selector="kubernetes.io/service-name=web")
    (address,) = cluster.runner.service_addresses("default", "web", "80")
    assert shown["ports"][0]["port"] == address.port
    assert failures == Counter()
    assert set(seen) == {"1", "2"}
    assert "1" not in seen[-20:]
