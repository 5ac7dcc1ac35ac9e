"""Builds the model that a config.json asks for. Providers' defaults and environment variables are known here and in
``clouds`` alone.

Variables are those that upstream's controller sets. A provider with a wire of its own is imported only when asked for.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlencode, urlsplit

from kagent_api.engine_config import ModelSettings, chosen_variables
from kagent_engine.errors import ConfigError
from kagent_engine.models.base import Model
from kagent_engine.models.connection import Connection, TlsOptions
from kagent_engine.models.endpoint import Endpoint
from kagent_engine.models.ollama import OllamaModel
from kagent_engine.models.openai import OpenAIModel
from kagent_engine.settings import PathMap, Settings

__all__ = ["build_model", "connect", "named"]

_log = logging.getLogger(__name__)

_OPENAI_URL = "https://api.openai.com/v1"
_OLLAMA_URL = "http://localhost:11434"
_CHAT_PARAMETERS = (
    "temperature", "top_p", "max_tokens", "max_completion_tokens", "frequency_penalty", "presence_penalty", "seed", "n",
    "reasoning_effort",
)  # fmt: skip
# What chat completions take and the responses API does not.
_CHAT_ONLY = ("frequency_penalty", "presence_penalty", "seed", "n")


def build_model(
    settings: ModelSettings, env: Mapping[str, str] | None = None, *, paths: PathMap | None = None
) -> Model:
    """Return the model of ``settings``; ``paths`` (default: of the environment) says where mounts lie.

    Raises:
        ConfigError: the provider is unknown, or a setting that it needs is missing.
        InvalidSpec: the certificate authority cannot be read.
    """
    env = os.environ if env is None else env
    paths = Settings.from_environ(env).paths if paths is None else paths
    if settings.variables:
        env = chosen_variables(env, settings.variables)
    match settings.type:
        case "openai":
            return _openai(settings, env, paths)
        case "azure_openai":
            return _azure(settings, env, paths, "Azure OpenAI", "AZURE_OPENAI")
        case "foundry":
            return _azure(settings, env, paths, "Foundry", "FOUNDRY")
        case "ollama":
            return _ollama(settings, env, paths)
        case "anthropic" | "gemini" | "gemini_vertex_ai" | "gemini_anthropic" | "bedrock" | "sap_ai_core":
            from kagent_engine.models.clouds import build_cloud

            return build_cloud(settings, env, paths)
        case other:
            raise ConfigError(
                "config.json", f"{other!r} is no provider this engine knows", field="model.type",
                remedy="openai, azure_openai, anthropic, gemini, gemini_vertex_ai, gemini_anthropic, ollama, bedrock, "
                "sap_ai_core and foundry are",
            )  # fmt: skip


def _openai(settings: ModelSettings, env: Mapping[str, str], paths: PathMap) -> Model:
    if settings.token_exchange is not None:
        raise ConfigError(
            "config.json", "exchanging a GDCH service account for a token is not supported by this engine",
            field="model.token_exchange", remedy="use an apiKeySecret, or annotate kagent-tui.dev/engine: upstream",
        )  # fmt: skip
    responses = settings.api_format == "responses"
    base = (settings.base_url or env.get("OPENAI_BASE_URL") or _OPENAI_URL).rstrip("/")
    headers = dict(settings.headers)
    if organization := env.get("OPENAI_ORGANIZATION"):
        headers.setdefault("OpenAI-Organization", organization)
    endpoint = Endpoint(
        provider="OpenAI", model=named(settings), url=f"{base}/{'responses' if responses else 'chat/completions'}",
        api_key=env.get("OPENAI_API_KEY", ""), key_variable="OPENAI_API_KEY", key_required=base == _OPENAI_URL,
        headers=headers,
    )  # fmt: skip
    return OpenAIModel(
        connect(endpoint, settings, paths),
        api="responses" if responses else "chat",
        parameters=_responses_parameters(settings) if responses else _chat_parameters(settings),
    )


def _azure(settings: ModelSettings, env: Mapping[str, str], paths: PathMap, provider: str, prefix: str) -> Model:
    deployment = settings.deployment or env.get(f"{prefix}_DEPLOYMENT") or settings.model
    base = (settings.endpoint or env.get(f"{prefix}_ENDPOINT") or "").rstrip("/")
    version_variable = "OPENAI_API_VERSION" if prefix == "AZURE_OPENAI" else f"{prefix}_API_VERSION"
    version = settings.api_version or env.get(version_variable) or ""
    if not base:
        raise ConfigError(
            "config.json", f"{provider} needs an endpoint", field="model.endpoint",
            remedy=f"set it in the ModelConfig, or {prefix}_ENDPOINT in the environment",
        )  # fmt: skip
    # Three forms of the same service: the versionless API, Foundry's model inference, and deployments of one's own.
    if base.endswith("/openai/v1"):
        url = f"{base}/chat/completions"
    elif base.endswith("/models"):
        url = f"{base}/chat/completions?{urlencode({'api-version': version})}"
    else:
        url = f"{base}/openai/deployments/{deployment}/chat/completions?{urlencode({'api-version': version})}"
    if not version and not base.endswith("/openai/v1"):
        raise ConfigError(
            "config.json", f"{provider} needs an API version", field="model.api_version",
            remedy=f"set apiVersion in the ModelConfig, or {version_variable} in the environment",
        )  # fmt: skip
    key, directory_token = env.get(f"{prefix}_API_KEY", ""), env.get("AZURE_AD_TOKEN", "")
    bearer = not key and bool(directory_token) and prefix == "AZURE_OPENAI"
    endpoint = Endpoint(
        provider=provider, model=deployment, url=url, api_key=directory_token if bearer else key,
        key_variable=f"{prefix}_API_KEY", key_header="Authorization" if bearer else "api-key", key_required=True,
        headers=settings.headers,
    )  # fmt: skip
    return OpenAIModel(connect(endpoint, settings, paths), parameters=_chat_parameters(settings))


def _ollama(settings: ModelSettings, env: Mapping[str, str], paths: PathMap) -> Model:
    base = (settings.base_url or env.get("OLLAMA_API_BASE") or _OLLAMA_URL).rstrip("/").removesuffix("/v1")
    if "://" not in base:
        base = f"http://{base}"
    endpoint = Endpoint(
        provider="Ollama", model=named(settings), url=f"{base}/api/chat", api_key=env.get("OLLAMA_API_KEY", ""),
        key_variable="OLLAMA_API_KEY", headers=settings.headers,
    )  # fmt: skip
    return OllamaModel(connect(endpoint, settings, paths), options=settings.options)


def connect(endpoint: Endpoint, settings: ModelSettings, paths: PathMap) -> Connection:
    """Return the connection to ``endpoint`` with the TLS options and timeouts of ``settings``.

    Raises:
        ConfigError: its address is none.
        InvalidSpec: the certificate authority cannot be read.
    """
    if not _is_address(endpoint.url):
        # What a gateway's address may hold, a password for instance, is not repeated.
        raise ConfigError(
            "config.json", f"the address of {endpoint.provider} is no http or https URL",
            field="model.endpoint" if settings.endpoint else "model.base_url",
            remedy="correct it in the ModelConfig, or the variable that names it",
        )  # fmt: skip
    authority = paths.resolve(settings.tls_ca_cert_path) if settings.tls_ca_cert_path else None
    tls = TlsOptions(
        verify=not settings.tls_insecure_skip_verify, authority=authority,
        system_authorities=not settings.tls_disable_system_cas,
    )  # fmt: skip
    timeout = settings.timeout or settings.read_timeout
    endpoint = replace(endpoint, callers_key=bool(settings.api_key_passthrough))
    return Connection(endpoint, tls=tls, timeout=timeout, connect_timeout=settings.connect_timeout)


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        # Reading the port checks it.
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and " " not in url
    except ValueError:
        return False


def _chat_parameters(settings: ModelSettings) -> dict[str, object]:
    given = {name: getattr(settings, name) for name in _CHAT_PARAMETERS}
    return {name: value for name, value in given.items() if value is not None}


def _responses_parameters(settings: ModelSettings) -> dict[str, object]:
    ignored = [name for name in _CHAT_ONLY if getattr(settings, name) is not None]
    if ignored:
        _log.warning("the responses API takes no %s; they are not sent", ", ".join(ignored))
    given = {
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "max_output_tokens": settings.max_completion_tokens or settings.max_tokens,
        "reasoning": {"effort": settings.reasoning_effort} if settings.reasoning_effort else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def named(settings: ModelSettings) -> str:
    """Return the model's name.

    Raises:
        ConfigError: there is none.
    """
    if not settings.model:
        raise ConfigError(
            "config.json", "names no model", field="model.model", remedy="set spec.model of the ModelConfig"
        )
    return settings.model
