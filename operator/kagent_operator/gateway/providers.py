"""Model providers as forms need them: which there are, what each asks for, which models people commonly take.

What a provider asks for is read from the resource types, so that it cannot differ from what the API server takes. The
names of models are suggestions: any name may be written into a ModelConfig.
"""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kagent_api.conditions import get_condition
from kagent_api.kube.resources import MODELPROVIDERCONFIGS, JsonObject
from kagent_operator.gateway.context import allowed, caller, gateway_of, person
from kagent_operator.gateway.directory import field, meta, rows
from kagent_operator.gateway.errors import Missing
from kagent_operator.gateway.replies import ok
from kagent_operator.gateway.rights import Right, visible

__all__ = ["ROUTES"]

_BLOCKS: Final = {
    "OpenAI": "openAI",
    "Anthropic": "anthropic",
    "AzureOpenAI": "azureOpenAI",
    "Ollama": "ollama",
    "Gemini": "gemini",
    "GeminiVertexAI": "geminiVertexAI",
    "AnthropicVertexAI": "anthropicVertexAI",
    "Bedrock": "bedrock",
    "SAPAICore": "sapAICore",
    "Foundry": "foundry",
}
_COMMON: Final[dict[str, tuple[str, ...]]] = {
    "OpenAI": ("gpt-5.2", "gpt-5-mini", "gpt-4.1", "gpt-4.1-mini", "gpt-4o", "o3", "o4-mini"),
    "Anthropic": ("claude-opus-4-5", "claude-sonnet-4-5", "claude-haiku-4-5"),
    "AzureOpenAI": ("gpt-4.1", "gpt-4.1-mini", "gpt-4o"),
    "Ollama": ("llama3.2", "qwen3", "gpt-oss"),
    "Gemini": ("gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.0-flash-lite"),
    "GeminiVertexAI": ("gemini-2.5-pro", "gemini-2.5-flash"),
    "AnthropicVertexAI": ("claude-opus-4-5", "claude-sonnet-4-5"),
    "Bedrock": ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "amazon.nova-pro-v1:0"),
    "SAPAICore": ("gpt-4o", "anthropic--claude-4-sonnet"),
    "Foundry": ("gpt-4.1", "gpt-4o"),
}


async def list_models(request: Request) -> Response:
    await caller(request)
    models = {name: [{"name": model, "function_calling": True} for model in _COMMON[name]] for name in _BLOCKS}
    return ok(models, "Successfully listed models")


async def list_providers(request: Request) -> Response:
    # Imported here: building the schema of every resource takes longer than the gateway's own start.
    from kagent_api.crds import crd_schema

    await caller(request)
    spec = crd_schema("ModelConfig")["properties"]["spec"]["properties"]
    providers: list[JsonObject] = []
    for name in _BLOCKS:
        block = spec[_BLOCKS[name]]
        needed = block.get("required", [])
        optional = [key for key in block.get("properties", {}) if key not in needed]
        providers.append({"name": name, "type": name, "requiredParams": needed, "optionalParams": optional})
    return ok(providers, "Successfully listed model providers")


async def list_configured(request: Request) -> Response:
    principal = await person(request)
    seen = await visible(gateway_of(request).rights, principal, MODELPROVIDERCONFIGS, _configured(request))
    configured = [
        {
            "name": meta(provider).get("name", ""),
            "type": field(provider, "spec", "type") or "",
            "endpoint": field(provider, "spec", "endpoint") or "",
        }
        for provider in seen
        if (get_condition(rows(provider, "status", "conditions"), "Ready") or {}).get("status") == "True"
    ]
    return ok(configured, "Successfully listed configured model providers")


async def list_configured_models(request: Request) -> Response:
    name = request.path_params["name"]
    namespace = gateway_of(request).settings.namespace
    await allowed(request, Right.to("get", MODELPROVIDERCONFIGS, namespace, name))
    for provider in _configured(request):
        models = field(provider, "status", "discoveredModels")
        if meta(provider).get("name") == name and models:
            return ok({"provider": name, "models": models}, "Successfully listed models")
    raise Missing(f"no models of ModelProviderConfig {name} are known")


def _configured(request: Request) -> list[JsonObject]:
    """The operator's own namespace only, as upstream has it."""
    gateway = gateway_of(request)
    found = gateway.agents.resources("ModelProviderConfig")
    return [provider for provider in found if meta(provider).get("namespace") == gateway.settings.namespace]


ROUTES = (
    Route("/api/models", list_models, methods=["GET"]),
    Route("/api/modelproviderconfigs/models", list_providers, methods=["GET"]),
    Route("/api/modelproviderconfigs/configured", list_configured, methods=["GET"]),
    Route("/api/modelproviderconfigs/configured/{name}/models", list_configured_models, methods=["GET"]),
)
