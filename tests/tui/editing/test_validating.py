"""What a person is told before the server is asked."""

from __future__ import annotations

from typing import Any

import pytest

from kagent_tui.cluster.kinds import JsonObject
from kagent_tui.editing.document import parse
from kagent_tui.editing.templates import TEMPLATES, fill
from kagent_tui.editing.validating import validate


def agent(**declarative: Any) -> JsonObject:
    return {
        "apiVersion": "kagent.dev/v1alpha2",
        "kind": "Agent",
        "metadata": {"name": "time", "namespace": "kagent"},
        "spec": {"type": "Declarative", "declarative": declarative},
    }


def model(**spec: Any) -> JsonObject:
    meta = {"name": "m", "namespace": "kagent"}
    return {"apiVersion": "kagent.dev/v1alpha2", "kind": "ModelConfig", "metadata": meta, "spec": spec}


def remote(**spec: Any) -> JsonObject:
    meta = {"name": "m", "namespace": "kagent"}
    base = {"description": "d", "url": "https://x/mcp"}
    return {
        "apiVersion": "kagent.dev/v1alpha2",
        "kind": "RemoteMCPServer",
        "metadata": meta,
        "spec": {**base, **spec},
    }


@pytest.mark.parametrize(
    ("obj", "path", "words"),
    [
        (agent(stystemMessage="x"), "spec.declarative.stystemMessage", "did you mean systemMessage?"),
        (agent(stream="yes"), "spec.declarative.stream", "must be true or false"),
        (agent(modelConfig=7), "spec.declarative.modelConfig", "put it in quotes"),
        (agent(runtime="rust"), "spec.declarative.runtime", "one of python, go"),
        (agent(memory={}), "spec.declarative.memory.modelConfig", "is missing"),
        (agent(tools=[{"type": "Agent"}]), "spec.declarative.tools[0]", "agent"),
        (agent(modelConfig=None), "spec.declarative.modelConfig", "has no value"),
        (model(provider="OpenAi", model="m"), "spec.provider", "did you mean OpenAI?"),
        (model(model="m", anthropic={}), "spec", "anthropic"),
        (model(model="m", apiKeySecret="s"), "spec", "apiKeySecretKey"),
        (
            remote(headersFrom=[{"name": "A", "valueFrom": {"secret": {"name": "s"}}}]),
            "spec.headersFrom[0].valueFrom.secret",
            "write valueFrom: {type: Secret, name: ..., key: ...}",
        ),
        ({**agent(), "metadata": {"name": "My Agent"}}, "metadata.name", "small letters"),
    ],
)
def test_a_fault_is_told_at_its_field_with_what_to_write(obj: JsonObject, path: str, words: str) -> None:
    faults = validate(obj)
    assert path in {fault.path for fault in faults}
    assert any(words in fault.message for fault in faults if fault.path == path), faults


def test_approvals_outside_of_the_chosen_tools_break_a_rule() -> None:
    server = {"kind": "MCPServer", "name": "clock", "toolNames": ["a"], "requireApproval": ["b"]}
    faults = validate(agent(tools=[{"type": "McpServer", "mcpServer": server}]))
    assert [fault.path for fault in faults] == ["spec.declarative.tools[0].mcpServer"]
    server["requireApproval"] = ["a"]
    assert validate(agent(tools=[{"type": "McpServer", "mcpServer": server}])) == []


@pytest.mark.parametrize("name", list(TEMPLATES))
def test_every_template_fits_its_schema(name: str) -> None:
    assert validate(parse(fill(TEMPLATES[name], "kagent")).object) == []


def test_an_unknown_kind_is_left_to_the_server() -> None:
    assert validate({"apiVersion": "example.com/v1", "kind": "Other", "spec": {"anything": 1}}) == []
