"""The command line: what it prints, and one clear line for each mistake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from kagent_operator.cli import main

_AGENT = """
apiVersion: kagent.dev/v1alpha2
kind: Agent
metadata: {name: a}
spec:
  type: Declarative
  declarative:
    systemMessage: Help.
    deployment: {env: [{name: CONFIRM, value: "y"}]}
---
apiVersion: kagent.dev/v1alpha2
kind: ModelConfig
metadata: {name: default-model-config}
spec: {provider: OpenAI, model: m}
"""


def _run(arguments: list[str]) -> int:
    try:
        return main(arguments)
    except SystemExit as stop:
        return int(stop.code or 0)


def _translate(tmp_path: Path, content: str, *arguments: str) -> int:
    (tmp_path / "in.yaml").write_text(content)
    return _run(["translate", "-f", str(tmp_path / "in.yaml"), *arguments])


def test_translate_prints_yaml_that_every_reader_understands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _translate(tmp_path, _AGENT, "-n", "team") == 0
    out = capsys.readouterr().out
    objects: list[Any] = list(yaml.safe_load_all(out))
    assert [obj["kind"] for obj in objects] == ["Secret", "ServiceAccount", "Deployment", "Service"]
    assert {obj["metadata"]["namespace"] for obj in objects} == {"team"}
    assert 'value: "y"' in out


def test_translate_prints_a_list_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _translate(tmp_path, _AGENT, "-o", "json", "--engine", "upstream", "--image-tag", "dev") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["kind"] == "List"
    deployment = next(obj for obj in printed["items"] if obj["kind"] == "Deployment")
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == "ghcr.io/kagent-dev/kagent/app:dev"


def test_translate_reads_a_directory_and_lists(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    documents = list(yaml.safe_load_all(_AGENT))
    (tmp_path / "all.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": documents}))
    (tmp_path / "notes.txt").write_text("not a manifest")
    assert _run(["translate", "-f", str(tmp_path)]) == 0
    assert "kind: Deployment" in capsys.readouterr().out


def test_one_faulty_agent_does_not_hide_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = _AGENT.split("---")[0].replace("name: a}", "name: b}").replace("Help.", "''")
    assert _translate(tmp_path, f"{broken}---{_AGENT}") == 1
    printed = capsys.readouterr()
    assert printed.err == (
        "error: Agent default/b: spec.declarative: "
        "at least one system message source (systemMessage or systemMessageFrom) must be specified\n"
    )
    assert printed.out.count("kind: Deployment") == 1


def test_the_flags_of_translate_reach_the_objects(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _translate(tmp_path, _AGENT, "--default-service-account-name", "shared") == 0
    objects: list[Any] = list(yaml.safe_load_all(capsys.readouterr().out))
    assert [obj["kind"] for obj in objects] == ["Secret", "Deployment", "Service"]
    assert objects[1]["spec"]["template"]["spec"]["serviceAccountName"] == "shared"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a: [", "line 1, column 5"),
        ("just text", "document 1 is no Kubernetes object"),
        ("---\napiVersion: v1\n", "document 1 is no Kubernetes object (it has no kind)"),
    ],
)
def test_what_is_no_manifest_is_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, words: str
) -> None:
    assert _translate(tmp_path, content) == 1
    err = capsys.readouterr().err
    assert words in err
    assert str(tmp_path / "in.yaml") in err
    assert err.count("\n") == 1


def test_a_missing_file_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["translate", "-f", str(tmp_path / "none.yaml")]) == 1
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["translate"],
        ["translate", "-f", "x", "--engine", "v8"],
        ["translate", "-f", "x", "--default-agent-pod-labels", "nonsense"],
        ["run", "--http-address", "nowhere"],
        ["run", "--tool-refresh-interval", "soon"],
    ],
)
def test_a_wrong_command_line_is_exit_code_64_and_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert _run(arguments) == 64
    assert capsys.readouterr().err.count("\n") == 1


def test_a_broken_kubeconfig_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config").write_text("clusters: [")
    assert _run(["run", "--kubeconfig", str(tmp_path / "config")]) == 1
    err = capsys.readouterr().err
    assert str(tmp_path / "config") in err
    assert err.count("\n") == 1


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("kagent-operator ")


def test_crds_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["crds"]) == 0
    # The C loader: this is most of a megabyte.
    printed: list[Any] = list(yaml.load_all(capsys.readouterr().out, Loader=yaml.CSafeLoader))
    kinds = {obj["spec"]["names"]["kind"] for obj in printed}
    assert {"Agent", "ModelConfig", "RemoteMCPServer", "MCPServer"} <= kinds


def test_manifests_hold_one_role_without_wildcards(capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["manifests", "-n", "team", "--image", "reg/op:1", "--watch-namespaces", "team,other"]) == 0
    objects: list[Any] = list(yaml.safe_load_all(capsys.readouterr().out))
    kinds = [(obj["kind"], obj["metadata"]["namespace"]) for obj in objects]
    assert kinds == [
        ("ServiceAccount", "team"),
        ("Role", "team"),
        ("RoleBinding", "team"),
        ("Role", "other"),
        ("RoleBinding", "other"),
        ("Deployment", "team"),
        ("Service", "team"),
    ]
    for role in (obj for obj in objects if obj["kind"] == "Role"):
        for rule in role["rules"]:
            assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
            assert not {"namespaces", "customresourcedefinitions", "roles"} & set(rule["resources"])
    deployment = next(obj for obj in objects if obj["kind"] == "Deployment")
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "reg/op:1"
    assert "--watch-namespaces=team,other" in container["args"]
    service = next(obj for obj in objects if obj["kind"] == "Service")
    assert service["metadata"]["name"] == "kagent-controller"
    assert service["metadata"]["labels"]["app.kubernetes.io/component"] == "controller"
    assert service["spec"]["ports"] == [{"name": "http", "port": 8083, "targetPort": "http"}]


@pytest.mark.parametrize(
    ("state", "volume"),
    [
        ("emptyDir", {"emptyDir": {}}),
        ("claim:sessions", {"persistentVolumeClaim": {"claimName": "sessions"}}),
        ("hostPath:/srv/x", {"hostPath": {"path": "/srv/x", "type": "DirectoryOrCreate"}}),
    ],
)
def test_manifests_keep_sessions_where_told(
    capsys: pytest.CaptureFixture[str], state: str, volume: dict[str, Any]
) -> None:
    assert _run(["manifests", "--state", state]) == 0
    objects: list[Any] = list(yaml.safe_load_all(capsys.readouterr().out))
    deployment = next(obj for obj in objects if obj["kind"] == "Deployment")
    assert {"name": "state", **volume} in deployment["spec"]["template"]["spec"]["volumes"]


def test_a_place_for_sessions_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["manifests", "--state", "floppy"]) == 1
    assert "emptyDir, claim:NAME or hostPath:/PATH" in capsys.readouterr().err


def test_flags_come_from_the_environment_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEFAULT_SERVICE_ACCOUNT_NAME", "shared")
    monkeypatch.setenv("LOG_LEVEL", "INFO")
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/a:{tmp_path}/b")
    assert _translate(tmp_path, _AGENT) == 0
    assert "serviceAccountName: shared" in capsys.readouterr().out


def test_a_wrong_word_in_the_environment_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOG_LEVEL", "loud")
    assert _run(["--version"]) == 64
    assert "'loud' is none of debug, info, warning, error" in capsys.readouterr().err
