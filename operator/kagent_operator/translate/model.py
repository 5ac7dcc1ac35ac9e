"""ModelConfig -> the engine's model object, and the env, volumes and mounts its Pod needs.

One function per provider, as each takes its settings from another block and its key from another variable. Never reads
a secret's value; only Bedrock looks which keys a Secret has.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from kagent_api.errors import InvalidSpec, ObjectRef
from kagent_operator.errors import MissingReference
from kagent_operator.translate.fields import (
    JsonObject,
    flag,
    integer,
    mapping,
    name_of,
    namespace_of,
    quoted,
    secret_values,
    section,
    string_map,
    strings,
    text,
)
from kagent_operator.translate.go_json import sorted_map
from kagent_operator.translate.settings import Profile
from kagent_operator.translate.world import World

__all__ = ["ModelPart", "PodPart", "embedding", "find_model_config", "tls_fields", "tls_pod_part", "translate_model"]

# The spec block of each provider; those in _REQUIRED cannot do without it.
_BLOCKS: Final = {
    "OpenAI": "openAI", "Anthropic": "anthropic", "AzureOpenAI": "azureOpenAI", "Ollama": "ollama", "Gemini": "gemini",
    "GeminiVertexAI": "geminiVertexAI", "AnthropicVertexAI": "anthropicVertexAI", "Bedrock": "bedrock",
    "SAPAICore": "sapAICore", "Foundry": "foundry",
}  # fmt: skip
_REQUIRED = {"AzureOpenAI", "GeminiVertexAI", "AnthropicVertexAI", "Ollama", "Bedrock", "SAPAICore", "Foundry"}
_READABLE_BY_ALL = 0o444  # engines run as any user
_DNS_LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")


@dataclass(frozen=True)
class PodPart:
    """What something adds to the agent's Pod."""

    env: list[JsonObject] = field(default_factory=list[JsonObject])
    volumes: list[JsonObject] = field(default_factory=list[JsonObject])
    mounts: list[JsonObject] = field(default_factory=list[JsonObject])

    def merged(self, other: PodPart) -> PodPart:
        """Return both, the first of equal names winning (mounts: of equal name and path)."""
        return PodPart(
            _unique([*self.env, *other.env], "name"),
            _unique([*self.volumes, *other.volumes], "name"),
            _unique([*self.mounts, *other.mounts], "name", "mountPath"),
        )


@dataclass(frozen=True)
class ModelPart:
    """A translated ModelConfig."""

    name: str
    config: JsonObject
    pod: PodPart
    secret_hash: str
    warnings: tuple[str, ...] = ()


def _unique(entries: list[JsonObject], *keys: str) -> list[JsonObject]:
    seen: dict[tuple[str, ...], JsonObject] = {}
    for entry in entries:
        seen.setdefault(tuple(text(entry, key) for key in keys), entry)
    return list(seen.values())


def find_model_config(world: World, namespace: str, name: str, *, owner: ObjectRef, field_path: str) -> JsonObject:
    """Return a ModelConfig of the agent's own namespace.

    Raises MissingReference that names what was tried and what is there.
    """
    found = world.get("ModelConfig", namespace, name)
    if found is None:
        there = quoted(world.names("ModelConfig", namespace))
        raise MissingReference(
            f"ModelConfig '{name}' not found in namespace '{namespace}' (there: {there})",
            ref=owner,
            field=field_path,
            remedy="create it or name another one",
        )
    return found


def translate_model(model_config: JsonObject, world: World, profile: Profile = "kagent-tui") -> ModelPart:
    """Translate one ModelConfig for an engine.

    Raises InvalidSpec for an unknown provider or a missing provider block, MissingReference for objects not there.
    """
    spec = mapping(model_config, "spec")
    provider = text(spec, "provider") or "OpenAI"
    ref = ObjectRef("ModelConfig", namespace_of(model_config), name_of(model_config))
    translate = _PROVIDERS.get(provider)
    if translate is None:
        raise InvalidSpec(
            f"unknown provider {provider!r} (known: {quoted(list(_PROVIDERS))})", ref=ref, field="spec.provider"
        )
    block = section(spec, _BLOCKS[provider])
    if block is None and provider in _REQUIRED:
        raise InvalidSpec(
            f"provider {provider} needs the block spec.{_BLOCKS[provider]}", ref=ref, field=f"spec.{_BLOCKS[provider]}"
        )
    request = _Request(spec, block or {}, ref, world, profile)
    kind, extra, pod = translate(request)
    config: JsonObject = {"type": kind, "model": text(spec, "model")}
    if kind == "azure_openai":
        config["model"] = text(spec, "azureOpenAI", "azureDeployment")
    if headers := string_map(spec, "defaultHeaders"):
        config["headers"] = sorted_map(headers)
    tls = section(spec, "tls")
    config.update(tls_fields(tls))
    if flag(spec, "apiKeyPassthrough") and provider != "Gemini":
        config["api_key_passthrough"] = True
    config.update({key: value for key, value in extra.items() if value is not None})
    return ModelPart(
        name_of(model_config),
        config,
        tls_pod_part(tls).merged(pod) if tls else pod,
        text(model_config, "status", "secretHash"),
        tuple(request.warnings),
    )


@dataclass
class _Request:
    spec: JsonObject
    block: JsonObject
    ref: ObjectRef
    world: World
    profile: Profile
    warnings: list[str] = field(default_factory=list[str])

    def number(self, key: str) -> float | None:
        """Return a setting that the CRD holds as text. One that is no number is left out (upstream), with a warning."""
        value = text(self.block, key)
        if not value:
            return None
        try:
            return float(value)
        except ValueError:
            self.warnings.append(f"{self.ref}: {key} is no number: {value!r} is ignored")
            return None

    def whole(self, key: str) -> int | None:
        return integer(self.block, key) or None

    def text(self, key: str) -> str | None:
        return text(self.block, key) or None

    def key_env(self, variable: str, *, always: bool = False) -> list[JsonObject]:
        secret, key = text(self.spec, "apiKeySecret"), text(self.spec, "apiKeySecretKey")
        if not always and (not secret or flag(self.spec, "apiKeyPassthrough")):
            return []
        return [_secret_env(variable, secret, key)]

    def secret_keys(self) -> set[str]:
        """Return the keys of the API-key Secret; which of them are there decides on the variables."""
        name = text(self.spec, "apiKeySecret")
        if not name:
            return set()
        secret = self.world.get("Secret", self.ref.namespace, name)
        if secret is None:
            raise MissingReference(
                f"Secret '{name}' not found in namespace '{self.ref.namespace}'",
                ref=self.ref,
                field="spec.apiKeySecret",
                remedy="create it or name another one",
            )
        return set(secret_values(secret))


_Translated = tuple[str, JsonObject, PodPart]


def _secret_env(variable: str, secret: str, key: str) -> JsonObject:
    return {"name": variable, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def _plain_env(variable: str, value: str) -> JsonObject:
    return {"name": variable, "value": value}


def _openai(r: _Request) -> _Translated:
    extra: JsonObject = {
        "base_url": text(r.block, "baseUrl"),
        "frequency_penalty": r.number("frequencyPenalty"),
        "max_tokens": r.whole("maxTokens"),
        "max_completion_tokens": r.whole("maxCompletionTokens"),
        "n": integer(r.block, "n"),
        "presence_penalty": r.number("presencePenalty"),
        "reasoning_effort": r.text("reasoningEffort"),
        "seed": integer(r.block, "seed"),
        "temperature": r.number("temperature"),
        "timeout": integer(r.block, "timeout"),
        "top_p": r.number("topP"),
        "api_format": r.text("apiFormat"),
    }
    volumes: list[JsonObject] = []
    mounts: list[JsonObject] = []
    exchange = section(r.block, "tokenExchange")
    if exchange is None:
        env = r.key_env("OPENAI_API_KEY")
    else:
        env = []
        key = text(r.spec, "apiKeySecretKey")
        extra["token_exchange"] = {
            "type": text(exchange, "type"),
            "gdch_service_account": {
                "service_account_path": f"/gdch-creds/{key}",
                "audience": text(exchange, "gdchServiceAccount", "audience"),
            },
        }
        secret = {"secretName": text(r.spec, "apiKeySecret"), "defaultMode": _READABLE_BY_ALL}
        volumes.append({"name": "gdch-creds", "secret": secret})
        mounts.append({"name": "gdch-creds", "mountPath": "/gdch-creds", "readOnly": True})
    if organization := text(r.block, "organization"):
        env.append(_plain_env("OPENAI_ORGANIZATION", organization))
    return "openai", extra, PodPart(env, volumes, mounts)


def _anthropic(r: _Request) -> _Translated:
    extra: JsonObject = {
        "base_url": r.text("baseUrl"),
        "max_tokens": r.whole("maxTokens"),
        "temperature": r.number("temperature"),
        "top_p": r.number("topP"),
        "top_k": r.whole("topK"),
    }
    return "anthropic", extra, PodPart(r.key_env("ANTHROPIC_API_KEY"))


def _azure(r: _Request) -> _Translated:
    env = r.key_env("AZURE_OPENAI_API_KEY")
    for variable, key in (
        ("AZURE_AD_TOKEN", "azureAdToken"),
        ("OPENAI_API_VERSION", "apiVersion"),
        ("AZURE_OPENAI_ENDPOINT", "azureEndpoint"),
    ):
        if value := text(r.block, key):
            env.append(_plain_env(variable, value))
    extra: JsonObject = {
        "endpoint": r.text("azureEndpoint"),
        "deployment": r.text("azureDeployment"),
        "api_version": r.text("apiVersion"),
        "max_tokens": r.whole("maxTokens"),
        "temperature": r.number("temperature"),
        "top_p": r.number("topP"),
    }
    return "azure_openai", extra, PodPart(env)


def _vertex_pod_part(r: _Request, *, use_vertex: bool) -> PodPart:
    env = [
        _plain_env("GOOGLE_CLOUD_PROJECT", text(r.block, "projectID")),
        _plain_env("GOOGLE_CLOUD_LOCATION", text(r.block, "location")),
    ]
    if use_vertex:
        env.append(_plain_env("GOOGLE_GENAI_USE_VERTEXAI", "true"))
    secret = text(r.spec, "apiKeySecret")
    if not secret:
        return PodPart(env)
    env.append(_plain_env("GOOGLE_APPLICATION_CREDENTIALS", f"/creds/{text(r.spec, 'apiKeySecretKey')}"))
    return PodPart(
        env,
        [{"name": "google-creds", "secret": {"secretName": secret}}],
        [{"name": "google-creds", "mountPath": "/creds"}],
    )


def _vertex_settings(r: _Request) -> JsonObject:
    """Return the settings of a model on Vertex AI that upstream's controller leaves out."""
    if r.profile == "upstream":
        return {}
    top_k = r.number("topK")
    return {
        "temperature": r.number("temperature"),
        "top_p": r.number("topP"),
        "top_k": None if top_k is None else int(top_k),
        "stop_sequences": strings(r.block, "stopSequences") or None,
    }


def _gemini_vertex(r: _Request) -> _Translated:
    extra: JsonObject = {"max_output_tokens": r.whole("maxOutputTokens"), **_vertex_settings(r)}
    return "gemini_vertex_ai", extra, _vertex_pod_part(r, use_vertex=True)


def _anthropic_vertex(r: _Request) -> _Translated:
    extra = {"max_tokens": r.whole("maxTokens"), **_vertex_settings(r)} if r.profile == "kagent-tui" else {}
    return "gemini_anthropic", extra, _vertex_pod_part(r, use_vertex=False)


def _ollama(r: _Request) -> _Translated:
    host = text(r.block, "host")
    if host and "://" not in host:
        host = f"http://{host}"
    options = string_map(r.block, "options")
    env = [_plain_env("OLLAMA_API_BASE", host)] if host else []
    return "ollama", {"options": sorted_map(options) if options else None}, PodPart(env)


def _gemini(r: _Request) -> _Translated:
    extra: JsonObject = {"max_output_tokens": r.whole("maxOutputTokens")}
    # Upstream names the variable even without a Secret, a Deployment that no API server takes.
    env = r.key_env("GOOGLE_API_KEY", always=r.profile == "upstream")
    return "gemini", extra, PodPart(env)


def _bedrock(r: _Request) -> _Translated:
    env = [_plain_env("AWS_REGION", text(r.block, "region"))]
    secret = text(r.spec, "apiKeySecret")
    if secret and not flag(r.spec, "apiKeyPassthrough"):
        keys = r.secret_keys()
        if "AWS_BEARER_TOKEN_BEDROCK" in keys:
            wanted = ["AWS_BEARER_TOKEN_BEDROCK"]
        else:
            wanted = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]
            wanted += ["AWS_SESSION_TOKEN"] if "AWS_SESSION_TOKEN" in keys else []
        env += [_secret_env(key, secret, key) for key in wanted]
    guardrail = section(r.block, "guardrail")
    guard: JsonObject | None = None
    if guardrail is not None:
        guard = {"identifier": text(guardrail, "identifier"), "version": text(guardrail, "version")}
        if trace := text(guardrail, "trace"):
            guard["trace"] = trace
    extra: JsonObject = {
        "region": r.text("region"),
        "additional_model_request_fields": r.block.get("additionalModelRequestFields"),
        "prompt_caching": flag(r.block, "promptCaching") or None,
        "cache_ttl": r.text("cacheTTL"),
        "guardrail": guard,
        "read_timeout": r.whole("readTimeout"),
        "connect_timeout": r.whole("connectTimeout"),
    }
    return "bedrock", extra, PodPart(env)


def _sap(r: _Request) -> _Translated:
    env: list[JsonObject] = []
    secret = text(r.spec, "apiKeySecret")
    if secret:
        r.secret_keys()
        env = [
            _secret_env("SAP_AI_CORE_CLIENT_ID", secret, "client_id"),
            _secret_env("SAP_AI_CORE_CLIENT_SECRET", secret, "client_secret"),
        ]
    extra: JsonObject = {
        "base_url": text(r.block, "baseUrl"),
        "resource_group": r.text("resourceGroup"),
        "auth_url": r.text("authUrl"),
    }
    return "sap_ai_core", extra, PodPart(env)


def _foundry_endpoint(model_config: JsonObject, world: World) -> str:
    """Return a Foundry endpoint, read from its ConfigMap when the spec says so.

    Raises MissingReference when the ConfigMap or its key is not there and not optional.
    """
    block = mapping(model_config, "spec", "foundry")
    source = section(block, "endpointFrom")
    if source is None:
        return text(block, "endpoint")
    namespace, name, key = namespace_of(model_config), text(source, "name"), text(source, "key")
    config_map = world.get("ConfigMap", namespace, name)
    values = string_map(config_map, "data")
    if key in values:
        return values[key]
    if flag(source, "optional"):
        return ""
    problem = (
        f"ConfigMap '{name}' not found in namespace '{namespace}'"
        if config_map is None
        else f"ConfigMap '{name}' has no key '{key}' (it has: {quoted(sorted(values))})"
    )
    ref = ObjectRef("ModelConfig", namespace, name_of(model_config))
    raise MissingReference(problem, ref=ref, field="spec.foundry.endpointFrom")


def _foundry(r: _Request) -> _Translated:
    model_config: JsonObject = {"metadata": {"namespace": r.ref.namespace, "name": r.ref.name}, "spec": r.spec}
    endpoint = _foundry_endpoint(model_config, r.world)
    env = r.key_env("FOUNDRY_API_KEY")
    extra: JsonObject = {
        "endpoint": endpoint,
        "deployment": text(r.block, "deployment"),
        "api_version": text(r.block, "apiVersion"),
    }
    env += [
        _plain_env("FOUNDRY_ENDPOINT", endpoint),
        _plain_env("FOUNDRY_DEPLOYMENT", text(r.block, "deployment")),
        _plain_env("FOUNDRY_API_VERSION", text(r.block, "apiVersion")),
    ]
    return "foundry", extra, PodPart(env)


_PROVIDERS: Final[dict[str, Callable[[_Request], _Translated]]] = {
    "OpenAI": _openai,
    "Anthropic": _anthropic,
    "AzureOpenAI": _azure,
    "Ollama": _ollama,
    "Gemini": _gemini,
    "GeminiVertexAI": _gemini_vertex,
    "AnthropicVertexAI": _anthropic_vertex,
    "Bedrock": _bedrock,
    "SAPAICore": _sap,
    "Foundry": _foundry,
}


def tls_fields(tls: JsonObject | None) -> JsonObject:
    """Return the TLS keys of a model or a tool server, none when the block says nothing."""
    if tls is None or not (flag(tls, "disableVerify") or flag(tls, "disableSystemCAs") or text(tls, "caCertSecretRef")):
        return {}
    fields: JsonObject = {"tls_insecure_skip_verify": flag(tls, "disableVerify")}
    secret, key = text(tls, "caCertSecretRef"), text(tls, "caCertSecretKey")
    if secret and key:
        fields["tls_ca_cert_path"] = f"{_ca_directory(secret)}/{key}"
    fields["tls_disable_system_cas"] = flag(tls, "disableSystemCAs")
    return fields


def tls_pod_part(tls: JsonObject | None) -> PodPart:
    """Return the volume and mount of a CA Secret."""
    secret = text(tls, "caCertSecretRef")
    if not secret or not text(tls, "caCertSecretKey"):
        return PodPart()
    volume = f"tls-ca-{_short(secret)}"
    return PodPart(
        volumes=[{"name": volume, "secret": {"secretName": secret, "defaultMode": _READABLE_BY_ALL}}],
        mounts=[{"name": volume, "mountPath": _ca_directory(secret), "readOnly": True}],
    )


def _ca_directory(secret: str) -> str:
    return f"/etc/ssl/certs/custom/{_short(secret)}"


def _short(secret: str) -> str:
    if _DNS_LABEL.match(f"tls-ca-{secret}"):
        return secret
    return hashlib.sha256(secret.encode()).hexdigest()[:8]


def embedding(part: ModelPart) -> JsonObject:
    """Return what memory needs of an embedding model."""
    model = part.config
    kind = text(model, "type")
    result: JsonObject = {"provider": kind, "model": text(model, "model")}
    if kind in {"openai", "anthropic", "sap_ai_core"} and text(model, "base_url"):
        result["base_url"] = text(model, "base_url")
    if kind in {"openai", "azure_openai", "foundry"} and flag(model, "api_key_passthrough"):
        result["api_key_passthrough"] = True
    if kind in {"azure_openai", "foundry"}:
        result.update({key: text(model, key) for key in ("endpoint", "deployment", "api_version") if text(model, key)})
    if "variables" in model:
        result["variables"] = model["variables"]
    return result
