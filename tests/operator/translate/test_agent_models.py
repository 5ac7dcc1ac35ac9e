"""Several models in one agent: each has its own key and address, and none sends another one's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kagent_api.engine_config import EngineConfig, chosen_variables
from kagent_api.errors import InvalidSpec, KagentError
from kagent_operator.translate import Profile, Settings, Snapshot, Translation, translate_agent

JsonObject = dict[str, Any]
_ANNOTATION = "kagent-tui.dev/fallback-models"


def _model(name: str, secret: str = "", provider: str = "OpenAI", **spec: Any) -> JsonObject:
    key = {"apiKeySecret": secret, "apiKeySecretKey": "key"} if secret else {}
    metadata = {"name": name, "namespace": "kagent"}
    return {
        "apiVersion": "kagent.dev/v1alpha2",
        "kind": "ModelConfig",
        "metadata": metadata,
        "spec": {"provider": provider, "model": f"{name}-1", **key, **spec},
    }


def _translate(
    models: list[JsonObject], fallbacks: str = "", *, profile: Profile = "kagent-tui", **declarative: Any
) -> Translation:
    agent: JsonObject = {
        "apiVersion": "kagent.dev/v1alpha2",
        "kind": "Agent",
        "metadata": {"name": "a", "namespace": "kagent", "annotations": {_ANNOTATION: fallbacks} if fallbacks else {}},
        "spec": {"declarative": {"systemMessage": "Help.", "modelConfig": "main", **declarative}},
    }
    secrets = [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "kagent"}, "data": {}}
        for name in ("one", "two")
    ]
    return translate_agent(agent, Snapshot([*models, *secrets]), Settings(profile=profile))


def _env(done: Translation) -> dict[str, str]:
    """Return which Secret, or which value, each variable of the models has."""
    deployment = next(obj for obj in done.objects if obj["kind"] == "Deployment")
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    return {
        entry["name"]: entry.get("value") or entry["valueFrom"]["secretKeyRef"]["name"]
        for entry in container["env"]
        if not entry["name"].startswith("KAGENT_")
    }


def _seen(done: Translation, part: JsonObject) -> dict[str, str]:
    """Return the environment as the engine lets one model see it."""
    read = EngineConfig.model_validate({"model": part}).model
    assert read is not None
    seen = chosen_variables(_env(done), read.variables)
    return {name: value for name, value in seen.items() if not name.startswith("MODEL_")}


def test_models_that_stand_in_are_written_in_their_order_each_with_its_own_key() -> None:
    openai = {"organization": "org"}
    models = [
        _model("main", "one", openAI=openai),
        _model("backup", "two", openAI={"baseUrl": "http://b/v1"}),
        _model("last", "one", openAI=openai),
        _model("other", "two", "Anthropic"),
    ]
    done = _translate(models, "backup, last ,other,backup")
    main, backup, last, other = done.config["model"], *done.config["fallback_models"]
    assert [part["model"] for part in (backup, last, other)] == ["backup-1", "last-1", "other-1"]
    assert "variables" not in main
    assert _seen(done, main) == {"OPENAI_API_KEY": "one", "OPENAI_ORGANIZATION": "org", "ANTHROPIC_API_KEY": "two"}
    # Another key, and not the first one's organisation.
    assert _seen(done, backup) == {"OPENAI_API_KEY": "two", "ANTHROPIC_API_KEY": "two"}
    assert "variables" not in last
    assert "variables" not in other


def test_a_model_without_key_is_not_given_that_of_another() -> None:
    done = _translate([_model("main", openAI={"baseUrl": "http://here/v1"}), _model("backup", "two")], "backup")
    assert "OPENAI_API_KEY" not in _seen(done, done.config["model"])
    assert _seen(done, done.config["fallback_models"][0]) == {"OPENAI_API_KEY": "two"}
    done = _translate([_model("main", "one"), _model("backup", openAI={"baseUrl": "http://here/v1"})], "backup")
    assert _seen(done, done.config["fallback_models"][0]) == {}


def test_the_models_of_memory_and_summariser_have_their_own_keys_too() -> None:
    models = [_model("main", "one"), _model("embed", "two"), _model("sum", "two")]
    context = {"compaction": {"summarizer": {"modelConfig": "sum"}}}
    done = _translate(models, memory={"modelConfig": "embed"}, context=context)
    summarizer = done.config["context_config"]["compaction"]["summarizer_model"]
    assert _seen(done, summarizer) == {"OPENAI_API_KEY": "two"}
    assert _env(done)[done.config["memory"]["embedding"]["variables"]["OPENAI_API_KEY"]] == "two"
    upstream = _translate(models, memory={"modelConfig": "embed"}, context=context, profile="upstream")
    assert "variables" not in json.dumps(upstream.config)
    assert _env(upstream) == {"OPENAI_API_KEY": "one"}


def test_what_providers_libraries_read_themselves_cannot_be_two() -> None:
    def bedrock(name: str, secret: str) -> JsonObject:
        return _model(name, secret, "Bedrock", bedrock={"region": "eu-west-1"})

    with pytest.raises(InvalidSpec, match=r"ModelConfig 'backup' needs another AWS_ACCESS_KEY_ID than 'main'"):
        _translate([bedrock("main", "one"), bedrock("backup", "two")], "backup")
    done = _translate([bedrock("main", "one"), bedrock("backup", "one")], "backup")
    assert "variables" not in done.config["fallback_models"][0]

    def vertex(name: str, secret: str) -> JsonObject:
        return _model(name, secret, "GeminiVertexAI", geminiVertexAI={"projectID": name, "location": "l"})

    with pytest.raises(InvalidSpec, match="google-creds"):
        _translate([vertex("main", "one"), vertex("backup", "two")], "backup")
    done = _translate([vertex("main", "one"), vertex("backup", "one")], "backup")
    assert _seen(done, done.config["fallback_models"][0])["GOOGLE_CLOUD_PROJECT"] == "backup"


@pytest.mark.parametrize(
    ("fallbacks", "words"),
    [("main", "'main' cannot stand in for itself"), ("nobody", r"'nobody' not found.*there: 'main'")],
)
def test_a_fallback_that_cannot_be_names_the_annotation(fallbacks: str, words: str) -> None:
    with pytest.raises(KagentError, match=words) as caught:
        _translate([_model("main", "one")], fallbacks)
    assert _ANNOTATION in str(caught.value)


def test_upstreams_engine_is_not_given_what_it_does_not_know_and_that_is_said() -> None:
    done = _translate([_model("main", "one"), _model("backup", "two")], "backup", profile="upstream")
    assert "fallback_models" not in done.config
    assert [_ANNOTATION in warning for warning in done.warnings] == [True]
