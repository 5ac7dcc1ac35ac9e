"""What the CRDs do not say about their fields: which matter first, what they are for, and where their values come from.

Paths are written with ``[]`` for list entries. A field that is not here still has its row in a form; it only lacks the
words. Facts: reference kagent-v1alpha2, section 1 and 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from kagent_tui.cluster.kinds import JsonObject
from kagent_tui.cluster.references import mapping, text
from kagent_tui.editing.source import Path

__all__ = ["FLAT", "Hint", "Picker", "applies", "hint_of", "pattern_of", "rank"]

Picker = Literal[
    "", "model", "server", "server-tools", "agent", "secret", "secret-key", "configmap", "configmap-key", "source",
    "source-key", "namespace", "model-name", "base-url", "tools", "fragments",
]  # fmt: skip


class Hint(NamedTuple):
    """Words about a field; ``basic`` fields have a row before anybody asks for all of them."""

    help: str
    picker: Picker = ""
    basic: bool = False
    long: bool = False


# Blocks whose fields stand directly in the form.
FLAT: Final = frozenset({"metadata", "spec", "spec.declarative", "spec.byo"})

_META: Final = {
    "metadata.name": Hint("Its name; cannot be changed later.", basic=True),
    "metadata.namespace": Hint("Where it lives; cannot be changed later.", "namespace", basic=True),
    "metadata.labels": Hint("Labels, for selecting and filtering."),
    "metadata.annotations": Hint("Remarks for programs; kagent-tui.dev/engine chooses the engine profile."),
}
_HEADERS: Final = {
    "name": Hint("The header's name, such as Authorization."),
    "value": Hint("The value, in plain text: not for credentials."),
    "valueFrom": Hint("Take the value from a Secret or ConfigMap of this namespace."),
    "valueFrom.type": Hint("Secret or ConfigMap."),
    "valueFrom.name": Hint("The name of that Secret or ConfigMap.", "source"),
    "valueFrom.key": Hint("The key in it that holds the whole header value (Bearer included).", "source-key"),
}
_TLS: Final = {
    "spec.tls": Hint("How the server's certificate is checked."),
    "spec.tls.caCertSecretRef": Hint("The Secret with the CA certificate.", "secret"),
    "spec.tls.caCertSecretKey": Hint("The key in it.", "secret-key"),
    "spec.tls.disableVerify": Hint("Do not check the certificate at all: for trials only."),
}

_AGENT: Final = {
    "spec.description": Hint("What the agent is good for; other agents and people choose it by this.", basic=True),
    "spec.type": Hint("Declarative: run by kagent's engine. BYO: an image of your own that speaks A2A.", basic=True),
    "spec.declarative.modelConfig": Hint(
        "The model, by the name of a ModelConfig of this namespace; without it default-model-config.", "model", True
    ),
    "spec.declarative.systemMessage": Hint("The instruction the model is given.", basic=True, long=True),
    "spec.declarative.systemMessageFrom": Hint("The instruction out of a ConfigMap or Secret, instead."),
    "spec.declarative.systemMessageFrom.name": Hint("Its name.", "source"),
    "spec.declarative.systemMessageFrom.key": Hint("The key that holds the instruction.", "source-key"),
    "spec.declarative.promptTemplate": Hint("Makes the instruction a template that can include prompt fragments."),
    "spec.declarative.promptTemplate.dataSources": Hint(
        'ConfigMaps with prompt fragments; {{include "NAME/KEY"}} in the instruction puts one there.', "fragments", True
    ),
    "spec.declarative.promptTemplate.dataSources[].name": Hint("The ConfigMap.", "configmap"),
    "spec.declarative.promptTemplate.dataSources[].alias": Hint("What include calls it; without it, its name."),
    "spec.declarative.tools": Hint("MCP servers and other agents it may use.", "tools", True),
    "spec.declarative.tools[].type": Hint("McpServer or Agent."),
    "spec.declarative.tools[].mcpServer.name": Hint("The MCP server.", "server"),
    "spec.declarative.tools[].mcpServer.kind": Hint("RemoteMCPServer or MCPServer; without it MCPServer."),
    "spec.declarative.tools[].mcpServer.toolNames": Hint(
        "The tools it may use; without them every tool of the server.", "server-tools"
    ),
    "spec.declarative.tools[].mcpServer.requireApproval": Hint(
        "Tools that a person must approve; each has to be in toolNames too.", "server-tools"
    ),
    "spec.declarative.tools[].mcpServer.allowedHeaders": Hint("Headers of the request that are passed on."),
    "spec.declarative.tools[].agent.name": Hint("The agent it may ask.", "agent"),
    "spec.declarative.tools[].isolateSessions": Hint("A session of its own for every call of that agent."),
    "spec.declarative.memory": Hint("Remember facts across sessions."),
    "spec.declarative.memory.modelConfig": Hint("The ModelConfig of the embedding model.", "model"),
    "spec.declarative.memory.ttlDays": Hint("After how many days a fact is forgotten."),
    "spec.declarative.context": Hint("Sum long conversations up before they outgrow the model."),
    "spec.declarative.context.compaction.summarizer.modelConfig": Hint("The model that sums up.", "model"),
    "spec.declarative.runtime": Hint("Which of upstream's engines runs it; ours runs both."),
    "spec.declarative.stream": Hint("Ask the model for its answer in pieces."),
    "spec.declarative.a2aConfig": Hint("The skills its card lists for other agents."),
    "spec.declarative.deployment": Hint("Replicas, environment, volumes, resources, security of its Pods."),
    "spec.declarative.executeCodeBlocks": Hint("Run code that the model writes."),
    "spec.byo.deployment": Hint("Your image and its Pods.", basic=True),
    "spec.byo.deployment.image": Hint("An image that serves A2A on port 8080.", basic=True),
    "spec.skills": Hint("Skills, out of images, git or S3."),
    "spec.skills.gitAuthSecretRef.name": Hint("The Secret for private repositories.", "secret"),
    "spec.allowedNamespaces": Hint("Which namespaces' agents may use this one as a tool."),
    "spec.sandbox": Hint("What its Pod may reach."),
    **{f"spec.declarative.tools[].headersFrom[].{name}": hint for name, hint in _HEADERS.items()},
}
_MODEL: Final = {
    "spec.provider": Hint("Who serves the model. OpenAI: anything that speaks OpenAI's API, at openAI.baseUrl.", "",
                          True),
    "spec.model": Hint("The model, as its provider calls it.", "model-name", True),
    "spec.apiKeySecret": Hint("The Secret of this namespace that holds the API key.", "secret", True),
    "spec.apiKeySecretKey": Hint("The key in it.", "secret-key", True),
    "spec.apiKeyPassthrough": Hint("Use the caller's own token instead of a key."),
    "spec.openAI": Hint("What OpenAI and everything compatible understands.", "", True),
    "spec.openAI.baseUrl": Hint(
        "Where the API is, when not at OpenAI. DashScope's ends in /compatible-mode/v1.", "base-url", True
    ),
    "spec.openAI.temperature": Hint("0 to 2, as text: '0.2'."),
    "spec.openAI.maxTokens": Hint("The longest answer, in tokens."),
    "spec.openAI.timeout": Hint("Seconds to wait for an answer."),
    "spec.openAI.reasoningEffort": Hint("How long it thinks."),
    "spec.anthropic": Hint("Anthropic's settings."),
    "spec.azureOpenAI": Hint("Azure's endpoint, deployment and API version.", "", True),
    "spec.ollama": Hint("Ollama's settings.", "", True),
    "spec.ollama.host": Hint("Where Ollama listens, such as http://localhost:11434.", "", True),
    "spec.bedrock": Hint("AWS Bedrock: region, guardrail, caching.", "", True),
    "spec.gemini": Hint("Gemini's settings."),
    "spec.defaultHeaders": Hint("Headers sent with every request."),
    **_TLS,
}  # fmt: skip
_REMOTE: Final = {
    "spec.description": Hint("What its tools are good for.", basic=True),
    "spec.protocol": Hint("STREAMABLE_HTTP, or SSE for older servers.", basic=True),
    "spec.url": Hint("Where the MCP server listens.", basic=True),
    "spec.headersFrom": Hint("Headers, such as Authorization out of a Secret.", basic=True),
    "spec.timeout": Hint("How long to wait for it, such as 30s; long diagnoses need 600s.", basic=True),
    "spec.sseReadTimeout": Hint("How long an open stream may stay silent."),
    "spec.terminateOnClose": Hint("End the server's session when ours ends.", basic=True),
    "spec.allowedNamespaces": Hint("Which namespaces' agents may use it."),
    **{f"spec.headersFrom[].{name}": hint for name, hint in _HEADERS.items()},
    **_TLS,
}
_SERVER: Final = {
    "spec.transportType": Hint("stdio: started from a command. http: the image listens itself.", basic=True),
    "spec.deployment": Hint("What is started.", basic=True),
    "spec.deployment.image": Hint("The image; uvx and npx need none.", basic=True),
    "spec.deployment.cmd": Hint("The command, such as uvx or npx.", basic=True),
    "spec.deployment.args": Hint("Its arguments, such as mcp-server-fetch.", basic=True),
    "spec.deployment.port": Hint("The port it is served on.", basic=True),
    "spec.deployment.env": Hint("Environment variables, in plain text.", basic=True),
    "spec.deployment.secretRefs": Hint("Secrets whose keys become environment variables.", basic=True),
    "spec.deployment.secretRefs[].name": Hint("The Secret.", "secret"),
    "spec.deployment.configMapRefs[].name": Hint("The ConfigMap.", "configmap"),
    "spec.stdioTransport": Hint("Empty; its presence says stdio."),
    "spec.httpTransport": Hint("Path and port of an image that listens itself."),
    "spec.timeout": Hint("How long to wait for it, such as 30s."),
}
_SECRET: Final = {
    "type": Hint("Opaque, unless something else asks for another type."),
    "stringData": Hint("Values in plain text; kept in memory only until they are in the cluster.", basic=True),
    "data": Hint("Values, in base64; hidden here. A new value for a key goes into stringData.", basic=True),
}
_HINTS: Final[Mapping[str, Mapping[str, Hint]]] = {
    "Agent": {**_META, **_AGENT},
    "ModelConfig": {**_META, **_MODEL},
    "RemoteMCPServer": {**_META, **_REMOTE},
    "MCPServer": {**_META, **_SERVER},
    "Secret": {**_META, **_SECRET},
}
_NOTHING: Final = Hint("")
# Where every kind keeps core/v1 fragments.
_CORE: Final = (
    (".secretKeyRef.name", Hint("The Secret.", "secret")),
    (".secretKeyRef.key", Hint("The key in it.", "secret-key")),
    (".configMapKeyRef.name", Hint("The ConfigMap.", "configmap")),
    (".configMapKeyRef.key", Hint("The key in it.", "configmap-key")),
    (".replicas", Hint("How many Pods.")),
    (".env", Hint("Environment variables.")),
    (".resources", Hint("Requests and limits of CPU and memory.")),
)
# The block that belongs to each provider, in the CRD's words.
_PROVIDERS: Final = {
    "openAI": "OpenAI", "anthropic": "Anthropic", "azureOpenAI": "AzureOpenAI", "ollama": "Ollama", "gemini": "Gemini",
    "geminiVertexAI": "GeminiVertexAI", "anthropicVertexAI": "AnthropicVertexAI", "bedrock": "Bedrock",
    "sapAICore": "SAPAICore", "foundry": "Foundry",
}  # fmt: skip


def pattern_of(path: Path) -> str:
    """Return a path with ``[]`` in place of each index."""
    return "".join("[]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


def hint_of(kind: str, path: Path) -> Hint:
    """Return what is known about a field."""
    pattern = pattern_of(path)
    found = _HINTS.get(kind, {}).get(pattern)
    return found or next((hint for end, hint in _CORE if pattern.endswith(end)), _NOTHING)


def rank(kind: str, path: Path) -> int:
    """Return where a field stands among its neighbours: those that matter first."""
    patterns = list(_HINTS.get(kind, {}))
    pattern = pattern_of(path)
    return patterns.index(pattern) if pattern in patterns else len(patterns)


def applies(kind: str, path: Path, obj: JsonObject) -> bool:
    """Tell whether a field can have a meaning beside what else stands in the object."""
    spec = mapping(obj.get("spec"))
    last = path[-1]
    if kind == "ModelConfig" and len(path) == 2 and last in _PROVIDERS:
        return (text(spec.get("provider")) or "OpenAI") == _PROVIDERS[str(last)]
    if kind == "Agent" and path == ("spec", "byo"):
        return spec.get("type") == "BYO"
    if kind == "Agent" and path == ("spec", "declarative"):
        return spec.get("type") != "BYO"
    if kind == "Agent" and len(path) == 5 and path[2] == "tools" and last in ("agent", "mcpServer", "isolateSessions"):
        from kagent_tui.editing.source import at

        is_agent = at(obj, (*path[:4], "type")) == "Agent"
        return is_agent == (last != "mcpServer")
    return True
