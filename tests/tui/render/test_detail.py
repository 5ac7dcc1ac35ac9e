"""The overview of one object."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from kagent_api.errors import ObjectRef
from kagent_tui.cluster.lookups import Known
from kagent_tui.render.detail import describe, events_lines
from kagent_tui.render.text import Line

if TYPE_CHECKING:
    from ..conftest import DictWorld, Samples

World = Callable[..., "DictWorld"]


def shown(lines: list[Line]) -> str:
    return "\n".join(line.plain.rstrip() for line in lines)


def test_an_agent_tells_its_conditions_what_it_refers_to_and_who_uses_it(samples: type[Samples], world: World) -> None:
    agent = samples.agent("doctor", ready="False", tools=[samples.tool_of("k8s", "RemoteMCPServer", "get_pods")])
    agent["metadata"]["creationTimestamp"] = "2027-01-15T05:00:00Z"
    users = [ObjectRef("Agent", "kagent", "boss")]
    text = shown(describe(agent, world(samples.model(), samples.remote("k8s", "get_pods")), samples.NOW, used_by=users))
    assert text == (
        "Agent kagent/doctor\n"
        "age 3h\n"
        "The agent doctor.\n"
        "\n"
        "Conditions\n"
        "  ● Accepted True Reconciled 30m\n"
        "    Agent configuration accepted\n"
        "  ○ Ready False DeploymentNotReady 30m\n"
        "    0/1 pods are ready\n"
        "\n"
        "Refers to\n"
        "  ModelConfig default-model-config  ● works\n"
        "  RemoteMCPServer k8s  ● works\n"
        "    get_pods\n"
        "\n"
        "Instruction\n"
        "  You help.\n"
        "\n"
        "Used by\n"
        "  Agent kagent/boss\n"
    )


def test_a_reference_says_what_is_wrong_with_its_target(samples: type[Samples], world: World) -> None:
    tools = [samples.tool_of("k8s", "RemoteMCPServer", "fly"), samples.tool_of("gone", "MCPServer")]
    agent = samples.agent("doctor", modelConfig="nowhere", tools=tools)
    text = shown(describe(agent, world(samples.remote("k8s", "walk")), samples.NOW))
    assert "ModelConfig nowhere  ✖ not found" in text
    assert "RemoteMCPServer k8s  ✖ does not offer: fly" in text
    assert "MCPServer gone  ✖ not found" in text


def test_a_secret_without_the_wanted_key_is_told_with_the_keys_it_has(samples: type[Samples], world: World) -> None:
    secret = ObjectRef("Secret", "kagent", "dashscope")
    model = samples.model("qwen", secret="dashscope")
    told = shown(describe(model, world(), samples.NOW, known={secret: Known(frozenset({"apikey"}))}))
    assert "Secret dashscope[API_KEY]  ✖ has no key 'API_KEY' (it has: apikey)" in told
    missing = shown(describe(model, world(), samples.NOW, known={secret: Known(None, "not found", missing=True)}))
    assert "✖ not found" in missing
    hidden = shown(describe(model, world(), samples.NOW, known={secret: Known(None, "not known: you may not read")}))
    assert "○ not known: you may not read" in hidden


def test_a_reference_can_be_followed(samples: type[Samples], world: World) -> None:
    lines = describe(samples.agent("a"), world(samples.model()), samples.NOW)
    assert [line.target for line in lines if line.target] == [
        ObjectRef("ModelConfig", "kagent", "default-model-config")
    ]


def test_without_conditions_it_asks_for_the_operator(samples: type[Samples], world: World) -> None:
    agent = samples.agent("a")
    agent["status"] = {}
    assert "Is kagent-operator running" in shown(describe(agent, world(), samples.NOW))


def test_a_server_lists_its_tools_by_their_first_line(samples: type[Samples], world: World) -> None:
    server = samples.remote("k8s", "get_pods")
    server["status"]["discoveredTools"][0]["description"] = "\n  Lists Pods.\nAnd much more."
    assert "  get_pods  Lists Pods.\n" in shown(describe(server, world(), samples.NOW))


def test_events_stand_newest_first_with_their_count(samples: type[Samples]) -> None:
    old = samples.event("a", "Agent", "Old", "before")
    old["lastTimestamp"] = "2027-01-15T07:00:00Z"
    text = shown(events_lines([old, samples.event("a", "Agent", "New", "after\nmore")], samples.NOW))
    assert text == "Events\n    5m New x3 Agent: after more\n   60m Old x3 Agent: before"


def test_hostile_text_is_shown_as_text(samples: type[Samples], world: World) -> None:
    agent = samples.agent("a", systemMessage="x\x1b]0;owned\x07y\n[bold]z")
    text = shown(describe(agent, world(), samples.NOW))
    assert "\x1b" not in text
    assert "[bold]z" in text
