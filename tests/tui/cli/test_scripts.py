"""The commands for scripts on a cluster in memory: what they print, and what they never print."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest
from ruamel.yaml import YAML

import kagent_api.kube
from kagent_api.errors import ObjectRef
from kagent_api.kube import Cause, Invalid, KubeClient, KubeError
from kagent_api.kube.resources import JsonObject, Resource
from kagent_tui.cli import main


class Kube(Protocol):
    """What these tests use of the cluster in memory."""

    access: Any
    log_lines: dict[str, list[str]]
    refuse: Callable[[JsonObject], None] | None

    def put(self, obj: JsonObject) -> JsonObject: ...

    def peek(self, kind: str, namespace: str, name: str) -> JsonObject: ...


@pytest.fixture(autouse=True)
def cluster(kube: Kube, monkeypatch: pytest.MonkeyPatch) -> Kube:
    """Let every command find the cluster in memory."""

    async def apply(resource: Resource, obj: JsonObject, *, dry_run: bool = False, **_: Any) -> JsonObject:
        if kube.refuse is not None:
            kube.refuse(obj)
        return obj if dry_run else kube.put(obj)

    async def leave(*_: object) -> None:
        return None

    monkeypatch.setattr(kube, "apply", apply, raising=False)
    monkeypatch.setattr(KubeClient, "__aexit__", leave)

    def load_access(kubeconfig: str | None, context: str | None) -> object:
        return kube.access

    def client(access: object) -> Kube:
        return kube

    monkeypatch.setattr(kagent_api.kube, "load_access", load_access)
    monkeypatch.setattr(kagent_api.kube, "KubeClient", client)
    return kube


def test_agents_are_a_table_without_the_namespace_that_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["get", "agents"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["NAME", "MODEL", "TOOLS", "READY", "ACCEPTED", "AGE"]
    assert any(line.startswith("time ") and "(offline)" in line for line in lines)
    assert main(["get", "ag", "-A"]) == 0
    assert " NS " in capsys.readouterr().out.splitlines()[0]


def test_yaml_of_one_object_reads_back_as_it_was(cluster: Kube, capsys: pytest.CaptureFixture[str]) -> None:
    cluster.put(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "words", "namespace": "kagent"},
            "data": {"a": "y", "b": "no", "c": "on", "d": "off", "e": "1e3", "f": "0x1f", "g": "null", "h": "~"},
        }
    )
    assert main(["get", "cm/words", "-o", "yaml"]) == 0
    out = capsys.readouterr().out
    for version in ((1, 1), (1, 2)):
        reader: Any = YAML(typ="safe")  # ruamel's own types are partly unknown
        reader.version = version
        assert reader.load(io.StringIO(out))["data"] == cluster.peek("ConfigMap", "kagent", "words")["data"]


def test_json_of_a_list_is_one_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["get", "models", "-o", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["kind"] == "List"
    assert {item["metadata"]["name"] for item in found["items"]} == {"default-model-config", "qwen"}


@pytest.mark.parametrize("form", ["yaml", "json", "table"])
def test_a_secrets_values_are_never_printed(cluster: Kube, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    applied = {"kubectl.kubernetes.io/last-applied-configuration": '{"stringData":{"KEY":"hunter2"}}'}
    cluster.put(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "key", "namespace": "kagent", "annotations": applied},
            "data": {"KEY": "aHVudGVyMg=="},
        }
    )
    assert main(["get", "secret", "key", "-o", form]) == 0
    out = capsys.readouterr().out
    assert "aHVudGVyMg" not in out
    assert "hunter2" not in out


def test_describe_tells_conditions_references_and_events(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", "agent", "coordinator"]) == 0
    out = capsys.readouterr().out
    assert "0/1 pods are ready" in out
    assert "default-model-config" in out
    assert "DeploymentNotReady" in out


def test_an_unknown_object_or_kind_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["get", "agent", "nobody"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["get", "elephants"]) == 1
    assert "there are: agents" in capsys.readouterr().err


def test_documents_are_applied_one_by_one_and_a_refused_one_does_not_stop_the_others(
    cluster: Kube, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(obj: JsonObject) -> None:
        if obj["metadata"]["name"] == "bad":
            cause = Cause("spec.type", 'Unsupported value: "Wrong"', "FieldValueNotSupported")
            ref = ObjectRef("Agent", "kagent", "bad")
            raise Invalid("is invalid", status=422, causes=(cause,), ref=ref)

    cluster.refuse = refuse
    file = tmp_path / "all.yaml"
    file.write_text(
        "# a comment\n---\napiVersion: kagent.dev/v1alpha2\nkind: Agent\nmetadata:\n  name: bad\nspec:\n  type: Wrong\n"
        "---\napiVersion: kagent.dev/v1alpha2\nkind: Agent\nmetadata: {name: good}\nspec: {type: BYO}\n"
    )
    assert main(["apply", "-f", str(file)]) == 1
    captured = capsys.readouterr()
    assert captured.out == "agents.kagent.dev/good created\n"
    assert captured.err.startswith(f"{file}:8: Agent kagent/bad: spec.type: 'Wrong' is not one of ")
    assert cluster.peek("Agent", "kagent", "good")["metadata"]["namespace"] == "kagent"


def test_a_field_of_another_version_is_told_with_what_to_write_instead(
    cluster: Kube, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(obj: JsonObject) -> None:
        raise KubeError("failed to create typed patch object: .spec.headersFrom[0].valueFrom.secret", status=500)

    cluster.refuse = refuse
    file = tmp_path / "remote.yaml"
    file.write_text(
        "apiVersion: kagent.dev/v1alpha2\nkind: RemoteMCPServer\nmetadata: {name: remote}\nspec:\n"
        "  description: far\n  url: http://x/mcp\n  headersFrom:\n  - name: Authorization\n    valueFrom:\n"
        "      secret: {name: key}\n"
    )
    assert main(["apply", "-f", str(file)]) == 1
    err = capsys.readouterr().err
    assert (
        f"{file}:10: spec.headersFrom[0].valueFrom.secret: there is no such field; write valueFrom: {{type: Secret"
        in err
    )


def test_broken_yaml_is_told_with_its_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("kind: Agent\n---\nkind: [1\n"))
    assert main(["apply", "-f", "-"]) == 1
    err = capsys.readouterr().err
    assert "standard input:1: apiVersion and kind are needed" in err
    assert "standard input:4:" in err


def test_a_placeholder_of_a_secret_is_never_applied_as_its_value(
    cluster: Kube, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "secret.yaml"
    file.write_text("apiVersion: v1\nkind: Secret\nmetadata: {name: key}\ndata:\n  KEY: <hidden value of KEY>\n")
    assert main(["apply", "-f", str(file)]) == 1
    assert "KEY" in capsys.readouterr().err


def test_deleting_says_what_is_gone_and_what_was_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["delete", "agent", "time"]) == 0
    assert capsys.readouterr().out == "agents.kagent.dev/time deleted\n"
    assert main(["delete"]) == 64


def test_logs_of_a_deployments_pods_are_clean_and_told_apart(cluster: Kube, capsys: pytest.CaptureFixture[str]) -> None:
    selector = {"matchLabels": {"kagent": "time"}}
    cluster.put(
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "time", "namespace": "kagent"},
         "spec": {"selector": selector}}
    )  # fmt: skip
    for name in ("time-1", "time-2"):
        meta = {"name": name, "namespace": "kagent", "labels": {"kagent": "time"}}
        cluster.put({"apiVersion": "v1", "kind": "Pod", "metadata": meta})
        cluster.log_lines[name] = ["\x1b]2;title\x07hello"]
    assert main(["logs", "time"]) == 0
    assert capsys.readouterr().out == "time-1 ␛hello\ntime-2 ␛hello\n"
    assert main(["logs", "nobody"]) == 1
    assert "nothing runs under this name" in capsys.readouterr().err
