"""config.json: upstream's bytes reproduced, sloppy input read, header references kept apart from values."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kagent_api.engine_config import (
    AgentTool,
    EngineConfig,
    HeaderFile,
    McpParams,
    McpTools,
    ModelSettings,
    NetworkSettings,
)
from kagent_api.errors import InvalidSpec


def test_upstreams_golden_configurations_are_reproduced_byte_for_byte(shared: Path) -> None:
    files = sorted((shared / "fixtures/translator/outputs").glob("*.json"))
    assert len(files) == 12
    for file in files:
        manifest = json.loads(file.read_text())["manifest"]
        text = next(obj for obj in manifest if obj["kind"] == "Secret")["stringData"]["config.json"]
        assert EngineConfig.from_json(text).to_json() == text, file.name


def test_a_byo_agent_has_a_null_model_and_no_stream() -> None:
    assert EngineConfig(description="d").to_json() == '{"model":null,"description":"d","instruction":""}'


def test_writing_keeps_upstreams_order_and_omissions() -> None:
    config = EngineConfig(
        model=ModelSettings(type="openai", model="m", base_url="", temperature=1.0, headers={"b": "2", "a": "1"}),
        http_tools=(McpTools(params=McpParams(url="http://x/mcp", timeout=30.0)),),
        remote_agents=(AgentTool(name="n", url="u", isolate_sessions=True),),
        stream=False,
        network=NetworkSettings(),
    )
    assert config.to_json() == (
        '{"model":{"type":"openai","model":"m","headers":{"a":"1","b":"2"},"base_url":"","temperature":1},'
        '"description":"","instruction":"","http_tools":[{"params":{"url":"http://x/mcp","headers":{},"timeout":30}}],'
        '"remote_agents":[{"name":"n","url":"u","isolate_sessions":true}],"stream":false,"network":{}}'
    )


def test_characters_that_go_escapes_are_escaped_and_chinese_is_not() -> None:
    text = EngineConfig(instruction="<b>&你好\u2028").to_json()
    assert r"\u003cb\u003e\u0026你好\u2028" in text
    assert json.loads(text)["instruction"] == "<b>&你好\u2028"


def test_reading_is_tolerant_of_nulls_unknown_keys_and_both_tls_spellings() -> None:
    config = EngineConfig.from_json(
        b'{"model":{"type":"openai","model":"m","headers":null,"tls_disable_verify":true,"new":1},'
        b'"http_tools":[{"params":{"url":"u","headers":null},"tools":null,"tls_ca_cert_path":"/ca"}],'
        b'"sse_tools":null,"remote_agents":null,"description":null,"future":{}}'
    )
    assert config.model is not None
    assert config.model.tls_insecure_skip_verify is True
    assert config.model.headers == {}
    assert config.http_tools[0].params.tls_ca_cert_path == "/ca"
    assert config.http_tools[0].tools == ()
    assert config.sse_tools == ()
    assert config.description == ""


def test_a_header_reference_is_told_from_a_plain_value() -> None:
    reference = HeaderFile.named("server-authorization")
    assert str(reference) == "${file:/etc/kagent/headers/server-authorization}"
    assert HeaderFile.parse(str(reference)) == reference
    assert HeaderFile.parse("Bearer ${file:/x}") is None
    assert HeaderFile.parse("plain") is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "no valid JSON"),
        ("[]", "expected an object, found a list"),
        ('{"http_tools":[{"params":{"url":"u","timeout":"soon"}}]}', "http_tools.0.params.timeout"),
        ('{"http_tools":[{"params":{"url":"u","timeout":"soon"}}]}', 'expected a number, found "soon"'),
        ('{"model":{"max_tokens":1.5}}', "expected a whole number, found 1.5"),
        ('{"stream":"maybe"}', 'expected true or false, found "maybe"'),
        ('{"http_tools":"x"}', 'expected a list, found "x"'),
        ('{"model":{"headers":{"Authorization":["s3cret"]}}}', "expected text, found a list"),
        ('{"model":{"headers":{"Authorization":123456}}}', "expected text, found something else"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_name(text: str, words: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        EngineConfig.from_json(text, source="/config/config.json")
    assert words in str(caught.value)
    assert "/config/config.json" in str(caught.value)


def test_a_missing_file_says_which_option_names_its_folder(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec, match="--filepath"):
        EngineConfig.load(tmp_path)
