"""From a configuration to an agent: every option that is read has its effect or is named in the log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kagent_api.engine_config import EngineConfig
from kagent_api.prices import Price
from kagent_engine.card import build_card
from kagent_engine.compaction import CompactionRules
from kagent_engine.compose import compose
from kagent_engine.config import Configuration
from kagent_engine.errors import ConfigError
from kagent_engine.server.app import Serving
from kagent_engine.settings import PathMap, Settings

MODEL = {"type": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1"}


def composed(tmp_path: Path, **config: Any) -> Serving:
    read = EngineConfig.model_validate({"model": MODEL, "description": "", "instruction": "Be kind."} | config)
    settings = Settings(name="my-agent", namespace="ns", state_dir=tmp_path, tool_rounds=7)
    return compose(Configuration(read, {"name": "x"}), settings, url="http://here")


async def test_servers_agents_approvals_and_limits_reach_the_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    serving = composed(
        tmp_path,
        http_tools=[{"params": {"url": "http://a/mcp"}, "require_approval": ["drop"]}],
        sse_tools=[{"params": {"url": "http://b/sse"}, "require_approval": ["wipe"]}],
        stdio_tools=[{"command": "serve", "require_approval": ["burn"], "env": {"API_KEY": "sk-of-the-program"}}],
        remote_agents=[{"name": "ns__NS__other", "url": "http://c"}],
    )

    agent = serving.agent
    assert (agent.name, agent.instruction, agent.limits.tool_rounds) == ("my_agent", "Be kind.", 7)
    assert agent.require_approval == {"drop", "wipe", "burn"}
    assert len(agent.sources) == 4
    assert serving.unready() == "a, b, serve"
    assert agent.secrets.hide("it is sk-of-the-program") == "it is [hidden: API_KEY]"
    assert agent.compaction is None
    await agent.aclose()


async def test_compaction_is_as_configured_and_what_is_not_acted_on_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    rules = {
        "compaction_interval": 5,
        "overlap_size": 2,
        "token_threshold": 9,
        "summarizer_model": MODEL | {"model": "s"},
    }
    serving = composed(tmp_path, context_config={"compaction": rules}, share_tools=True)

    assert serving.agent.compaction == CompactionRules(5, 2, 9)
    assert serving.agent.summarizer is not None
    assert "share_tools" in caplog.text
    await serving.agent.aclose()


def test_a_card_keeps_its_address_and_gets_what_both_dialects_insist_on() -> None:
    given = {"name": "x", "url": "http://x.ns:8080", "skills": [{"id": "s", "tags": None}], "provider": {"url": "u"}}
    card = build_card(given, default_url="http://127.0.0.1:1")

    assert card["url"] == "http://x.ns:8080"
    assert {entry["url"] for entry in card["supportedInterfaces"]} == {"http://x.ns:8080"}
    assert card["skills"] == [{"id": "s", "name": "s", "description": "", "tags": []}]
    assert card["provider"] == {"url": "u"}
    assert build_card({"name": "x"}, default_url="http://127.0.0.1:1")["url"] == "http://127.0.0.1:1"


def test_mount_paths_are_found_by_the_longest_prefix() -> None:
    paths = PathMap((("/etc/kagent", "/a"), ("/etc/kagent/headers", "/b")))

    assert paths.resolve("/etc/kagent/headers/x") == Path("/b/x")
    assert paths.resolve("/etc/kagent/x") == Path("/a/x")
    assert paths.resolve("/etc/kagentx") == Path("/etc/kagentx")


async def test_prices_and_models_that_stand_in_reach_the_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    (tmp_path / "prices.json").write_text('{"m": [1, 2]}')
    read = EngineConfig.model_validate(
        {"model": MODEL, "instruction": "", "fallback_models": [MODEL | {"model": "gpt-4o"}, MODEL | {"model": "x"}]}
    )
    settings = Settings(state_dir=tmp_path, prices_file=tmp_path / "prices.json")
    agent = compose(Configuration(read, {"name": "x"}), settings, url="http://here").agent

    assert [model.name for model in agent.fallbacks] == ["gpt-4o", "x"]
    assert set(agent.prices) == {"m", "gpt-4o"}
    assert agent.prices["m"] == Price(1, 2)
    await agent.aclose()

    (tmp_path / "prices.json").write_text('{"m": 3}')
    with pytest.raises(ConfigError, match="KAGENT_TUI_PRICES"):
        compose(Configuration(read, {"name": "x"}), settings, url="http://here")


async def test_keys_and_headers_of_servers_and_agents_are_the_secrets_that_no_tool_may_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "key-of-the-model")
    kept = tmp_path / "header"
    kept.write_text("value-of-the-file")
    headers = {"Authorization": "Bearer plain-value-1", "X-Filed": f"${{file:{kept}}}", "X-Tenant": "tenant-one"}
    serving = composed(
        tmp_path,
        http_tools=[{"params": {"url": "http://a/mcp", "headers": headers}}],
        remote_agents=[{"name": "ns__NS__other", "url": "http://c", "headers": {"X-Api-Key": "other-agents-key"}}],
    )

    shown = serving.agent.secrets.hide("key-of-the-model plain-value-1 value-of-the-file other-agents-key tenant-one")
    assert shown == "[hidden: OPENAI_API_KEY] [hidden: Authorization] [hidden: X-Filed] [hidden: X-Api-Key] tenant-one"
    await serving.agent.aclose()


async def test_memory_without_a_controller_lies_beside_the_sessions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    memory = {"ttl_days": 3, "embedding": {"provider": "openai", "model": "e"}}
    serving = composed(tmp_path, memory=memory)
    assert serving.agent.memory is not None
    assert {"save_memory", "load_memory"} <= {tool.spec.name for tool in serving.agent.own_tools}
    await serving.agent.memory.store.save_memory("ada", "tea", [1.0], 3)
    await serving.agent.aclose()
    (kept,) = tmp_path.rglob("*-memories.db")  # noqa: ASYNC240 - one small folder

    elsewhere = tmp_path / "durable" / "sessions.db"
    elsewhere.parent.mkdir()
    serving = composed(tmp_path, memory=memory, session_db_url=f"sqlite:///{elsewhere}")
    assert serving.agent.memory is not None
    await serving.agent.memory.store.save_memory("ada", "tea", [1.0], 3)
    await serving.agent.aclose()
    assert (elsewhere.with_name("sessions-memories.db").exists(), kept.exists()) == (True, True)
