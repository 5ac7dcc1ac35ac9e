"""Our engine behind our gateway: the real program, the scripted model, both dialects, one store."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from kagent_api.agent_card import agent_card
from kagent_api.agents import AgentSpec
from kagent_api.engine_config import EngineConfig, ModelSettings
from kagent_operator.gateway import GatewaySettings, create_app
from kagent_operator.store import Store

Json = dict[str, Any]
FRONT = "/api/a2a/kagent/hello/"
_PATIENCE = 60.0


AGENT: Json = {
    "metadata": {"name": "hello", "namespace": "kagent", "resourceVersion": "1"},
    "spec": {"type": "Declarative", "declarative": {"systemMessage": "You help."}},
    "status": {"conditions": [{"type": "Ready", "status": "True"}]},
}


class OneAgent:
    """A directory that holds the agent of this test."""

    def get(self, namespace: str, name: str) -> Json | None:
        return AGENT if (namespace, name) == ("kagent", "hello") else None

    def list(self) -> list[Json]:
        return [AGENT]

    def resources(self, kind: str) -> list[Json]:
        del kind
        return []


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@asynccontextmanager
async def program(url: str, *arguments: str, **env: str) -> AsyncGenerator[None]:
    """Run kagent-engine until its address answers, and end it."""
    clean = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import sys; from kagent_engine.cli import main; sys.exit(main())",
        *arguments,
        env=clean | env,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_PATIENCE), httpx.AsyncClient() as client:
            while True:
                try:
                    await client.get(url)
                    break
                except httpx.TransportError:
                    assert process.returncode is None, "kagent-engine ended at its start"
                    await asyncio.sleep(0.1)
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(_PATIENCE):
            await process.communicate()


@asynccontextmanager
async def gateway(store: Store, port: int, agent_port: int) -> AsyncGenerator[str]:
    settings = GatewaySettings(agent_address=f"http://127.0.0.1:{agent_port}")
    app = create_app(agents=OneAgent(), store=store, settings=settings)
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="critical", timeout_graceful_shutdown=1))
    task = asyncio.create_task(server.serve())
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


@pytest.fixture
async def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[httpx.AsyncClient]:
    """A caller of a gateway in front of our engine, which asks the scripted model."""
    for name in [name for name in os.environ if "proxy" in name.lower()]:
        monkeypatch.delenv(name)
    front, engine, model = free_port(), free_port(), free_port()
    settings = ModelSettings(type="openai", model="scripted", base_url=f"http://127.0.0.1:{model}/v1")
    config = EngineConfig(model=settings, instruction="You help.", stream=True)
    tmp_path.joinpath("config.json").write_text(config.to_json())
    tmp_path.joinpath("agent-card.json").write_text(json.dumps(agent_card("kagent", "hello", AgentSpec())))
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(await Store.open(tmp_path / "gateway.db"))
        url = await stack.enter_async_context(gateway(store, front, engine))
        start = stack.enter_async_context
        await start(program(f"http://127.0.0.1:{model}/", "scripted-model", "--port", str(model)))
        await start(
            program(
                f"http://127.0.0.1:{engine}/health",
                *("static", "--host", "127.0.0.1", "--port", str(engine), "--filepath", str(tmp_path)),
                KAGENT_URL=url,
                KAGENT_NAME="hello",
                KAGENT_NAMESPACE="kagent",
                OPENAI_API_KEY="not-a-key",
            )
        )
        yield await start(httpx.AsyncClient(base_url=url, headers={"X-User-Id": "ada"}, timeout=_PATIENCE))


def events_of(text: str) -> list[Json]:
    return [json.loads(line[5:])["result"] for line in text.splitlines() if line.startswith("data:")]


async def test_what_is_said_through_the_gateway_is_kept_there_in_both_dialects(client: httpx.AsyncClient) -> None:
    current = {"A2A-Version": "1.0"}
    message: Json = {"messageId": "m1", "role": "ROLE_USER", "parts": [{"text": "Hello there"}]}
    call: Json = {"jsonrpc": "2.0", "id": 1, "method": "SendStreamingMessage", "params": {"message": message}}
    events = events_of((await client.post(FRONT, json=call, headers=current)).text)
    assert "task" in events[0]
    assert events[-1]["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"
    task_id, session_id = events[0]["task"]["id"], events[0]["task"]["contextId"]

    legacy: Json = {"kind": "message", "messageId": "m2", "role": "user", "contextId": session_id}
    legacy["parts"] = [{"kind": "text", "text": "And again"}]
    call = {"jsonrpc": "2.0", "id": 2, "method": "message/send", "params": {"message": legacy}}
    second = (await client.post(FRONT, json=call)).json()["result"]
    assert (second["kind"], second["status"]["state"], second["contextId"]) == ("task", "completed", session_id)

    (session,) = (await client.get("/api/sessions/agent/kagent/hello")).json()["data"]
    assert (session["id"], session["user_id"]) == (session_id, "ada")
    kept = (await client.get(f"/api/sessions/{session_id}?order=asc&limit=-1")).json()["data"]["events"]
    authors = [json.loads(event["data"])["author"] for event in kept]
    assert authors.count("user") == 2
    assert len(authors) >= 4
    tasks = (await client.get(f"/api/sessions/{session_id}/tasks")).json()["data"]
    assert [task["status"]["state"] for task in tasks] == ["completed", "completed"]

    call = {"jsonrpc": "2.0", "id": 3, "method": "GetTask", "params": {"id": task_id}}
    again = (await client.post(FRONT, json=call, headers=current)).json()["result"]
    assert again["status"]["state"] == "TASK_STATE_COMPLETED"
    hidden = await client.post(FRONT, json=call, headers=current | {"X-User-Id": "bob"})
    assert hidden.json()["error"]["code"] == -32001
