"""The program as it is started: what it loads, how it complains, how it stops."""

from __future__ import annotations

import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CONFIG: dict[str, Any] = {
    "model": {"type": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1"},
    "description": "",
    "instruction": "",
}
CARD = {"name": "tester", "description": "", "version": "1", "skills": [{"id": "s", "name": "S", "tags": None}]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, CONFIG, CARD)
    return tmp_path


def write(folder: Path, config: object, card: object) -> None:
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "agent-card.json").write_text(json.dumps(card))


def environment(folder: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key in {"PATH", "HOME", "PYTHONPATH", "LANG"}}
    return kept | {"KAGENT_TUI_STATE": str(folder / "state"), "OPENAI_API_KEY": "k", "KAGENT_NAME": "tester"}


def run(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kagent_engine.cli", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, env=environment(folder) | env, check=False
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


@pytest.fixture
def started(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    port = free_port()
    command = [sys.executable, "-m", "kagent_engine.cli", "--port", str(port), "--filepath", str(folder)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment(folder))
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.communicate()


def get(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def wait_for(url: str, status: int = 200) -> bytes:
    """Ask until the answer has this status; bounded."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            found, body = get(url)
        except OSError:
            continue
        if found == status:
            return body
    raise AssertionError(f"{url} never answered {status}")


def test_it_serves_the_card_gets_ready_and_stops_when_told(started: tuple[subprocess.Popen[str], str]) -> None:
    process, url = started

    card = json.loads(wait_for(f"{url}/.well-known/agent-card.json"))
    assert card["skills"][0]["tags"] == []
    assert wait_for(f"{url}/health") == b"OK"
    assert wait_for(f"{url}/readyz") == b"OK"

    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0


def test_a_request_that_comes_before_all_is_loaded_waits_for_it(started: tuple[subprocess.Popen[str], str]) -> None:
    _, url = started
    wait_for(f"{url}/health")

    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tasks/get", "params": {"id": "x"}}).encode()
    with urllib.request.urlopen(urllib.request.Request(url, body), timeout=30) as response:
        assert json.load(response)["error"]["code"] == -32001
        assert len(response.headers.get_all("date")) == 1


def test_nothing_heavy_is_loaded_to_serve(folder: Path) -> None:
    """SQLAlchemy costs 10-18 MiB where it is installed, the MCP SDK 20 and half a second."""
    program = (
        "import sys, pathlib, kagent_engine.cli, kagent_engine.serve as serve\n"
        "from kagent_engine.settings import Settings\n"
        f"build = serve._load(pathlib.Path({str(folder)!r}), Settings.from_environ(), 'http://x')\n"
        "build()\n"
        "print(*sorted(name for name in ('sqlalchemy', 'fastapi', 'grpc', 'cryptography', 'opentelemetry', 'rich',"
        " 'google.auth', 'mcp', 'kubernetes', 'openai', 'a2a', 'google.protobuf', 'starlette', 'httpx')"
        " if name in sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, env=environment(folder), check=True
    )

    assert done.stdout.strip() == ""


def test_what_was_kept_out_can_be_imported_afterwards(folder: Path) -> None:
    program = "import kagent_engine.tools.a2a_sdk, sqlalchemy, opentelemetry; print(sqlalchemy.__name__)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout.strip() == "sqlalchemy"


BAD: list[tuple[Any, Any, list[str]]] = [
    ({"model": {"type": "openai", "model": 5}}, CARD, ["config.json", "model.model"]),
    (CONFIG | {"model": None}, CARD, ["config.json", "model"]),
    (CONFIG | {"http_tools": [{"params": {}}]}, CARD, ["config.json", "http_tools.0.params.url"]),
    (CONFIG | {"remote_agents": [{"name": "x", "url": ""}]}, CARD, ["config.json", "remote_agents.0.url"]),
    (CONFIG, [], ["agent-card.json", "object"]),
    (CONFIG, {"description": "nameless"}, ["agent-card.json", "name"]),
]


@pytest.mark.parametrize(("config", "card", "words"), BAD)
def test_a_bad_configuration_is_one_line_that_names_file_and_field(
    folder: Path, config: object, card: object, words: list[str]
) -> None:
    write(folder, config, card)

    done = run(folder, "--port", str(free_port()), "--filepath", str(folder), LOG_LEVEL="ERROR")

    assert done.returncode == 64
    (line,) = done.stderr.strip().splitlines()
    assert all(word in line for word in words), line


def test_a_missing_folder_and_a_broken_file_are_named(folder: Path) -> None:
    missing = run(folder, "static", "--port", str(free_port()), "--filepath", str(folder / "nowhere"))
    (folder / "config.json").write_text("{not json")
    broken = run(folder, "static", "--port", str(free_port()), "--filepath", str(folder), LOG_LEVEL="ERROR")

    assert (missing.returncode, broken.returncode) == (64, 64)
    assert "agent-card.json: cannot be read" in missing.stderr
    assert "config.json" in broken.stderr
    assert "JSON" in broken.stderr


def test_a_port_that_is_taken_is_named(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run(folder, "--port", str(port), "--filepath", str(folder))

    assert done.returncode == 64
    assert f"127.0.0.1:{port}" in done.stderr


def test_version_and_wrong_usage(folder: Path) -> None:
    assert run(folder, "--version").stdout.startswith("kagent-engine ")
    assert run(folder, "--no-such-flag").returncode == 64
    assert "mcp-bridge" in run(folder, "--help").stdout


def test_a_turn_that_runs_when_the_process_is_told_to_end_is_finished_and_heard(folder: Path) -> None:
    """SIGTERM in the middle of a stream: new callers are refused, the running turn ends and its listener hears it."""
    model_port, port = free_port(), free_port()
    model = {"type": "openai", "model": "m", "base_url": f"http://127.0.0.1:{model_port}/v1"}
    write(folder, CONFIG | {"model": model, "stream": True}, CARD)
    chunk = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    with socket.create_server(("127.0.0.1", model_port)) as listener:
        listener.settimeout(60)
        program = [sys.executable, "-m", "kagent_engine.cli", "--port", str(port), "--filepath", str(folder)]
        process = subprocess.Popen(program, stderr=subprocess.DEVNULL, env=environment(folder))
        try:
            wait_for(f"http://127.0.0.1:{port}/readyz")
            message = {"kind": "message", "role": "user", "messageId": "m", "parts": [{"kind": "text", "text": "x"}]}
            body = {"jsonrpc": "2.0", "id": 1, "method": "message/stream", "params": {"message": message}}
            request = urllib.request.Request(f"http://127.0.0.1:{port}/", json.dumps(body).encode())
            stream = urllib.request.urlopen(request, timeout=60)
            asked, _ = listener.accept()
            process.send_signal(signal.SIGTERM)
            wait_until_refused(port)
            deltas: list[dict[str, Any]] = [{"delta": {"content": "late"}}, {"delta": {}, "finish_reason": "stop"}]
            lines = [f"data: {json.dumps(chunk | {'choices': [delta | {'index': 0}]})}\n\n" for delta in deltas]
            head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
            asked.sendall((head + "".join(lines) + "data: [DONE]\n\n").encode())
            asked.close()
            heard = stream.read().decode()
            code = process.wait(timeout=60)
        finally:
            process.kill()
            process.wait()

    last = json.loads(heard.strip().splitlines()[-1].removeprefix("data: "))["result"]
    assert last["status"]["state"] == "completed"
    assert "late" in heard
    assert code == 0


def wait_until_refused(port: int) -> None:
    """Return when no one listens on a port any more; bounded."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return
        time.sleep(0.02)
    raise AssertionError(f"port {port} still takes connections")


def test_a_turn_that_a_crash_broke_off_is_said_to_be_so_and_the_session_goes_on(folder: Path) -> None:
    """kill -9 in the middle of a turn: the task must not stay working for ever, and what was said is kept."""
    model_port, port = free_port(), free_port()
    program = [sys.executable, "-m", "kagent_engine.cli"]
    env = environment(folder)
    write(
        folder,
        CONFIG | {"model": {"type": "openai", "model": "m", "base_url": f"http://127.0.0.1:{model_port}/v1"}},
        CARD,
    )

    def rpc(method: str, params: object) -> dict[str, Any]:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/", body), timeout=30) as response:
            return json.load(response)

    def say(text: str, message_id: str) -> dict[str, Any]:
        parts = [{"kind": "text", "text": text}]
        return {"kind": "message", "role": "user", "messageId": message_id, "contextId": "s", "parts": parts}

    serve = [*program, "--port", str(port), "--filepath", str(folder)]
    # A model that takes the question and never answers.
    with socket.create_server(("127.0.0.1", model_port)):
        first = subprocess.Popen(serve, stderr=subprocess.DEVNULL, env=env)
        try:
            wait_for(f"http://127.0.0.1:{port}/readyz")
            sent = rpc("message/send", {"message": say("first", "m1"), "configuration": {"blocking": False}})
        finally:
            first.kill()
            first.wait()
    task_id = sent["result"]["id"]
    assert sent["result"]["status"]["state"] in {"submitted", "working"}

    scripted = subprocess.Popen([*program, "scripted-model", "--port", str(model_port)], env=env)
    second = subprocess.Popen(serve, stderr=subprocess.DEVNULL, env=env)
    try:
        wait_for(f"http://127.0.0.1:{port}/readyz")
        found = rpc("tasks/get", {"id": task_id})["result"]
        went_on = rpc("message/send", {"message": say("second", "m2")})["result"]
    finally:
        for process in (second, scripted):
            process.terminate()
            process.wait(timeout=30)

    assert found["status"]["state"] == "failed"
    assert "restarted" in found["status"]["message"]["parts"][0]["text"]
    assert found["history"][0]["parts"][0]["text"] == "first"
    assert went_on["status"]["state"] == "completed"


class World(http.server.ThreadingHTTPServer):
    """A model, an MCP server, an agent and a controller that do what the test says, and hang where it says so."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.plan: list[str] = []
        self.reached = threading.Event()
        self.asked: list[str] = []
        self.called: list[str] = []
        self.sessions: dict[str, list[Any]] = {}
        self.tasks: dict[str, Any] = {}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that was killed is no error."""

    def hang(self) -> None:
        self.reached.set()
        threading.Event().wait(60)


class Answering(http.server.BaseHTTPRequestHandler):
    server: World  # pyright: ignore[reportIncompatibleVariableOverride]  # it is made for this server only

    def log_message(self, format: str, *args: Any) -> None:
        del format, args

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].strip("/").split("/")
        card: dict[str, Any] = {
            "name": "helper", "description": "", "version": "1", "url": f"{self.server.url}/agent", "skills": [],
            "capabilities": {}, "defaultInputModes": ["text"], "defaultOutputModes": ["text"],
            "protocolVersion": "0.3.0", "preferredTransport": "JSONRPC",
        }  # fmt: skip
        match path:
            case ["agent", ".well-known", "agent-card.json"]:
                self.reply(card)
            case ["api", "tasks", task_id] if task_id in self.server.tasks:
                self.reply({"data": self.server.tasks[task_id]})
            case ["api", "sessions", name] if name in self.server.sessions:
                self.reply({"data": {"session": {"id": name}, "events": self.server.sessions[name]}})
            case _:
                self.send_error(404)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        path = self.path.partition("?")[0].strip("/").split("/")
        match path:
            case ["mcp"]:
                self.serve_mcp(body)
            case ["agent"]:
                self.server.called.append("helper")
                self.server.hang()
            case ["api", "tasks"]:
                self.server.tasks[body["id"]] = body
                self.reply({"data": body})
            case ["api", "sessions"]:
                self.server.sessions.setdefault(body["id"], [])
                self.reply({"data": body})
            case ["api", "sessions", name, "events"]:
                self.server.sessions[name].append(body)
                self.reply({"data": body})
            case _:
                self.serve_model(body)

    def serve_model(self, body: Any) -> None:
        self.server.asked.append(json.dumps(body["messages"]))
        step = self.server.plan.pop(0)
        delta: dict[str, Any] = {"content": "so far "}
        arguments = {"ask_user": {"questions": [{"question": "Which?"}]}, "helper": {"request": "help"}}
        if step in {"slow", "guarded", "quick", "ask_user", "helper"}:
            function = {"name": step, "arguments": json.dumps(arguments.get(step, {}))}
            delta = {"tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": function}]}
        if step == "silent":
            self.server.hang()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        self.write_chunk(delta, None)
        if step == "hang":
            self.server.hang()
        self.write_chunk({}, "stop")
        self.wfile.write(b"data: [DONE]\n\n")

    def write_chunk(self, delta: dict[str, Any], finish: str | None) -> None:
        chunk = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
        self.wfile.write(f"data: {json.dumps(chunk | {'choices': choices})}\n\n".encode())
        self.wfile.flush()

    def serve_mcp(self, call: dict[str, Any]) -> None:
        tools = [{"name": name, "inputSchema": {"type": "object"}} for name in ("slow", "guarded", "quick")]
        results: dict[str, Any] = {
            "initialize": {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                           "serverInfo": {"name": "w", "version": "1"}},
            "tools/list": {"tools": tools},
            "tools/call": {"content": [{"type": "text", "text": "done"}]},
        }  # fmt: skip
        if call["method"] == "tools/call":
            self.server.called.append(call["params"]["name"])
            if call["params"]["name"] != "quick":
                self.server.hang()
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": call.get("id")}
        known = call["method"] in results
        answer |= {"result": results[call["method"]]} if known else {"error": {"code": -32601, "message": "no"}}
        self.reply(answer, 200 if "id" in call else 202)

    def reply(self, answer: object, status: int = 200) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.mark.parametrize("store", ["sqlite", "controller"])
def test_kill_9_at_each_step_of_a_turn_loses_nothing_that_was_acknowledged(folder: Path, store: str) -> None:
    """Before the first token, in the stream, in a tool, in the next call of the model, in another agent, in a tool that
    a person approved, while it waits for a person, after the end: the task is closed, no tool is run again.
    """
    world, port = World(), free_port()
    model = {"type": "openai", "model": "m", "base_url": f"{world.url}/v1"}
    tools = [{"params": {"url": f"{world.url}/mcp"}, "require_approval": ["guarded"]}]
    agents = [{"name": "helper", "url": f"{world.url}/agent", "description": "Helps."}]
    write(folder, CONFIG | {"model": model, "stream": True, "http_tools": tools, "remote_agents": agents}, CARD)
    env = environment(folder) | {"HOSTNAME": "pod-1"} | ({"KAGENT_URL": world.url} if store == "controller" else {})

    def rpc(method: str, **params: Any) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{port}/", body, {"x-user-id": "alice"})
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)["result"]

    def send(text: str, *, wait: bool = True, data: Any = None, **ids: str) -> Any:
        parts = [{"kind": "text", "text": text}] + ([{"kind": "data", "data": data}] if data else [])
        message = {"kind": "message", "role": "user", "messageId": text, "contextId": "s", "parts": parts, **ids}
        return rpc("message/send", message=message, configuration={"blocking": wait})

    @contextmanager
    def running() -> Generator[None]:
        program = [sys.executable, "-m", "kagent_engine.cli", "--port", str(port), "--filepath", str(folder)]
        process = subprocess.Popen(program, stderr=subprocess.DEVNULL, env=env)
        try:
            wait_for(f"http://127.0.0.1:{port}/readyz")
            yield
        finally:
            process.kill()
            process.wait()

    def is_closed(task_id: str, text: str) -> bool:
        found = rpc("tasks/get", id=task_id)
        state, code = found["status"]["state"], found["metadata"].get("kagent_error_code")
        return (state, code, found["history"][0]["parts"][0]["text"]) == ("failed", "INTERRUPTED", text)

    left: dict[str, str] = {}
    for steps in (["silent"], ["hang"], ["slow"], ["quick", "hang"], ["helper"]):
        world.plan, world.reached = [*steps], threading.Event()
        text = f"while {steps[-1]} after {len(steps)}"
        with running():
            left[text] = send(text, wait=False)["id"]
            assert world.reached.wait(60)
    world.plan = ["guarded"]
    with running():
        paused = send("guard it")
        assert paused["status"]["state"] == "input-required"
    world.plan, world.reached = [], threading.Event()
    with running():
        ids = {"taskId": paused["id"]}
        answered = send("yes", wait=False, data={"decision_type": "approve"}, **ids)
        assert answered["id"] == paused["id"]
        assert world.reached.wait(60)
    left["guard it"] = paused["id"]
    world.plan = ["ask_user"]
    with running():
        for text, task_id in left.items():
            assert is_closed(task_id, text), text
        paused = send("ask me")
        assert paused["status"]["state"] == "input-required"
        for text in left:
            assert text in world.asked[-1]
        assert "may or may not have taken effect" in world.asked[-1]
    world.plan = ["answer"]
    with running():
        done = send("this one", taskId=paused["id"])
        assert done["status"]["state"] == "completed"
        assert "this one" in world.asked[-1]
    with running():
        assert rpc("tasks/get", id=paused["id"])["status"]["state"] == "completed"
    assert world.called == ["slow", "quick", "helper", "guarded"]
    world.shutdown()
    world.server_close()
