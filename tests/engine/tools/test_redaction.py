"""The process's own secrets never come back through a tool: not in results, failures, progress, names or base64."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from kagent_engine.errors import ToolFailed
from kagent_engine.events import Ask
from kagent_engine.models.base import ToolCall, ToolSpec
from kagent_engine.secrets import Secrets, secret_header, secret_variables
from kagent_engine.shapes import JsonObject
from kagent_engine.tools.base import Answer, CallContext, ToolResult
from kagent_engine.tools.redaction import Redacted
from kagent_engine.tools.results import LONGEST_RESULT, model_text

KEY = "sk-live-0123456789"
CALL = ToolCall("c", "env", {})


class Says:
    """A tool that answers, fails or reports with the given text."""

    spec = ToolSpec("env", "", {"type": "object"})

    def __init__(self, text: str, *, fails: bool = False) -> None:
        self.text, self.fails = text, fails

    async def call(self, call: ToolCall, context: CallContext, answer: Answer | None = None) -> ToolResult | Ask:
        if context.progress is not None:
            await context.progress(1, None, self.text)
        if self.fails:
            raise ToolFailed(self.text)
        response: JsonObject = {"content": [{"type": "text", "text": self.text}], "structuredContent": {self.text: [1]}}
        content, truncated = model_text(response)
        return ToolResult(content, response, truncated=truncated)


async def answer(text: str, secrets: Secrets, headers: Mapping[str, str] | None = None) -> ToolResult:
    result = await Redacted(Says(text), secrets).call(CALL, CallContext("u", "s", headers=headers or {}))
    assert isinstance(result, ToolResult)
    return result


async def test_a_key_is_hidden_from_the_model_and_in_the_whole_response() -> None:
    result = await answer(f"OPENAI_API_KEY={KEY}\nHOME=/", Secrets((("OPENAI_API_KEY", KEY),)))

    assert result.content == "OPENAI_API_KEY=[hidden: OPENAI_API_KEY]\nHOME=/"
    assert KEY not in json.dumps(result.response)
    assert "[hidden: OPENAI_API_KEY]" in json.dumps(result.response["structuredContent"])


async def test_base64_and_rotating_files_and_the_callers_own_token_are_hidden_too(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first-token-value\n")
    secrets = Secrets((("K", KEY),), (("service account token", token),))
    token.write_text("Bearer second-token-value\n")
    text = f"{base64.b64encode(KEY.encode()).decode()} second-token-value of-the-caller-1"

    result = await answer(text, secrets, {"authorization": "Bearer of-the-caller-1", "x-user-id": "somebody@here"})

    assert result.content == "[hidden: K] [hidden: service account token] [hidden: authorization]"


async def test_failures_and_progress_are_hidden() -> None:
    told: list[str] = []

    async def progress(done: float, total: float | None, message: str) -> None:
        told.append(message)

    with pytest.raises(ToolFailed) as failed:
        await Redacted(Says(f"bad {KEY}", fails=True), Secrets((("K", KEY),))).call(
            CALL, CallContext("u", "s", progress=progress)
        )

    assert str(failed.value) == "bad [hidden: K]"
    assert told == ["bad [hidden: K]"]


async def test_a_secret_at_the_edge_of_the_cut_is_not_shown_in_half() -> None:
    head = LONGEST_RESULT * 2 // 3
    result = await answer("x" * (head - 5) + KEY + "y" * LONGEST_RESULT, Secrets((("K", KEY),)))

    assert result.truncated
    assert KEY[:5] not in result.content


async def test_an_answer_without_secrets_is_left_as_it_is() -> None:
    assert (await answer("plain", Secrets((("K", KEY),)))).content == "plain"


def test_variables_are_secret_by_name_or_by_a_password_in_a_url_and_never_when_short_or_plain() -> None:
    found = dict(
        secret_variables(
            {
                "OPENAI_API_KEY": KEY, "DB": "postgres://u:pass-word-1@db/x",
                "GOOGLE_APPLICATION_CREDENTIALS": "/var/key", "KAGENT_PROPAGATE_TOKEN": "true",
                "MAX_TOKENS": "100000000", "SECRET_NAME": "my-secret-name",
                "TOKEN_ENDPOINT_HOST_KEY": "https://login.example.com", "HOME": "/here/somebody",
            }
        )
    )  # fmt: skip
    assert found == {"OPENAI_API_KEY": KEY, "DB": "pass-word-1"}
    assert Secrets((("K", "short"),)).hide("short") == "short"
    assert KEY not in repr(Secrets((("K", KEY),)))


def test_headers_are_secret_by_name_and_without_their_scheme() -> None:
    assert [*secret_header("Authorization", "Bearer abc-def-ghi")] == [("Authorization", "abc-def-ghi")]
    assert [*secret_header("X-Api-Key", "abc-def-ghi")] == [("X-Api-Key", "abc-def-ghi")]
    assert [*secret_header("X-Tenant", "abc-def-ghi")] == []
