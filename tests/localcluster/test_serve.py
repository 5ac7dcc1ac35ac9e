"""``python -m kagent_localcluster serve`` as a process: what it says, what it refuses, and what it leaves."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import pytest

from kagent_localcluster.seams import JsonObject

PATIENCE = 30.0

POD: JsonObject = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "long"},
    "spec": {
        "containers": [{"name": "main", "image": "python:3", "args": ["-c", "import time; time.sleep(600)"]}],
    },
}


class Server:
    """A serving process and a client with the admin's token."""

    def __init__(self, process: subprocess.Popen[str], said: JsonObject) -> None:
        self.process = process
        self.said = said

    def ask(self, method: str, path: str, body: JsonObject | None = None) -> JsonObject:
        kubeconfig = json.loads(self._kubeconfig())
        request = urllib.request.Request(
            self.said["server"] + path,
            method=method,
            data=json.dumps(body).encode() if body else None,
            headers={"Authorization": f"Bearer {kubeconfig['token']}", "Content-Type": "application/json"},
        )
        context = ssl.create_default_context(cadata=kubeconfig["ca"])
        with urllib.request.urlopen(request, context=context, timeout=PATIENCE) as answer:
            return json.loads(answer.read())

    def _kubeconfig(self) -> str:
        import base64

        import yaml

        found: Any = yaml.safe_load(Path(self.said["kubeconfig"]).read_text())
        ca = base64.b64decode(found["clusters"][0]["cluster"]["certificate-authority-data"]).decode()
        return json.dumps({"token": found["users"][0]["user"]["token"], "ca": ca})


class Serve(Protocol):
    def __call__(self, *, port: int = 0, node: str = "process") -> Server: ...


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


def command(data_dir: Path, port: int, node: str = "process") -> list[str]:
    images = data_dir.parent / "images.json"
    images.write_text(json.dumps({"rules": [{"image": "python:*", "entrypoint": [sys.executable]}]}))
    where = ["--data-dir", str(data_dir), "--port", str(port), "--image-map", str(images)]
    return [sys.executable, "-m", "kagent_localcluster", "serve", *where, "--node", node]


@pytest.fixture
def serve(data_dir: Path) -> Iterator[Serve]:
    processes: list[subprocess.Popen[str]] = []

    def start(*, port: int = 0, node: str = "process") -> Server:
        process = subprocess.Popen(
            command(data_dir, port, node), text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        processes.append(process)
        assert process.stdout is not None
        return Server(process, json.loads(process.stdout.readline()))

    yield start
    for process in processes:
        with suppress(ProcessLookupError):
            process.terminate()
        process.wait(PATIENCE)
        assert process.stdout is not None
        process.stdout.close()


def until(check: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (value := check()):
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)
    return value


def running_pid(server: Server) -> int:
    """Return the process of the Pod ``long`` once it runs, else 0."""
    pod = server.ask("GET", "/api/v1/namespaces/default/pods/long")
    for status in pod["status"].get("containerStatuses", ()):
        if "running" in status["state"]:
            return int(status["containerID"].removeprefix("process://"))
    return 0


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] not in "ZX"


def test_it_says_where_it_serves_and_ends_its_pods_with_itself(serve: Serve, data_dir: Path) -> None:
    server = serve()
    assert server.said["event"] == "serving"
    assert server.said["kubeconfig"] == str(data_dir / "kubeconfig")
    assert (data_dir / "kubeconfig").stat().st_mode & 0o777 == 0o600
    server.ask("POST", "/api/v1/namespaces/default/pods", POD)
    pid = until(lambda: running_pid(server))
    assert server.ask("GET", "/api/v1/nodes/local")["status"]["conditions"]
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(PATIENCE) == 0
    assert not runs(pid)


def test_after_a_kill_the_next_start_ends_what_was_left_and_runs_it_again(serve: Serve) -> None:
    first = serve()
    first.ask("POST", "/api/v1/namespaces/default/pods", POD)
    left = until(lambda: running_pid(first))
    first.process.kill()
    first.process.wait(PATIENCE)
    assert runs(left)
    second = serve()
    assert not runs(left)
    again = until(lambda: running_pid(second))
    assert again != left
    pod = second.ask("GET", "/api/v1/namespaces/default/pods/long")
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 1


def test_a_port_in_use_is_refused_by_number_with_the_remedy(data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(command(data_dir, port), capture_output=True, text=True, check=False, timeout=PATIENCE)
    said = json.loads(done.stdout)
    assert (done.returncode, said["event"]) == (1, "failed")
    assert str(port) in said["error"]
    assert "--port" in said["error"]


def test_a_data_directory_in_use_is_refused_with_the_process_that_has_it(serve: Serve, data_dir: Path) -> None:
    server = serve()
    done = subprocess.run(command(data_dir, 0), capture_output=True, text=True, check=False, timeout=PATIENCE)
    said = json.loads(done.stdout)
    assert (done.returncode, said["event"]) == (1, "failed")
    assert str(server.process.pid) in said["error"]
    assert "--data-dir" in said["error"]
    assert server.ask("GET", "/version")["major"]


def test_a_data_directory_of_a_newer_version_is_refused_and_left_alone(serve: Serve, data_dir: Path) -> None:
    server = serve()
    server.process.terminate()
    server.process.wait(PATIENCE)
    with sqlite3.connect(data_dir / "cluster.db") as database:
        database.execute("PRAGMA user_version=9999")
    database.close()
    done = subprocess.run(command(data_dir, 0), capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 1
    assert "newer" in json.loads(done.stdout)["error"]


def test_an_image_map_that_cannot_be_read_is_refused_by_name(data_dir: Path) -> None:
    words = command(data_dir, 0)
    (data_dir.parent / "images.json").write_text("{")
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 1
    assert "images.json" in json.loads(done.stdout)["error"]


def test_a_hollow_node_starts_no_process(serve: Serve) -> None:
    server = serve(node="hollow")
    server.ask("POST", "/api/v1/namespaces/default/pods", POD)

    def ready() -> bool:
        status = server.ask("GET", "/api/v1/namespaces/default/pods/long")["status"]
        return any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", []))

    until(ready)
    pod = server.ask("GET", "/api/v1/namespaces/default/pods/long")
    assert "containerID" not in pod["status"]["containerStatuses"][0]
