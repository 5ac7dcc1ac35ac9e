"""The log as lines of text or JSON, without secrets in either."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from kagent_engine.errors import ConfigError
from kagent_engine.logs import JsonLines, TextLines, set_up_logging
from kagent_engine.secrets import Secrets

KEY = 'sk-"live"-0123456789'
SECRETS = Secrets((("OPENAI_API_KEY", KEY),))


def record(message: str, *arguments: object) -> logging.LogRecord:
    try:
        raise ValueError(KEY)
    except ValueError:
        return logging.LogRecord("a.b", logging.ERROR, "f", 1, message, arguments, sys.exc_info())


def test_a_json_line_holds_time_level_logger_message_and_traceback_without_the_secret() -> None:
    text = JsonLines(SECRETS).format(record("the key is %s\nand more", KEY))

    line = json.loads(text)
    assert "\n" not in text
    assert (line["level"], line["logger"]) == ("ERROR", "a.b")
    assert line["message"] == "the key is [hidden: OPENAI_API_KEY]\nand more"
    assert "ValueError: [hidden: OPENAI_API_KEY]" in line["traceback"]
    assert line["time"].endswith("Z")
    assert "live" not in text


def test_what_a_caller_sends_cannot_write_lines_or_move_the_cursor() -> None:
    text = TextLines(SECRETS).format(record("refused: %s", "x\n2026-01-01 INFO forged\x1b[2J\x9b\u202e 你好"))

    first, *rest = text.splitlines()
    assert first.endswith(r"refused: x\n2026-01-01 INFO forged\x1b[2J\x9b\u202e 你好")
    assert rest[0] == "Traceback (most recent call last):"


def test_a_text_line_hides_the_secret_in_message_and_traceback() -> None:
    text = TextLines(SECRETS).format(record("the key is %s", KEY))

    assert "ERROR a.b: the key is [hidden: OPENAI_API_KEY]" in text
    assert KEY not in text


def test_an_unknown_format_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"KAGENT_TUI_LOG_FORMAT.*text or json.*'xml'"):
        set_up_logging({"KAGENT_TUI_LOG_FORMAT": "xml"})
