"""The one door to LiteLLM: Anthropic, Gemini, Claude on Vertex, Bedrock and SAP AI Core.

Importing it costs seconds and 190 MiB, so it happens with the first call, in a thread, and only in an agent whose model
needs it. Its chunks have OpenAI's shape and go through the same reader as our own client's.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from types import ModuleType
from typing import Any, cast

import orjson

from kagent_api.engine_config import ModelSettings
from kagent_engine.errors import ConfigError
from kagent_engine.models.base import ModelError, ModelEvent, ModelRequest
from kagent_engine.models.connection import TlsOptions
from kagent_engine.models.failures import said
from kagent_engine.models.openai_chat import ChatReader
from kagent_engine.models.openai_messages import chat_messages, chat_tools
from kagent_engine.settings import PathMap
from kagent_engine.shapes import JsonObject, as_object

__all__ = ["LiteLLMModel", "build_litellm", "call_arguments"]

# Provider type -> LiteLLM's prefix, the name people know, and the variables its key comes from.
_PROVIDERS = {
    "anthropic": ("anthropic", "Anthropic", "ANTHROPIC_API_KEY"),
    "gemini": ("gemini", "Gemini", "GOOGLE_API_KEY"),
    "gemini_vertex_ai": ("vertex_ai", "Gemini on Vertex AI", "GOOGLE_APPLICATION_CREDENTIALS"),
    "gemini_anthropic": ("vertex_ai", "Claude on Vertex AI", "GOOGLE_APPLICATION_CREDENTIALS"),
    "bedrock": ("bedrock", "Bedrock", "AWS_ACCESS_KEY_ID"),
    "sap_ai_core": ("sap", "SAP AI Core", "SAP_AI_CORE_CLIENT_ID"),
}
_RETRYABLE = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})


def build_litellm(settings: ModelSettings, env: Mapping[str, str], paths: PathMap) -> LiteLLMModel:
    """Return the model of ``settings``.

    Raises:
        ConfigError: LiteLLM is not installed, or a setting is missing.
        InvalidSpec: the certificate authority cannot be read.
    """
    _, provider, key_variable = _PROVIDERS[settings.type]
    if importlib.util.find_spec("litellm") is None:
        raise ConfigError(
            "config.json", f"{provider} needs LiteLLM, which is not installed", field="model.type",
            remedy="pip install 'kagent-engine[providers]'",
        )  # fmt: skip
    if not settings.model:
        raise ConfigError(
            "config.json", "names no model", field="model.model", remedy="set the ModelConfig's spec.model"
        )
    authority = paths.resolve(settings.tls_ca_cert_path) if settings.tls_ca_cert_path else None
    tls = TlsOptions(not settings.tls_insecure_skip_verify, authority, not settings.tls_disable_system_cas)
    return LiteLLMModel(
        settings.model, provider=provider, key_variable=key_variable, arguments=call_arguments(settings, env),
        verify=tls.context(),
    )  # fmt: skip


class LiteLLMModel:
    """A model reached through ``litellm.acompletion``; ``arguments`` are its keyword arguments."""

    def __init__(
        self, name: str, *, provider: str, key_variable: str, arguments: Mapping[str, Any],
        verify: ssl.SSLContext | bool = True,
    ) -> None:  # fmt: skip
        self.name = name
        self._provider = provider
        self._key_variable = key_variable
        self._arguments = dict(arguments)
        self._verify = verify
        self._module: ModuleType | None = None
        self._loading = asyncio.Lock()

    async def warm(self) -> None:
        """Import LiteLLM now, so that the first turn need not wait for it; worth calling once the card is served."""
        await self._litellm()

    async def aclose(self) -> None:
        if self._module is not None:
            await self._module.close_litellm_async_clients()

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """Yield what the model answers; see ``base.Model``."""
        litellm = await self._litellm()
        arguments: JsonObject = {
            **self._arguments, "messages": chat_messages(request.messages), "stream": True,
            "stream_options": {"include_usage": True},
        }  # fmt: skip
        if request.tools:
            arguments["tools"] = chat_tools(request.tools)
        if request.api_key:
            arguments["api_key"] = request.api_key
        reader = ChatReader()
        # What its providers' own SDKs raise before LiteLLM wraps it: missing credentials, packages and files.
        failures = (litellm.exceptions.openai.OpenAIError, ValueError, TypeError, OSError, RuntimeError, ImportError)
        try:
            async for chunk in await litellm.acompletion(**arguments):
                for event in reader.feed(cast("JsonObject", chunk.model_dump())):
                    yield event
        except failures as error:
            raise self._error(error) from error
        for event in reader.end():
            yield event

    async def _litellm(self) -> Any:  # the module: half of its functions have no types
        async with self._loading:
            if self._module is None:
                self._module = await asyncio.to_thread(_load)
                if self._verify is not True:
                    vars(self._module)["ssl_verify"] = self._verify
            return self._module

    def _error(self, error: Exception) -> ModelError:
        status = getattr(error, "status_code", 0)
        status = status if isinstance(status, int) else 0
        message = _words(str(getattr(error, "message", "") or error))
        remedy = ""
        if status in (401, 403):
            remedy = f"check the ModelConfig's apiKeySecret ({self._key_variable})"
        elif status == 404:
            remedy = "check the model name of the ModelConfig"
        elif isinstance(error, ImportError):
            remedy = "install the package that the provider needs beside kagent-engine[providers]"
        return ModelError(
            f"{self._provider} model {self.name!r}: {message[:500]}", status=status, code=type(error).__name__,
            retryable=status in _RETRYABLE, remedy=remedy,
        )  # fmt: skip


def _words(message: str) -> str:
    """Return the provider's own message where LiteLLM quotes its answer as JSON, else LiteLLM's."""
    begin, end = message.find("{"), message.rfind("}")
    inner = said(message[begin : end + 1].encode())[0] if 0 <= begin < end else ""
    return inner or message.strip().removeprefix("litellm.")


def call_arguments(settings: ModelSettings, env: Mapping[str, str]) -> JsonObject:
    """Return the keyword arguments of ``litellm.acompletion`` that a ModelConfig amounts to."""
    prefix, _, key_variable = _PROVIDERS[settings.type]
    given: JsonObject = {
        "model": f"{prefix}/{settings.model}",
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "top_k": settings.top_k,
        "max_tokens": settings.max_output_tokens or settings.max_tokens,
        "timeout": settings.timeout,
        "stop": list(settings.stop_sequences) or None,
        "extra_headers": dict(settings.headers) or None,
    }
    match settings.type:
        case "anthropic":
            given |= {"api_base": settings.base_url, "api_key": env.get(key_variable)}
        case "gemini":
            given["api_key"] = env.get("GOOGLE_API_KEY") or env.get("GEMINI_API_KEY")
        case "gemini_vertex_ai" | "gemini_anthropic":
            given |= {
                "vertex_project": env.get("GOOGLE_CLOUD_PROJECT"),
                "vertex_location": env.get("GOOGLE_CLOUD_LOCATION"),
            }
        case "bedrock":
            given |= _bedrock(settings, env)
        case "sap_ai_core":
            given |= _sap(settings, env)
        case _:
            pass
    return {name: value for name, value in given.items() if value is not None and value != ""}


def _bedrock(settings: ModelSettings, env: Mapping[str, str]) -> JsonObject:
    extra: JsonObject = {}
    # LiteLLM passes keywords it does not know as additionalModelRequestFields.
    extra |= as_object(settings.additional_model_request_fields)
    extra["aws_region_name"] = settings.region or env.get("AWS_REGION")
    if settings.prompt_caching:
        control = {"type": "ephemeral", **({"ttl": settings.cache_ttl} if settings.cache_ttl else {})}
        extra["cache_control_injection_points"] = [
            {"location": "message", "role": "system", "control": control},
            {"location": "message", "index": -1, "control": control},
        ]
    if settings.guardrail is not None:
        guardrail = settings.guardrail
        extra["guardrailConfig"] = {
            "guardrailIdentifier": guardrail.identifier, "guardrailVersion": guardrail.version,
            **({"trace": guardrail.trace} if guardrail.trace else {}),
        }  # fmt: skip
    if settings.read_timeout or settings.connect_timeout:
        import httpx

        extra["timeout"] = httpx.Timeout(settings.read_timeout or 600.0, connect=settings.connect_timeout or 15.0)
    return extra


def _sap(settings: ModelSettings, env: Mapping[str, str]) -> JsonObject:
    """LiteLLM's SAP provider takes all its credentials as one service key, in the place of an API key."""
    service_key = {
        "clientid": env.get("SAP_AI_CORE_CLIENT_ID", ""),
        "clientsecret": env.get("SAP_AI_CORE_CLIENT_SECRET", ""),
        "url": settings.auth_url or "",
        "serviceurls": {"AI_API_URL": settings.base_url or ""},
        "resource_group": settings.resource_group or "default",
    }
    return {"api_key": orjson.dumps(service_key).decode()}


def _load() -> ModuleType:
    # Before the import: LiteLLM fetches a price list while it is imported, and retries for seconds when offline.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm

    litellm.telemetry = False
    litellm.suppress_debug_info = True
    return litellm
