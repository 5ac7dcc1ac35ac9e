"""The charts on a real API server: installed, upgraded and removed by helm, with agents' CRDs kept."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kagent_api.kube import KubeClient, NotFound, load_access
from kagent_api.kube.resources import CRDS, DEPLOYMENTS, MODELCONFIGS, ROLES, SERVICES

_CHARTS = Path(__file__).parents[2] / "operator" / "chart"
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kagent-tui" / "helm"
_HELM = os.environ.get("HELM") or shutil.which("helm") or shutil.which("helm", path=str(_CACHE)) or ""

pytestmark = pytest.mark.skipif(not _HELM, reason="there is no helm and no Go to build one")
Helm = Callable[..., str]


@pytest.fixture
def helm(other_kubeconfig: Path, tmp_path: Path) -> Helm:
    def run(*arguments: str) -> str:
        env = {**os.environ, "HELM_CACHE_HOME": str(tmp_path), "HELM_CONFIG_HOME": str(tmp_path)}
        argv = [_HELM, *arguments, "--kubeconfig", str(other_kubeconfig)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False, env=env)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


async def test_both_charts_install_upgrade_and_go_and_the_crds_stay(other_kubeconfig: Path, helm: Helm) -> None:
    def chart(name: str) -> str:
        return str(_CHARTS / name)

    helm("install", "kagent-crds", chart("kagent-crds"), "-n", "agents", "--create-namespace")
    helm("install", "kagent", chart("kagent"), "-n", "agents", "--set", "defaultModelConfig.enabled=true")
    async with KubeClient(load_access(str(other_kubeconfig))) as client:
        assert (await client.get(MODELCONFIGS, "default-model-config", "agents"))["spec"]["provider"] == "OpenAI"
        first = await client.get(DEPLOYMENTS, "kagent-controller", "agents")
        helm("upgrade", "kagent-crds", chart("kagent-crds"), "-n", "agents")
        helm("upgrade", "kagent", chart("kagent"), "-n", "agents", "--set", "defaultModelConfig.enabled=true")
        again = await client.get(DEPLOYMENTS, "kagent-controller", "agents")
        assert again["metadata"]["generation"] == first["metadata"]["generation"], "an upgrade to the same is none"
        helm("upgrade", "kagent", chart("kagent"), "-n", "agents", "--set", "watchNamespaces={agents,default}")
        assert (await client.get(ROLES, "kagent-controller", "default"))["rules"]
        helm("uninstall", "kagent", "-n", "agents")
        for resource, namespace in ((DEPLOYMENTS, "agents"), (SERVICES, "agents"), (ROLES, "default")):
            with pytest.raises(NotFound):
                await client.get(resource, "kagent-controller", namespace)
        helm("uninstall", "kagent-crds", "-n", "agents")
        assert await client.get(CRDS, "agents.kagent.dev")
