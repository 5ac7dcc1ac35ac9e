"""The CRDs on a real API server: it takes them by plain apply, and judges upstream's manifests as it should."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from kagent_api.crds import crds, crds_yaml

_FIXTURES = Path(__file__).parents[2].parent / "shared" / "fixtures" / "manifests"
_KUBECTL = Path(sys.executable).parent / "kubectl"


class Invalid(NamedTuple):
    """One line of EXPECTED.tsv."""

    file: str
    layer: str
    fragment: str


def _invalid() -> list[Invalid]:
    if not _FIXTURES.is_dir():
        return []
    with (_FIXTURES / "invalid" / "EXPECTED.tsv").open(encoding="utf-8") as table:
        rows = csv.DictReader(table, delimiter="\t")
        return [Invalid(row["file"], row["layer"], row["expected_fragment"]) for row in rows]


def _valid() -> list[Path]:
    return sorted((_FIXTURES / "valid").glob("*.yaml"))


def _kubectl(kubeconfig: Path, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    argv = [str(_KUBECTL), "--kubeconfig", str(kubeconfig), *arguments]
    return subprocess.run(argv, input=text, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def served(real_kubeconfig: Path) -> Path:
    """The real server with our CRDs, applied as a person would."""
    applied = _kubectl(real_kubeconfig, "apply", "-f", "-", text=crds_yaml())
    assert applied.returncode == 0, applied.stderr
    names = [f"crd/{crd['metadata']['name']}" for crd in crds()]
    established = _kubectl(real_kubeconfig, "wait", "--for=condition=Established", "--timeout=30s", *names)
    assert established.returncode == 0, established.stderr
    for namespace in ("kagent", "test", "demo"):
        _kubectl(real_kubeconfig, "create", "namespace", namespace)
    return real_kubeconfig


def test_the_crds_apply_without_a_word_of_protest(served: Path) -> None:
    again = _kubectl(served, "apply", "-f", "-", text=crds_yaml())
    assert again.returncode == 0, again.stderr
    assert "Warning" not in again.stderr
    nonstructural = _kubectl(served, "get", "crds", "-o", "jsonpath={.items[*].status.conditions[*].type}")
    assert "NonStructuralSchema" not in nonstructural.stdout


@pytest.mark.parametrize("manifest", _valid(), ids=lambda path: path.stem)
def test_a_valid_manifest_is_taken(served: Path, manifest: Path) -> None:
    namespace = "default"
    for line in manifest.read_text(encoding="utf-8").splitlines():
        if line.startswith("  namespace:"):
            namespace = line.split(":", 1)[1].strip()
    _kubectl(served, "create", "namespace", namespace)
    # upstream's own samples hold fields its CRDs do not know; they are pruned with a warning there too
    done = _kubectl(served, "apply", "--dry-run=server", "--validate=warn", "-f", str(manifest))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("fault", _invalid(), ids=lambda fault: fault.file)
def test_an_invalid_manifest_is_refused_at_its_layer(served: Path, fault: Invalid) -> None:
    path = _FIXTURES / "invalid" / fault.file
    done = _kubectl(served, "apply", "--dry-run=server", "--validate=strict", "-f", str(path))
    if fault.layer == "controller":
        assert done.returncode == 0, done.stderr
        return
    assert done.returncode != 0
    assert any(part.lower() in done.stderr.lower() for part in fault.fragment.split("|")), done.stderr
