"""What the CRDs must be beyond the field tables: small, structural, and refusing what upstream refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import cel
import pytest
import yaml

from kagent_api.core_table import CORE_TYPES
from kagent_api.crds import crd_schema, crds, crds_yaml
from kagent_api.defaults import apply_defaults

Json = dict[str, Any]
Faults = Callable[[Json], list[str]]
# kubectl's client-side apply keeps the object in an annotation; the API server limits all annotations together.
APPLY_LIMIT = 262_144


def agent(**spec: Any) -> Json:
    return {
        "apiVersion": "kagent.dev/v1alpha2", "kind": "Agent", "metadata": {"name": "a"},
        "spec": {"declarative": {"systemMessage": "x"}} | spec,
    }  # fmt: skip


def model(**spec: Any) -> Json:
    return {
        "apiVersion": "kagent.dev/v1alpha2", "kind": "ModelConfig", "metadata": {"name": "m"},
        "spec": {"model": "m"} | spec,
    }  # fmt: skip


def remote(**spec: Any) -> Json:
    return {
        "apiVersion": "kagent.dev/v1alpha2", "kind": "RemoteMCPServer", "metadata": {"name": "r"},
        "spec": {"description": "d", "url": "https://x"} | spec,
    }  # fmt: skip


def test_every_crd_is_small_enough_for_client_side_apply() -> None:
    sizes = {crd["metadata"]["name"]: len(json.dumps(crd, separators=(",", ":"))) for crd in crds()}
    assert max(sizes.values()) < APPLY_LIMIT / 2
    assert sizes["agents.kagent.dev"] < 110_000


def test_the_yaml_stream_holds_the_same_definitions_without_aliases() -> None:
    text = crds_yaml()
    assert list(yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))) == crds()
    assert "&id" not in text
    assert "description: " not in text


def parts(schema: Json) -> list[Json]:
    found = [schema]
    for part in cast("dict[str, Json]", schema.get("properties", {})).values():
        found += parts(part)
    for key in ("items", "additionalProperties"):
        if key in schema:
            found += parts(schema[key])
    return found


def every_part() -> list[Json]:
    return [
        part
        for crd in crds()
        for version in crd["spec"]["versions"]
        for part in parts(version["schema"]["openAPIV3Schema"])
    ]


def test_schemas_are_structural() -> None:
    for part in every_part():
        assert "type" in part or part.get("x-kubernetes-preserve-unknown-fields") or part["x-kubernetes-int-or-string"]
        assert not {"$ref", "description", "title", "additionalItems", "uniqueItems"} & part.keys()
        assert not ("properties" in part and "additionalProperties" in part)
        assert set(part.get("required", [])) <= set(part.get("properties", {}))


def test_keys_of_list_maps_are_required_or_have_a_default() -> None:
    maps = [part for part in every_part() if part.get("x-kubernetes-list-type") == "map"]
    assert maps
    for part in maps:
        item = part["items"]
        for key in part["x-kubernetes-list-map-keys"]:
            assert key in item["required"] or "default" in item["properties"][key]


def test_every_rule_compiles_and_has_a_message() -> None:
    rules = [rule for part in every_part() for rule in part.get("x-kubernetes-validations", [])]
    assert len({rule["rule"] for rule in rules}) > 30
    for rule in rules:
        assert rule["message"]
        assert cel.compile(rule["rule"])


def test_core_table_agrees_with_the_official_client_on_names_and_shapes() -> None:
    from kubernetes.client import models

    shapes = {
        "bool": "bool", "int32": "int", "int64": "int", "": "str", "intstr": "object", "quantity": "str",
    }  # fmt: skip
    for name, row in CORE_TYPES.items():
        official = getattr(models, f"CoreV1{name}", None) or getattr(models, f"V1{name}")
        types = {official.attribute_map[key]: value for key, value in official.openapi_types.items()}
        for word in row.removeprefix("@atomic ").split():
            field, _, code = word.partition("=")[0].partition("|")[0].partition(":")
            base = code.removesuffix("[]").removesuffix("{}")
            plain = shapes.get(base, f"V1{base}")
            expected = f"list[{plain}]" if code.endswith("[]") else f"dict[str, {plain}]" if "{}" in code else plain
            written = types[field.removesuffix("!")].replace("CoreV1", "V1")
            written = written.replace("Dict[", "dict[").replace("List[", "list[")
            assert written == expected, f"{name}.{field}"


def test_upstreams_own_manifests_are_accepted(shared: Path, faults: Faults) -> None:
    files = sorted((shared / "fixtures/manifests/valid").glob("*.yaml"))
    assert len(files) == 48
    for file in files:
        assert faults(yaml.safe_load(file.read_text())) == [], file.name


def test_faulty_manifests_are_refused_with_the_expected_words(shared: Path, faults: Faults) -> None:
    folder = shared / "fixtures/manifests/invalid"
    lines = (folder / "EXPECTED.tsv").read_text().splitlines()[1:]
    schema_layer = [line.split("\t") for line in lines if line.split("\t")[1] == "schema"]
    assert len(schema_layer) == 20
    for name, _, fragment, _ in schema_layer:
        found = faults(yaml.safe_load((folder / name).read_text()))
        assert found, name
        assert any(word in fault for word in fragment.split("|") for fault in found), (name, found)


def test_faults_left_to_the_controller_pass_the_schema(shared: Path, faults: Faults) -> None:
    files = sorted((shared / "fixtures/manifests/invalid").glob("*controller*.yaml"))
    assert files
    for file in files:
        assert [fault for doc in yaml.safe_load_all(file.read_text()) for fault in faults(doc)] == [], file.name


SECRET = {"type": "Secret", "name": "s", "key": "k"}
TOOL = {"type": "McpServer", "mcpServer": {"name": "t"}}


@pytest.mark.parametrize(
    "obj",
    [
        agent(declarative={"systemMessage": "x", "systemMessageFrom": SECRET}),
        agent(type="BYO"),
        agent(declarative={"tools": [TOOL | {"isolateSessions": True}]}),
        agent(declarative={"tools": [TOOL | {"agent": {"name": "b"}}]}),
        agent(declarative={"tools": [{"mcpServer": {"name": "t"}}]}),
        agent(declarative={"tools": [TOOL | {"headersFrom": [{"name": "h"}]}]}),
        agent(declarative={"tools": [TOOL | {"headersFrom": [{"name": "h", "value": "", "valueFrom": SECRET}]}]}),
        agent(declarative={"tools": [TOOL] * 21}),
        agent(allowedNamespaces={"from": "Selector"}),
        agent(skills={"s3Refs": [{"uri": "https://x"}]}),
        agent(byo={"deployment": {"image": ""}}),
        model(provider="Bedrock", bedrock={}),
        model(apiKeySecret="s"),
        model(openAI={"maxTokens": 1, "maxCompletionTokens": 1}),
        model(openAI={"tokenExchange": {"type": "GDCHServiceAccount", "gdchServiceAccount": {"audience": "a"}}}),
        model(apiKeySecret="s", apiKeySecretKey="k", openAI={"tokenExchange": {"type": "GDCHServiceAccount"}}),
        model(provider="Gemini", apiKeyPassthrough=True),
        model(provider="Foundry", foundry={"deployment": "d"}),
        model(provider="Foundry", foundry={"deployment": "d", "endpoint": "e", "endpointFrom": {"key": "k"}}),
        model(tls={"caCertSecretKey": "k"}),
        model(tls={"caCertSecretRef": "r"}),
        model(tls={"disableSystemCAs": True}),
        remote(
            tls={"caCertSecretRef": "r", "caCertSecretKey": "k"},
            allowedNamespaces={"from": "All"},
        ),
    ],
)
def test_rules_refuse(obj: Json, faults: Faults) -> None:
    assert faults(obj) != []


@pytest.mark.parametrize(
    "obj",
    [
        agent(byo={"deployment": {"image": "x"}}),
        agent(type="BYO", byo={}),
        agent(skills={}),
        agent(declarative={}),
        agent(declarative={"tools": [{"type": "Agent", "agent": {"name": "b"}, "isolateSessions": True}]}),
        agent(declarative={"tools": [TOOL | {"headersFrom": [{"name": "h", "value": ""}]}]}),
        agent(
            declarative={"tools": [TOOL | {"mcpServer": {"name": "t", "toolNames": ["a"], "requireApproval": ["a"]}}]}
        ),
        agent(allowedNamespaces={"from": "Selector", "selector": {}}),
        agent(declarative={"deployment": {"resources": {"limits": {"cpu": 2, "memory": "1Gi"}}}}),
        model(
            provider="Bedrock", apiKeySecret="s", bedrock={"region": "r", "additionalModelRequestFields": {"a": [1]}}
        ),
        model(provider="Foundry", foundry={"deployment": "d", "endpointFrom": {"key": "k"}}),
        model(apiKeySecret="", apiKeySecretKey="", apiKeyPassthrough=True),
        model(tls={"disableSystemCAs": True, "disableVerify": True}),
        model(tls={"caCertSecretRef": "", "caCertSecretKey": ""}),
        remote(tls={"disableVerify": True}, allowedNamespaces={"from": "All"}),
    ],
)
def test_rules_allow(obj: Json, faults: Faults) -> None:
    assert faults(obj) == []


def test_defaults_fill_absent_fields_only_and_leave_the_object_alone() -> None:
    obj = agent(declarative={"context": {"compaction": {"overlapSize": 7}}, "tools": []})
    filled = apply_defaults(obj, crd_schema("Agent"))
    assert filled["spec"]["type"] == "Declarative"
    assert filled["spec"]["declarative"]["runtime"] == "go"
    assert filled["spec"]["declarative"]["context"]["compaction"] == {"compactionInterval": 5, "overlapSize": 7}
    assert "type" not in obj["spec"]


def test_a_null_is_as_good_as_absent() -> None:
    filled = apply_defaults(agent(type=None, description=None), crd_schema("Agent"))
    assert filled["spec"]["type"] == "Declarative"
    assert "description" not in filled["spec"]


def test_defaults_reach_into_lists() -> None:
    obj = agent(skills={"gitRefs": [{"url": "u"}, {"url": "u", "ref": "dev"}]})
    filled = apply_defaults(obj, crd_schema("Agent"))
    assert [entry["ref"] for entry in filled["spec"]["skills"]["gitRefs"]] == ["main", "dev"]


def test_an_unknown_kind_or_version_is_named() -> None:
    with pytest.raises(KeyError, match="no kind Wizard"):
        crd_schema("Wizard")
    with pytest.raises(KeyError, match="no version v9"):
        crd_schema("Agent", "v9")
