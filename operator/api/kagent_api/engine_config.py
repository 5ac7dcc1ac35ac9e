"""`config.json`: what the operator hands to an engine, upstream's or ours.

The reader is tolerant (unknown keys, nulls, both spellings of the TLS keys); the writer is exact, key order and
omissions included, because a hash of the bytes decides over rollouts. API keys never stand here: they come by
environment. Header values may be references to mounted files, which only our own engine understands.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, cast

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from kagent_api.errors import InvalidSpec
from kagent_api.schema import JsonObject

__all__ = [
    "AgentTool", "Compaction", "ContextConfig", "Embedding", "EngineConfig", "Guardrail", "HeaderFile", "McpParams",
    "McpTools", "MemorySettings", "ModelSettings", "NetworkSettings", "ServiceAccountExchange", "StdioTools",
    "TokenExchange", "chosen_variables",
]  # fmt: skip

HEADERS_DIR = "/etc/kagent/headers"


def chosen_variables(env: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
    """Return the environment as one model sees it: its own variables under the names its provider knows."""
    seen = {name: value for name, value in env.items() if name not in variables}
    return seen | {name: env[own] for name, own in variables.items() if own in env}


@dataclass(frozen=True, slots=True)
class HeaderFile:
    """A header value that lies in a mounted file: written ``${file:/etc/kagent/headers/NAME}``."""

    path: str

    def __str__(self) -> str:
        return "${file:" + self.path + "}"

    @classmethod
    def parse(cls, value: str) -> HeaderFile | None:
        """Return the reference that a header value is, or None for a plain value."""
        if value.startswith("${file:") and value.endswith("}"):
            return cls(value[len("${file:") : -1])
        return None

    @classmethod
    def named(cls, key: str) -> HeaderFile:
        """Return the reference to the header file of this name."""
        return cls(f"{HEADERS_DIR}/{key}")


def _none_as(empty: object) -> BeforeValidator:
    def replace(value: object) -> object:
        return empty if value is None else value

    return BeforeValidator(replace)


Text = Annotated[str, _none_as("")]
Strings = Annotated[tuple[str, ...], _none_as(())]
Headers = Annotated[dict[str, str], _none_as({})]
# Ours alone: a provider's variable -> the one that holds it for this model, empty where it has none. Several models of
# one provider, each with its own key, live in one process.
Variables = Annotated[dict[str, str], _none_as({})]


class Section(BaseModel):
    """One object of the file. What has no value is left out, except the keys named in ``always``."""

    model_config = ConfigDict(
        extra="ignore", validate_by_name=True, validate_by_alias=True, frozen=True, protected_namespaces=()
    )
    always: ClassVar[frozenset[str]] = frozenset()

    def to_wire(self) -> JsonObject:
        """Return the object as it is written, in upstream's key order."""
        written: JsonObject = {}
        for name, field in type(self).model_fields.items():
            value: object = getattr(self, name)
            if name in self.always or (value is not None and value not in ((), {})):
                written[field.serialization_alias or name] = _wire(value)
        return written


def _wire(value: object) -> object:
    if isinstance(value, Section):
        return value.to_wire()
    if isinstance(value, dict):
        items = cast("dict[str, object]", value)
        return {key: _wire(items[key]) for key in sorted(items)}
    if isinstance(value, list | tuple):
        return [_wire(item) for item in cast("tuple[object, ...]", value)]
    if isinstance(value, float) and value.is_integer():
        return int(value)  # Go writes 30, never 30.0
    return value


# What pydantic's kinds of errors mean to people who write JSON.
_EXPECTED = {
    "string_type": "text", "int_type": "a whole number", "int_parsing": "a whole number",
    "int_from_float": "a whole number", "float_type": "a number", "float_parsing": "a number",
    "bool_type": "true or false", "bool_parsing": "true or false", "tuple_type": "a list", "dict_type": "an object",
    "model_type": "an object", "model_attributes_type": "an object",
}  # fmt: skip


def _found(value: object, *, hidden: bool) -> str:
    """Return a wrong value as a message may show it: short, and the values of headers not at all."""
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, dict):
        return "an object"
    if hidden:
        return "something else"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 40 else text[:40] + "..."


class ServiceAccountExchange(Section):
    service_account_path: Text = ""
    audience: Text = ""


class TokenExchange(Section):
    type: Text = ""
    gdch_service_account: ServiceAccountExchange | None = None


class Guardrail(Section):
    identifier: Text = ""
    version: Text = ""
    trace: str | None = None


class ModelSettings(Section):
    """The model. ``type`` says which of the keys apply; upstream's 0.10 types are in reference order below.

    openai, azure_openai, anthropic, gemini, gemini_vertex_ai, gemini_anthropic, ollama, bedrock, sap_ai_core, foundry.
    None means the key is left out; ``base_url=""`` is written, as upstream does for openai.
    """

    always: ClassVar = frozenset({"type", "model"})

    type: Text = ""
    model: Text = ""
    headers: Headers = Field(default_factory=dict)
    tls_insecure_skip_verify: bool | None = Field(
        default=None, validation_alias=AliasChoices("tls_insecure_skip_verify", "tls_disable_verify")
    )
    tls_ca_cert_path: str | None = None
    tls_disable_system_cas: bool | None = None
    api_key_passthrough: bool | None = None
    base_url: str | None = None
    endpoint: str | None = None
    deployment: str | None = None
    api_version: str | None = None
    region: str | None = None
    additional_model_request_fields: Any = None
    prompt_caching: bool | None = None
    cache_ttl: str | None = None
    guardrail: Guardrail | None = None
    read_timeout: float | None = None
    connect_timeout: float | None = None
    resource_group: str | None = None
    auth_url: str | None = None
    frequency_penalty: float | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    max_output_tokens: int | None = None
    n: int | None = None
    presence_penalty: float | None = None
    reasoning_effort: str | None = None
    seed: int | None = None
    temperature: float | None = None
    timeout: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    api_format: str | None = None
    token_exchange: TokenExchange | None = None
    options: Annotated[dict[str, str], _none_as({})] = Field(default_factory=dict)
    stop_sequences: Strings = ()  # ours; upstream's controller leaves them out
    variables: Variables = Field(default_factory=dict)


class McpParams(Section):
    """How to reach one MCP server; times in seconds."""

    always: ClassVar = frozenset({"url", "headers"})

    url: Text = ""
    headers: Headers = Field(default_factory=dict)
    timeout: float | None = None
    sse_read_timeout: float | None = None
    terminate_on_close: bool | None = None
    tls_insecure_skip_verify: bool | None = Field(
        default=None, validation_alias=AliasChoices("tls_insecure_skip_verify", "tls_disable_verify")
    )
    tls_ca_cert_path: str | None = None
    tls_disable_system_cas: bool | None = None


_TLS_KEYS = ("tls_insecure_skip_verify", "tls_disable_verify", "tls_ca_cert_path", "tls_disable_system_cas")


class McpTools(Section):
    """Tools of one MCP server. No ``tools`` means all of them."""

    always: ClassVar = frozenset({"params"})

    params: McpParams = McpParams()
    tools: Strings = ()
    allowed_headers: Strings = ()
    require_approval: Strings = ()

    @model_validator(mode="before")
    @classmethod
    def _lift_tls(cls, data: object) -> object:
        """Upstream accepts the TLS keys beside ``params`` too."""
        if not isinstance(data, Mapping):
            return data
        entry = dict(cast("Mapping[str, object]", data))
        outside = {key: entry[key] for key in _TLS_KEYS if key in entry}
        params = entry.get("params")
        if outside and (params is None or isinstance(params, Mapping)):
            entry["params"] = outside | dict(cast("Mapping[str, object]", params or {}))
        return entry


class StdioTools(Section):
    """Tools of one MCP server that the engine runs as a process (upstream's main branch).

    ``tools``, ``require_approval`` and ``timeout`` (seconds a call may take) are ours alone.
    """

    always: ClassVar = frozenset({"command"})

    command: Text = ""
    args: Strings = ()
    env: Headers = Field(default_factory=dict)
    dir: str | None = None
    tools: Strings = ()
    require_approval: Strings = ()
    timeout: float | None = None


class AgentTool(Section):
    """Another agent as a tool; ``name`` is its id (``ns__NS__name``)."""

    always: ClassVar = frozenset({"name", "url"})

    name: Text = ""
    url: Text = ""
    headers: Headers = Field(default_factory=dict)
    description: str | None = None
    timeout: float | None = None
    isolate_sessions: bool | None = None


class Embedding(Section):
    always: ClassVar = frozenset({"provider", "model"})

    provider: Text = ""
    model: Text = ""
    base_url: str | None = None
    api_key_passthrough: bool | None = None
    endpoint: str | None = None
    deployment: str | None = None
    api_version: str | None = None
    variables: Variables = Field(default_factory=dict)


class MemorySettings(Section):
    """Its presence turns memory on. ``ttl_days`` None means the server's default."""

    always: ClassVar = frozenset({"embedding"})

    ttl_days: int | None = None
    embedding: Embedding = Embedding()


class NetworkSettings(Section):
    allowed_domains: Strings = ()


class Compaction(Section):
    compaction_interval: int | None = None
    overlap_size: int | None = None
    summarizer_model: ModelSettings | None = None
    prompt_template: str | None = None
    token_threshold: int | None = None
    event_retention_size: int | None = None


class ContextConfig(Section):
    compaction: Compaction | None = None


class EngineConfig(Section):
    """The whole file. ``model`` and ``stream`` are None for BYO agents."""

    always: ClassVar = frozenset({"model", "description", "instruction"})

    model: ModelSettings | None = None
    description: Text = ""
    instruction: Text = ""
    http_tools: Annotated[tuple[McpTools, ...], _none_as(())] = ()
    sse_tools: Annotated[tuple[McpTools, ...], _none_as(())] = ()
    stdio_tools: Annotated[tuple[StdioTools, ...], _none_as(())] = ()
    remote_agents: Annotated[tuple[AgentTool, ...], _none_as(())] = ()
    execute_code: bool | None = None
    stream: bool | None = None
    memory: MemorySettings | None = None
    network: NetworkSettings | None = None
    context_config: ContextConfig | None = None
    share_tools: bool | None = None
    session_db_url: str | None = None
    # Ours alone: models that stand in, in this order, for one that cannot answer. Upstream's engines ignore the key.
    fallback_models: Annotated[tuple[ModelSettings, ...], _none_as(())] = ()

    @classmethod
    def from_json(cls, text: str | bytes, *, source: str = "config.json") -> EngineConfig:
        """Read the file's text; raise InvalidSpec naming ``source`` and the field that does not fit."""
        try:
            return cls.model_validate(json.loads(text))
        except ValueError as error:
            if not isinstance(error, ValidationError):
                raise InvalidSpec(
                    f"{source}: no valid JSON: {error}", remedy="the operator writes this file"
                ) from error
            first = error.errors(include_url=False, include_context=False)[0]
            field = ".".join(str(step) for step in first["loc"])
            expected = _EXPECTED.get(first["type"])
            found = _found(first["input"], hidden="headers" in first["loc"])
            wrong = f"expected {expected}, found {found}" if expected else first["msg"]
            raise InvalidSpec(
                f"{source}: {wrong}",
                field=field,
                remedy="the operator writes this file, from the Agent and ModelConfig",
            ) from error

    @classmethod
    def load(cls, directory: Path) -> EngineConfig:
        """Read ``directory/config.json``; raise InvalidSpec if it is missing or does not fit."""
        path = directory / "config.json"
        try:
            return cls.from_json(path.read_bytes(), source=str(path))
        except OSError as error:
            raise InvalidSpec(
                f"cannot read {path}: {error.strerror}", remedy="--filepath names the folder that holds config.json"
            ) from error

    def to_json(self) -> str:
        """Return the bytes upstream's encoder would write: compact, maps sorted, ``<>&`` escaped."""
        text = json.dumps(self.to_wire(), ensure_ascii=False, separators=(",", ":"))
        for char in "<>&\u2028\u2029":
            text = text.replace(char, f"\\u{ord(char):04x}")
        return text
