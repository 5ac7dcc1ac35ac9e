"""``kagent-tui chat`` against an agent on loopback: what goes to which stream, and the exit codes."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from kagent_tui.chat.events import TextDelta, TextReplaced
from kagent_tui.chat.printing import PlainPrinter
from kagent_tui.cli import main

HITL = "https://kagent.dev/extensions/hitl/v1"
CALL = {"id": "c1", "name": "delete", "args": {"pod": "x\x1b[2J"}}


def status(state: str, **more: Any) -> dict[str, Any]:
    return {"statusUpdate": {"taskId": "t", "contextId": "s", "status": {"state": f"TASK_STATE_{state}", **more}}}


def artifact(artifact_id: str, part: dict[str, Any], *, append: bool = False) -> dict[str, Any]:
    update = {
        "taskId": "t",
        "contextId": "s",
        "append": append,
        "artifact": {"artifactId": artifact_id, "parts": [part]},
    }
    return {"artifactUpdate": update}


def pause() -> dict[str, Any]:
    tools = [{"id": "adk-1", "call_id": "c1", "name": "delete"}]
    request = {"type": "tool_approval_request", "hint": "", "tools": tools}
    message = {"messageId": "m", "role": "ROLE_AGENT", "metadata": {HITL: request}}
    return status("INPUT_REQUIRED", message=message)


class Handler(BaseHTTPRequestHandler):
    """Answers by the words of the message."""

    def do_GET(self) -> None:
        if not self.path.endswith("agent-card.json"):
            self._answer(404, b"no")
            return
        card = {"supportedInterfaces": [{"url": "http://inside/", "protocolVersion": "1.0"}]}
        self._answer(200, json.dumps(card).encode())

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if "message" not in body["params"]:
            self._answer(200, json.dumps({"error": {"code": -32601, "message": "Method not found"}}).encode())
            return
        message = body["params"]["message"]
        said = message["parts"][0]["text"]
        call = artifact("c1", {"data": CALL, "metadata": {"adk_type": "function_call"}})
        response = {"data": {"id": "c1", "name": "delete", "response": {"result": "ok"}}}
        result = artifact("r1", {**response, "metadata": {"adk_type": "function_response"}})
        answer = [
            artifact("a", {"text": f"you said {said[:4]}\x1b]52;c;AAAA\x07"}),
            artifact("a", {"text": "."}, append=True),
        ]
        if len(message["parts"]) > 1:
            events = [result, *answer, status("COMPLETED")]
        elif said.startswith("ask"):
            events = [call, pause()]
        elif said.startswith("fail"):
            text = {"messageId": "m", "role": "ROLE_AGENT", "parts": [{"text": "the model refused the key"}]}
            events = [status("FAILED", message=text)]
        else:
            events = [status("WORKING"), call, result, *answer, status("COMPLETED")]
        lines = b"".join(b"data: " + json.dumps({"result": event}).encode() + b"\n\n" for event in events)
        self._answer(200, lines, "text/event-stream")

    def log_message(self, format: str, *args: object) -> None:
        return

    def _answer(self, code: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(code)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_only_the_answer_goes_to_standard_output_and_it_is_clean(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--url", url, "chat", "helper", "hello"]) == 0
    captured = capsys.readouterr()
    assert captured.out == "you said hell␛.\n"
    assert captured.err.splitlines()[0] == 'tool delete {"pod": "x\\u001b[2J"}'
    assert captured.err.splitlines()[1].startswith("tool delete done in ")


def test_json_is_one_object_a_line_without_raw_controls(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chat", "helper", "hello", "--json", "--session", "s", "--url", url]) == 0
    out = capsys.readouterr().out
    assert out.replace("\n", "").isprintable()
    events = [json.loads(line) for line in out.splitlines()]
    assert events[0] == {"type": "session", "session_id": "s"}
    assert events[-1] == {"type": "done", "state": "completed"}
    assert {
        "type": "tool_call",
        "call_id": "c1",
        "name": "delete",
        "arguments": CALL["args"],
        "subagent_session": "",
    } in events


def test_a_call_is_left_waiting_unless_told_otherwise(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    for approve in ("none", "safe"):
        assert main(["--url", url, "chat", "helper", "ask", "--approve", approve]) == 2
        assert "waits for approval: delete" in capsys.readouterr().err
    assert main(["--url", url, "chat", "helper", "ask", "--approve", "all"]) == 0
    assert capsys.readouterr().out.startswith("you said Appr")


def test_a_failed_turn_is_three_with_the_reason(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--url", url, "chat", "helper", "fail"]) == 3
    assert capsys.readouterr().err == "error: the model refused the key\n"


def test_standard_input_is_the_message(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("piped words"))
    assert main(["--url", url, "chat", "helper", "-"]) == 0
    assert capsys.readouterr().out.startswith("you said pipe")


def test_nothing_to_say_and_nobody_to_say_it_to_is_wrong_usage(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert main(["--url", url, "chat", "helper", "-"]) == 64
    assert main(["--url", url, "chat", "kagent/", "hello"]) == 64
    with pytest.raises(SystemExit) as left:
        main(["chat", "helper", "hello", "--approve", "maybe"])
    assert left.value.code == 64
    capsys.readouterr()


def test_nobody_at_the_address_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--url", "http://127.0.0.1:9", "chat", "helper", "hello"]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "nothing answers at http://127.0.0.1:9" in err


def test_a_sequence_cut_between_two_deltas_is_still_one_mark() -> None:
    out = io.StringIO()
    printer = PlainPrinter(out, io.StringIO())
    for piece in ("a family 👨", "\u200d👩", "\u200d👧 and \x1b", "[31mred\x1b[0m end"):
        printer.show(TextDelta("b", piece), 0.0)
    printer.finish()
    assert out.getvalue() == "a family 👨\u200d👩\u200d👧 and red end\n"


def test_a_replaced_text_is_printed_whole_only_where_it_differs() -> None:
    out = io.StringIO()
    printer = PlainPrinter(out, io.StringIO())
    printer.show(TextDelta("b", "one two "), 0.0)
    printer.show(TextReplaced("b", "one two three"), 0.0)
    printer.show(TextDelta("c", "other "), 0.0)
    printer.show(TextReplaced("c", "different"), 0.0)
    printer.finish()
    assert out.getvalue() == "one two three\nother \ndifferent\n"
