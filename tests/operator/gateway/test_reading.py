"""Reading resources, and the shapes every reply has."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx
import pytest

from kagent_operator.gateway import GatewaySettings

Json = dict[str, Any]


def bearer(**claims: object) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"Bearer e30.{payload}.sig"


async def test_health_and_version_have_upstreams_shapes(gate: Any) -> None:
    async with gate(GatewaySettings(version="1.2.3", git_commit="abc")) as client:
        assert (await client.get("/health")).json() == {"error": False, "data": {"status": "OK"}, "message": "OK"}
        assert (await client.get("/version")).json() == {
            "kagent_version": "1.2.3", "git_commit": "abc", "build_date": "",
        }  # fmt: skip


@pytest.mark.parametrize(
    ("query", "headers", "user"),
    [
        ("", {}, "admin@kagent.dev"),
        ("", {"X-User-Id": "ada"}, "ada"),
        ("?user_id=bob", {"X-User-Id": "ada"}, "bob"),
    ],
)
async def test_without_authentication_the_caller_says_who_it_is(
    gate: Any, query: str, headers: dict[str, str], user: str
) -> None:
    async with gate() as client:
        assert (await client.get(f"/api/me{query}", headers=headers)).json() == {"sub": user}


async def test_behind_a_trusted_proxy_the_claims_say_who_it_is(gate: Any) -> None:
    settings = GatewaySettings(auth_mode="trusted-proxy", user_id_claim="email")
    async with gate(settings) as client:
        refused = await client.get("/api/me", headers={"X-User-Id": "eve"})
        assert (refused.status_code, refused.text) == (401, "Unauthorized")
        for broken in ("Bearer x", "Bearer a.b.c", "Basic e30.e30.e30", bearer(name="nobody")):
            assert (await client.get("/api/me", headers={"Authorization": broken})).status_code == 401
        claims = {"sub": "1", "email": "ada@x"}
        assert (await client.get("/api/me", headers={"Authorization": bearer(**claims)})).json() == claims
        agent = {"Authorization": bearer(sub="sa"), "X-Agent-Name": "kagent__NS__a", "X-User-Id": "ada@x"}
        assert (await client.get("/api/me", headers=agent)).json() == {"sub": "ada@x"}
        assert (await client.get("/health")).status_code == 200


async def test_agents_are_listed_with_their_model_and_state(gate: Any, cluster: Any) -> None:
    cluster.add_agent("my-agent", ready=True)
    cluster.add_agent("other", "team", declarative={"tools": [{"type": "McpServer", "mcpServer": {"name": "t"}}]})
    cluster.add_agent("byo", type="BYO", declarative=None, byo={})
    cluster.others["ModelConfig"] = [
        {"metadata": {"name": "m", "namespace": "kagent"}, "spec": {"provider": "Ollama", "model": "llama"}}
    ]
    async with gate() as client:
        reply = (await client.get("/api/agents")).json()
        assert reply["error"] is False
        byo, mine, other = reply["data"]
    assert mine["id"] == "kagent__NS__my_agent"
    assert (mine["modelProvider"], mine["model"], mine["modelConfigRef"]) == ("Ollama", "llama", "kagent/m")
    assert (mine["deploymentReady"], mine["accepted"], mine["workloadMode"]) == (True, True, "deployment")
    assert "managedFields" not in mine["agent"]["metadata"]
    assert mine["memoryRefs"] is None
    assert (other["modelConfigRef"], other["model"]) == ("team/default-model-config", "")
    assert other["tools"][0]["mcpServer"]["name"] == "t"
    assert (byo["modelConfigRef"], byo["deploymentReady"]) == ("", False)


async def test_agents_can_be_asked_for_by_namespace_and_name(gate: Any, cluster: Any) -> None:
    cluster.add_agent("a")
    cluster.add_agent("b", "team")
    async with gate() as client:
        listed = (await client.get("/api/agents?namespace=team")).json()["data"]
        assert [agent["id"] for agent in listed] == ["team__NS__b"]
        assert (await client.get("/api/agents?namespace=Not_A_Name")).status_code == 400
        assert (await client.get("/api/agents/team/b")).json()["data"]["id"] == "team__NS__b"
        missing = await client.get("/api/agents/team/c")
        assert (missing.status_code, missing.json()) == (404, {"error": "Agent team/c not found"})
        assert missing.headers["content-type"] == "application/json"


async def test_empty_lists_are_lists(gate: Any) -> None:
    async with gate() as client:
        for path in ("agents", "modelconfigs", "toolservers", "tools", "sessions", "namespaces", "feedback"):
            reply = await client.get(f"/api/{path}")
            assert (reply.status_code, reply.json()["data"]) == (200, []), path


async def test_tool_servers_show_what_was_discovered_wherever_it_is_kept(gate: Any, cluster: Any) -> None:
    def named(name: str, **rest: Any) -> Json:
        return {"metadata": {"name": name, "namespace": "kagent", **rest}}

    tools = json.dumps([{"name": "now", "description": "time", "inputSchema": {}}, "nonsense"])
    cluster.others = {
        "RemoteMCPServer": [named("remote") | {"status": {"discoveredTools": [{"name": "x", "description": "y"}]}}],
        "MCPServer": [named("clock"), named("silent")],
        "Service": [named("plain"), named("tools", labels={"kagent.dev/mcp-service": "true"})],
        "ConfigMap": [
            named("clock-mcpserver-tools", labels={"kagent-tui.dev/tools": "true"}) | {"data": {"tools.json": tools}},
            named("silent-mcpserver-tools", labels={"kagent-tui.dev/tools": "true"}) | {"data": {"tools.json": "{"}},
            named("tools-service-tools") | {"data": {"tools.json": tools}},
        ],
    }
    async with gate() as client:
        servers = (await client.get("/api/toolservers")).json()["data"]
        listed = (await client.get("/api/tools")).json()["data"]
    assert servers == [
        {
            "ref": "kagent/remote", "groupKind": "RemoteMCPServer.kagent.dev",
            "discoveredTools": [{"name": "x", "description": "y"}],
        },
        {
            "ref": "kagent/clock", "groupKind": "MCPServer.kagent.dev",
            "discoveredTools": [{"name": "now", "description": "time"}],
        },
        {"ref": "kagent/silent", "groupKind": "MCPServer.kagent.dev", "discoveredTools": []},
        {"ref": "kagent/tools", "groupKind": "Service", "discoveredTools": []},
    ]  # fmt: skip
    assert [(tool["id"], tool["server_name"]) for tool in listed] == [("x", "kagent/remote"), ("now", "kagent/clock")]


async def test_namespaces_are_the_watched_ones_or_what_can_be_seen(gate: Any, cluster: Any) -> None:
    cluster.add_agent("a", "team")
    async with gate() as client:
        assert (await client.get("/api/namespaces")).json()["data"] == [{"name": "team", "status": ""}]
    cluster.others["Namespace"] = [{"metadata": {"name": "kagent"}, "status": {"phase": "Active"}}]
    async with gate() as client:
        assert (await client.get("/api/namespaces")).json()["data"] == [{"name": "kagent", "status": "Active"}]
    async with gate(GatewaySettings(watch_namespaces=("x",))) as client:
        assert (await client.get("/api/namespaces")).json()["data"] == [{"name": "x", "status": ""}]


async def test_model_configs_are_shown_by_reference(gate: Any, cluster: Any) -> None:
    config = {"metadata": {"name": "m", "namespace": "kagent"}, "spec": {"model": "x"}, "status": {"secretHash": "h"}}
    cluster.others["ModelConfig"] = [config]
    shown = {"ref": "kagent/m", "spec": {"model": "x"}, "status": {"secretHash": "h"}}
    async with gate() as client:
        assert (await client.get("/api/modelconfigs")).json()["data"] == [shown]
        assert (await client.get("/api/modelconfigs/kagent/m")).json()["data"] == shown
        assert (await client.get("/api/modelconfigs/kagent/n")).status_code == 404


async def test_forms_learn_what_each_provider_asks_for(gate: Any) -> None:
    async with gate() as client:
        listed = (await client.get("/api/modelproviderconfigs/models")).json()["data"]
        models = (await client.get("/api/models")).json()["data"]
    providers: dict[str, Json] = {entry["name"]: entry for entry in listed}
    assert set(models) == set(providers)
    assert len(providers) == 10
    assert providers["AzureOpenAI"]["requiredParams"] == ["apiVersion", "azureEndpoint"]
    assert "temperature" in providers["OpenAI"]["optionalParams"]
    assert all(entry["name"] for entries in models.values() for entry in entries)


async def test_configured_providers_are_those_that_are_ready_here(gate: Any, cluster: Any) -> None:
    def provider(name: str, status: str, namespace: str = "kagent") -> Json:
        return {
            "metadata": {"name": name, "namespace": namespace}, "spec": {"type": "OpenAI"},
            "status": {"conditions": [{"type": "Ready", "status": status}], "discoveredModels": ["m"]},
        }  # fmt: skip

    cluster.others["ModelProviderConfig"] = [provider("a", "True"), provider("b", "False"), provider("c", "True", "x")]
    async with gate() as client:
        listed = (await client.get("/api/modelproviderconfigs/configured")).json()["data"]
        assert listed == [{"name": "a", "type": "OpenAI", "endpoint": ""}]
        models = (await client.get("/api/modelproviderconfigs/configured/a/models")).json()["data"]
        assert models == {"provider": "a", "models": ["m"]}
        assert (await client.get("/api/modelproviderconfigs/configured/c/models")).status_code == 404


async def test_what_no_route_takes_is_a_plain_404(gate: Any) -> None:
    async with gate() as client:
        missed = await client.get("/api/nothing")
    assert (missed.status_code, missed.headers["content-type"]) == (404, "text/plain; charset=utf-8")


async def test_a_fault_inside_is_told_in_general_words_only(
    gate: Any, cluster: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> list[Json]:
        raise RuntimeError("the secret is hunter2")

    monkeypatch.setattr(cluster, "list", broken)
    async with gate() as client:
        reply: httpx.Response = await client.get("/api/agents")
    assert (reply.status_code, reply.json()) == (500, {"error": "Internal server error"})
    assert "GET /api/agents failed" in caplog.text
