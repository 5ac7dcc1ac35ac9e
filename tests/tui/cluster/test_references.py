"""What objects refer to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kagent_api.errors import ObjectRef
from kagent_tui.cluster.references import Reference, references

if TYPE_CHECKING:
    from ..conftest import Samples


def targets(found: list[Reference]) -> list[tuple[str, ObjectRef]]:
    return [(one.path, one.target) for one in found]


def test_an_agent_refers_to_its_model_its_servers_and_its_sub_agents(samples: type[Samples]) -> None:
    agent = samples.agent(
        "boss",
        tools=[
            samples.tool_of("clock", "", "now"),
            {"type": "McpServer", "mcpServer": {"kind": "RemoteMCPServer", "name": "k8s", "namespace": "tools"}},
            {"type": "Agent", "agent": {"name": "helper"}},
        ],
    )
    assert targets(references(agent)) == [
        ("spec.declarative.modelConfig", ObjectRef("ModelConfig", "kagent", "default-model-config")),
        ("spec.declarative.tools[0].mcpServer", ObjectRef("MCPServer", "kagent", "clock")),
        ("spec.declarative.tools[1].mcpServer", ObjectRef("RemoteMCPServer", "tools", "k8s")),
        ("spec.declarative.tools[2].agent", ObjectRef("Agent", "kagent", "helper")),
    ]


def test_a_header_from_a_secret_is_a_reference_with_its_key(samples: type[Samples]) -> None:
    server = samples.remote("k8s")
    server["spec"]["headersFrom"] = [
        {"name": "Authorization", "valueFrom": {"type": "Secret", "name": "token", "key": "bearer"}},
        {"name": "X-Plain", "value": "1"},
    ]
    assert references(server) == [
        Reference("spec.headersFrom[0].valueFrom", ObjectRef("Secret", "kagent", "token"), key="bearer")
    ]


def test_a_model_refers_to_its_secret(samples: type[Samples]) -> None:
    assert references(samples.model("qwen", secret="dashscope")) == [
        Reference("spec.apiKeySecret", ObjectRef("Secret", "kagent", "dashscope"), key="API_KEY")
    ]


def test_other_kinds_and_broken_shapes_refer_to_nothing() -> None:
    assert references({"kind": "Pod", "metadata": {"name": "x"}, "spec": {"tools": 1}}) == []
    assert references({"kind": "MCPServer", "metadata": None, "spec": {"deployment": {"secretRefs": "x"}}}) == []
