"""``kagent-tui approvals`` and ``sessions`` against a controller on loopback: what they print, send and end with."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from kagent_tui.cli import main
from kagent_tui.safety.audit import AuditTrail

ACTIVITY = "https://kagent-tui.dev/a2a/activity/v1"
HITL = "https://kagent.dev/extensions/hitl/v1"


class Controller(ThreadingHTTPServer):
    """Two sessions: one waits for two calls or a question, one is done and speaks of a needle."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asks: dict[str, Any] = {}
        self.sent: list[dict[str, Any]] = []
        self.changes: list[tuple[str, str, Any]] = []
        self.reads = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def wait_for(self, *names: str) -> None:
        tools = [{"id": f"adk-{name}", "call_id": name, "name": name, "args": {"pod": "x\x1b[2J"}} for name in names]
        self.asks = {"type": "tool_approval_request", "hint": "", "tools": tools}

    def ask(self) -> None:
        self.asks = {
            "type": "ask_user_request",
            "id": "q",
            "questions": [{"question": "Which?", "choices": ["a", "b"]}],
        }

    def sessions(self) -> list[dict[str, str]]:
        return [
            {"id": "wait-1", "name": "delete things", "agent_id": "kagent__NS__k8s_agent", "updated_at": "2027-01-02"},
            {"id": "done-1", "name": "old", "agent_id": "kagent__NS__helper", "updated_at": "2027-01-01"},
        ]

    def task(self, session: str) -> dict[str, Any]:
        if session == "wait-1" and self.asks:
            message = {"messageId": "m", "role": "ROLE_AGENT", "parts": [{"text": "?"}], "metadata": {HITL: self.asks}}
            status: dict[str, Any] = {"state": "TASK_STATE_INPUT_REQUIRED", "message": message}
        else:
            status = {"state": "TASK_STATE_COMPLETED"}
        said = {"messageId": "u", "role": "ROLE_USER", "parts": [{"text": "find the Needle \x1b]52;c;x\x07"}]}
        artifacts = [{"artifactId": "a", "parts": [{"text": "did it" if self.sent else "Here it is."}]}]
        return {"id": f"t-{session}", "contextId": session, "status": status, "history": [said], "artifacts": artifacts}


class Handler(BaseHTTPRequestHandler):
    server: Controller  # pyright: ignore[reportIncompatibleVariableOverride] - the class it is made with

    def do_GET(self) -> None:
        match self.path.strip("/").split("/"):
            case ["api", "sessions"]:
                self._answer({"data": self.server.sessions()})
            case ["api", "sessions", session, "tasks"]:
                self.server.reads += 1
                self._answer({"data": [self.server.task(session)]})
            case [*_, "agent-card.json"] if "a2a" in self.path:
                extensions = {"extensions": [{"uri": ACTIVITY}]} if "k8s-agent" in self.path else {}
                interfaces = [{"url": "http://inside/", "protocolVersion": "1.0"}]
                self._answer({"supportedInterfaces": interfaces, "capabilities": extensions})
            case _:
                self._answer({"error": "no"}, 404)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if "shares" in self.path:
            self.server.changes.append(("POST", self.path, body))
            self._answer({"data": {"token": "sesame", "read_only": body["read_only"]}})
        elif body["method"] == "GetTask":
            self._answer({"result": self.server.task("wait-1")})
        elif "message" not in body["params"]:
            self._answer({"error": {"code": -32004, "message": "it is over"}})
        else:
            self.server.sent.append(body["params"]["message"])
            self.server.asks = {}
            event = {"artifactId": "a", "parts": [{"text": "did it"}]}
            self._answer(
                {"result": {"artifactUpdate": {"taskId": "t-wait-1", "contextId": "wait-1", "artifact": event}}}
            )

    def do_PUT(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.changes.append(("PUT", self.path, body))
        self._answer({"data": {}})

    def do_DELETE(self) -> None:
        self.server.changes.append(("DELETE", self.path, None))
        self._answer({"data": {}})

    def log_message(self, format: str, *args: object) -> None:
        return

    def _answer(self, value: object, code: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def controller(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Controller]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    server = Controller()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_what_waits_is_listed_clean_and_as_json(controller: Controller, capsys: pytest.CaptureFixture[str]) -> None:
    controller.wait_for("delete_pod", "scale")
    assert main(["approvals", "list", "--url", controller.url]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["SESSION", "AGENT", "SINCE", "CALL", "WANTS"]
    assert "kagent/k8s-agent" in lines[1]
    assert "delete_pod" in lines[1]
    assert "\x1b" not in "".join(lines)
    assert main(["--url", controller.url, "approvals", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["session"], [call["name"] for call in found["calls"]]) == ("wait-1", ["delete_pod", "scale"])


def test_an_approval_is_sent_for_every_call_and_written_down(
    controller: Controller, capsys: pytest.CaptureFixture[str]
) -> None:
    controller.wait_for("delete_pod", "scale")
    assert main(["approvals", "approve", "--call", "scale", "wait", "--reason", "never", "--url", controller.url]) == 0
    assert capsys.readouterr().out == "did it\n"
    [sent] = controller.sent
    assert sent["metadata"][HITL]["approvals"] == [
        {"id": "adk-delete_pod", "approved": False, "rejection_reason": "never"},
        {"id": "adk-scale", "approved": True},
    ]
    assert [(one.tool, one.decision, one.via) for one in AuditTrail().read()] == [
        ("delete_pod", "rejected", "command line"), ("scale", "approved", "command line"),
    ]  # fmt: skip
    assert main(["approvals", "audit", "--agent", "k8s-agent"]) == 0
    assert capsys.readouterr().out.count("kagent/k8s-agent") == 2
    assert main(["approvals", "audit", "--export", "-", "--since", "2999"]) == 0
    assert capsys.readouterr().out == ""


def test_edited_arguments_travel_in_the_extension_and_both_are_written_down(controller: Controller) -> None:
    controller.wait_for("delete_pod")
    arguments = '{"pod": "y"}'
    assert main(["approvals", "approve", "wait-1", "--arguments", arguments, "--url", controller.url]) == 0
    [sent] = controller.sent
    assert sent["metadata"][ACTIVITY] == {"arguments": {"adk-delete_pod": {"pod": "y"}}}
    assert set(sent["extensions"]) == {HITL, ACTIVITY}
    [record] = AuditTrail().read()
    assert (record.decision, record.arguments) == ("edited", '{"pod": "y"}')
    assert "x\\u001b[2J" in record.reason


def test_a_question_is_answered_and_wrong_words_send_nothing(
    controller: Controller, capsys: pytest.CaptureFixture[str]
) -> None:
    controller.ask()
    url = ["--url", controller.url]
    assert main(["approvals", "approve", "wait-1", *url]) == 1
    assert main(["approvals", "answer", "wait-1", "a", "b", *url]) == 1
    assert main(["approvals", "approve", *url]) == 64
    assert main(["approvals", "reject", "nothing", *url]) == 1
    assert "kagent-tui approvals list" in capsys.readouterr().err
    assert controller.sent == []
    assert main(["approvals", "answer", "wait-1", "b", *url]) == 0
    assert controller.sent[0]["metadata"][HITL]["answers"] == [{"answer": ["b"]}]


def test_a_message_answers_the_one_question_that_waits(controller: Controller) -> None:
    controller.ask()
    assert main(["chat", "k8s-agent", "b", "--session", "wait-1", "--url", controller.url]) == 0
    assert controller.sent[0]["metadata"][HITL]["answers"] == [{"answer": ["b"]}]


def test_sessions_are_found_by_what_was_said_and_read_once(
    controller: Controller, capsys: pytest.CaptureFixture[str]
) -> None:
    url = ["--url", controller.url]
    assert main(["sessions", "list", "--search", "needle", "--json", *url]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["id"], one["agent"]) for one in found] == [("wait-1", "kagent/k8s-agent"), ("done-1", "kagent/helper")]
    reads = controller.reads
    assert main(["sessions", "--search", "OLD", *url]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["done-1", "kagent/helper", "2027-01-01", "old"]
    assert main(["sessions", "--search", "haystack", *url]) == 0
    assert capsys.readouterr() == ("", "no such sessions\n")
    assert controller.reads == reads
    assert main(["sessions", "list", "--agent", "kagent/helper", *url]) == 0
    assert "wait-1" not in capsys.readouterr().out


def test_a_session_is_exported_renamed_shared_and_deleted(
    controller: Controller, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    url = ["--url", controller.url]
    assert main(["sessions", "export", "done", *url]) == 0
    out = capsys.readouterr().out
    assert "find the Needle ␛" in out
    assert "Here it is." in out
    target = tmp_path / "out.json"
    assert main(["sessions", "export", "done-1", "--format", "json", "-o", str(target), *url]) == 0
    assert json.loads(target.read_text())["session_id"] == "done-1"
    assert target.stat().st_mode & 0o077 == 0
    assert main(["sessions", "rename", "done-1", "new name", *url]) == 0
    assert main(["sessions", "share", "done-1", *url]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "sesame"
    assert main(["sessions", "delete", "done-1", *url]) == 0
    assert [(method, path) for method, path, _ in controller.changes] == [
        ("PUT", "/api/sessions/done-1"), ("POST", "/api/sessions/done-1/shares"), ("DELETE", "/api/sessions/done-1"),
    ]  # fmt: skip
    assert main(["sessions", "export", *url]) == 64
    assert main(["sessions", "export", "nope", *url]) == 1
