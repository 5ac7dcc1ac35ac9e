"""Agent of kagent.dev/v1alpha2: what runs, with which model, instruction and tools."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from kagent_api.core import (
    Affinity,
    Container,
    EnvFromSource,
    EnvVar,
    LocalObjectReference,
    PodSecurityContext,
    ResourceRequirements,
    SecurityContext,
    Toleration,
    Volume,
    VolumeMount,
)
from kagent_api.meta import Resource, Status
from kagent_api.references import AllowedNamespaces, NamedReference, NamespacedReference, ValueRef, ValueSource
from kagent_api.schema import Rule, Shape, crd, required

__all__ = [
    "A2AConfig", "A2ASkill", "Agent", "AgentSpec", "AgentStatus", "BYOAgent", "BYODeployment", "Compaction",
    "ContextConfig", "DeclarativeAgent", "DeclarativeDeployment", "DeploymentSettings", "GitSkill", "McpServerTool",
    "MemoryConfig", "NetworkConfig", "PromptSource", "PromptTemplate", "Provider", "S3Skill", "SandboxConfig",
    "ServiceAccountConfig", "Skills", "SkillsInit", "Summarizer", "Tool",
]  # fmt: skip


class ServiceAccountConfig(Shape):
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class DeploymentSettings(Shape):
    """What declarative and BYO agents may say about their Deployment."""

    rules: ClassVar = (
        Rule(
            "!(has(self.serviceAccountName) && has(self.serviceAccountConfig))",
            "serviceAccountName and serviceAccountConfig are mutually exclusive",
        ),
    )

    replicas: Annotated[int | None, crd(format="int32")] = None
    image_pull_policy: str | None = None
    image_pull_secrets: list[LocalObjectReference] | None = None
    volumes: list[Volume] | None = None
    volume_mounts: list[VolumeMount] | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    deployment_annotations: dict[str, str] | None = None
    env: list[EnvVar] | None = None
    env_from: list[EnvFromSource] | None = None
    resources: ResourceRequirements | None = None
    tolerations: list[Toleration] | None = None
    affinity: Affinity | None = None
    node_selector: dict[str, str] | None = None
    security_context: SecurityContext | None = None
    pod_security_context: PodSecurityContext | None = None
    service_account_name: str | None = None
    service_account_config: ServiceAccountConfig | None = None
    extra_containers: list[Container] | None = None


class DeclarativeDeployment(DeploymentSettings):
    image_registry: str | None = None


class BYODeployment(DeploymentSettings):
    image: Annotated[str | None, crd(minLength=1)] = None
    cmd: str | None = None
    args: list[str] | None = None
    working_dir: str | None = None


class BYOAgent(Shape):
    deployment: BYODeployment | None = None


class A2ASkill(Shape):
    """A skill as the agent card lists it."""

    id: str | None = None
    name: Annotated[str, required(minLength=1)] = ""
    description: str | None = None
    tags: Annotated[list[str] | None, crd(maxItems=20)] = None
    examples: Annotated[list[str] | None, crd(maxItems=20)] = None
    input_modes: list[str] | None = None
    output_modes: list[str] | None = None


class A2AConfig(Shape):
    skills: Annotated[list[A2ASkill] | None, crd(minItems=1)] = None


class Summarizer(Shape):
    """Its presence, even empty, asks for a summarizer model; no modelConfig means the agent's own."""

    model_config_name: str | None = None
    prompt_template: str | None = None


class Compaction(Shape):
    compaction_interval: Annotated[int | None, crd(default=5, minimum=1)] = None
    overlap_size: Annotated[int | None, crd(default=2, minimum=0)] = None
    summarizer: Summarizer | None = None
    token_threshold: int | None = None
    event_retention_size: int | None = None


class ContextConfig(Shape):
    compaction: Compaction | None = None


class MemoryConfig(Shape):
    model_config_name: Annotated[str, required()] = ""
    ttl_days: Annotated[int | None, crd(minimum=1)] = None


class PromptSource(NamedReference):
    alias: str | None = None


class PromptTemplate(Shape):
    data_sources: Annotated[list[PromptSource] | None, crd(maxItems=20)] = None


class McpServerTool(NamespacedReference):
    rules: ClassVar = (
        Rule(
            "!has(self.requireApproval) || self.requireApproval.all(t, has(self.toolNames) && t in self.toolNames)",
            "each RequireApproval entry must also appear in ToolNames",
        ),
    )

    tool_names: Annotated[list[str] | None, crd(maxItems=50)] = None
    require_approval: Annotated[list[str] | None, crd(maxItems=50)] = None
    allowed_headers: list[str] | None = None


class Tool(Shape):
    rules: ClassVar = (
        Rule("has(self.type)", "type must be set to McpServer or Agent"),
        Rule(
            "!(has(self.mcpServer) && has(self.type) && self.type != 'McpServer')",
            "type.mcpServer must be nil if the type is not McpServer",
        ),
        Rule(
            "!(!has(self.mcpServer) && has(self.type) && self.type == 'McpServer')",
            "type.mcpServer must be specified for McpServer filter.type",
        ),
        Rule(
            "!(has(self.agent) && has(self.type) && self.type != 'Agent')",
            "type.agent must be nil if the type is not Agent",
        ),
        Rule(
            "!(!has(self.agent) && has(self.type) && self.type == 'Agent')",
            "type.agent must be specified for Agent filter.type",
        ),
        Rule(
            "!(has(self.isolateSessions) && self.isolateSessions && has(self.type) && self.type != 'Agent')",
            "isolateSessions applies to agents only",
        ),
    )

    type: Literal["McpServer", "Agent"] | str | None = None
    mcp_server: McpServerTool | None = None
    agent: NamespacedReference | None = None
    headers_from: list[ValueRef] | None = None
    isolate_sessions: bool | None = None


class DeclarativeAgent(Shape):
    rules: ClassVar = (
        Rule(
            "!has(self.systemMessage) || !has(self.systemMessageFrom)",
            "systemMessage and systemMessageFrom are mutually exclusive",
        ),
    )

    runtime: Annotated[Literal["python", "go"] | str | None, crd(default="go")] = None
    system_message: str | None = None
    system_message_from: ValueSource | None = None
    prompt_template: PromptTemplate | None = None
    model_config_name: str | None = None
    stream: bool | None = None
    tools: Annotated[list[Tool] | None, crd(maxItems=20)] = None
    a2a_config: A2AConfig | None = None
    deployment: DeclarativeDeployment | None = None
    execute_code_blocks: bool | None = None
    memory: MemoryConfig | None = None
    context: ContextConfig | None = None
    share_tools: bool | None = None


class GitSkill(Shape):
    url: Annotated[str, required()] = ""
    ref: Annotated[str | None, crd(default="main")] = None
    path: str | None = None
    name: str | None = None


class S3Skill(Shape):
    uri: Annotated[str, required(minLength=1, pattern="^s3://.+")] = ""
    region: str | None = None
    name: str | None = None


class SkillsInit(Shape):
    env: list[EnvVar] | None = None
    resources: ResourceRequirements | None = None


class Skills(Shape):
    refs: Annotated[list[str] | None, crd(minItems=1, maxItems=20)] = None
    git_refs: Annotated[list[GitSkill] | None, crd(minItems=1, maxItems=20)] = None
    s3_refs: Annotated[list[S3Skill] | None, crd(minItems=1, maxItems=20)] = None
    git_auth_secret_ref: LocalObjectReference | None = None
    image_pull_secrets: Annotated[list[LocalObjectReference] | None, crd(maxItems=20)] = None
    init_container: SkillsInit | None = None
    insecure_skip_verify: bool | None = None


class NetworkConfig(Shape):
    allowed_domains: list[str] | None = None


class SandboxConfig(Shape):
    network: NetworkConfig | None = None


class Provider(Shape):
    organization: Annotated[str, required(minLength=1)] = ""
    url: Annotated[str, required(format="uri")] = ""


class AgentSpec(Shape):
    """``type`` is None where the API server's default (Declarative) was bypassed."""

    rules: ClassVar = (
        Rule("has(self.type)", "type must be specified"),
        Rule("!has(self.type) || self.type in ['Declarative', 'BYO']", "type must be Declarative or BYO"),
        Rule(
            "!has(self.type) || self.type != 'Declarative' || has(self.declarative)",
            "declarative must be specified if type is Declarative",
        ),
        Rule("!has(self.type) || self.type != 'BYO' || has(self.byo)", "byo must be specified if type is BYO"),
    )

    type: Annotated[Literal["Declarative", "BYO"] | str | None, crd(default="Declarative")] = None
    declarative: DeclarativeAgent | None = None
    byo: BYOAgent | None = None
    description: str | None = None
    skills: Skills | None = None
    sandbox: SandboxConfig | None = None
    allowed_namespaces: AllowedNamespaces | None = None
    icon_url: Annotated[str | None, crd(format="uri")] = None
    documentation_url: Annotated[str | None, crd(format="uri")] = None
    version: str | None = None
    provider: Provider | None = None


class AgentStatus(Status):
    pass


class Agent(Resource):
    spec: AgentSpec = AgentSpec()
    status: AgentStatus | None = None
