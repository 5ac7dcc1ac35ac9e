"""The whole road as a person walks it, offline: demo, chat with a tool call, edit and apply, kubectl, quit."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from bench.terminal import LONG, Terminal

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

AGENTS = ("cluster-doctor", "coordinator", "qa-assistant", "time-agent", "word-counter")
ESCAPE = "\x1b"
SAVE = "\x13"
SELECT_ALL = f"{ESCAPE}[18~"  # F7
TO_YAML = f"{ESCAPE}OR"


def _all_ready(text: str) -> bool:
    """Every sample agent's line says that it is ready and all its tools are there."""
    lines = {name: next((line for line in text.splitlines() if line.strip().startswith(name)), "") for name in AGENTS}
    tools = {"cluster-doctor": "4/4", "coordinator": "2/2", "time-agent": "2/2"}
    return all(line.count("● yes") >= 2 and tools.get(name, "") in line for name, line in lines.items())


def _filter(terminal: Terminal, text: str) -> None:
    """Type a filter into the prompt, in the place of the one before."""
    terminal.send("/")
    terminal.until(r"(?m)^ /")
    terminal.send(f"\x15{text}\r")  # ctrl+u empties the line


def _kubectl(kubeconfig: Path, *arguments: str, text: str = "") -> str:
    argv = [str(Path(sys.executable).parent / "kubectl"), "--kubeconfig", str(kubeconfig), "-n", "kagent", *arguments]
    return subprocess.run(argv, input=text, capture_output=True, text=True, timeout=60, check=True).stdout


def test_a_stranger_walks_the_whole_road(
    start: Callable[..., Terminal], home: Path, processes_of: Callable[[], list[str]]
) -> None:
    terminal = start("kagent-tui", "demo", "--model", "scripted")
    terminal.until("demo · scripted offline model", seconds=LONG)
    terminal.until(_all_ready, seconds=LONG)
    (kubeconfig,) = (home / "tmp").glob("kagent-tui-demo-*/kubeconfig")
    assert kubeconfig.stat().st_mode & 0o777 == 0o600

    _ask_the_time(terminal)
    _edit_an_instruction(terminal, kubeconfig)
    _use_kubectl(terminal, kubeconfig)

    terminal.send("q")
    assert terminal.wait() == 0
    assert terminal.raw.rstrip().endswith(b"stopping the local cluster")
    for left_on in (b"\x1b[?1049h", b"\x1b[?1000h", b"\x1b[?1003h", b"\x1b[?2004h"):
        left_off = left_on[:-1] + b"l"
        assert terminal.raw.rfind(left_off) >= terminal.raw.rfind(left_on), left_on
    assert processes_of() == []
    assert not list((home / "tmp").glob("kagent-tui-demo-*"))


def _ask_the_time(terminal: Terminal) -> None:
    """Open the time agent's chat, ask, and see the tool's card and the streamed answer."""
    _filter(terminal, "time-agent")
    terminal.until(lambda text: "qa-assistant" not in text)
    terminal.send("c")
    terminal.until("write to the agent")
    terminal.send("What time is it in Tokyo?\r")
    screen = terminal.until("(?s)get_current_time.*datetime: 20.*is_dst.*● ready", seconds=LONG)
    assert re.search(r"timezone: Asia/Tokyo", screen)
    assert re.search(r"get_current_time.*\d+ ?m?s", screen), "the card shows how long the tool took"
    terminal.send(ESCAPE)
    terminal.until("(?s)NAME.*READY")
    _filter(terminal, "")


def _edit_an_instruction(terminal: Terminal, kubeconfig: Path) -> None:
    """Edit an agent's YAML in the editor, review the difference, apply, and meet the new behaviour."""
    manifest = yaml.safe_load(_kubectl(kubeconfig, "get", "agent", "qa-assistant", "-o", "yaml"))
    manifest["spec"]["declarative"]["systemMessage"] = "You speak like a lighthouse keeper."
    manifest["metadata"].pop("managedFields", None)
    del manifest["status"]
    terminal.until("qa-assistant")
    _filter(terminal, "qa-assistant")
    terminal.until(lambda text: "word-counter" not in text)
    terminal.send("e")
    terminal.until("systemMessage")
    terminal.send(TO_YAML)
    terminal.until("apiVersion: kagent.dev")
    terminal.send(SELECT_ALL)
    terminal.send(f"{ESCAPE}[200~{yaml.safe_dump(manifest, sort_keys=False)}{ESCAPE}[201~")
    terminal.until("lighthouse keeper")
    terminal.send(SAVE)
    terminal.until(r"\+.*lighthouse keeper")
    terminal.send("a")
    terminal.until("(?s)NAME.*READY.*● yes")
    _kubectl(kubeconfig, "wait", "--for=condition=Ready", "agent/qa-assistant", "--timeout=60s")
    program = [sys.executable, "-m", "kagent_tui", "--kubeconfig", str(kubeconfig), "-n", "kagent"]
    answer = subprocess.run(
        [*program, "chat", "qa-assistant", "hi"], capture_output=True, text=True, timeout=90, check=False
    )
    assert answer.returncode == 0, answer.stderr
    assert "lighthouse keeper" in answer.stdout


def _use_kubectl(terminal: Terminal, kubeconfig: Path) -> None:
    """Change things from outside and see them in the table."""
    listed = _kubectl(kubeconfig, "get", "agents")
    assert all(name in listed for name in AGENTS)
    added = """
apiVersion: kagent.dev/v1alpha2
kind: Agent
metadata: {name: from-kubectl}
spec:
  type: Declarative
  declarative: {modelConfig: no-such-model, systemMessage: hello}
"""
    _kubectl(kubeconfig, "apply", "-f", "-", text=added)
    _filter(terminal, "")
    terminal.until("from-kubectl")
    terminal.until("(?s)from-kubectl.*no")
    assert "no-such-model" in _kubectl(kubeconfig, "get", "agent", "from-kubectl", "-o", "yaml")
    _kubectl(kubeconfig, "delete", "agent", "from-kubectl")
    terminal.until(lambda text: "from-kubectl" not in text)
