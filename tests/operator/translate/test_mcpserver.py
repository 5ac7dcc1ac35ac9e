"""An MCPServer as kmcp has it, and behind our own bridge: what the annotation changes, and where it is refused."""

from __future__ import annotations

import hashlib
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from kagent_api.errors import InvalidSpec
from kagent_api.names import ENGINE_IMAGE
from kagent_operator.translate import Settings, Snapshot, translate_mcpserver

JsonObject = dict[str, Any]
_BRIDGE = "kagent-tui.dev/bridge"


def _server(bridge: str = "engine", *, transport: str = "stdio", **deployment: Any) -> JsonObject:
    block = {"cmd": "uvx", "args": ["mcp-server-time"], "port": 3000, **deployment}
    return {
        "apiVersion": "kagent.dev/v1alpha1",
        "kind": "MCPServer",
        "metadata": {"name": "time", "namespace": "kagent", "annotations": {_BRIDGE: bridge} if bridge else {}},
        "spec": {"transportType": transport, "httpTransport": {"targetPort": 3000}, "deployment": block},
    }


def _pod(server: JsonObject, **settings: Any) -> JsonObject:
    objects = translate_mcpserver(server, Snapshot([]), Settings(**settings))
    return next(obj for obj in objects if obj["kind"] == "Deployment")["spec"]["template"]["spec"]


def test_a_uvx_server_runs_in_the_engines_image_behind_its_bridge() -> None:
    pod = _pod(_server(env={"TZ": "UTC", "HOME": "/mine"}))
    assert "initContainers" not in pod
    [container] = pod["containers"]
    assert container["image"] == ENGINE_IMAGE
    assert "command" not in container
    assert container["args"] == [
        *("mcp-bridge", "--file", "/config/local.yaml", "--host", "0.0.0.0", "--port", "3000"),
    ]
    assert {entry["name"]: entry["value"] for entry in container["env"]} == {
        "HOME": "/mine",
        "TZ": "UTC",
        "UV_CACHE_DIR": "/tmp/uv",
    }
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert [volume["name"] for volume in pod["volumes"]] == ["config", "tmp"]
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/config", "/tmp"}


def test_the_bridge_is_where_the_adapter_would_be() -> None:
    ours = translate_mcpserver(_server(), Snapshot([]), Settings())
    adapted = translate_mcpserver(_server(""), Snapshot([]), Settings())
    without_pods = [obj for obj in ours if obj["kind"] != "Deployment"]
    assert without_pods == [obj for obj in adapted if obj["kind"] != "Deployment"]


def test_the_authors_own_scratch_directory_is_kept() -> None:
    volumes: list[JsonObject] = [{"name": "big", "emptyDir": {}}]
    pod = _pod(_server(volumes=volumes, volumeMounts=[{"name": "big", "mountPath": "/tmp/"}]))
    assert [volume["name"] for volume in pod["volumes"]] == ["config", "big"]
    assert [mount["name"] for mount in pod["containers"][0]["volumeMounts"]] == ["config", "big"]


def test_upstreams_profile_keeps_the_adapter() -> None:
    assert _pod(_server(), profile="upstream")["containers"][0]["command"] == ["/adapterbin/agentgateway"]


@pytest.mark.parametrize(
    ("server", "words"),
    [
        (_server("yes"), "'yes' is no bridge"),
        (_server(transport="http"), "only stdio servers"),
        (_server(image="mine:1"), r"its own image \(remove spec.deployment.image"),
        (_server(cmd="npx"), "has uvx, not 'npx'"),
    ],
)
def test_a_bridge_that_cannot_be_is_refused_and_says_why(server: JsonObject, words: str) -> None:
    with pytest.raises(InvalidSpec, match=words) as caught:
        translate_mcpserver(server, Snapshot([]), Settings())
    assert _BRIDGE in str(caught.value)


def _goldens() -> list[JsonObject]:
    """Read what kmcp 0.3.0's own translator made of servers of all sorts, without its empty timestamps and strategy."""
    lines = (Path(__file__).parent / "kmcp_goldens.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("golden", _goldens(), ids=itertools.count())
def test_profile_upstream_writes_what_kmcp_writes(golden: JsonObject) -> None:
    server = golden["server"]
    made = translate_mcpserver(server, Snapshot([]), Settings(profile="upstream"))
    assert sorted(made, key=lambda obj: obj["kind"]) == golden["objects"]


def test_a_configuration_that_another_writer_wrote_otherwise_is_kept_with_its_hash() -> None:
    server = _server("", args=["a b " * 40])
    plain = translate_mcpserver(server, Snapshot([]), Settings(profile="upstream"))
    config_map: JsonObject = json.loads(json.dumps(next(obj for obj in plain if obj["kind"] == "ConfigMap")))
    config_map["data"]["local.yaml"] = json.dumps(yaml.safe_load(config_map["data"]["local.yaml"]))
    kept = translate_mcpserver(server, Snapshot([config_map]), Settings(profile="upstream"))
    assert next(obj for obj in kept if obj["kind"] == "ConfigMap")["data"] == config_map["data"]
    annotations = next(obj for obj in kept if obj["kind"] == "Deployment")["spec"]["template"]["metadata"][
        "annotations"
    ]
    digest = hashlib.sha256(config_map["data"]["local.yaml"].encode()).hexdigest()[:8]
    assert annotations["kmcp.kagent.dev/mcpserver-config-hash"] == digest


def test_a_configuration_that_says_something_else_is_not_kept() -> None:
    server = _server("")
    other: JsonObject = {"kind": "ConfigMap", "metadata": {"name": "time", "namespace": "kagent"}}
    for local in ("binds: []", "{", ""):
        there = Snapshot([{**other, "data": {"local.yaml": local}}])
        made = translate_mcpserver(server, there, Settings(profile="upstream"))
        assert made == translate_mcpserver(server, Snapshot([]), Settings(profile="upstream"))


@pytest.mark.parametrize("argument", ["1e3", "0o7", "on", "2024-01-01", "1:30", "~", "", "=", ".5", "0x1F", "-"])
def test_an_argument_stays_text_for_every_reader_of_yaml(argument: str) -> None:
    objects = translate_mcpserver(_server("", args=[argument]), Snapshot([]), Settings())
    local = next(obj for obj in objects if obj["kind"] == "ConfigMap")["data"]["local.yaml"]
    quotes = "'" if argument in {"=", "-"} else '"'
    assert f"args:\n              - {quotes}{argument}{quotes}\n" in local
