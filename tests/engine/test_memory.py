"""Memory over the real wires: an embeddings endpoint of OpenAI's form and the controller's routes."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from kagent_api.engine_config import Embedding, MemorySettings
from kagent_engine.agent import Agent
from kagent_engine.agent import TurnRequest as Said
from kagent_engine.errors import ConfigError, ToolFailed
from kagent_engine.events import Warned
from kagent_engine.memory import LoadMemory, Recollection, SaveMemory, build_embedder
from kagent_engine.memory_sqlite import SqliteMemories
from kagent_engine.models.base import TextPart, ToolCall
from kagent_engine.settings import Settings
from kagent_engine.store_controller import ControllerStore
from kagent_engine.store_sqlite import SqliteStore
from kagent_engine.tools.base import CallContext

Json = dict[str, Any]
ADA = CallContext("ada", "s")


class World:
    """An embeddings endpoint that knows two subjects, and a controller that keeps memories."""

    def __init__(self) -> None:
        self.saved: list[Json] = []
        self.keys: list[str] = []
        self.broken = False
        routes = [
            ("/v1/embeddings", self.embed),
            ("/api/memories/sessions", self.save),
            ("/api/memories/search", self.find),
        ]
        self.app = Starlette(routes=[Route(path, handler, methods=["POST"]) for path, handler in routes])

    async def embed(self, request: Request) -> Response:
        if self.broken:
            return JSONResponse({"error": {"message": "out of order"}}, 400)
        self.keys.append(request.headers.get("authorization", ""))
        texts = (await request.json())["input"]
        vectors = [[3.0, 0.0] + [0.0] * 1000 if "tea" in text else [0.0, 2.0] + [0.0] * 1000 for text in texts]
        return JSONResponse({"data": [{"embedding": vector} for vector in vectors]})

    async def save(self, request: Request) -> Response:
        self.saved.append(await request.json())
        return JSONResponse({"id": "1"}, 201)

    async def find(self, request: Request) -> Response:
        asked = await request.json()
        assert (asked["limit"], asked["min_score"], len(asked["vector"])) == (5, 0.3, 768)
        alike = [
            item for item in self.saved if item["vector"] == asked["vector"] and item["user_id"] == asked["user_id"]
        ]
        return JSONResponse(
            [{"id": str(at), "content": item["content"], "score": 1.0} for at, item in enumerate(alike)]
        )


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def memory(world: World, serve: Any) -> Any:
    async with serve(world.app) as url:
        store = ControllerStore(Settings(name="my-agent", namespace="kagent", controller_url=url))
        embedder = build_embedder(
            Embedding(provider="openai", model="e", base_url=f"{url}/v1"), {"OPENAI_API_KEY": "k"}
        )
        made = Recollection(store, embedder, MemorySettings(ttl_days=3))
        yield made
        await made.aclose()
        await store.aclose()


async def test_what_was_saved_is_found_by_its_subject(world: World, memory: Recollection) -> None:
    saved = await SaveMemory(memory).call(ToolCall("c", "save_memory", {"content": "Ada drinks tea."}), ADA)
    found = await LoadMemory(memory).call(ToolCall("c", "load_memory", {"query": "which tea"}), ADA)
    other = await LoadMemory(memory).call(ToolCall("c", "load_memory", {"query": "which car"}), ADA)
    stranger = await LoadMemory(memory).call(ToolCall("c", "load_memory", {"query": "tea"}), CallContext("bob", "s"))
    assert saved.response == {"result": "Remembered."}
    assert found.response == {"result": "- Ada drinks tea."}
    assert "Nothing" in other.content
    assert "Nothing" in stranger.content
    (kept,) = world.saved
    assert (kept["agent_name"], kept["user_id"], kept["ttl_days"]) == ("kagent__NS__my_agent", "ada", 3)
    assert (len(kept["vector"]), kept["vector"][0]) == (768, 1.0)
    assert set(world.keys) == {"Bearer k"}


async def test_the_same_without_a_controller(world: World, serve: Any, tmp_path: Any) -> None:
    async with serve(world.app) as url:
        embedder = build_embedder(Embedding(provider="openai", model="e", base_url=f"{url}/v1"), {})
        memory = Recollection(SqliteMemories(tmp_path / "m.db", "e"), embedder, MemorySettings())
        await SaveMemory(memory).call(ToolCall("c", "save_memory", {"content": "Ada drinks tea."}), ADA)
        found = await LoadMemory(memory).call(ToolCall("c", "load_memory", {"query": "which tea"}), ADA)
        other = await LoadMemory(memory).call(ToolCall("c", "load_memory", {"query": "which car"}), ADA)
        notes = await memory.notes("Which tea would be the right one for me today?", ADA)
        await memory.aclose()
    assert found.response == {"result": "- Ada drinks tea."}
    assert "Nothing" in other.content
    assert "- Ada drinks tea." in notes
    assert not world.saved


async def test_a_new_session_begins_with_what_is_remembered_and_only_then(
    world: World, memory: Recollection, model: Any, tmp_path: Any
) -> None:
    await SaveMemory(memory).call(ToolCall("c", "save_memory", {"content": "Ada drinks tea."}), ADA)
    store = SqliteStore(tmp_path / "s.db")
    agent = Agent(name="a", instruction="Be kind.", model=model.says("hi").says("ho"), store=store, memory=memory)
    heard: list[Any] = []

    async def emit(event: Any) -> None:
        heard.append(event)

    for text in ("Which tea would be the right one for me today?", "And tea tomorrow, what do you think of it?"):
        await agent.run(Said(ADA, (TextPart(text),)), emit)

    first, second = (request.messages[0].text for request in model.requests)
    assert first.startswith("Be kind.")
    assert "<PAST_CONVERSATIONS>\n- Ada drinks tea.\n</PAST_CONVERSATIONS>" in first
    assert second == "Be kind."
    await store.aclose()


async def test_a_memory_that_is_away_costs_a_warning_and_no_turn(
    world: World, memory: Recollection, model: Any, tmp_path: Any
) -> None:
    world.broken = True
    store = SqliteStore(tmp_path / "s.db")
    agent = Agent(name="a", instruction="", model=model.says("hi"), store=store, memory=memory)
    heard: list[Any] = []

    async def emit(event: Any) -> None:
        heard.append(event)

    await agent.run(Said(ADA, (TextPart("Which tea would be the right one for me?"),)), emit)

    assert [event.code for event in heard if isinstance(event, Warned)] == ["memory_unavailable"]
    with pytest.raises(ToolFailed, match="could not be remembered"):
        await SaveMemory(memory).call(ToolCall("c", "save_memory", {"content": "x"}), ADA)
    await store.aclose()


def test_a_provider_without_such_an_endpoint_is_named() -> None:
    with pytest.raises(ConfigError, match=r"memory\.embedding\.provider.*bedrock"):
        build_embedder(Embedding(provider="bedrock", model="e"), {})


def test_azure_is_asked_at_its_deployment() -> None:
    settings = Embedding(
        provider="azure_openai", model="m", endpoint="https://x.example/", deployment="d", api_version="v"
    )
    endpoint = build_embedder(settings, {"AZURE_OPENAI_API_KEY": "k"})._connection.endpoint  # pyright: ignore[reportPrivateUsage]
    assert endpoint.url == "https://x.example/openai/deployments/d/embeddings?api-version=v"
    assert endpoint.headers_with("k") == {"api-key": "k"}
