"""Changes over the API on the real local API server, with the real CRDs."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest

from kagent_api.crds import crds
from kagent_api.kube import KubeClient, load_access
from kagent_api.kube.resources import AGENTS, CRDS, MODELCONFIGS, NAMESPACES, SECRETS
from kagent_operator.gateway import KubeWriter, create_app

Json = dict[str, Any]
_PATIENCE = 45.0


@pytest.fixture
async def kube(tmp_path: Path, direct: None) -> AsyncGenerator[KubeClient]:
    """A local API server that holds the namespace kagent and every CRD."""
    del direct
    image_map = tmp_path / "images.json"
    image_map.write_text('{"rules": []}')
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "kagent_localcluster", "serve", "--node", "hollow", "--port", "0"),
        *("--data-dir", str(tmp_path / "data"), "--image-map", str(image_map)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(_PATIENCE):
            told = json.loads(await process.stdout.readline())
        async with KubeClient(load_access(told["kubeconfig"])) as client:
            await client.create(NAMESPACES, {"metadata": {"name": "kagent"}})
            for crd in crds():
                await client.create(CRDS, crd)
            yield client
    finally:
        process.terminate()
        async with asyncio.timeout(_PATIENCE):
            await process.wait()


async def test_the_api_server_has_the_last_word_on_what_is_written(kube: KubeClient, cluster: Any, store: Any) -> None:
    async with httpx.AsyncClient() as inner:
        app = create_app(agents=cluster, store=store, writer=KubeWriter(kube), http=inner)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            await agents_are_checked(client, kube)
            await models_own_their_secrets(client, kube)


async def agents_are_checked(client: httpx.AsyncClient, kube: KubeClient) -> None:
    agent: Json = {"metadata": {"name": "a"}, "spec": {"type": "Declarative", "declarative": {"systemMessage": "x"}}}
    assert (await client.post("/api/agents", json=agent)).status_code == 201
    assert (await kube.get(AGENTS, "a", "kagent"))["spec"]["declarative"]["runtime"] == "go"
    assert (await client.post("/api/agents", json=agent)).status_code == 409
    agent["spec"] = {"type": "BYO", "byo": {"deployment": {"image": "x"}}}
    changed = await client.put("/api/agents", json=agent)
    assert changed.status_code == 200, changed.text
    kept = await kube.get(AGENTS, "a", "kagent")
    assert kept["spec"] == agent["spec"]
    assert kept["metadata"]["generation"] == 2
    agent["spec"] = {"type": "BYO"}
    for refused in (await client.put("/api/agents", json=agent), await client.post("/api/agents", json=agent)):
        assert refused.status_code == 400
        assert "byo must be specified if type is BYO" in refused.json()["error"]
    agent["metadata"]["namespace"] = "nowhere"
    assert (await client.post("/api/agents", json=agent | {"spec": kept["spec"]})).status_code == 404
    assert (await client.delete("/api/agents/kagent/a")).status_code == 200
    assert (await client.delete("/api/agents/kagent/a")).status_code == 404


async def models_own_their_secrets(client: httpx.AsyncClient, kube: KubeClient) -> None:
    body = {"ref": "kagent/m", "apiKey": "sk-1", "spec": {"provider": "OpenAI", "model": "x"}}
    assert (await client.post("/api/modelconfigs", json=body)).status_code == 201
    secret = await kube.get(SECRETS, "m", "kagent")
    assert base64.b64decode(secret["data"]["OPENAI_API_KEY"]) == b"sk-1"
    assert secret["metadata"]["ownerReferences"][0]["kind"] == "ModelConfig"
    body["apiKey"] = "sk-2"
    assert (await client.put("/api/modelconfigs/kagent/m", json=body)).status_code == 200
    secret = await kube.get(SECRETS, "m", "kagent")
    assert base64.b64decode(secret["data"]["OPENAI_API_KEY"]) == b"sk-2"
    model = await kube.get(MODELCONFIGS, "m", "kagent")
    assert model["spec"]["apiKeySecret"] == "m"
    wrong = await client.post("/api/modelconfigs", json={"ref": "n", "spec": {"provider": "Skynet", "model": "x"}})
    assert wrong.status_code == 400
    assert "Skynet" in wrong.json()["error"]
