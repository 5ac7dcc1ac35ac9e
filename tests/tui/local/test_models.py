"""Which model the demo takes."""

from __future__ import annotations

import pytest

from kagent_api.errors import KagentError
from kagent_tui.local import models
from kagent_tui.local.models import choose_model


@pytest.fixture(autouse=True)
def _no_ollama(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]  # a fixture
    monkeypatch.setattr(models, "_OLLAMA", ("127.0.0.1", 1))


@pytest.mark.parametrize(
    ("keys", "chosen"),
    [
        ({"OPENAI_API_KEY": "a", "ANTHROPIC_API_KEY": "b"}, "openai"),
        ({"ANTHROPIC_API_KEY": "b", "GEMINI_API_KEY": "c"}, "anthropic"),
        ({"DASHSCOPE_API_KEY": "d"}, "dashscope"),
        ({"OPENAI_API_KEY": "  "}, "scripted"),
        ({}, "scripted"),
    ],
)
def test_auto_takes_the_first_key_there_is(keys: dict[str, str], chosen: str) -> None:
    assert choose_model("auto", "kagent", keys).id == chosen


def test_scripted_is_taken_although_there_is_a_key() -> None:
    assert choose_model("scripted", "kagent", {"OPENAI_API_KEY": "a"}).scripted


def test_a_model_asked_for_by_name_without_its_key_is_refused_with_the_variable() -> None:
    with pytest.raises(KagentError, match="ANTHROPIC_API_KEY is not set"):
        choose_model("anthropic", "kagent", {})


def test_the_key_is_only_in_the_secret() -> None:
    model = choose_model("dashscope", "team", {"DASHSCOPE_API_KEY": "sk-1234"})
    secret, config = model.objects("team")
    assert secret["stringData"] == {"key": "sk-1234"}
    assert config["spec"]["apiKeySecret"] == secret["metadata"]["name"]
    assert "sk-1234" not in repr(config)
    assert "sk-1234" not in repr(model)


def test_the_scripted_model_is_labelled_where_the_dashboard_looks() -> None:
    (config,) = choose_model("scripted", "kagent", {}).objects("kagent")
    assert config["metadata"]["annotations"] == {"kagent-tui.dev/model-note": "scripted offline model"}
