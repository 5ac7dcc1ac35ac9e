"""Reading and writing resources: nothing lost, nothing refused that upstream's translator takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from kagent_api.agents import Agent, AgentSpec
from kagent_api.errors import InvalidSpec
from kagent_api.mcpservers import MCPServer, RemoteMCPServer
from kagent_api.meta import Resource
from kagent_api.modelconfigs import ModelConfig, ModelConfigSpec, OpenAIConfig
from kagent_api.schema import parse

Json = dict[str, Any]
SHAPES: dict[str, type[Resource]] = {
    "Agent": Agent, "ModelConfig": ModelConfig, "RemoteMCPServer": RemoteMCPServer, "MCPServer": MCPServer,
}  # fmt: skip
# Not fields of upstream's either: they are dropped there too.
UNKNOWN = {"declarative.description", "anthropic.baseURL"}


def lost(before: object, after: Any, path: str = "") -> set[str]:
    if isinstance(before, dict):
        fields = cast("Json", before)
        gone = {f"{path}{key}" for key in fields if key not in after}
        return gone.union(*(lost(fields[key], after[key], f"{path}{key}.") for key in fields if key in after))
    if isinstance(before, list):
        pairs = zip(cast("list[object]", before), after, strict=True)
        return set[str]().union(*(lost(old, new, path) for old, new in pairs))
    return set() if before == after else {f"{path} changed"}


def resources(shared: Path) -> list[Json]:
    found = [yaml.safe_load(file.read_text()) for file in (shared / "fixtures/manifests/valid").glob("*.yaml")]
    for file in (shared / "fixtures/translator/inputs").glob("*.yaml"):
        found += yaml.safe_load(file.read_text())["objects"]
    return [obj for obj in found if obj["kind"] in SHAPES]


def test_upstreams_resources_survive_a_round_trip(shared: Path) -> None:
    objects = resources(shared)
    assert len(objects) > 70
    for obj in objects:
        written = SHAPES[obj["kind"]].model_validate(obj).to_wire()
        assert lost(obj["spec"], written["spec"]) <= UNKNOWN, obj["metadata"]["name"]


def test_attributes_take_pythonic_names_when_written() -> None:
    spec = ModelConfigSpec(model="m", api_key_secret="s", openai=OpenAIConfig(base_url="http://x", max_tokens=3))
    assert spec.to_wire() == {"model": "m", "apiKeySecret": "s", "openAI": {"baseUrl": "http://x", "maxTokens": 3}}


def test_absent_is_kept_apart_from_empty() -> None:
    assert AgentSpec.model_validate({}).skills is None
    empty = AgentSpec.model_validate({"skills": {}, "declarative": {"context": {"compaction": {"summarizer": {}}}}})
    assert empty.skills is not None
    assert empty.declarative is not None
    assert empty.declarative.context is not None
    assert empty.declarative.context.compaction is not None
    assert empty.declarative.context.compaction.summarizer is not None


def test_a_required_field_may_be_missing_when_read_because_the_api_server_is_not_here_to_ask() -> None:
    assert RemoteMCPServer.model_validate({"spec": {"url": "http://x"}}).spec.description == ""


def test_unknown_values_of_fixed_sets_are_left_for_the_translator_to_name() -> None:
    assert ModelConfig.model_validate({"spec": {"model": "m", "provider": "Skynet"}}).spec.provider == "Skynet"


def test_core_objects_are_handed_on_untouched() -> None:
    env = {"name": "A", "valueFrom": {"someFutureRef": {"x": 1}}}
    agent = Agent.model_validate({"spec": {"byo": {"deployment": {"image": "i", "env": [env]}}}})
    assert agent.to_wire()["spec"]["byo"]["deployment"]["env"] == [env]


def test_a_value_of_the_wrong_type_names_object_and_field() -> None:
    obj = {
        "apiVersion": "kagent.dev/v1alpha2", "kind": "Agent", "metadata": {"name": "bad", "namespace": "kagent"},
        "spec": {"declarative": {"systemMessage": ["no"]}},
    }  # fmt: skip
    with pytest.raises(InvalidSpec) as caught:
        parse(Agent, obj)
    assert str(caught.value).startswith("Agent kagent/bad: spec.declarative.systemMessage: ")
    assert caught.value.ref is not None
    assert caught.value.ref.name == "bad"
