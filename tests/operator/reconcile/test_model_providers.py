"""ModelProviderConfig: its models, its key, and what its status says when either is not to be had."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from kagent_operator.errors import DiscoveryFailed
from kagent_operator.reconcile.modellists import Provider, list_models

JsonObject = dict[str, Any]


def provider(**spec: Any) -> JsonObject:
    return {
        "apiVersion": "kagent.dev/v1alpha2",
        "kind": "ModelProviderConfig",
        "metadata": {"name": "qwen"},
        "spec": {"type": "OpenAI", "secretRef": {"name": "key"}, **spec},
    }


def secret(**values: str) -> JsonObject:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}, "data": data}


class Answers:
    """A provider's server: answers by path, and what it was asked."""

    def __init__(self, answers: dict[str, tuple[int, str]]) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.asked.append(request)
        status, body = self.answers.get(request.split(" ")[1], (404, ""))
        extra = f"Location: {body}\r\n" if status == 302 else ""
        head = f"HTTP/1.1 {status} X\r\n{extra}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write((head + body).encode())
        await writer.drain()
        writer.close()


@asynccontextmanager
async def serving(answers: dict[str, tuple[int, str]]) -> AsyncGenerator[Answers]:
    found = Answers(answers)
    async with await asyncio.start_server(found.serve, "127.0.0.1", 0) as server:
        found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield found


def _openai(*names: str) -> tuple[int, str]:
    return 200, json.dumps({"data": [{"id": name} for name in names]})


async def test_models_are_listed_once_and_again_with_a_new_key(world: Any) -> None:
    async with serving({"/v1/models": _openai("b", "a")}) as server:
        await world.cluster.put(secret(key="sk-first"))
        await world.cluster.put(provider(endpoint=f"{server.url}/v1"))
        async with world.running():
            await world.until(
                lambda: world.cluster.condition("ModelProviderConfig", "qwen", "Ready")["status"] == "True"
            )
            status = world.cluster.get("ModelProviderConfig", "qwen")["status"]
            assert (status["discoveredModels"], status["modelCount"]) == (["a", "b"], 2)
            assert "authorization: bearer sk-first" in server.asked[0].lower()
            assert "sk-first" not in json.dumps(status)
            server.answers["/v1/models"] = _openai("c")
            await world.cluster.put(secret(key="sk-second"))
            await world.until(lambda: world.cluster.get("ModelProviderConfig", "qwen")["status"]["modelCount"] == 1)
            again = world.cluster.get("ModelProviderConfig", "qwen")["status"]
            assert again["secretHash"] != status["secretHash"]
        world.cluster.writes.clear()
        asked = len(server.asked)
        async with world.running():
            await world.until(lambda: len(server.asked) > asked)
            await world.settle()
            assert world.cluster.writes == []


async def test_ready_says_what_is_wrong(world: Any) -> None:
    async with serving({}) as server:
        await world.cluster.put(provider(endpoint=server.url))
        async with world.running():

            def told(kind: str) -> str:
                return world.cluster.condition("ModelProviderConfig", "qwen", kind)["message"]

            await world.until(lambda: "Secret 'key' not found" in told("Ready"))
            await world.cluster.put(secret(one="a", two="b"))
            await world.until(lambda: "exactly one key (it has: 'one', 'two')" in told("SecretResolved"))
            await world.cluster.put(secret(one="a"))
            await world.until(lambda: "answered 404" in told("Ready"))
            assert world.cluster.condition("ModelProviderConfig", "qwen", "SecretResolved")["status"] == "True"
            assert world.cluster.condition("ModelProviderConfig", "qwen", "ModelsDiscovered")["status"] == "False"


async def test_ollama_needs_no_secret_and_a_type_without_list_says_so(world: Any) -> None:
    async with serving({"/api/tags": (200, '{"models": [{"name": "llama3"}]}')}) as server:
        await world.cluster.put(provider(type="Ollama", endpoint=server.url, secretRef=None))
        async with world.running():
            await world.until(
                lambda: world.cluster.get("ModelProviderConfig", "qwen").get("status", {}).get("modelCount") == 1
            )
            resolved = world.cluster.condition("ModelProviderConfig", "qwen", "SecretResolved")
            assert resolved["reason"] == "SecretNotRequired"
            await world.cluster.put(secret(key="k"))
            await world.cluster.put(provider(type="Bedrock"))
            await world.until(
                lambda: (
                    world.cluster.condition("ModelProviderConfig", "qwen", "ModelsDiscovered")["reason"]
                    == "NotSupported"
                )
            )


@pytest.mark.parametrize(
    ("kind", "answers", "names", "header"),
    [
        (
            "Anthropic",
            {
                "/v1/models?limit=1000": (200, '{"data": [{"id": "x"}], "has_more": true, "last_id": "x"}'),
                "/v1/models?limit=1000&after_id=x": (200, '{"data": [{"id": "y"}], "has_more": false, "last_id": "y"}'),
            },
            ["x", "y"],
            "x-api-key: k",
        ),
        (
            "Gemini",
            {
                "/v1beta/models?pageSize=1000": (200, '{"models": [{"name": "models/g"}], "nextPageToken": "t"}'),
                "/v1beta/models?pageSize=1000&pageToken=t": (200, '{"models": [{"name": "models/h"}]}'),
            },
            ["g", "h"],
            "x-goog-api-key: k",
        ),
        ("AzureOpenAI", {"/openai/models?api-version=2024-10-21": _openai("gpt")}, ["gpt"], "api-key: k"),
    ],
)
async def test_every_page_of_each_dialect_is_read(
    kind: str, answers: dict[str, tuple[int, str]], names: list[str], header: str
) -> None:
    async with serving(answers) as server:
        assert await list_models(Provider(type=kind, endpoint=server.url, key="k")) == names
        assert all(header in request.lower() for request in server.asked)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((302, "http://elsewhere.example/"), "redirects to http://elsewhere.example/"),
        ((401, ""), "the key is refused"),
        ((200, "<html>"), "did not answer with JSON"),
        ((200, "[]"), "did not answer with a list of models"),
    ],
)
async def test_a_bad_answer_is_told_without_the_key(answer: tuple[int, str], words: str) -> None:
    async with serving({"/models": answer}) as server:
        with pytest.raises(DiscoveryFailed) as caught:
            await list_models(Provider(type="OpenAI", endpoint=server.url, key="sk-secret"))
        assert words in str(caught.value)
        assert "sk-secret" not in str(caught.value)
        assert len(server.asked) == 1
