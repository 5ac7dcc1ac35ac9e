"""The supervisor, with a small server that leaves as much behind as it can."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import pytest

import kagent_localcluster

SUPERVISOR = Path(kagent_localcluster.__file__).parent / "supervisor.py"
PATIENCE = 20.0

# Starts a child deaf to SIGTERM in a session of its own and a daemon that forked twice, then waits.
SERVER = """
import os, signal, subprocess, sys, time
notes = sys.argv[1]
def note(text):
    with open(notes, "a") as file:
        file.write(text + "\\n")
subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"],
                 start_new_session=True)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(600)
    os._exit(0)
os.wait()
def end(number, frame):
    note("asked to end")
    sys.exit(7)
signal.signal(signal.SIGTERM, end)
note(f"pid {os.getpid()}")
time.sleep(600)
"""


class Started(Protocol):
    def __call__(
        self, *options: str, command: list[str] | None = None, lifeline: int = -1
    ) -> subprocess.Popen[str]: ...


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return tmp_path / "notes"


@pytest.fixture
def start(tmp_path: Path, notes: Path) -> Iterator[Started]:
    script = tmp_path / "server.py"
    script.write_text(SERVER)
    processes: list[subprocess.Popen[str]] = []

    def started(*options: str, command: list[str] | None = None, lifeline: int = -1) -> subprocess.Popen[str]:
        given = command or [sys.executable, str(script), str(notes)]
        held = ["--lifeline", str(lifeline)] if lifeline >= 0 else []
        words = [sys.executable, "-S", "-E", "-I", str(SUPERVISOR), *held, *options, "--", *given]
        processes.append(
            subprocess.Popen(words, text=True, stderr=subprocess.PIPE, pass_fds=[lifeline] if lifeline >= 0 else [])
        )
        return processes[-1]

    yield started
    for process in processes:
        with suppress(ProcessLookupError):
            process.terminate()
        process.wait(PATIENCE)
        assert process.stderr is not None
        process.stderr.close()
    for pid in carriers(notes):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def carriers(notes: Path) -> set[int]:
    """Return the processes whose command line or parent shows that they are of this test's server."""
    found: set[int] = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                words = (entry / "cmdline").read_bytes()
                environment = (entry / "environ").read_bytes()
                if str(notes.parent).encode() in words + environment and str(SUPERVISOR).encode() not in words:
                    found.add(int(entry.name))
    return found - {os.getpid()}


def until(check: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not check():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let every process started here carry the test's directory, whatever it forks into."""
    monkeypatch.setenv("TEST_DIRECTORY", str(tmp_path / "x"))


def server_runs(notes: Path) -> bool:
    return notes.exists() and "pid" in notes.read_text() and len(carriers(notes)) >= 3


pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks processes up in /proc")


def test_sigterm_ends_the_server_gracefully_and_then_everything_left(start: Started, notes: Path) -> None:
    supervisor = start()
    until(lambda: server_runs(notes))
    supervisor.terminate()
    assert supervisor.wait(PATIENCE) == 7
    assert "asked to end" in notes.read_text()
    assert carriers(notes) == set()


def test_a_lifeline_that_closes_ends_everything(start: Started, notes: Path) -> None:
    theirs, ours = os.pipe()
    supervisor = start(lifeline=theirs)
    os.close(theirs)
    until(lambda: server_runs(notes))
    os.close(ours)
    assert supervisor.wait(PATIENCE) == 7
    assert carriers(notes) == set()


def test_a_server_that_is_killed_leaves_nothing(start: Started, notes: Path) -> None:
    supervisor = start()
    until(lambda: server_runs(notes))
    os.kill(int(notes.read_text().split()[1]), signal.SIGKILL)
    assert supervisor.wait(PATIENCE) == 128 + signal.SIGKILL
    assert carriers(notes) == set()


def test_the_state_file_says_who_runs_and_goes_with_it(start: Started, notes: Path, tmp_path: Path) -> None:
    state = tmp_path / "data" / "supervisor.json"
    supervisor = start("--state", str(state))
    until(lambda: server_runs(notes))
    found = json.loads(state.read_text())
    assert found["pid"] == supervisor.pid
    assert found["server"] == int(notes.read_text().split()[1])
    assert found["mark"]
    assert state.stat().st_mode & 0o777 == 0o600
    supervisor.terminate()
    supervisor.wait(PATIENCE)
    assert not state.exists()


def test_a_second_supervisor_leaves_the_state_of_the_first(start: Started, notes: Path, tmp_path: Path) -> None:
    state = tmp_path / "supervisor.json"
    first = start("--state", str(state))
    until(lambda: server_runs(notes) and state.exists())
    refused = start("--state", str(state), command=[sys.executable, "-c", "raise SystemExit(1)"])
    assert refused.wait(PATIENCE) == 1
    assert json.loads(state.read_text())["pid"] == first.pid


def test_the_port_of_the_command_is_in_the_state(start: Started, tmp_path: Path, notes: Path) -> None:
    state = tmp_path / "supervisor.json"
    command = [sys.executable, str(tmp_path / "server.py"), str(notes), "--port", "7001"]
    start("--state", str(state), command=command)
    until(state.exists)
    assert json.loads(state.read_text())["port"] == 7001


@pytest.mark.parametrize("words", [["--bogus", "--"], []])
def test_a_wrong_command_line_is_refused(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-E", "-I", str(SUPERVISOR), *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 64
    assert done.stderr.startswith("supervisor: ")
