"""Kinds and versions that are served so that upstream's YAML applies, and that nothing here reconciles.

SandboxAgent and AgentHarness need upstream's Agent Substrate; Memory and ToolServer are dead in 0.10 too; the v1alpha1
versions of Agent and ModelConfig are never stored.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from kagent_api.agents import AgentSpec, AgentStatus
from kagent_api.core import EnvVar, LocalObjectReference, Volume
from kagent_api.meta import Resource, Status
from kagent_api.modelconfigs import (
    AnthropicConfig,
    AnthropicVertexAIConfig,
    AzureOpenAIConfig,
    GeminiVertexAIConfig,
    OllamaConfig,
    own_block_only,
)
from kagent_api.references import NamedReference, ValueSource
from kagent_api.schema import FREE_FORM, Rule, Shape, crd, required

__all__ = ["AgentHarness", "AgentV1Alpha1", "Memory", "ModelConfigV1Alpha1", "SandboxAgent", "ToolServer"]

_ONE_SOURCE = Rule("has(self.value) != has(self.valueFrom)", "set exactly one of value and valueFrom")


class SnapshotsConfig(Shape):
    location: Annotated[str, required(pattern="^gs://")] = ""


class Substrate(Shape):
    worker_pool_ref: NamedReference | None = None
    snapshots_config: SnapshotsConfig | None = None


class HarnessSubstrate(Substrate):
    workload_image: str | None = None


class SandboxAgentSpec(AgentSpec):
    rules: ClassVar = (*AgentSpec.rules, Rule("!has(self.skills)", "skills are not possible in a SandboxAgent"))

    substrate: Substrate | None = None


class SandboxAgent(Resource):
    spec: SandboxAgentSpec = SandboxAgentSpec()
    status: AgentStatus | None = None


class Credential(Shape):
    rules: ClassVar = (_ONE_SOURCE,)

    value: Annotated[str | None, crd(maxLength=8192)] = None
    value_from: ValueSource | None = None


class TelegramChannel(Shape):
    rules: ClassVar = (
        Rule(
            "!(has(self.allowedUserIDs) && has(self.allowedUserIDsFrom))",
            "allowedUserIDs and allowedUserIDsFrom are mutually exclusive",
        ),
    )

    bot_token: Annotated[Credential, required()] = Field(default_factory=Credential)
    allowed_user_ids: Annotated[list[str] | None, crd(maxItems=1024)] = None
    allowed_user_ids_from: ValueSource | None = None


class SlackHermes(Shape):
    rules: ClassVar = (
        Rule(
            "!(has(self.allowedUserIDs) && has(self.allowedUserIDsFrom))",
            "allowedUserIDs and allowedUserIDsFrom are mutually exclusive",
        ),
    )

    home_channel: str | None = None
    home_channel_name: str | None = None
    allowed_user_ids: Annotated[list[str] | None, crd(maxItems=1024)] = None
    allowed_user_ids_from: ValueSource | None = None


class SlackOpenclaw(Shape):
    rules: ClassVar = (
        Rule(
            "!has(self.channelAccess) || self.channelAccess != 'allowlist'"
            " || (has(self.allowlistChannels) && size(self.allowlistChannels) > 0)",
            "allowlistChannels is required when channelAccess is allowlist",
        ),
    )

    channel_access: Literal["allowlist", "open", "disabled"] | str | None = None
    allowlist_channels: Annotated[list[str] | None, crd(maxItems=1024)] = None
    interactive_replies: Annotated[bool | None, crd(default=True)] = None


class SlackChannel(Shape):
    bot_token: Annotated[Credential, required()] = Field(default_factory=Credential)
    app_token: Annotated[Credential, required()] = Field(default_factory=Credential)
    openclaw: SlackOpenclaw | None = None
    hermes: SlackHermes | None = None


class Channel(Shape):
    rules: ClassVar = (
        Rule(
            "(self.type == 'telegram') == has(self.telegram) && (self.type == 'slack') == has(self.slack)",
            "set the block that the type names, and no other",
        ),
    )

    name: Annotated[str, required(minLength=1)] = ""
    type: Annotated[Literal["telegram", "slack"] | str, required()] = "slack"
    telegram: TelegramChannel | None = None
    slack: SlackChannel | None = None


class AgentHarnessSpec(Shape):
    rules: ClassVar = (
        Rule(
            "!has(self.channels) || self.channels.all(c, !has(c.slack)"
            " || ((!has(c.slack.openclaw) || self.backend == 'openclaw')"
            " && (!has(c.slack.hermes) || self.backend == 'hermes')))",
            "a slack channel may only hold the block of this backend",
        ),
    )

    backend: Annotated[Literal["openclaw", "hermes"] | str, required()] = "openclaw"
    description: str | None = None
    image: str | None = None
    model_config_ref: str | None = None
    env: list[EnvVar] | None = None
    channels: Annotated[list[Channel] | None, crd(maxItems=1024)] = None
    substrate: Annotated[HarnessSubstrate, required()] = Field(default_factory=HarnessSubstrate)


class BackendRef(Shape):
    backend: Annotated[Literal["openclaw", "hermes"] | str, required()] = "openclaw"
    id: Annotated[str, required()] = ""


class Connection(Shape):
    endpoint: str | None = None


class AgentHarnessStatus(Status):
    backend_ref: BackendRef | None = None
    connection: Connection | None = None


class AgentHarness(Resource):
    spec: AgentHarnessSpec = AgentHarnessSpec()
    status: AgentHarnessStatus | None = None


class Pinecone(Shape):
    index_host: Annotated[str, required()] = ""
    top_k: int | None = None
    namespace: str | None = None
    record_fields: list[str] | None = None
    score_threshold: str | None = None


class MemorySpec(Shape):
    provider: Annotated[Literal["Pinecone"] | str | None, crd(default="Pinecone")] = None
    api_key_secret_ref: str | None = None
    api_key_secret_key: str | None = None
    pinecone: Pinecone | None = None


class Memory(Resource):
    spec: MemorySpec = MemorySpec()
    status: Status | None = None


class OldValueSource(Shape):
    type: Annotated[Literal["ConfigMap", "Secret"] | str, required()] = "ConfigMap"
    value_ref: Annotated[str, required()] = ""
    key: Annotated[str, required()] = ""


class OldValueRef(Shape):
    rules: ClassVar = (_ONE_SOURCE,)

    name: Annotated[str, required()] = ""
    value: str | None = None
    value_from: OldValueSource | None = None


class StdioToolServer(Shape):
    command: Annotated[str, required()] = ""
    args: list[str] | None = None
    env: dict[str, str] | None = None
    env_from: list[OldValueRef] | None = None
    read_timeout_seconds: Annotated[int | None, crd(default=10)] = None


class SseToolServer(Shape):
    url: Annotated[str, required()] = ""
    headers: Annotated[Any, FREE_FORM] = None
    headers_from: list[OldValueRef] | None = None
    timeout: str | None = None
    sse_read_timeout: str | None = None


class StreamableToolServer(SseToolServer):
    terminate_on_close: Annotated[bool | None, crd(default=True)] = None


class ToolServerConfig(Shape):
    rules: ClassVar = (
        Rule(
            "[has(self.stdio), has(self.sse), has(self.streamableHttp)].filter(given, given).size() == 1",
            "Exactly one of stdio, sse, or streamableHttp must be specified",
        ),
    )

    type: Literal["stdio", "sse", "streamableHttp"] | str | None = None
    stdio: StdioToolServer | None = None
    sse: SseToolServer | None = None
    streamable_http: StreamableToolServer | None = None


class ToolServerSpec(Shape):
    description: Annotated[str, required()] = ""
    config: Annotated[ToolServerConfig, required()] = Field(default_factory=ToolServerConfig)


class OldDiscoveredTool(Shape):
    name: Annotated[str, required()] = ""
    component: Annotated[Any, FREE_FORM] = None


class ToolServerStatus(Status):
    discovered_tools: list[OldDiscoveredTool] | None = None


class ToolServer(Resource):
    spec: ToolServerSpec = ToolServerSpec()
    status: ToolServerStatus | None = None


class OldSkill(Shape):
    id: Annotated[str, required()] = ""
    name: Annotated[str, required()] = ""
    description: str | None = None
    tags: Annotated[list[str] | None, required()] = None
    examples: list[str] | None = None
    input_modes: list[str] | None = None
    output_modes: list[str] | None = None


class OldA2AConfig(Shape):
    skills: Annotated[list[OldSkill] | None, crd(minItems=1)] = None


class OldDeployment(Shape):
    replicas: Annotated[int | None, crd(format="int32", minimum=1)] = None
    image_pull_secrets: list[LocalObjectReference] | None = None
    volumes: list[Volume] | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    env: list[EnvVar] | None = None


class OldMcpServerTool(Shape):
    tool_server: str | None = None
    tool_names: list[str] | None = None


class OldAgentTool(Shape):
    ref: Annotated[str | None, crd(minLength=1)] = None


class OldTool(Shape):
    type: Literal["McpServer", "Agent"] | str | None = None
    mcp_server: OldMcpServerTool | None = None
    agent: OldAgentTool | None = None


class OldAgentSpec(Shape):
    description: str | None = None
    system_message: str | None = None
    model_config_name: str | None = None
    stream: bool | None = None
    tools: Annotated[list[OldTool] | None, crd(maxItems=20)] = None
    a2a_config: OldA2AConfig | None = None
    deployment: OldDeployment | None = None
    memory: list[str] | None = None


class AgentV1Alpha1(Resource):
    spec: OldAgentSpec = OldAgentSpec()
    status: Status | None = None


class ModelInfo(Shape):
    family: str | None = None
    function_calling: bool | None = None
    json_output: bool | None = None
    multiple_system_messages: bool | None = None
    structured_output: bool | None = None
    vision: bool | None = None


class OldOpenAIConfig(Shape):
    base_url: str | None = None
    organization: str | None = None
    temperature: str | None = None
    max_tokens: int | None = None
    top_p: str | None = None
    frequency_penalty: str | None = None
    presence_penalty: str | None = None
    seed: int | None = None
    n: int | None = None
    timeout: int | None = None


class OldGeminiConfig(Shape):
    """Empty in v1alpha1."""


class OldGeminiVertexAIConfig(GeminiVertexAIConfig):
    max_output_tokens: int | None = None  # without a minimum


class OldModelConfigSpec(Shape):
    rules: ClassVar = own_block_only(
        "openAI", "anthropic", "azureOpenAI", "ollama", "gemini", "geminiVertexAI", "anthropicVertexAI"
    )

    model: Annotated[str, required()] = ""
    provider: Annotated[
        Literal["Anthropic", "OpenAI", "AzureOpenAI", "Ollama", "Gemini", "GeminiVertexAI", "AnthropicVertexAI"]
        | str
        | None,
        crd(default="OpenAI"),
    ] = None
    api_key_secret_ref: str | None = None
    api_key_secret_key: str | None = None
    default_headers: dict[str, str] | None = None
    model_info: ModelInfo | None = None
    openai: OldOpenAIConfig | None = None
    anthropic: AnthropicConfig | None = None
    azure_openai: AzureOpenAIConfig | None = None
    ollama: OllamaConfig | None = None
    gemini: OldGeminiConfig | None = None
    gemini_vertex_ai: OldGeminiVertexAIConfig | None = None
    anthropic_vertex_ai: AnthropicVertexAIConfig | None = None


class ModelConfigV1Alpha1(Resource):
    spec: OldModelConfigSpec = OldModelConfigSpec()
    status: Status | None = None
