from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kagent_api.engine_config import ModelSettings
from kagent_engine.errors import ConfigError, InvalidSpec
from kagent_engine.models.connection import TlsOptions
from kagent_engine.models.factory import build_model
from kagent_engine.settings import PathMap


def settings(**given: Any) -> ModelSettings:
    return ModelSettings.model_validate({"model": "m", **given})


@pytest.mark.parametrize(
    ("given", "field", "says"),
    [
        ({"type": "mystery"}, "model.type", "'mystery' is no provider"),
        ({"type": "openai", "model": ""}, "model.model", "names no model"),
        ({"type": "azure_openai", "api_version": "v"}, "model.endpoint", "AZURE_OPENAI_ENDPOINT"),
        ({"type": "azure_openai", "endpoint": "https://a"}, "model.api_version", "OPENAI_API_VERSION"),
        ({"type": "foundry", "endpoint": "https://a"}, "model.api_version", "FOUNDRY_API_VERSION"),
        ({"type": "gemini_vertex_ai"}, "GOOGLE_CLOUD_PROJECT", "needs a Google Cloud project"),
        ({"type": "gemini_anthropic"}, "GOOGLE_CLOUD_PROJECT", "needs a Google Cloud project"),
        ({"type": "sap_ai_core", "auth_url": "https://a"}, "model.base_url", "SAP AI Core needs its base_url"),
        ({"type": "sap_ai_core", "base_url": "https://a"}, "model.auth_url", "SAP AI Core needs its auth_url"),
        ({"type": "anthropic", "model": ""}, "model.model", "names no model"),
        ({"type": "openai", "base_url": "api.example/v1"}, "model.base_url", "OpenAI is no http or https URL"),
        ({"type": "anthropic", "base_url": "ftp://user:secret@x"}, "model.base_url", "Anthropic is no http or https"),
        ({"type": "foundry", "endpoint": "x", "api_version": "v"}, "model.endpoint", "Foundry is no http or https URL"),
        ({"type": "openai", "token_exchange": {"type": "GDCHServiceAccount"}}, "model.token_exchange", "not supported"),
    ],
)
def test_a_model_that_cannot_be_built_names_field_and_remedy(given: dict[str, Any], field: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        build_model(settings(**given), {})
    assert caught.value.field == field
    assert caught.value.remedy


@pytest.mark.parametrize(
    "url", ["not a url", "http://", "http://[::1", "http://x:port/v1", "http://x:99999", "x.example"]
)
def test_an_address_that_is_none_ends_the_start(url: str) -> None:
    with pytest.raises(ConfigError, match="no http or https URL"):
        build_model(settings(type="openai", base_url=url), {})


def test_an_authority_that_is_missing_is_named_where_it_was_looked_for(tmp_path: Path) -> None:
    paths = PathMap((("/etc/ssl/certs/custom/ca", str(tmp_path)),))
    given = settings(type="openai", tls_ca_cert_path="/etc/ssl/certs/custom/ca/ca.crt")
    with pytest.raises(InvalidSpec, match=str(tmp_path / "ca.crt")):
        build_model(given, {}, paths=paths)


def test_tls_options_become_what_the_client_takes() -> None:
    assert TlsOptions().context() is True
    assert TlsOptions(verify=False).context() is False
    alone = TlsOptions(system_authorities=False).context()
    assert not isinstance(alone, bool)
    assert alone.cert_store_stats()["x509_ca"] == 0


def test_a_missing_google_auth_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> None:
        return None

    monkeypatch.setattr("importlib.util.find_spec", nothing)
    env = {"GOOGLE_CLOUD_PROJECT": "p", "GOOGLE_CLOUD_LOCATION": "global"}
    with pytest.raises(ConfigError, match=r"Gemini on Vertex AI needs google-auth.*kagent-engine\[providers\]"):
        build_model(settings(type="gemini_vertex_ai"), env)
