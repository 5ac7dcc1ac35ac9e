"""A real API server on a temporary directory: in process, behind an HTTP client, or served over TLS for kubectl."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
import yaml

from kagent_localcluster.apiserver import ApiServer
from kagent_localcluster.seams import JsonObject, Objects, Resource

CRDS = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions")

WIDGET_CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.dev}
spec:
  group: example.dev
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, shortNames: [wd], categories: [all]}
  versions:
  - name: v1alpha2
    served: true
    storage: true
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}
    selectableFields: [{jsonPath: .spec.type}]
    additionalPrinterColumns:
    - {name: Type, type: string, jsonPath: .spec.type}
    - {name: Ready, type: string, jsonPath: '.status.conditions[?(@.type=="Ready")].status'}
    - {name: Age, type: date, jsonPath: .metadata.creationTimestamp}
    schema:
      openAPIV3Schema:
        type: object
        description: A widget does things.
        properties:
          spec:
            type: object
            description: What the widget should be.
            required: [type]
            x-kubernetes-validations:
            - {rule: "self.type != 'BYO' || has(self.byo)", message: byo must be set for type BYO}
            - {rule: "!has(self.tools) || self.tools.all(t, !t.name.startsWith('sys'))", message: names are taken}
            properties:
              type: {type: string, enum: [Declarative, BYO], default: Declarative, description: The sort.}
              replicas: {type: integer, format: int32, minimum: 0, default: 1}
              port: {x-kubernetes-int-or-string: true, anyOf: [{type: integer}, {type: string}]}
              byo: {type: object, properties: {image: {type: string}}}
              free: {type: object, x-kubernetes-preserve-unknown-fields: true}
              note: {type: string, nullable: true}
              labels: {type: object, additionalProperties: {type: string}}
              fixed:
                type: string
                x-kubernetes-validations: [{rule: self == oldSelf, message: fixed is immutable}]
              tools:
                type: array
                maxItems: 3
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [name]
                items:
                  type: object
                  required: [name]
                  properties: {name: {type: string}, approval: {type: boolean, default: false}, why: {type: string}}
          status:
            type: object
            properties:
              replicas: {type: integer}
              conditions:
                type: array
                items:
                  type: object
                  properties: {type: {type: string}, status: {type: string}, reason: {type: string}}
  - name: v1alpha1
    served: true
    storage: false
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, x-kubernetes-preserve-unknown-fields: true}
          status: {type: object, x-kubernetes-preserve-unknown-fields: true}
"""


@pytest.fixture
def widget() -> Callable[..., JsonObject]:
    """Make a Widget of a name, its spec as keyword arguments."""

    def make(name: str = "w1", **spec: Any) -> JsonObject:
        return {
            "apiVersion": "example.dev/v1alpha2",
            "kind": "Widget",
            "metadata": {"name": name},
            "spec": {"type": "Declarative", **spec},
        }

    return make


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[ApiServer]:
    server = ApiServer(tmp_path / "data")
    server.start()
    yield server
    server.begin_shutdown()
    server.close()


@pytest.fixture
def widget_crd() -> JsonObject:
    crd: JsonObject = yaml.safe_load(WIDGET_CRD)
    return crd


@pytest.fixture
def widgets(api: ApiServer, widget_crd: JsonObject) -> Objects:
    """Return the objects of a server that serves Widgets."""
    api.objects.create(CRDS, "", widget_crd)
    return api.objects


@pytest.fixture
async def http(api: ApiServer) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the admin, straight into the application."""
    headers = {"Authorization": f"Bearer {api.material.admin_token}"}
    transport = httpx.ASGITransport(api)
    async with httpx.AsyncClient(transport=transport, base_url="https://local", headers=headers) as client:
        yield client


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[ApiServer, httpx.AsyncClient]]:
    """An API server that listens on loopback over TLS, and a client of its admin."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        server = ApiServer(tmp_path / "data", server_url=url)
        server.start()
        config = uvicorn.Config(
            server, ws="wsproto", http="httptools", lifespan="off", log_level="error", timeout_graceful_shutdown=2,
            ssl_certfile=server.material.certificate_path, ssl_keyfile=server.material.key_path,
        )  # fmt: skip
        web = _Web(config)
        task = asyncio.create_task(web.serve(sockets=[listener]))
        async with asyncio.timeout(10):
            await web.listening.wait()
        headers = {"Authorization": f"Bearer {server.material.admin_token}"}
        context = _trust(server)
        async with httpx.AsyncClient(base_url=url, verify=context, headers=headers, trust_env=False) as client:
            yield server, client
        server.begin_shutdown()
        web.should_exit = True
        async with asyncio.timeout(10):
            await task
        server.close()


class _Web(uvicorn.Server):
    """uvicorn that says when it listens and leaves signals to pytest."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    def capture_signals(self) -> AbstractContextManager[None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return nullcontext()


def _trust(server: ApiServer) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=server.material.ca_path)


@pytest.fixture(autouse=True)
def no_leaked_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the developer's own cluster and proxies out of the tests."""
    for name in ("KUBECONFIG", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
