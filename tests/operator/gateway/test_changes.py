"""Resources changed over the API: what is written, what is refused, and where secrets go."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from kagent_api.kube import AlreadyExists, Forbidden, Invalid, KubeError, NotFound, Unreachable
from kagent_operator.gateway import create_app

Json = dict[str, Any]


class Written:
    """An API server's memory, without its checks."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], Json] = {}
        self.refusal: dict[str, KubeError] = {}

    def acting_as(self, token: str) -> Written:
        raise AssertionError("nobody has a token in this mode")

    async def create(self, kind: str, obj: Json) -> Json:
        if kind in self.refusal:
            raise self.refusal[kind]
        about = obj["metadata"]
        key = (kind, about["namespace"], about["name"])
        if key in self.objects:
            raise AlreadyExists(f"{kind} exists", status=409)
        made = {"apiVersion": "v", "kind": kind, **obj, "metadata": about | {"uid": f"uid-{about['name']}"}}
        self.objects[key] = made
        return made

    async def replace(self, kind: str, namespace: str, name: str, part: str, value: object) -> Json:
        if (kind, namespace, name) not in self.objects:
            raise NotFound(f"{kind} {namespace}/{name} not found", status=404)
        self.objects[kind, namespace, name][part] = value
        return self.objects[kind, namespace, name]

    async def delete(self, kind: str, namespace: str, name: str) -> None:
        if self.objects.pop((kind, namespace, name), None) is None:
            raise NotFound(f"{kind} {namespace}/{name} not found", status=404)


@pytest.fixture
def written() -> Written:
    return Written()


@pytest.fixture
async def client(written: Written, cluster: Any, store: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient() as inner:
        app = create_app(agents=cluster, store=store, writer=written, http=inner)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as made:
            yield made


AGENT: Json = {
    "kind": "Agent", "metadata": {"name": "a", "labels": {"x": "y"}, "uid": "forged", "ownerReferences": [{}]},
    "spec": {"type": "Declarative"}, "status": {"conditions": []},
}  # fmt: skip


async def test_an_agent_is_created_changed_and_deleted(client: httpx.AsyncClient, written: Written) -> None:
    made = await client.post("/api/agents", json=AGENT)
    assert made.status_code == 201
    assert made.json()["data"]["metadata"] == {"name": "a", "namespace": "kagent", "labels": {"x": "y"}, "uid": "uid-a"}
    assert "status" not in written.objects["Agent", "kagent", "a"]
    assert (await client.post("/api/agents", json=AGENT)).status_code == 409
    changed = await client.put("/api/agents", json=AGENT | {"spec": {"type": "BYO"}})
    assert changed.json()["data"]["spec"] == {"type": "BYO"}
    assert (await client.delete("/api/agents/kagent/a")).json()["data"] == {}
    assert (await client.delete("/api/agents/kagent/a")).status_code == 404
    assert (await client.put("/api/agents", json=AGENT)).status_code == 404


FAULTY: list[Json] = [
    {}, {"metadata": {"name": "a"}}, {"metadata": {}, "spec": {}}, AGENT | {"kind": "Secret"}, AGENT | {"spec": []},
]  # fmt: skip


@pytest.mark.parametrize("body", FAULTY)
async def test_an_agent_without_name_or_spec_is_refused(client: httpx.AsyncClient, body: Json) -> None:
    assert (await client.post("/api/agents", json=body)).status_code == 400


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (Invalid("spec.type: Unsupported value", status=422), 400),
        (Forbidden("agents is forbidden", status=403), 403),
        (Unreachable("no answer"), 503),
    ],
)
async def test_what_the_api_server_says_reaches_the_caller(
    client: httpx.AsyncClient, written: Written, refusal: KubeError, status: int
) -> None:
    written.refusal["Agent"] = refusal
    reply = await client.post("/api/agents", json=AGENT)
    assert (reply.status_code, reply.json()["error"]) == (status, str(refusal))


async def test_a_models_key_goes_into_a_secret_that_the_model_owns(client: httpx.AsyncClient, written: Written) -> None:
    body = {
        "ref": "team/gpt", "apiKey": "sk-1", "spec": {"provider": "AzureOpenAI", "model": "m"},
        "secrets": [{"name": "ca", "key": "ca.crt", "value": "PEM"}],
    }  # fmt: skip
    made = await client.post("/api/modelconfigs", json=body)
    assert made.status_code == 201
    assert made.json()["data"]["ref"] == "team/gpt"
    spec = written.objects["ModelConfig", "team", "gpt"]["spec"]
    assert (spec["apiKeySecret"], spec["apiKeySecretKey"]) == ("gpt", "AZUREOPENAI_API_KEY")
    secret = written.objects["Secret", "team", "gpt"]
    assert secret["stringData"] == {"AZUREOPENAI_API_KEY": "sk-1"}
    assert secret["metadata"]["ownerReferences"] == [
        {"apiVersion": "v", "kind": "ModelConfig", "name": "gpt", "uid": "uid-gpt"}
    ]
    assert written.objects["Secret", "team", "ca"]["stringData"] == {"ca.crt": "PEM"}
    assert "sk-1" not in made.text


async def test_a_model_is_taken_back_when_its_secret_cannot_be_made(
    client: httpx.AsyncClient, written: Written
) -> None:
    written.refusal["Secret"] = AlreadyExists("Secret kagent/gpt exists", status=409)
    reply = await client.post("/api/modelconfigs", json={"ref": "gpt", "apiKey": "sk-1", "spec": {"model": "m"}})
    assert reply.status_code == 409
    assert written.objects == {}


async def test_a_new_key_replaces_the_old_one(client: httpx.AsyncClient, written: Written) -> None:
    await client.post("/api/modelconfigs", json={"ref": "gpt", "apiKey": "old", "spec": {"model": "m"}})
    reply = await client.put("/api/modelconfigs/kagent/gpt", json={"apiKey": "new", "spec": {"model": "n"}})
    assert reply.json()["data"]["spec"]["apiKeySecretKey"] == "OPENAI_API_KEY"
    assert written.objects["Secret", "kagent", "gpt"]["stringData"] == {"OPENAI_API_KEY": "new"}
    assert (await client.delete("/api/modelconfigs/kagent/gpt")).status_code == 200


async def test_tool_servers_of_both_kinds_are_made_and_deleted_but_never_a_service(
    client: httpx.AsyncClient, written: Written
) -> None:
    server = {"metadata": {"name": "t"}, "spec": {"url": "http://x"}}
    body = {"type": "RemoteMCPServer", "remoteMCPServer": server, "secrets": [{"name": "s", "key": "k", "value": "v"}]}
    assert (await client.post("/api/toolservers", json=body)).status_code == 201
    assert written.objects["Secret", "kagent", "s"]["metadata"]["ownerReferences"][0]["kind"] == "RemoteMCPServer"
    assert (await client.post("/api/toolservers", json={"type": "MCPServer", "mcpServer": server})).status_code == 201
    assert (await client.post("/api/toolservers", json={"type": "MCPServer"})).status_code == 400
    assert (await client.post("/api/toolservers", json={"type": "Service"})).status_code == 400
    for status in (200, 200, 404):
        assert (await client.delete("/api/toolservers/kagent/t")).status_code == status


async def test_prompt_libraries_are_config_maps_with_a_label(
    client: httpx.AsyncClient, written: Written, cluster: Any
) -> None:
    body = {"namespace": "kagent", "name": "lib", "data": {"b": "B", "a": "A"}}
    assert (await client.post("/api/prompttemplates", json=body)).json()["data"] == body
    made = written.objects["ConfigMap", "kagent", "lib"]
    assert made["metadata"]["labels"] == {"kagent.dev/prompt-library": "true"}
    other = {"metadata": {"name": "other", "namespace": "kagent"}, "data": {"secret": "x"}}
    written.objects["ConfigMap", "kagent", "other"] = other
    cluster.others["ConfigMap"] = [made, other]
    summary = {"namespace": "kagent", "name": "lib", "keyCount": 2, "keys": ["a", "b"]}
    assert (await client.get("/api/prompttemplates?namespace=*")).json()["data"] == [summary]
    assert (await client.get("/api/prompttemplates?namespace=x")).json()["data"] == []
    assert (await client.get("/api/prompttemplates/kagent/lib")).json()["data"] == body
    changed = await client.put("/api/prompttemplates/kagent/lib", json={"data": {"c": "C"}})
    assert changed.json()["data"]["data"] == {"c": "C"}
    assert (await client.put("/api/prompttemplates/kagent/lib", json={"data": {"c": 1}})).status_code == 400
    for method in ("GET", "DELETE"):
        assert (await client.request(method, "/api/prompttemplates/kagent/other")).status_code == 404
    assert (await client.delete("/api/prompttemplates/kagent/lib")).status_code == 200


async def test_without_a_writer_the_api_says_what_to_use_instead(gate: Any) -> None:
    async with gate() as client:
        reply = await client.post("/api/agents", json=AGENT)
    assert reply.status_code == 501
    assert "use kubectl" in reply.json()["error"]
