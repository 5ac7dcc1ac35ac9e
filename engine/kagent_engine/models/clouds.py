"""Builds the models of providers that speak a wire of their own: Anthropic, Google (both ways), Amazon and SAP.

Addresses can be replaced by the variables that the providers' own SDKs read, for gateways and private endpoints.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote

from kagent_api.engine_config import ModelSettings
from kagent_engine.errors import ConfigError
from kagent_engine.models.base import Model
from kagent_engine.models.endpoint import Endpoint
from kagent_engine.models.factory import connect, named
from kagent_engine.settings import PathMap
from kagent_engine.shapes import JsonObject, as_object

__all__ = ["build_cloud"]

_ANTHROPIC_URL: Final = "https://api.anthropic.com"
_ANTHROPIC_VERSION: Final = "2023-06-01"
_GEMINI_URL: Final = "https://generativelanguage.googleapis.com"
_VERTEX_ANTHROPIC_VERSION: Final = "vertex-2023-10-16"
# The Messages API wants a limit. google-adk's, which upstream runs on; the first Claude 3 take no more than half.
_ANSWER_TOKENS: Final = 8192
_FIRST_CLAUDE_3: Final = ("claude-3-haiku", "claude-3-opus", "claude-3-sonnet")


def build_cloud(settings: ModelSettings, env: Mapping[str, str], paths: PathMap) -> Model:
    """Return the model of ``settings``.

    Raises:
        ConfigError: a setting that the provider needs is missing, or the package for its credentials.
        InvalidSpec: the certificate authority cannot be read.
    """
    match settings.type:
        case "anthropic":
            return _anthropic(settings, env, paths)
        case "gemini":
            return _gemini(settings, env, paths)
        case "gemini_vertex_ai":
            return _gemini_on_vertex(settings, env, paths)
        case "gemini_anthropic":
            return _claude_on_vertex(settings, env, paths)
        case "bedrock":
            return _bedrock(settings, env, paths)
        case _:
            return _sap(settings, env, paths)


def _anthropic(settings: ModelSettings, env: Mapping[str, str], paths: PathMap) -> Model:
    from kagent_engine.models.anthropic import AnthropicModel

    base = (settings.base_url or env.get("ANTHROPIC_BASE_URL") or _ANTHROPIC_URL).rstrip("/").removesuffix("/v1")
    endpoint = Endpoint(
        provider="Anthropic", model=named(settings), url=f"{base}/v1/messages",
        api_key=env.get("ANTHROPIC_API_KEY", ""), key_variable="ANTHROPIC_API_KEY", key_header="x-api-key",
        key_required=base == _ANTHROPIC_URL,
        headers={"anthropic-version": _ANTHROPIC_VERSION, **settings.headers},
    )  # fmt: skip
    parameters = {"model": named(settings), **_claude_parameters(settings)}
    return AnthropicModel(connect(endpoint, settings, paths), parameters=parameters)


def _claude_on_vertex(settings: ModelSettings, env: Mapping[str, str], paths: PathMap) -> Model:
    from kagent_engine.models.anthropic import AnthropicModel
    from kagent_engine.models.google_credentials import GoogleCredentials

    provider = "Claude on Vertex AI"
    # Anthropic's SDK counts /v1 to the address that its variable replaces.
    base = env.get("ANTHROPIC_VERTEX_BASE_URL", "").rstrip("/").removesuffix("/v1")
    endpoint = _vertex(settings, env, provider, base, "publishers/anthropic", "streamRawPredict")
    parameters = {"anthropic_version": _VERTEX_ANTHROPIC_VERSION, **_claude_parameters(settings)}
    credentials = GoogleCredentials(provider, _credentials_file(env, paths))
    return AnthropicModel(connect(endpoint, settings, paths), parameters=parameters, token=credentials.token)


def _claude_parameters(settings: ModelSettings) -> JsonObject:
    limit = 4096 if settings.model.startswith(_FIRST_CLAUDE_3) else _ANSWER_TOKENS
    return _given(
        max_tokens=settings.max_tokens or settings.max_output_tokens or limit,
        temperature=settings.temperature, top_p=settings.top_p, top_k=settings.top_k,
        stop_sequences=list(settings.stop_sequences) or None,
    )  # fmt: skip


def _gemini(settings: ModelSettings, env: Mapping[str, str], paths: PathMap) -> Model:
    from kagent_engine.models.gemini import GeminiModel

    base = (settings.base_url or env.get("GOOGLE_GEMINI_BASE_URL") or _GEMINI_URL).rstrip("/")
    model = named(settings).removeprefix("models/")
    endpoint = Endpoint(
        provider="Gemini", model=model, url=f"{base}/v1beta/models/{model}:streamGenerateContent?alt=sse",
        api_key=env.get("GOOGLE_API_KEY") or env.get("GEMINI_API_KEY") or "", key_variable="GOOGLE_API_KEY",
        key_header="x-goog-api-key", key_required=base == _GEMINI_URL, headers=settings.headers,
    )  # fmt: skip
    return GeminiModel(connect(endpoint, settings, paths), generation=_generation(settings))


def _gemini_on_vertex(settings: ModelSettings, env: Mapping[str, str], paths: PathMap) -> Model:
    from kagent_engine.models.gemini import GeminiModel
    from kagent_engine.models.google_credentials import GoogleCredentials

    provider = "Gemini on Vertex AI"
    base = env.get("GOOGLE_VERTEX_BASE_URL", "").rstrip("/")
    endpoint = _vertex(settings, env, provider, base, "publishers/google", "streamGenerateContent?alt=sse")
    credentials = GoogleCredentials(provider, _credentials_file(env, paths))
    return GeminiModel(
        connect(endpoint, settings, paths), generation=_generation(settings), ids=False, token=credentials.token
    )


def _generation(settings: ModelSettings) -> JsonObject:
    return _given(
        temperature=settings.temperature, topP=settings.top_p, topK=settings.top_k,
        maxOutputTokens=settings.max_output_tokens or settings.max_tokens,
        stopSequences=list(settings.stop_sequences) or None,
    )  # fmt: skip


def _vertex(
    settings: ModelSettings, env: Mapping[str, str], provider: str, base: str, publisher: str, method: str
) -> Endpoint:
    project, location = env.get("GOOGLE_CLOUD_PROJECT", ""), env.get("GOOGLE_CLOUD_LOCATION", "")
    for value, name, field in ((project, "PROJECT", "projectID"), (location, "LOCATION", "location")):
        if not value:
            raise ConfigError(
                "environment", f"{provider} needs a Google Cloud {name.lower()}", field=f"GOOGLE_CLOUD_{name}",
                remedy=f"set {field} in the ModelConfig",
            )  # fmt: skip
    url = f"{base or _vertex_url(location)}/v1/projects/{project}/locations/{location}/{publisher}/models/"
    return Endpoint(
        provider=provider, model=named(settings), url=f"{url}{named(settings)}:{method}",
        key_variable="GOOGLE_APPLICATION_CREDENTIALS", key_required=True, headers=settings.headers,
    )  # fmt: skip


def _vertex_url(location: str) -> str:
    if location == "global":
        return "https://aiplatform.googleapis.com"
    if location in ("us", "eu"):
        return f"https://aiplatform.{location}.rep.googleapis.com"
    return f"https://{location}-aiplatform.googleapis.com"


def _credentials_file(env: Mapping[str, str], paths: PathMap) -> Path | None:
    file = env.get("GOOGLE_APPLICATION_CREDENTIALS")
    return paths.resolve(file) if file else None


def _bedrock(settings: ModelSettings, env: Mapping[str, str], paths: PathMap) -> Model:
    from kagent_engine.models.aws_credentials import AwsCredentials
    from kagent_engine.models.bedrock import BedrockModel

    # Upstream falls back on the same region.
    region = settings.region or env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or "us-east-1"
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    base = (
        env.get("AWS_ENDPOINT_URL_BEDROCK_RUNTIME") or env.get("AWS_ENDPOINT_URL")
        or f"https://bedrock-runtime.{region}.{domain}"
    ).rstrip("/")  # fmt: skip
    # Ids of inference profiles and guarded models hold slashes and colons.
    endpoint = Endpoint(
        provider="Bedrock", model=named(settings),
        url=f"{base}/model/{quote(named(settings), safe='')}/converse-stream",
        api_key=env.get("AWS_BEARER_TOKEN_BEDROCK", ""), key_variable="AWS_ACCESS_KEY_ID or AWS_BEARER_TOKEN_BEDROCK",
        headers=settings.headers,
    )  # fmt: skip
    connection = connect(endpoint, settings, paths)
    guardrail = settings.guardrail
    inference = _given(
        maxTokens=settings.max_tokens or settings.max_output_tokens, temperature=settings.temperature,
        topP=settings.top_p, stopSequences=list(settings.stop_sequences) or None,
    )  # fmt: skip
    parameters = _given(
        inferenceConfig=inference or None,
        additionalModelRequestFields=as_object(settings.additional_model_request_fields) or None,
        guardrailConfig=_given(
            guardrailIdentifier=guardrail.identifier, guardrailVersion=guardrail.version, trace=guardrail.trace or None
        ) if guardrail is not None else None,
    )  # fmt: skip
    point = {"type": "default", **({"ttl": "1h"} if settings.cache_ttl == "1h" else {})}
    return BedrockModel(
        connection, AwsCredentials(connection, env, region), region=region, parameters=parameters,
        cache_point=point if settings.prompt_caching else None,
    )  # fmt: skip


def _sap(settings: ModelSettings, env: Mapping[str, str], paths: PathMap) -> Model:
    from kagent_engine.models.sap import SapLogin, SapModel

    base = (settings.base_url or "").rstrip("/").removesuffix("/v2")
    for value, field in ((base, "base_url"), (settings.auth_url, "auth_url")):
        if not value and not (field == "auth_url" and settings.api_key_passthrough):
            raise ConfigError(
                "config.json",
                f"SAP AI Core needs its {field}",
                field=f"model.{field}",
                remedy="set it in the ModelConfig",
            )
    endpoint = Endpoint(
        provider="SAP AI Core", model=named(settings), url=base, key_variable="SAP_AI_CORE_CLIENT_ID",
        key_required=True,
        headers={"AI-Resource-Group": settings.resource_group or "default", **settings.headers},
    )  # fmt: skip
    connection = connect(endpoint, settings, paths)
    login = SapLogin(
        connection, settings.auth_url or "", env.get("SAP_AI_CORE_CLIENT_ID", ""),
        env.get("SAP_AI_CORE_CLIENT_SECRET", ""),
    )  # fmt: skip
    parameters = _given(
        temperature=settings.temperature, top_p=settings.top_p,
        max_tokens=settings.max_tokens or settings.max_output_tokens, frequency_penalty=settings.frequency_penalty,
        presence_penalty=settings.presence_penalty, seed=settings.seed,
        stop=list(settings.stop_sequences) or None,
    )  # fmt: skip
    return SapModel(connection, login, parameters=parameters)


def _given(**values: object) -> JsonObject:
    return {name: value for name, value in values.items() if value is not None}
