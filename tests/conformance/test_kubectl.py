"""The same kubectl sessions on both servers: the same exit codes, and the same words but for ages and identities."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

_KUBECTL = Path(sys.executable).with_name("kubectl")
_CASES = Path(__file__).parents[1] / "localcluster" / "apiserver" / "kubectl_cases.yaml"
_SESSIONS: dict[str, list[dict[str, Any]]] = yaml.safe_load(_CASES.read_text())

_VOLATILE = (
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "UID"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "TIME"),
    (re.compile(r'(resourceVersion"?: "?)\d+'), r"\1VERSION"),
    (re.compile(r"https://127\.0\.0\.1:\d+"), "SERVER"),
    (re.compile(r"(?<=\s)(\d+[smhd])+(?=\s|$)"), "AGE"),
    (re.compile(r"10\.\d+\.\d+\.\d+"), "ADDRESS"),
    (re.compile(r"/tmp/\S+"), "FILE"),
    (re.compile(r"[ \t]+"), " "),
)


def _run(kubeconfig: Path, namespace: str, step: dict[str, Any]) -> tuple[int, str]:
    argv = [str(_KUBECTL), "--kubeconfig", str(kubeconfig), *shlex.split(step["run"]), "-n", namespace]
    text = yaml.safe_dump(step["stdin"]) if "stdin" in step else ""
    done = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=60, check=False)
    said = done.stdout + done.stderr
    for pattern, word in _VOLATILE:
        said = pattern.sub(word, said)
    return done.returncode, said.strip()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("session", _SESSIONS)
def test_a_session_reads_the_same_on_both_servers(session: str, real_kubeconfig: Path, local_kubeconfig: Path) -> None:
    different: list[str] = []
    for kubeconfig in (real_kubeconfig, local_kubeconfig):
        assert _run(kubeconfig, "default", {"run": f"create namespace {session}"})[0] == 0
    for step in _SESSIONS[session]:
        real, ours = (_run(kubeconfig, session, step) for kubeconfig in (real_kubeconfig, local_kubeconfig))
        if step.get("words") == "differ":
            real, ours = (real[0], ""), (ours[0], "")
        if real != ours or ours[0] != step.get("code", 0):
            different.append(f"{step['run']}\n  real {real}\n  ours {ours}")
    assert not different, "\n".join(different)
