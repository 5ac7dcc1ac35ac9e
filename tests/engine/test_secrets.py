"""What the Pod keeps secret reaches neither the model, nor the history, nor the log."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from kagent_engine.events import ToolReturned
from kagent_engine.logs import set_up_logging
from kagent_engine.loop import Turn, run_turn
from kagent_engine.models.base import TextPart, ToolCall, ToolMessage, ToolSpec, UserMessage
from kagent_engine.secrets import Redactor
from kagent_engine.tools.base import CallContext, text_result
from kagent_engine.tools.toolbox import Toolbox

ENVIRON = {
    "OPENAI_API_KEY": "sk-abcdefgh",
    "DB_PASSWORD": "hunter22",
    "HTTP_PROXY": "http://ns%2Fpod:pr%40xypass@127.0.0.1:1",
    "KUBECONFIG": "/etc/kubeconfig",
    "FEATURE_TOKENS": "true",
    "PIN_KEY": "1234",
    "GREETING": "hello there",
}


def test_secrets_are_named_in_place_of_their_values_and_nothing_else_changes() -> None:
    redactor = Redactor(ENVIRON)
    text = "sk-abcdefgh hunter22 pr@xypass /etc/kubeconfig true 1234 hello there"
    assert redactor.text(text) == (
        "[secret OPENAI_API_KEY] [secret DB_PASSWORD] [secret HTTP_PROXY] /etc/kubeconfig true 1234 hello there"
    )
    assert redactor.json({"a": ["x sk-abcdefgh"], "hunter22": 1, "n": None}) == {
        "a": ["x [secret OPENAI_API_KEY]"],
        "[secret DB_PASSWORD]": 1,
        "n": None,
    }
    assert redactor.text("callers-own-key", "callers-own-key") == "[secret]"


def test_a_token_that_is_renewed_is_kept_back_too(tmp_path: Path) -> None:
    file = tmp_path / "kagent-token"
    file.write_text("first-token\n")
    redactor = Redactor({}, [file, tmp_path / "none"])
    assert redactor.text("first-token") == "[secret kagent-token]"
    file.write_text("second-token\n")
    os.utime(file, ns=(1, 1))
    assert redactor.text("second-token") == "[secret kagent-token]"


class Leaks:
    spec = ToolSpec("leak", "", {"type": "object"})

    async def call(self, call: ToolCall, context: CallContext, answer: Any = None) -> Any:
        return text_result("the key is sk-abcdefgh, yours passed-on-key")


async def test_a_tools_result_is_cleaned_before_the_model_and_the_history_get_it(model: Any) -> None:
    model.calls(ToolCall("1", "leak", {})).says("ok")
    events: list[Any] = []

    async def emit(event: Any) -> None:
        events.append(event)

    turn = Turn(
        model, Toolbox({"leak": Leaks()}), "", (UserMessage((TextPart("hi"),)),), CallContext("u", "s"),
        api_key="passed-on-key", redactor=Redactor(ENVIRON),
    )  # fmt: skip
    await run_turn(turn, emit)

    clean = "the key is [secret OPENAI_API_KEY], yours [secret]"
    (read,) = [message.content for message in model.requests[-1].messages if isinstance(message, ToolMessage)]
    (kept,) = [event.response for event in events if isinstance(event, ToolReturned)]
    assert (read, kept) == (clean, {"result": clean})


@pytest.mark.parametrize("form", ["text", "json"])
def test_logs_hold_no_secret_and_json_logs_are_one_object_a_line(
    form: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    set_up_logging("INFO", form, Redactor(ENVIRON))
    try:
        raise ValueError("bad password hunter22")
    except ValueError:
        logging.getLogger("x").exception("key %s\nfailed", "sk-abcdefgh")

    told = capsys.readouterr().err
    assert "[secret OPENAI_API_KEY]" in told
    assert "hunter22" not in told
    assert "sk-abcdefgh" not in told
    assert "Traceback" in told
    if form == "json":
        (line,) = told.splitlines()
        assert set(json.loads(line)) == {"time", "level", "logger", "message", "exception"}
