"""ModelConfig and ModelProviderConfig of kagent.dev/v1alpha2: which model, where, with whose key."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from kagent_api.meta import Resource, Status
from kagent_api.references import TLSConfig
from kagent_api.schema import FREE_FORM, Rule, Shape, crd, required

__all__ = [
    "AnthropicConfig", "AnthropicVertexAIConfig", "AzureOpenAIConfig", "BedrockConfig", "BedrockGuardrail",
    "ConfigMapKey", "FoundryConfig", "GDCHServiceAccount", "GeminiConfig", "GeminiVertexAIConfig", "ModelConfig",
    "ModelConfigSpec", "ModelConfigStatus", "ModelProvider", "ModelProviderConfig", "ModelProviderConfigSpec",
    "ModelProviderConfigStatus", "OllamaConfig", "OpenAIConfig", "SAPAICoreConfig", "SecretReference", "TokenExchange",
    "own_block_only",
]  # fmt: skip

ModelProvider = Literal[
    "Anthropic",
    "OpenAI",
    "AzureOpenAI",
    "Ollama",
    "Gemini",
    "GeminiVertexAI",
    "AnthropicVertexAI",
    "Bedrock",
    "SAPAICore",
    "Foundry",
]

_BLOCKS = {
    "openAI": "OpenAI",
    "anthropic": "Anthropic",
    "azureOpenAI": "AzureOpenAI",
    "ollama": "Ollama",
    "gemini": "Gemini",
    "geminiVertexAI": "GeminiVertexAI",
    "anthropicVertexAI": "AnthropicVertexAI",
    "bedrock": "Bedrock",
    "sapAICore": "SAPAICore",
    "foundry": "Foundry",
}


def own_block_only(*blocks: str) -> tuple[Rule, ...]:
    """Return the rules that each of these blocks needs its provider."""
    return tuple(
        Rule(
            f"!(has(self.{block}) && self.provider != '{_BLOCKS[block]}')",
            f"provider.{block} must be nil if the provider is not {_BLOCKS[block]}",
        )
        for block in blocks
    )


class AnthropicConfig(Shape):
    base_url: str | None = None
    max_tokens: int | None = None
    temperature: str | None = None
    top_p: str | None = None
    top_k: int | None = None


class GDCHServiceAccount(Shape):
    audience: Annotated[str, required()] = ""


class TokenExchange(Shape):
    rules: ClassVar = (
        Rule(
            "self.type != 'GDCHServiceAccount' || has(self.gdchServiceAccount)",
            "gdchServiceAccount is required when type is GDCHServiceAccount",
        ),
    )

    type: Annotated[Literal["GDCHServiceAccount"] | str, required()] = "GDCHServiceAccount"
    gdch_service_account: GDCHServiceAccount | None = None


class OpenAIConfig(Shape):
    """Numbers that may have decimals are strings, as upstream has them."""

    rules: ClassVar = (
        Rule(
            "!(has(self.maxTokens) && has(self.maxCompletionTokens))",
            "maxTokens and maxCompletionTokens are mutually exclusive",
        ),
    )

    base_url: str | None = None
    organization: str | None = None
    temperature: str | None = None
    max_tokens: Annotated[int | None, crd(minimum=1)] = None
    max_completion_tokens: Annotated[int | None, crd(minimum=1)] = None
    top_p: str | None = None
    frequency_penalty: str | None = None
    presence_penalty: str | None = None
    seed: int | None = None
    n: int | None = None
    timeout: int | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | str | None = None
    api_format: Annotated[Literal["chatCompletions", "responses"] | str | None, crd(default="chatCompletions")] = None
    token_exchange: TokenExchange | None = None


class AzureOpenAIConfig(Shape):
    azure_endpoint: Annotated[str, required()] = ""
    api_version: Annotated[str, required()] = ""
    azure_deployment: str | None = None
    azure_ad_token: str | None = None
    temperature: str | None = None
    max_tokens: int | None = None
    top_p: str | None = None


class OllamaConfig(Shape):
    host: str | None = None
    options: dict[str, str] | None = None


class GeminiConfig(Shape):
    max_output_tokens: Annotated[int | None, crd(minimum=1)] = None


class GeminiVertexAIConfig(Shape):
    project_id: Annotated[str, required()] = ""
    location: Annotated[str, required()] = ""
    temperature: str | None = None
    top_p: str | None = None
    top_k: str | None = None
    stop_sequences: list[str] | None = None
    max_output_tokens: Annotated[int | None, crd(minimum=1)] = None
    candidate_count: int | None = None
    response_mime_type: str | None = None


class AnthropicVertexAIConfig(Shape):
    project_id: Annotated[str, required()] = ""
    location: Annotated[str, required()] = ""
    temperature: str | None = None
    top_p: str | None = None
    top_k: str | None = None
    stop_sequences: list[str] | None = None
    max_tokens: int | None = None


class BedrockGuardrail(Shape):
    identifier: Annotated[str, required(minLength=1, maxLength=2048)] = ""
    version: Annotated[str, required(minLength=1, maxLength=8)] = ""
    trace: Annotated[Literal["disabled", "enabled", "enabled_full"] | str | None, crd(default="disabled")] = None


class BedrockConfig(Shape):
    region: Annotated[str, required()] = ""
    additional_model_request_fields: Annotated[Any, FREE_FORM] = None
    prompt_caching: Annotated[bool | None, crd(default=False)] = None
    cache_ttl: Annotated[Literal["5m", "1h"] | str | None, crd(default="5m")] = None
    guardrail: BedrockGuardrail | None = None
    read_timeout: Annotated[int | None, crd(minimum=1)] = None
    connect_timeout: Annotated[int | None, crd(minimum=1)] = None


class SAPAICoreConfig(Shape):
    base_url: Annotated[str, required()] = ""
    resource_group: Annotated[str | None, crd(default="default")] = None
    auth_url: str | None = None


class ConfigMapKey(Shape):
    """core/v1 ConfigMapKeySelector."""

    name: str | None = None
    key: Annotated[str, required()] = ""
    optional: bool | None = None


class FoundryConfig(Shape):
    rules: ClassVar = (
        Rule("has(self.endpoint) != has(self.endpointFrom)", "foundry: set exactly one of endpoint and endpointFrom"),
    )

    deployment: Annotated[str, required()] = ""
    api_version: Annotated[str | None, crd(default="2024-10-21")] = None
    endpoint: str | None = None
    endpoint_from: ConfigMapKey | None = None


class ModelConfigSpec(Shape):
    rules: ClassVar = (
        *own_block_only(*_BLOCKS),
        Rule(
            "!(has(self.apiKeySecretKey) && !has(self.apiKeySecret))",
            "apiKeySecret must be set if apiKeySecretKey is set",
        ),
        Rule(
            "!(has(self.apiKeySecret) && !has(self.apiKeySecretKey)) || self.provider in ['Bedrock', 'SAPAICore']",
            "apiKeySecretKey must be set if apiKeySecret is set (except for Bedrock and SAPAICore)",
        ),
        Rule(
            "!(has(self.apiKeyPassthrough) && self.apiKeyPassthrough"
            " && has(self.apiKeySecret) && size(self.apiKeySecret) > 0)",
            "apiKeyPassthrough and apiKeySecret are mutually exclusive",
        ),
        Rule(
            "!(has(self.apiKeyPassthrough) && self.apiKeyPassthrough"
            " && self.provider in ['Gemini', 'GeminiVertexAI', 'AnthropicVertexAI'])",
            "apiKeyPassthrough is not possible with Gemini, GeminiVertexAI and AnthropicVertexAI",
        ),
        Rule(
            "!(has(self.openAI) && has(self.openAI.tokenExchange))"
            " || (has(self.apiKeySecret) && size(self.apiKeySecret) > 0)",
            "openAI.tokenExchange needs apiKeySecret",
        ),
        Rule(
            "!(has(self.openAI) && has(self.openAI.tokenExchange)"
            " && has(self.apiKeyPassthrough) && self.apiKeyPassthrough)",
            "openAI.tokenExchange and apiKeyPassthrough are mutually exclusive",
        ),
    )

    model: Annotated[str, required()] = ""
    provider: Annotated[ModelProvider | str | None, crd(default="OpenAI")] = None
    api_key_secret: str | None = None
    api_key_secret_key: str | None = None
    api_key_passthrough: bool | None = None
    default_headers: dict[str, str] | None = None
    tls: TLSConfig | None = None
    openai: OpenAIConfig | None = None
    anthropic: AnthropicConfig | None = None
    azure_openai: AzureOpenAIConfig | None = None
    ollama: OllamaConfig | None = None
    gemini: GeminiConfig | None = None
    gemini_vertex_ai: GeminiVertexAIConfig | None = None
    anthropic_vertex_ai: AnthropicVertexAIConfig | None = None
    bedrock: BedrockConfig | None = None
    sap_ai_core: SAPAICoreConfig | None = None
    foundry: FoundryConfig | None = None


class ModelConfigStatus(Status):
    secret_hash: str | None = None


class ModelConfig(Resource):
    spec: ModelConfigSpec = ModelConfigSpec()
    status: ModelConfigStatus | None = None


class SecretReference(Shape):
    name: Annotated[str, required()] = ""


class ModelProviderConfigSpec(Shape):
    rules: ClassVar = (
        Rule(
            "!has(self.endpoint) || size(self.endpoint) == 0"
            " || self.endpoint.startsWith('http://') || self.endpoint.startsWith('https://')",
            "endpoint must be a valid URL that begins with http:// or https://",
        ),
        Rule(
            "self.type == 'Ollama' || (has(self.secretRef) && size(self.secretRef.name) > 0)",
            "secretRef.name is required unless type is Ollama",
        ),
    )

    type: Annotated[ModelProvider | str, required()] = "OpenAI"
    endpoint: Annotated[str | None, crd(pattern="^https?://.*")] = None
    secret_ref: SecretReference | None = None


class ModelProviderConfigStatus(Status):
    secret_hash: str | None = None
    discovered_models: list[str] | None = None
    model_count: int | None = None
    last_discovery_time: Annotated[str | None, crd(format="date-time")] = None


class ModelProviderConfig(Resource):
    spec: ModelProviderConfigSpec = ModelProviderConfigSpec()
    status: ModelProviderConfigStatus | None = None
