"""An MCPServer behind our own bridge: what the annotation changes, and where it is refused."""

from __future__ import annotations

from typing import Any

import pytest

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
