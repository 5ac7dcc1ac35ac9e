"""``kagent-engine check``: what it says of an agent that answers, of one that does not, and of none."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kagent_engine.check import run_check
from kagent_engine.errors import KagentError
from kagent_engine.models.base import ModelError


async def check(url: str) -> int:
    return await asyncio.to_thread(run_check, url, message="hello", timeout=20)


async def test_both_dialects_of_an_agent_that_answers(
    serve_engine: Any, model: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    model.says("one").says("two")
    engine = await serve_engine()

    code = await check(engine.url)

    said = capsys.readouterr().out
    assert code == 0
    assert "dialects  1.0, 0.3" in said
    assert "A2A 1.0   completed" in said
    assert "A2A 0.3   completed" in said
    assert ": one\n" in said


async def test_an_agent_whose_turn_fails_is_reported_with_its_words(
    serve_engine: Any, model: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    model.plan.append([ModelError("the key was refused")])
    model.says("two")
    engine = await serve_engine()

    assert await check(engine.url) == 1
    assert "FAILED: ended as failed: the key was refused" in capsys.readouterr().out


async def test_no_agent_at_all_is_an_error_that_names_the_address() -> None:
    with pytest.raises(KagentError, match=r"http://127\.0\.0\.1:9/\.well-known/agent-card\.json"):
        await check("http://127.0.0.1:9")
