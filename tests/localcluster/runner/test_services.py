"""What Service names and cluster IPs lead to, seen from inside a Pod."""

from __future__ import annotations

from typing import Any

from kagent_localcluster.runner.resources import ENDPOINTS, ENDPOINTSLICES, PODS, SERVICES
from kagent_localcluster.seams import JsonObject

SERVER = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = (os.environ['HOSTNAME'] + self.path).encode()
        self.send_response(200); self.send_header('Content-Length', str(len(body))); self.end_headers()
        self.wfile.write(body)
http.server.HTTPServer(('127.0.0.1', int(os.environ['PORT'])), Handler).serve_forever()
"""
CLIENT = """
import sys, urllib.error, urllib.request
for url in sys.argv[1:]:
    try:
        print(urllib.request.urlopen(url).read().decode(), flush=True)
    except urllib.error.HTTPError as error:
        print(error.code, error.read().decode().strip(), flush=True)
"""


def server(name: str, labels: dict[str, str]) -> JsonObject:
    container: JsonObject = {
        "name": "main",
        "image": "python:3",
        "args": ["-c", SERVER],
        "ports": [{"name": "web", "containerPort": 8080}],
        "readinessProbe": {"tcpSocket": {"port": "web"}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "labels": labels},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]},
    }


def service(name: str, **spec: Any) -> JsonObject:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"}, "spec": spec}


async def ask(cluster: Any, *urls: str) -> list[str]:
    """Return what a client in a Pod gets from these addresses."""
    container: JsonObject = {"name": "main", "image": "python:3", "args": ["-c", CLIENT, *urls]}
    metadata: JsonObject = {"name": "client", "namespace": "default"}
    spec: JsonObject = {"restartPolicy": "Never", "containers": [container]}
    cluster.objects.create(PODS, "default", {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    ended = await cluster.until(lambda: cluster.state("client").get("terminated"))
    assert ended["exitCode"] == 0, ended
    return (await cluster.log("client")).splitlines()


async def test_a_service_is_reached_by_all_its_names_its_cluster_ip_and_an_external_name(cluster: Any) -> None:
    cluster.objects.create(PODS, "default", server("one", {"app": "web"}))
    ports = [{"port": 80, "targetPort": "web"}]
    made = cluster.objects.create(SERVICES, "default", service("web", selector={"app": "web"}, ports=ports))
    cluster.objects.create(
        SERVICES, "default", service("headless", clusterIP="None", selector={"app": "web"}, ports=ports)
    )
    cluster.objects.create(
        SERVICES, "default", service("alias", type="ExternalName", externalName="web.default.svc.cluster.local")
    )
    cluster.objects.create(SERVICES, "default", service("loop", type="ExternalName", externalName="alias.default.svc"))
    await cluster.until(lambda: cluster.pod("one")["status"]["containerStatuses"][0]["ready"])
    answers = await ask(
        cluster,
        "http://web/a",
        "http://web.default/b",
        "http://web.default.svc.cluster.local:80/c",
        f"http://{made['spec']['clusterIP']}/d",
        "http://headless.default/e",
        "http://alias/f",
        "http://loop/g",
    )
    assert answers[:6] == [f"one/{letter}" for letter in "abcdef"]
    assert answers[6].startswith("502 loop:80: its external name 'alias.default.svc'")


async def test_a_service_without_selector_goes_where_its_slices_say(cluster: Any) -> None:
    cluster.objects.create(PODS, "default", server("one", {}))
    cluster.objects.create(SERVICES, "default", service("byhand", ports=[{"port": 80}]))
    await cluster.until(lambda: cluster.pod("one")["status"]["containerStatuses"][0]["ready"])
    port = cluster.runner.pod_address("default", "one", "8080").port
    slices: JsonObject = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "byhand-1",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": "byhand"},
        },
        "addressType": "IPv4",
        "endpoints": [
            {"addresses": ["127.0.0.1"]},
            {"addresses": ["127.0.0.9"], "conditions": {"ready": False}},
        ],
        "ports": [{"port": port}],
    }
    cluster.objects.create(ENDPOINTSLICES, "default", slices)
    assert await ask(cluster, "http://byhand/a", "http://byhand/b") == ["one/a", "one/b"]


async def test_endpoints_show_who_is_ready_and_go_with_their_service(cluster: Any) -> None:
    ports = [{"name": "http", "port": 80, "targetPort": "web"}]
    cluster.objects.create(SERVICES, "default", service("web", selector={"app": "web"}, ports=ports))
    cluster.objects.create(SERVICES, "default", service("byhand", ports=[{"port": 80}]))
    by_hand: JsonObject = {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "byhand"}, "subsets": []}
    cluster.objects.create(ENDPOINTS, "default", by_hand)
    cluster.objects.create(PODS, "default", server("one", {"app": "web"}))

    def subset() -> JsonObject:
        (found,) = cluster.objects.get(ENDPOINTS, "default", "web")["subsets"]
        return found

    await cluster.until(lambda: cluster.objects.get(ENDPOINTS, "default", "web").get("subsets"))
    await cluster.until(lambda: "addresses" in subset())
    (address,) = subset()["addresses"]
    assert (address["ip"], address["targetRef"]["name"]) == ("127.0.0.1", "one")
    port = cluster.runner.pod_address("default", "one", "web").port
    assert subset()["ports"] == [{"name": "http", "port": port, "protocol": "TCP"}]
    cluster.objects.delete(SERVICES, "default", "web")
    cluster.objects.delete(SERVICES, "default", "byhand")
    await cluster.until(
        lambda: [one["metadata"]["name"] for one in cluster.objects.list(ENDPOINTS, "default")] == ["byhand"]
    )
