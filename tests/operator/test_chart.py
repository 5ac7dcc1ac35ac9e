"""The Helm charts say what ``kagent-operator manifests`` and ``crds`` print; rendered by helm where there is one."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from kagent_api.crds import crds, crds_yaml
from kagent_api.names import VERSION
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


@needs_helm
@pytest.mark.parametrize(
    ("values", "installation"),
    [
        ([], Installation()),
        (["--set", "image.repository=r/operator,image.tag=1.2"], Installation(image="r/operator:1.2")),
        (["--set", "watchNamespaces={team-a,team-b}"], Installation(watch_namespaces=["team-a", "team-b"])),
        (["--set", "watchNamespaces={kagent,team-b}"], Installation(watch_namespaces=["kagent", "team-b"])),
        (["--set", "watchNamespaces={*}"], Installation(watch_namespaces=["*"])),
        (
            ["--set", "engine.profile=upstream,engine.image=r/engine:1"],
            Installation(arguments=["--engine=upstream", "--engine-image=r/engine:1"]),
        ),
        (
            ["--set", "persistence.enabled=true,persistence.existingClaim=mine"],
            Installation(state="claim:mine"),
        ),
        (
            ["--set", "extraArgs={--log-level=debug}", "--set-json", 'extraEnv=[{"name":"A","value":"b"}]'],
            Installation(arguments=["--log-level=debug"], env=[{"name": "A", "value": "b"}]),
        ),
    ],
)
def test_the_chart_renders_what_manifests_prints(values: list[str], installation: Installation) -> None:
    assert _render("kagent", *values) == _by_name(manifests(installation))


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
    "wrong", ["imgae.tag=1", "engine.profile=other", "watchNamespaces=a", "replicas=two", "image.pullPolicy=Sometimes"]
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
