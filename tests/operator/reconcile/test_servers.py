"""Models and tool servers: what their status says, and what they become."""

from __future__ import annotations

import base64
import json
from typing import Any

from kagent_operator.reconcile.discovery import Tool

JsonObject = dict[str, Any]


def model_config(**spec: Any) -> JsonObject:
    return {
        "apiVersion": "kagent.dev/v1alpha2",
        "kind": "ModelConfig",
        "metadata": {"name": "qwen"},
        "spec": {"provider": "OpenAI", "model": "qwen", **spec},
    }


def secret(name: str, **values: str) -> JsonObject:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data}


def remote(**spec: Any) -> JsonObject:
    return {
        "apiVersion": "kagent.dev/v1alpha2",
        "kind": "RemoteMCPServer",
        "metadata": {"name": "tools"},
        "spec": {"description": "tools", "url": "http://tools.example/mcp", **spec},
    }


def mcp_server(**deployment: Any) -> JsonObject:
    return {
        "apiVersion": "kagent.dev/v1alpha1",
        "kind": "MCPServer",
        "metadata": {"name": "time"},
        "spec": {
            "transportType": "stdio",
            "stdioTransport": {},
            "deployment": {"cmd": "uvx", "args": ["mcp-server-time"], "port": 3000, **deployment},
        },
    }


async def test_a_missing_key_lists_the_keys_there_are_and_never_a_value(world: Any) -> None:
    await world.cluster.put(secret("bailian-apikey", apikey="sk-very-secret"))
    await world.cluster.put(model_config(apiKeySecret="bailian-apikey", apiKeySecretKey="credential"))
    async with world.running():
        await world.until(lambda: world.cluster.condition("ModelConfig", "qwen", "Accepted")["status"])
        accepted = world.cluster.condition("ModelConfig", "qwen", "Accepted")
        assert (accepted["status"], accepted["reason"]) == ("False", "ModelConfigReconcileFailed")
        assert "Secret 'bailian-apikey' has no key 'credential' (it has: 'apikey')" in accepted["message"]
        assert "very-secret" not in json.dumps(list(world.cluster.get("ModelConfig", "qwen").items()))
        await world.cluster.put(secret("bailian-apikey", credential="sk-1"))
        await world.until(lambda: world.cluster.condition("ModelConfig", "qwen", "Accepted")["status"] == "True")


async def test_several_faults_of_a_model_are_told_together(world: Any) -> None:
    tls = {"caCertSecretRef": "ca", "caCertSecretKey": "ca.crt"}
    await world.cluster.put(model_config(apiKeySecret="none", apiKeySecretKey="key", tls=tls))
    async with world.running():
        await world.until(lambda: world.cluster.condition("ModelConfig", "qwen", "Accepted")["status"] == "False")
        message = world.cluster.condition("ModelConfig", "qwen", "Accepted")["message"]
        assert "Secret 'none' not found" in message
        assert "Secret 'ca' not found" in message


async def test_dashscopes_usual_mistake_is_pointed_out(world: Any) -> None:
    await world.cluster.put(model_config(openAI={"baseUrl": "https://dashscope.aliyuncs.com/api/v1"}))
    async with world.running():
        await world.until(lambda: world.cluster.condition("ModelConfig", "qwen", "Accepted")["status"] == "True")
        assert "/compatible-mode/v1" in world.cluster.condition("ModelConfig", "qwen", "Accepted")["message"]


async def test_a_model_without_references_has_the_hash_of_nothing(world: Any) -> None:
    await world.cluster.put(model_config())
    async with world.running():
        await world.until(lambda: world.cluster.condition("ModelConfig", "qwen", "Accepted")["status"] == "True")
        status = world.cluster.get("ModelConfig", "qwen")["status"]
        assert status["secretHash"] == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


async def test_a_remote_server_shows_its_tools_and_keeps_their_schemas(world: Any) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    tool = Tool("weather", "Tells the weather", {"inputSchema": schema, "annotations": {"readOnlyHint": True}})
    world.servers.answers["http://tools.example/mcp"] = [tool]
    await world.cluster.put(secret("token", value="Bearer x"))
    header = {"name": "Authorization", "valueFrom": {"type": "Secret", "name": "token", "key": "value"}}
    await world.cluster.put(remote(headersFrom=[header], timeout="45s"))
    async with world.running():
        await world.until(lambda: world.cluster.condition("RemoteMCPServer", "tools", "Accepted")["status"] == "True")
        status = world.cluster.get("RemoteMCPServer", "tools")["status"]
        assert status["discoveredTools"] == [{"name": "weather", "description": "Tells the weather"}]
        assert world.servers.asked[0].headers == {"Authorization": "Bearer x"}
        assert world.servers.asked[0].timeout == 45
        stored = world.cluster.get("ConfigMap", "tools-remotemcpserver-tools")
        assert stored["metadata"]["labels"] == {"kagent-tui.dev/tools": "true"}
        assert stored["metadata"]["ownerReferences"][0]["kind"] == "RemoteMCPServer"
        [entry] = json.loads(stored["data"]["tools.json"])["tools"]
        assert entry["inputSchema"] == schema
        assert entry["annotations"] == {"readOnlyHint": True}
        assert entry["hash"] == tool.hash
        assert entry["firstSeen"]
        assert "Bearer" not in json.dumps(stored)


async def test_a_server_that_goes_away_keeps_its_known_tools_and_says_why(world: Any) -> None:
    world.servers.answers["http://tools.example/mcp"] = [Tool("a", "", {})]
    await world.cluster.put(remote())
    async with world.running(interval=0.02):
        await world.until(lambda: world.cluster.condition("RemoteMCPServer", "tools", "Accepted")["status"] == "True")
        world.servers.answers["http://tools.example/mcp"] = "connection refused"
        await world.until(lambda: world.cluster.condition("RemoteMCPServer", "tools", "Accepted")["status"] == "False")
        accepted = world.cluster.condition("RemoteMCPServer", "tools", "Accepted")
        assert accepted["reason"] == "ReconcileFailed"
        assert "http://tools.example/mcp: connection refused" in accepted["message"]
        assert world.cluster.get("RemoteMCPServer", "tools")["status"]["discoveredTools"]
        world.servers.answers["http://tools.example/mcp"] = [Tool("a", "", {}), Tool("b", "", {})]
        await world.until(lambda: len(world.cluster.get("RemoteMCPServer", "tools")["status"]["discoveredTools"]) == 2)


async def test_asking_again_without_news_writes_nothing(world: Any) -> None:
    world.servers.answers["http://tools.example/mcp"] = [Tool("a", "", {})]
    await world.cluster.put(remote())
    async with world.running(interval=0.01):
        await world.until(lambda: world.cluster.condition("RemoteMCPServer", "tools", "Accepted")["status"] == "True")
        await world.settle()
        world.cluster.writes.clear()
        asked = len(world.servers.asked)
        await world.until(lambda: len(world.servers.asked) > asked + 3)
        assert world.cluster.writes == []


async def test_a_header_whose_secret_is_missing_is_named_and_nobody_is_asked(world: Any) -> None:
    header = {"name": "Authorization", "valueFrom": {"type": "Secret", "name": "token", "key": "value"}}
    await world.cluster.put(remote(headersFrom=[header]))
    async with world.running():
        await world.until(lambda: world.cluster.condition("RemoteMCPServer", "tools", "Accepted")["status"] == "False")
        assert "Secret 'token' not found" in world.cluster.condition("RemoteMCPServer", "tools", "Accepted")["message"]
        assert world.servers.asked == []


async def test_the_wrong_way_to_write_a_header_reference_is_explained(world: Any) -> None:
    header = {"name": "Authorization", "valueFrom": {"secret": {"name": "token", "key": "value"}}}
    await world.cluster.put(remote(headersFrom=[header]))
    async with world.running():
        await world.until(lambda: world.cluster.condition("RemoteMCPServer", "tools", "Accepted")["status"] == "False")
        message = world.cluster.condition("RemoteMCPServer", "tools", "Accepted")["message"]
        assert "{type: Secret, name: NAME, key: KEY}" in message


async def test_an_mcp_server_runs_is_ready_and_tells_its_tools(world: Any) -> None:
    world.servers.answers["http://time.kagent:3000/mcp"] = [Tool("now", "", {})]
    await world.cluster.put(mcp_server())
    async with world.running():
        await world.until(lambda: world.cluster.has("Service", "time"))
        for kind in ("Accepted", "ResolvedRefs", "Programmed"):
            await world.until(lambda kind=kind: world.cluster.condition("MCPServer", "time", kind)["status"] == "True")
        assert world.cluster.condition("MCPServer", "time", "Ready")["status"] == "False"
        assert world.servers.asked == [], "a server that does not run is not asked"
        world.cluster.roll_out("time")
        await world.until(lambda: world.cluster.condition("MCPServer", "time", "ToolsDiscovered")["status"] == "True")
        ready = world.cluster.condition("MCPServer", "time", "Ready")
        assert (ready["status"], ready["reason"]) == ("True", "Available")
        stored = json.loads(world.cluster.get("ConfigMap", "time-mcpserver-tools")["data"]["tools.json"])
        assert [tool["name"] for tool in stored["tools"]] == ["now"]
        await world.settle()
        world.cluster.writes.clear()
        world.operator.controller.queue.add(_key("MCPServer", "time"))
        await world.settle()
        assert world.cluster.writes == []


def _key(kind: str, name: str) -> Any:
    from kagent_operator.reconcile.keys import Key

    return Key(kind, "kagent", name)


async def test_an_mcp_server_that_cannot_run_as_written_says_which_field(world: Any) -> None:
    await world.cluster.put(mcp_server(cmd="python"))
    async with world.running():
        await world.until(lambda: world.cluster.condition("MCPServer", "time", "Accepted")["status"])
        accepted = world.cluster.condition("MCPServer", "time", "Accepted")
        assert (accepted["status"], accepted["reason"]) == ("False", "InvalidConfig")
        assert "spec.deployment.image" in accepted["message"]
        ready = world.cluster.condition("MCPServer", "time", "Ready")
        assert (ready["status"], ready["reason"]) == ("False", "PodsNotReady")


async def test_a_changed_env_secret_rolls_the_server_out(world: Any) -> None:
    await world.cluster.put(secret("env", TOKEN="one"))
    await world.cluster.put(mcp_server(secretRefs=[{"name": "env"}]))
    async with world.running():
        await world.until(lambda: world.cluster.has("Deployment", "time"))
        generation = world.cluster.get("Deployment", "time")["metadata"]["generation"]
        await world.cluster.put(secret("env", TOKEN="two"))
        await world.until(lambda: world.cluster.get("Deployment", "time")["metadata"]["generation"] > generation)


async def test_a_missing_env_secret_is_named_and_restarts_nothing(world: Any) -> None:
    for name in ("one", "two"):
        await world.cluster.put(secret(name, TOKEN=name))
    await world.cluster.put(mcp_server(secretRefs=[{"name": "one"}, {"name": "two"}]))

    def resolved() -> str:
        return world.cluster.condition("MCPServer", "time", "ResolvedRefs")["status"]

    async with world.running():
        await world.until(lambda: resolved() == "True")
        template = world.cluster.get("Deployment", "time")["spec"]["template"]
        world.cluster.remove("Secret", "two")
        await world.until(lambda: resolved() == "False")
        told = world.cluster.condition("MCPServer", "time", "ResolvedRefs")["message"]
        assert told == "spec.deployment.secretRefs: Secret 'two' not found in namespace 'kagent'"
        await world.settle()
        assert world.cluster.get("Deployment", "time")["spec"]["template"] == template
        await world.cluster.put(secret("two", TOKEN="two"))
        await world.until(lambda: resolved() == "True")
        assert world.cluster.get("Deployment", "time")["spec"]["template"] == template


async def test_a_sandbox_agent_is_told_that_nothing_runs_it(world: Any) -> None:
    agent = {"apiVersion": "kagent.dev/v1alpha2", "kind": "SandboxAgent", "metadata": {"name": "box"}, "spec": {}}
    await world.cluster.put(agent)
    async with world.running():
        await world.until(lambda: world.cluster.condition("SandboxAgent", "box", "Ready")["status"] == "Unknown")
        told = world.cluster.condition("SandboxAgent", "box", "Accepted")
        assert (told["status"], told["reason"]) == ("False", "SandboxBackendNotConfigured")
        assert not world.cluster.has("Deployment", "box")


def _tool_service(**labels: str) -> JsonObject:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "svc", "labels": {"kagent.dev/mcp-service": "true", **labels}},
        "spec": {"ports": [{"port": 9000}]},
    }


async def test_a_labelled_services_tools_and_faults_reach_the_agents_that_use_it(world: Any) -> None:
    tool = {"type": "McpServer", "mcpServer": {"kind": "Service", "name": "svc", "toolNames": ["a"]}}
    agent = {
        "apiVersion": "kagent.dev/v1alpha2",
        "kind": "Agent",
        "metadata": {"name": "helper"},
        "spec": {
            "type": "Declarative",
            "declarative": {"systemMessage": "Help.", "modelConfig": "qwen", "tools": [tool]},
        },
    }
    for obj in (_tool_service(), model_config(), agent):
        await world.cluster.put(obj)

    def told() -> str:
        return world.cluster.condition("Agent", "helper", "ToolsReady")["message"]

    async with world.running(interval=0.5):
        await world.until(lambda: "Service 'svc': cannot list tools" in told())
        assert world.cluster.condition("Agent", "helper", "Accepted")["status"] == "True"
        world.servers.answers["http://svc.kagent:9000/mcp"] = [Tool("b", "does b", {})]
        await world.until(lambda: "has no tool 'a'" in told())
        world.servers.answers["http://svc.kagent:9000/mcp"] = [Tool("a", "does a", {})]
        await world.until(lambda: world.cluster.condition("Agent", "helper", "ToolsReady")["status"] == "True")
        stored = world.cluster.get("ConfigMap", "svc-service-tools")
        assert [each["name"] for each in json.loads(stored["data"]["tools.json"])["tools"]] == ["a"]
        assert [each["kind"] for each in stored["metadata"]["ownerReferences"]] == ["Service"]
        world.servers.answers["http://svc.kagent:9000/mcp"] = "gone"
        await world.until(lambda: "gone" in told())
        assert "tools.json" in world.cluster.get("ConfigMap", "svc-service-tools")["data"], "what was known stays"


async def test_a_service_without_the_label_is_never_asked(world: Any) -> None:
    await world.cluster.put(_tool_service(**{"kagent.dev/mcp-service": "false"}))
    async with world.running():
        await world.settle()
        assert world.servers.asked == []
        assert not world.cluster.has("ConfigMap", "svc-service-tools")
