"""The Helm charts say what ``kagent-operator manifests`` and ``crds`` print; rendered by helm where there is one."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from kagent_api.crds import crds, crds_yaml
from kagent_api.names import VERSION
from kagent_operator.cli import main
from kagent_operator.manifests import Installation, manifests

JsonObject = dict[str, Any]
_CHARTS = Path(__file__).parents[2] / "operator" / "chart"


def _helm() -> str:
    """Return helm's path: $HELM, one on the path, or the one that ``make conformance`` builds; else nothing."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kagent-tui" / "helm"
    return os.environ.get("HELM") or shutil.which("helm") or shutil.which("helm", path=str(cache)) or ""


needs_helm = pytest.mark.skipif(not _helm(), reason="there is no helm: make conformance builds one where there is Go")


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([_helm(), *arguments], capture_output=True, text=True, timeout=60, check=False)


def _render(chart: str, *arguments: str, namespace: str = "kagent") -> dict[tuple[str, str, str], JsonObject]:
    done = _run("template", "kagent", str(_CHARTS / chart), "--namespace", namespace, *arguments)
    assert done.returncode == 0, done.stderr
    return _by_name(cast(JsonObject, obj) for obj in yaml.load_all(done.stdout, yaml.CSafeLoader) if obj)


def _by_name(objects: Any) -> dict[tuple[str, str, str], JsonObject]:
    return {(obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"]): obj for obj in objects}


# Values -> the command line of ``kagent-operator manifests`` that prints the same.
_SAME: dict[str, str] = {
    "": "",
    "image.repository=r/operator,image.tag=1.2": "--image r/operator:1.2",
    "watchNamespaces={team-a,team-b}": "--watch-namespaces team-a,team-b",
    "watchNamespaces={kagent,team-b}": "--watch-namespaces kagent,team-b",
    "watchNamespaces={*}": "--watch-namespaces *",
    "engine.profile=upstream,engine.image=r/engine:1": "--engine upstream --engine-image r/engine:1",
    "auth.mode=kubernetes": "--auth-mode kubernetes",
    "auth.mode=trusted-proxy,auth.userIdClaim=email": "--auth-mode trusted-proxy --auth-user-id-claim email",
    "persistence.enabled=true,persistence.existingClaim=mine": "--state claim:mine",
    "replicas=2,database.urlSecret.name=pg": "--replicas 2 --database-secret pg",
    "database.urlSecret.name=pg,database.urlSecret.key=dsn": "--database-secret pg:dsn",
    "extraArgs={--log-level=debug}": "--arg=--log-level=debug",
}
# Values that only the chart has: where in the Deployment each stands, and what it is set to here. With the plain YAML
# one writes them into the file, or patches it.
_POD = ("spec", "template", "spec")
_ONLY_HELM: dict[str, tuple[tuple[str | int, ...], object]] = {
    "image.pullPolicy": ((*_POD, "containers", 0, "imagePullPolicy"), "Always"),
    "image.pullSecrets": ((*_POD, "imagePullSecrets"), [{"name": "reg"}]),
    "extraEnv": ((*_POD, "containers", 0, "env", 3), [{"name": "A", "value": "b"}]),
    "resources": (
        (*_POD, "containers", 0, "resources"),
        {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "2Gi"}},
    ),
    "nodeSelector": ((*_POD, "nodeSelector"), {"disk": "fast"}),
    "tolerations": ((*_POD, "tolerations"), [{"key": "k", "operator": "Exists"}]),
    "affinity": ((*_POD, "affinity"), {"nodeAffinity": {}}),
}
# Objects of their own, tested below.
_APART = {"persistence.size", "persistence.storageClass", "defaultModelConfig"}


@needs_helm
@pytest.mark.parametrize("values", _SAME)
def test_the_chart_renders_what_manifests_prints(values: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["manifests", *_SAME[values].split()]) == 0
    printed = _by_name(yaml.safe_load_all(capsys.readouterr().out))
    assert _render("kagent", *(["--set", values] if values else [])) == printed


@needs_helm
@pytest.mark.parametrize("value", _ONLY_HELM)
def test_a_value_of_the_chart_alone_changes_its_one_place(value: str) -> None:
    place, wanted = _ONLY_HELM[value]
    rendered = _render("kagent", "--set-json", f"{value}={json.dumps(wanted)}")
    plain = _by_name(manifests(Installation()))
    key = ("Deployment", "kagent", "kagent-controller")
    changed: Any = rendered[key]
    original: Any = plain[key]
    for step in place[:-1]:
        changed, original = changed[step], original[step]
    expected = wanted[0] if value == "extraEnv" else wanted  # type: ignore[index] # a list there
    assert changed[place[-1]] == expected
    # ... and nothing else.
    if isinstance(original, list):
        del changed[place[-1]]
    else:
        changed[place[-1]] = original.get(place[-1])
        if place[-1] not in original:
            del changed[place[-1]]
    assert rendered == plain


def test_every_value_of_the_chart_is_compared_with_manifests() -> None:
    values = yaml.safe_load((_CHARTS / "kagent" / "values.yaml").read_text(encoding="utf-8"))

    def leaves(value: Any, path: str) -> list[str]:
        if path in _ONLY_HELM or path in _APART or not isinstance(value, dict) or not value:
            return [path]
        entries = cast(JsonObject, value).items()
        return [leaf for name, inner in entries for leaf in leaves(inner, f"{path}.{name}".lstrip("."))]

    compared = {part.split("=")[0] for given in _SAME for part in re.split(r",(?=[\w.]+=)", given)}
    assert set(leaves(values, "")) <= compared | set(_ONLY_HELM) | _APART


@needs_helm
def test_the_chart_follows_its_release_into_another_namespace() -> None:
    assert _render("kagent", namespace="agents") == _by_name(manifests(Installation(namespace="agents")))


@needs_helm
def test_the_crds_chart_renders_every_crd_and_keeps_it_when_removed() -> None:
    rendered = _render("kagent-crds")
    assert {obj["metadata"]["annotations"].pop("helm.sh/resource-policy") for obj in rendered.values()} == {"keep"}
    for obj in rendered.values():
        if not obj["metadata"]["annotations"]:
            del obj["metadata"]["annotations"]
    assert rendered == _by_name(crds())


@needs_helm
def test_the_default_model_and_a_claim_are_made_on_request() -> None:
    asked = "persistence.enabled=true,defaultModelConfig.enabled=true,defaultModelConfig.baseUrl=http://m/v1"
    rendered = _render("kagent", "--set", asked)
    model = rendered["ModelConfig", "kagent", "default-model-config"]
    assert model["spec"] == {
        "provider": "OpenAI",
        "model": "gpt-4.1-mini",
        "apiKeySecret": "kagent-openai",
        "apiKeySecretKey": "OPENAI_API_KEY",
        "openAI": {"baseUrl": "http://m/v1"},
    }
    claim = rendered["PersistentVolumeClaim", "kagent", "kagent-sessions"]
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


@needs_helm
def test_several_replicas_elect_a_leader_and_share_a_database() -> None:
    refused = _run("template", "kagent", str(_CHARTS / "kagent"), "--set", "replicas=2")
    assert "database.urlSecret" in refused.stderr
    deployment = _render("kagent", "--set", "replicas=2,database.urlSecret.name=pg")[
        "Deployment", "kagent", "kagent-controller"
    ]
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    assert "--leader-elect" in container["args"]
    url = {"name": "DATABASE_URL", "valueFrom": {"secretKeyRef": {"name": "pg", "key": "url"}}}
    assert url in container["env"]
    assert deployment["spec"]["strategy"] == {"type": "RollingUpdate"}


@needs_helm
@pytest.mark.parametrize(
    "wrong",
    [
        "imgae.tag=1",
        "engine.profile=other",
        "watchNamespaces=a",
        "replicas=two",
        "image.pullPolicy=Sometimes",
        "auth.mode=oidc",
        "auth.mod=none",
    ],
)
def test_a_wrong_value_is_refused(wrong: str) -> None:
    refused = _run("template", "kagent", str(_CHARTS / "kagent"), "--set", wrong)
    assert refused.returncode != 0
    assert wrong.split("=")[0].split(".")[0] in refused.stderr


def test_the_charts_crds_are_those_of_this_version() -> None:
    written = (_CHARTS / "kagent-crds" / "files" / "crds.yaml").read_text(encoding="utf-8")
    assert written == crds_yaml(), "run operator/chart/update"


@pytest.mark.parametrize("chart", ["kagent", "kagent-crds"])
def test_the_charts_are_of_the_operators_version(chart: str) -> None:
    described = yaml.safe_load((_CHARTS / chart / "Chart.yaml").read_text(encoding="utf-8"))
    assert (described["version"], described["appVersion"]) == (VERSION, VERSION)
