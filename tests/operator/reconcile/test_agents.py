"""The road of an Agent: objects, conditions, rollouts, and what happens when something is missing or wrong."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from kagent_api.kube import Forbidden, NotFound
from kagent_operator.reconcile.discovery import Tool
from kagent_operator.translate import Settings

JsonObject = dict[str, Any]
MODEL_KEY = base64.b64encode(b"sk-secret-value").decode()


def key_secret(value: str = MODEL_KEY) -> JsonObject:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "openai"}, "data": {"key": value}}


def model(name: str = "default-model-config", **spec: Any) -> JsonObject:
    return {
        "apiVersion": "kagent.dev/v1alpha2",
        "kind": "ModelConfig",
        "metadata": {"name": name},
        "spec": {"provider": "OpenAI", "model": "gpt", "apiKeySecret": "openai", "apiKeySecretKey": "key", **spec},
    }


def agent(name: str = "helper", *, metadata: JsonObject | None = None, **declarative: Any) -> JsonObject:
    return {
        "apiVersion": "kagent.dev/v1alpha2",
        "kind": "Agent",
        "metadata": {"name": name, **(metadata or {})},
        "spec": {
            "type": "Declarative",
            "description": "helps",
            "declarative": {"systemMessage": "You help.", "runtime": "go", **declarative},
        },
    }


def remote(name: str = "tools", **spec: Any) -> JsonObject:
    return {
        "apiVersion": "kagent.dev/v1alpha2",
        "kind": "RemoteMCPServer",
        "metadata": {"name": name},
        "spec": {"description": "tools", "url": f"http://{name}.example/mcp", **spec},
    }


def uses(server: str, *tools: str, kind: str = "RemoteMCPServer", **more: Any) -> JsonObject:
    return {
        "type": "McpServer",
        "mcpServer": {"kind": kind, "apiGroup": "kagent.dev", "name": server, "toolNames": list(tools)},
        **more,
    }


def config(world: Any, name: str = "helper") -> JsonObject:
    raw = world.cluster.get("Secret", name)["data"]["config.json"]
    return json.loads(base64.b64decode(raw))


async def test_an_agent_becomes_its_objects_and_is_ready_once_they_run(world: Any) -> None:
    for obj in (key_secret(), model(), agent()):
        await world.cluster.put(obj)
    async with world.running():
        await world.until(lambda: world.cluster.has("Service", "helper"))
        assert world.cluster.has("ServiceAccount", "helper")
        assert config(world)["instruction"] == "You help."
        await world.until(lambda: world.cluster.condition("Agent", "helper", "Accepted")["status"] == "True")
        assert world.cluster.condition("Agent", "helper", "Ready")["status"] == "False"
        world.cluster.roll_out("helper")
        await world.until(lambda: world.cluster.condition("Agent", "helper", "Ready")["status"] == "True")
        status = world.cluster.get("Agent", "helper")["status"]
        assert status["observedGeneration"] == 1
        assert {condition["observedGeneration"] for condition in status["conditions"]} == {1}


async def test_the_second_reconcile_writes_nothing(world: Any) -> None:
    for obj in (key_secret(), model(), agent(tools=[uses("tools", "a")]), remote()):
        await world.cluster.put(obj)
    world.servers.answers["http://tools.example/mcp"] = [Tool("a", "does a", {"inputSchema": {"type": "object"}})]
    async with world.running() as operator:
        await world.until(lambda: world.cluster.has("Deployment", "helper"))
        world.cluster.roll_out("helper")
        await world.until(lambda: world.cluster.condition("Agent", "helper", "ToolsReady")["status"] == "True")
        await world.settle()
        world.cluster.writes.clear()
        for kind in ("Agent", "ModelConfig", "RemoteMCPServer"):
            for obj in operator.cache.list(kind):
                operator.controller.queue.add(_key(obj))
        await world.settle()
        assert world.cluster.writes == []
    async with world.running():
        await world.settle()
        assert world.cluster.writes == [], "a restarted operator writes nothing either"


def _key(obj: JsonObject) -> Any:
    from kagent_operator.reconcile.keys import key_of

    return key_of(obj)


async def test_an_edit_is_not_ready_until_it_has_rolled_out(world: Any) -> None:
    for obj in (key_secret(), model(), agent()):
        await world.cluster.put(obj)
    async with world.running():
        await world.until(lambda: world.cluster.has("Deployment", "helper"))
        world.cluster.roll_out("helper")
        await world.until(lambda: world.cluster.condition("Agent", "helper", "Ready")["status"] == "True")
        await world.cluster.put(agent(systemMessage="You help a lot."))
        await world.until(lambda: world.cluster.condition("Agent", "helper", "Ready")["status"] == "False")
        assert "rolling out" in world.cluster.condition("Agent", "helper", "Ready")["message"]
        assert config(world)["instruction"] == "You help a lot."
        world.cluster.roll_out("helper")
        await world.until(lambda: world.cluster.condition("Agent", "helper", "Ready")["status"] == "True")
        assert world.cluster.condition("Agent", "helper", "Ready")["observedGeneration"] == 2


async def test_a_reference_made_before_its_target_becomes_ready_by_itself(world: Any) -> None:
    await world.cluster.put(agent(modelConfig="later"))
    async with world.running():
        await world.until(lambda: world.cluster.condition("Agent", "helper", "Accepted")["status"] == "False")
        accepted = world.cluster.condition("Agent", "helper", "Accepted")
        assert accepted["reason"] == "ReconcileFailed"
        assert "'later' not found in namespace 'kagent'" in accepted["message"]
        assert not world.cluster.has("Deployment", "helper")
        await world.cluster.put(key_secret())
        await world.cluster.put(model("later"))
        await world.until(lambda: world.cluster.condition("Agent", "helper", "Accepted")["status"] == "True")
        await world.until(lambda: world.cluster.has("Deployment", "helper"))


async def test_settings_that_the_engine_does_not_act_on_are_named_until_they_go(world: Any) -> None:
    for obj in (key_secret(), model()):
        await world.cluster.put(obj)
    asked = agent(executeCodeBlocks=True, shareTools=True)
    asked["spec"]["sandbox"] = {"network": {"allowedDomains": ["example.com"]}}
    await world.cluster.put(asked)

    def said() -> JsonObject:
        return world.cluster.condition("Agent", "helper", "UnsupportedFeatures")

    async with world.running():
        await world.until(lambda: said()["status"] == "True")
        assert "executeCodeBlocks and shareTools and sandbox.network" in said()["message"]
        assert "kagent-tui.dev/engine: upstream" in said()["message"]
        await world.cluster.put(agent())
        await world.until(lambda: said()["status"] == "")


async def test_a_missing_default_model_is_named(world: Any) -> None:
    await world.cluster.put(agent())
    async with world.running():
        await world.until(lambda: world.cluster.condition("Agent", "helper", "Accepted")["status"])
        assert "'default-model-config'" in world.cluster.condition("Agent", "helper", "Accepted")["message"]


async def test_a_rotated_key_rolls_the_agent_out(world: Any) -> None:
    for obj in (key_secret(), model(), agent()):
        await world.cluster.put(obj)
    async with world.running():
        await world.until(lambda: world.cluster.has("Deployment", "helper"))
        await world.settle()

        def template_hash() -> str:
            template = world.cluster.get("Deployment", "helper")["spec"]["template"]["metadata"]
            return template["annotations"]["kagent.dev/config-hash"]

        before = template_hash()
        await world.cluster.put(key_secret(base64.b64encode(b"another").decode()))
        await world.until(lambda: template_hash() != before)


async def test_a_header_secret_is_mounted_and_a_new_value_needs_no_rollout(world: Any) -> None:
    header = {"name": "Authorization", "valueFrom": {"type": "Secret", "name": "token", "key": "value"}}
    token = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "token"}}
    for obj in (key_secret(), model(), remote(headersFrom=[header]), agent(tools=[uses("tools")])):
        await world.cluster.put(obj)
    await world.cluster.put({**token, "data": {"value": base64.b64encode(b"Bearer one").decode()}})
    async with world.running():
        await world.until(lambda: world.cluster.has("Deployment", "helper"))
        written = config(world)["http_tools"][0]["params"]["headers"]["Authorization"]
        assert written == "${file:/etc/kagent/headers/remotemcpserver.kagent.tools.Authorization}"
        data = world.cluster.get("Secret", "helper")["data"]
        key = "header.remotemcpserver.kagent.tools.Authorization"
        assert base64.b64decode(data[key]) == b"Bearer one"
        generation = world.cluster.get("Deployment", "helper")["metadata"]["generation"]
        await world.cluster.put({**token, "data": {"value": base64.b64encode(b"Bearer two").decode()}})
        await world.until(lambda: base64.b64decode(world.cluster.get("Secret", "helper")["data"][key]) == b"Bearer two")
        await world.settle()
        assert world.cluster.get("Deployment", "helper")["metadata"]["generation"] == generation


async def test_a_foreign_object_of_the_same_name_is_left_alone_and_reported(world: Any) -> None:
    foreign = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "helper"}, "data": {"mine": "eA=="}}
    for obj in (key_secret(), model(), agent(), foreign):
        await world.cluster.put(obj)
    async with world.running():
        await world.until(lambda: world.cluster.condition("Agent", "helper", "Accepted")["status"])
        accepted = world.cluster.condition("Agent", "helper", "Accepted")
        assert accepted["status"] == "False"
        assert "Secret kagent/helper exists and does not belong to this Agent" in accepted["message"]
        assert world.cluster.get("Secret", "helper")["data"] == {"mine": "eA=="}
        world.cluster.remove("Secret", "helper")
        await world.until(lambda: world.cluster.condition("Agent", "helper", "Accepted")["status"] == "True")


async def test_what_others_changed_in_our_objects_is_put_right_and_what_they_added_stays(world: Any) -> None:
    for obj in (key_secret(), model(), agent()):
        await world.cluster.put(obj)
    async with world.running():
        await world.until(lambda: world.cluster.has("Service", "helper"))
        deployment = world.cluster.get("Deployment", "helper")
        deployment["spec"]["template"]["spec"]["containers"][0]["image"] = "example.com/other:1"
        deployment["spec"]["replicas"] = 3
        deployment["spec"]["template"]["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"] = "now"
        await world.cluster.put(json.loads(json.dumps(deployment)))
        await world.until(
            lambda: (
                "kagent-engine"
                in world.cluster.get("Deployment", "helper")["spec"]["template"]["spec"]["containers"][0]["image"]
            )
        )
        repaired = world.cluster.get("Deployment", "helper")
        assert repaired["spec"]["replicas"] == 3, "an autoscaler's number is not ours"
        assert "kubectl.kubernetes.io/restartedAt" in repaired["spec"]["template"]["metadata"]["annotations"]


async def test_a_deleted_object_comes_back(world: Any) -> None:
    for obj in (key_secret(), model(), agent()):
        await world.cluster.put(obj)
    async with world.running():
        await world.until(lambda: world.cluster.has("Service", "helper"))
        await world.settle()
        uid = world.cluster.get("Secret", "helper")["metadata"]["uid"]
        world.cluster.remove("Secret", "helper")
        await world.until(lambda: world.cluster.get("Secret", "helper")["metadata"]["uid"] != uid)


async def test_objects_no_longer_wanted_go_and_others_hung_on_the_agent_stay(world: Any) -> None:
    for obj in (key_secret(), model(), agent()):
        await world.cluster.put(obj)
    async with world.running():
        await world.until(lambda: world.cluster.has("ServiceAccount", "helper"))
        uid = world.cluster.get("Agent", "helper")["metadata"]["uid"]
        reference = {"apiVersion": "kagent.dev/v1alpha2", "kind": "Agent", "name": "helper", "uid": uid}
        note = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "note", "ownerReferences": [reference]}}
        await world.cluster.put(note)
        await world.cluster.put(agent(deployment={"serviceAccountName": "mine"}))
        await world.until(lambda: not world.cluster.has("ServiceAccount", "helper"))
        await world.settle()
        assert world.cluster.has("ConfigMap", "note")


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (agent(systemMessage=""), "at least one system message source"),
        (
            agent(tools=[{"type": "Agent", "agent": {"name": "helper"}}]),
            "agent tool cannot be used to reference itself",
        ),
        (agent(deployment={"extraContainers": [{"name": "kagent"}]}), "reserved container name"),
    ],
)
async def test_what_only_the_author_can_mend_becomes_a_condition(world: Any, broken: JsonObject, words: str) -> None:
    for obj in (key_secret(), model(), broken):
        await world.cluster.put(obj)
    async with world.running():
        await world.until(lambda: world.cluster.condition("Agent", "helper", "Accepted")["status"])
        accepted = world.cluster.condition("Agent", "helper", "Accepted")
        assert (accepted["status"], accepted["reason"]) == ("False", "ReconcileFailed")
        assert words in accepted["message"]


async def test_a_broken_edit_keeps_the_last_accepted_configuration_running_and_says_so(world: Any) -> None:
    for obj in (key_secret(), model(), agent()):
        await world.cluster.put(obj)
    async with world.running():
        await world.until(lambda: world.cluster.has("Service", "helper"))
        world.cluster.roll_out("helper")
        await world.until(lambda: world.cluster.condition("Agent", "helper", "Ready")["status"] == "True")
        await world.cluster.put(agent(modelConfig="gone"))
        await world.until(lambda: world.cluster.condition("Agent", "helper", "Accepted")["status"] == "False")
        ready = world.cluster.condition("Agent", "helper", "Ready")
        assert (ready["status"], ready["reason"]) == ("False", "ReconcileFailed")
        assert "the last accepted one: Deployment is ready" in ready["message"]
        assert config(world)["instruction"] == "You help."


async def test_the_pods_own_reason_reaches_the_agent(world: Any) -> None:
    for obj in (key_secret(), model(), agent()):
        await world.cluster.put(obj)
    ended = {"exitCode": 1, "reason": "Error", "message": "starting\nmodel: no key\n"}
    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "helper-1", "labels": {"app": "kagent", "kagent": "helper"}},
    }
    async with world.running():
        await world.until(lambda: world.cluster.has("Deployment", "helper"))
        await world.cluster.put(pod)
        statuses = [{"name": "kagent", "ready": False, "state": waiting, "lastState": {"terminated": ended}}]
        counts = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "unavailableReplicas": 1}
        world.cluster.set_status("Deployment", "helper", counts)
        world.cluster.set_status("Pod", "helper-1", {"phase": "Running", "containerStatuses": statuses})
        await world.until(lambda: "CrashLoop" in world.cluster.condition("Agent", "helper", "Ready")["message"])
        message = world.cluster.condition("Agent", "helper", "Ready")["message"]
        assert "container kagent: CrashLoopBackOff: Error, exit code 1: starting | model: no key" in message


async def test_a_dead_tool_server_degrades_the_agent_visibly_and_does_not_block_it(world: Any) -> None:
    for obj in (key_secret(), model(), remote(), agent(tools=[uses("tools", "a")])):
        await world.cluster.put(obj)
    world.servers.answers["http://tools.example/mcp"] = "connection refused"
    async with world.running():
        await world.until(lambda: world.cluster.has("Deployment", "helper"))
        world.cluster.roll_out("helper")
        await world.until(lambda: world.cluster.condition("Agent", "helper", "Ready")["status"] == "True")
        await world.until(
            lambda: "connection refused" in world.cluster.condition("Agent", "helper", "ToolsReady")["message"]
        )
        tools = world.cluster.condition("Agent", "helper", "ToolsReady")
        assert tools["status"] == "False"
        assert "RemoteMCPServer 'tools'" in tools["message"]
        assert config(world)["http_tools"][0]["params"]["url"] == "http://tools.example/mcp"
        world.servers.answers["http://tools.example/mcp"] = [Tool("b", "", {})]
        await world.until(
            lambda: "has no tool 'a'" in world.cluster.condition("Agent", "helper", "ToolsReady")["message"]
        )


async def test_missing_rights_are_named_and_retried(world: Any) -> None:
    for obj in (key_secret(), model(), agent()):
        await world.cluster.put(obj)
    refused = True

    def refuse(_verb: str, kind: str, _name: str) -> Exception | None:
        return Forbidden("deployments.apps is forbidden", status=403) if refused and kind == "Deployment" else None

    world.cluster.refuse = refuse
    async with world.running():
        await world.until(lambda: world.cluster.condition("Agent", "helper", "Accepted")["status"] == "False")
        assert "forbidden" in world.cluster.condition("Agent", "helper", "Accepted")["message"]
        refused = False
        await world.until(lambda: world.cluster.condition("Agent", "helper", "Accepted")["status"] == "True")


async def test_transitions_are_told_as_events(world: Any) -> None:
    for obj in (key_secret(), model(), agent()):
        await world.cluster.put(obj)
    async with world.running():
        await world.until(lambda: world.cluster.has("Deployment", "helper"))
        world.cluster.roll_out("helper")

        def events() -> list[tuple[str, str]]:
            return [
                (obj["type"], obj["message"])
                for (kind, _, _), obj in world.cluster.objects.items()
                if kind == "Event" and obj["involvedObject"]["name"] == "helper"
            ]

        await world.until(lambda: ("Normal", "Ready: Deployment is ready") in events())
        assert ("Normal", "Accepted: Agent configuration accepted") in events()


async def test_upstreams_objects_are_taken_over_without_a_rollout(world: Any) -> None:
    settings = Settings(profile="upstream")
    for obj in (key_secret(), model(), agent()):
        await world.cluster.put(obj)
    async with world.running(settings):
        await world.until(lambda: world.cluster.has("Service", "helper"))
        await world.settle()
    for kind in ("Secret", "ServiceAccount", "Deployment", "Service"):
        made = world.cluster.get(kind, "helper")
        del made["metadata"]["annotations"]["kagent-tui.dev/applied"]  # as upstream's controller left them
        await world.cluster.put(made)
    template = json.dumps(world.cluster.get("Deployment", "helper")["spec"]["template"])
    async with world.running(settings):
        await world.until(
            lambda: "kagent-tui.dev/applied" in world.cluster.get("Deployment", "helper")["metadata"]["annotations"]
        )
        assert json.dumps(world.cluster.get("Deployment", "helper")["spec"]["template"]) == template
        assert world.cluster.get("Deployment", "helper")["metadata"]["generation"] == 1


async def test_a_taken_over_agent_keeps_its_engine_and_image_until_it_is_annotated(world: Any) -> None:
    for obj in (key_secret(), model(), agent()):
        await world.cluster.put(obj)
    async with world.running(Settings(profile="upstream", image_registry="mirror.corp/hub", image_tag="0.10.1")):
        await world.until(lambda: world.cluster.has("Service", "helper"))
        await world.settle()
    for kind in ("Secret", "ServiceAccount", "Deployment", "Service"):
        made = world.cluster.get(kind, "helper")
        del made["metadata"]["annotations"]["kagent-tui.dev/applied"]  # as upstream's controller left them
        await world.cluster.put(made)

    def image() -> str:
        return world.cluster.get("Deployment", "helper")["spec"]["template"]["spec"]["containers"][0]["image"]

    taken_over = "mirror.corp/hub/kagent-dev/kagent/golang-adk:0.10.1"
    for _ in range(2):  # the operator that takes over, and its successor
        async with world.running():
            await world.settle()
            assert world.cluster.get("Deployment", "helper")["metadata"]["generation"] == 1
            assert image() == taken_over
    async with world.running():
        await world.cluster.put(agent(systemMessage="More."))
        await world.until(lambda: config(world)["instruction"] == "More.")
        await world.settle()
        assert image() == taken_over
        await world.cluster.put(agent(metadata={"annotations": {"kagent-tui.dev/engine": "kagent-tui"}}))
        await world.until(lambda: image() == Settings().engine_image)
        await world.settle()
    async with world.running():
        world.cluster.writes.clear()
        await world.settle()
        assert world.cluster.writes == []


async def test_a_deleted_agent_is_forgotten(world: Any) -> None:
    for obj in (key_secret(), model(), agent()):
        await world.cluster.put(obj)
    async with world.running() as operator:
        await world.until(lambda: world.cluster.has("Service", "helper"))
        await world.settle()
        world.cluster.remove("Agent", "helper")
        await world.settle()
        with pytest.raises(NotFound):
            world.cluster.get("Deployment", "helper")
        world.cluster.writes.clear()
        operator.controller.queue.add(_key(agent(metadata={"namespace": "kagent"})))
        await world.settle()
        assert world.cluster.writes == []


async def test_the_last_twenty_applied_generations_are_kept(world: Any) -> None:
    for obj in (key_secret(), model(), agent(systemMessage="number 1")):
        await world.cluster.put(obj)

    def kept() -> list[str]:
        return [
            obj["data"]["spec"]["declarative"]["systemMessage"]
            for (kind, _, _), obj in sorted(world.cluster.objects.items(), key=lambda item: item[1].get("revision", 0))
            if kind == "ControllerRevision"
        ]

    async with world.running():
        await world.until(lambda: kept() == ["number 1"])
        for number in range(2, 24):
            await world.cluster.put(agent(systemMessage=f"number {number}"))
            await world.until(lambda number=number: kept()[-1:] == [f"number {number}"])
        await world.until(lambda: kept() == [f"number {number}" for number in range(4, 24)])
        await world.settle()
        assert world.cluster.get("Deployment", "helper")["metadata"]["annotations"]["kagent-tui.dev/generation"] == "23"
        world.cluster.remove("Agent", "helper")
        assert kept() == []


async def test_a_service_account_that_the_author_names_is_used_and_not_touched(world: Any) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "helper"}}
    for obj in (key_secret(), model(), account, agent(deployment={"serviceAccountName": "helper"})):
        await world.cluster.put(obj)
    async with world.running():
        await world.until(lambda: world.cluster.condition("Agent", "helper", "Accepted")["status"] == "True")
        assert "ownerReferences" not in world.cluster.get("ServiceAccount", "helper")["metadata"]
        assert world.cluster.get("Deployment", "helper")["spec"]["template"]["spec"]["serviceAccountName"] == "helper"


async def test_a_changed_tool_becomes_a_condition_until_the_agent_is_edited(world: Any) -> None:
    for obj in (key_secret(), model(), remote(), agent(tools=[uses("tools", "a")])):
        await world.cluster.put(obj)
    address = "http://tools.example/mcp"
    world.servers.answers[address] = [Tool("a", "old", {"description": "old"}), Tool("b", "", {"description": "b"})]
    async with world.running(interval=0.02):
        await world.until(lambda: world.cluster.condition("Agent", "helper", "ToolsReady")["status"] == "True")
        await world.until(lambda: world.cluster.has("Deployment", "helper"))
        template = world.cluster.get("Deployment", "helper")["spec"]["template"]
        world.servers.answers[address] = [Tool("a", "old", {"description": "old"}), Tool("b", "", {"description": "c"})]
        await world.until(
            lambda: '"c"' in world.cluster.get("ConfigMap", "tools-remotemcpserver-tools")["data"]["tools.json"]
        )
        await world.settle()
        assert world.cluster.condition("Agent", "helper", "ToolsDrifted")["status"] == "", "b is not used"
        schema = {"type": "object"}
        world.servers.answers[address] = [Tool("a", "new", {"description": "new", "inputSchema": schema})]
        await world.until(lambda: world.cluster.condition("Agent", "helper", "ToolsDrifted")["status"] == "True")
        message = world.cluster.condition("Agent", "helper", "ToolsDrifted")["message"]
        assert "RemoteMCPServer 'tools': tool 'a' changed its description, inputSchema" in message
        assert world.cluster.get("Deployment", "helper")["spec"]["template"] == template
        await world.cluster.put(agent(tools=[uses("tools", "a")], systemMessage="Seen."))
        await world.until(lambda: world.cluster.condition("Agent", "helper", "ToolsDrifted")["status"] == "")
