"""A cluster in memory: the real API server's objects, and the runner on them, with small programs as images."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from kagent_localcluster.apiserver.server import ApiServer
from kagent_localcluster.errors import NotFound
from kagent_localcluster.runner import ApiAccess, ImageMap, Outside, Runner, RunnerSettings
from kagent_localcluster.runner.backoff import BackoffRules
from kagent_localcluster.runner.resources import PODS
from kagent_localcluster.seams import JsonObject, LogOptions, Objects

PATIENCE = 20.0
NOBODY = Outside(http=None, https=None, https_url="", no_proxy="")
FAST_BACKOFF = BackoffRules(first=0.05, longest=0.2, forgiven_after=600.0)


@dataclass
class Cluster:
    """What a test holds: objects to write, a runner that acts on them, and a wait that ends."""

    api: ApiServer
    runner: Runner
    data_dir: Path
    images: Path

    @property
    def objects(self) -> Objects:
        return self.api.objects

    async def until(self, check: Callable[[], Any]) -> Any:
        """Return the first true value of ``check``; what is not there counts as not yet."""
        value: Any = None
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    try:
                        value = check()
                    except (NotFound, KeyError):
                        value = None
                    if value:
                        return value
                    await asyncio.sleep(0.01)
        except TimeoutError:
            pods = [(pod["metadata"]["name"], pod.get("status")) for pod in self.objects.list(PODS)]
            raise AssertionError(f"not within {PATIENCE} s; Pods: {json.dumps(pods, indent=1)}") from None

    def pod(self, name: str, namespace: str = "default") -> JsonObject:
        return self.objects.get(PODS, namespace, name)

    def state(self, name: str, container: int = 0) -> JsonObject:
        """Return the state of a Pod's container; KeyError before there is one."""
        return self.pod(name)["status"]["containerStatuses"][container]["state"]

    async def log(self, pod: str, **options: Any) -> str:
        pieces = [piece async for piece in self.runner.logs("default", pod, LogOptions(**options))]
        return b"".join(pieces).decode()


class StartCluster(Protocol):
    """Starts a cluster on the test's directory; called again, it is the next run of the same one."""

    def __call__(self, node: str = "process", **settings: Any) -> Awaitable[Cluster]: ...


@pytest.fixture
def image_map(tmp_path: Path) -> Path:
    path = tmp_path / "images.json"
    rules: list[JsonObject] = [
        {"image": "python:*", "entrypoint": [sys.executable]},
        {"image": "skipped:*", "skip": True},
    ]
    path.write_text(json.dumps({"rules": rules}))
    return path


@pytest.fixture
async def start_cluster(tmp_path: Path, image_map: Path) -> AsyncIterator[StartCluster]:
    async with AsyncExitStack() as stack:

        async def start(node: str = "process", **settings: Any) -> Cluster:
            await stack.aclose()
            data_dir = tmp_path / "data"
            api = ApiServer(data_dir)
            stack.callback(api.close)
            api.start()
            chosen = RunnerSettings(
                data_dir,
                {**os.environ, "SECRET_OF_THE_SHELL": "must not leak"},
                node="hollow" if node == "hollow" else "process",
                backoff=settings.pop("backoff", FAST_BACKOFF),
                settle=0.0,
                **settings,
            )
            access = ApiAccess(api.server_url, api.material.ca_pem.encode(), api)
            runner = Runner(api.objects, access, ImageMap(image_map), chosen, NOBODY)
            api.set_backend(runner)
            await runner.start()
            stack.push_async_callback(runner.stop)
            return Cluster(api, runner, data_dir, image_map)

        yield start


@pytest.fixture
async def cluster(start_cluster: StartCluster) -> Cluster:
    return await start_cluster()
