"""What may be chosen for a field: models, servers and their tools, agents, Secrets and keys, prompt fragments.

Names of Secrets and ConfigMaps are asked of the cluster when they are needed; values are never kept. Where asking is
refused, what the store knows is offered and anything may be typed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final, NamedTuple

from kagent_api.errors import KagentError, ObjectRef
from kagent_tui.cluster.cluster import Cluster
from kagent_tui.cluster.kinds import (
    AGENT,
    CONFIGMAP,
    MCP_SERVER,
    MODEL_CONFIG,
    REMOTE_MCP_SERVER,
    SECRET,
    JsonObject,
    resource_of,
)
from kagent_tui.cluster.references import items, mapping, references, text
from kagent_tui.editing.guide import Picker
from kagent_tui.editing.source import Path, at

__all__ = ["Choice", "Choices", "ToolInfo", "choices", "tools_of"]


class Choice(NamedTuple):
    """One value and words about it; raw texts."""

    value: str
    note: str = ""


class Choices(NamedTuple):
    """The values, and why they may not be all."""

    values: tuple[Choice, ...]
    trouble: str = ""


class ToolInfo(NamedTuple):
    """One tool as its server describes it; ``schema`` is that of its arguments, {} where it is not known."""

    name: str
    description: str
    schema: JsonObject
    annotations: JsonObject


# What people use most; the field takes anything.
_MODELS: Final = {
    "OpenAI": ("gpt-5", "gpt-5-mini", "gpt-5-nano", "gpt-4.1", "qwen-plus", "qwen-max", "qwen-turbo", "qwen3-max"),
    "Anthropic": ("claude-sonnet-4-5", "claude-opus-4-5", "claude-haiku-4-5"),
    "Gemini": ("gemini-2.5-pro", "gemini-2.5-flash"),
    "Ollama": ("qwen3", "llama3.3", "gpt-oss"),
}
_BASE_URLS: Final = (
    Choice("https://dashscope.aliyuncs.com/compatible-mode/v1", "Qwen at DashScope, China"),
    Choice("https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "Qwen at DashScope, international"),
    Choice("https://api.openai.com/v1", "OpenAI"),
    Choice("http://localhost:11434/v1", "Ollama on this machine"),
)


async def choices(picker: Picker, path: Path, obj: JsonObject, cluster: Cluster) -> Choices:
    """Return what may stand at a path of an object."""
    namespace = text(at(obj, ("metadata", "namespace"))) or cluster.client.access.namespace
    outer = mapping(at(obj, path[:-1]))
    match picker:
        case "model":
            return _stored(cluster, (MODEL_CONFIG,), namespace)
        case "agent":
            return _stored(cluster, (AGENT,), namespace, but=text(at(obj, ("metadata", "name"))))
        case "server":
            kind = text(outer.get("kind"))
            return _stored(cluster, (kind,) if kind else (MCP_SERVER, REMOTE_MCP_SERVER), namespace)
        case "server-tools":
            return Choices(tuple(Choice(one.name, one.description) for one in _tools_at(path, obj, cluster)))
        case "namespace":
            seen = {ref.namespace for kind in (AGENT, MODEL_CONFIG) for ref in cluster.store.objects(kind)}
            return Choices(tuple(Choice(name) for name in sorted(seen | {namespace})))
        case "secret":
            return await _names(cluster, SECRET, namespace)
        case "configmap" | "fragments":
            return await _names(cluster, CONFIGMAP, namespace)
        case "source":
            return await _names(cluster, _source_kind(outer), namespace)
        case "secret-key" | "configmap-key" | "source-key":
            kind = {"secret-key": SECRET, "configmap-key": CONFIGMAP}.get(picker) or _source_kind(outer)
            return await _keys(cluster, ObjectRef(kind, namespace, _owner_of_key(path, outer)))
        case "model-name":
            provider = text(mapping(obj.get("spec")).get("provider")) or "OpenAI"
            return Choices(tuple(Choice(name) for name in _MODELS.get(provider, ())))
        case "base-url":
            return Choices(_BASE_URLS)
        case "" | "tools":
            return Choices(())


def tools_of(cluster: Cluster, ref: ObjectRef) -> list[ToolInfo] | None:
    """Return a server's tools with their schemas where our operator wrote them down; None while nobody listed them."""
    found = cluster.store.find(ObjectRef(CONFIGMAP, ref.namespace, f"{ref.name}-{ref.kind.lower()}-tools"))
    if found is not None:
        try:
            content: object = json.loads(text(mapping(found.get("data")).get("tools.json")) or "[]")
        except ValueError:
            content = []
        # Our operator writes {"tools": [...]}; a bare list is read too.
        return [_tool(mapping(one)) for one in items(mapping(content).get("tools")) or items(content)]
    listed = mapping((cluster.store.find(ref) or {}).get("status")).get("discoveredTools")
    return None if listed is None else [_tool(mapping(one)) for one in items(listed)]


def _tool(one: JsonObject) -> ToolInfo:
    return ToolInfo(
        text(one.get("name")), text(one.get("description")), mapping(one.get("inputSchema")),
        mapping(one.get("annotations")),
    )  # fmt: skip


def _tools_at(path: Path, obj: JsonObject, cluster: Cluster) -> list[ToolInfo]:
    """Return what a server's tool list may hold; approvals only of tools that were chosen."""
    server = mapping(at(obj, path[:-1]))
    namespace = text(server.get("namespace")) or text(at(obj, ("metadata", "namespace")))
    ref = ObjectRef(text(server.get("kind")) or MCP_SERVER, namespace, text(server.get("name")))
    found = tools_of(cluster, ref) or []
    chosen = items(server.get("toolNames"))
    if path[-1] == "requireApproval" and chosen:
        return [one for one in found if one.name in chosen]
    return found


def _stored(cluster: Cluster, kinds: tuple[str, ...], namespace: str, *, but: str = "") -> Choices:
    found = [
        Choice(ref.name, _words(ref.kind, obj))
        for kind in kinds
        for ref, obj in sorted(cluster.store.objects(kind).items())
        if ref.namespace == namespace and ref.name != but
    ]
    return Choices(tuple(found))


def _words(kind: str, obj: JsonObject) -> str:
    spec = mapping(obj.get("spec"))
    if kind == MODEL_CONFIG:
        return f"{text(spec.get('provider')) or 'OpenAI'} {text(spec.get('model'))}"
    if kind == AGENT:
        return text(spec.get("description"))
    return f"{kind} {text(spec.get('url')) or text(mapping(spec.get('deployment')).get('cmd'))}".rstrip()


async def _names(cluster: Cluster, kind: str, namespace: str) -> Choices:
    known = set(_mentioned(cluster, kind, namespace))
    trouble = ""
    try:
        listed = await cluster.client.list(resource_of(kind), namespace)
    except KagentError as error:
        trouble = f"{kind}s cannot be listed: {error.message}"
        return Choices(tuple(Choice(name, "used by another object") for name in sorted(known)), trouble)
    found = [Choice(_name(one), _key_words(one)) for one in listed.items if not _is_internal(one)]
    return Choices(tuple(sorted(found)), trouble)


async def _keys(cluster: Cluster, ref: ObjectRef) -> Choices:
    if not ref.name:
        return Choices((), "choose the name first")
    known = await cluster.keys_of(ref)
    if known.keys is None:
        return Choices((), f"{ref}: {known.trouble}")
    return Choices(tuple(Choice(key) for key in sorted(known.keys)))


def _mentioned(cluster: Cluster, kind: str, namespace: str) -> Iterator[str]:
    for one in (AGENT, MODEL_CONFIG, REMOTE_MCP_SERVER, MCP_SERVER):
        for obj in cluster.store.objects(one).values():
            for reference in references(obj):
                if reference.target.kind == kind and reference.target.namespace == namespace:
                    yield reference.target.name


def _source_kind(outer: JsonObject) -> str:
    return CONFIGMAP if outer.get("type") == CONFIGMAP else SECRET


def _owner_of_key(path: Path, outer: JsonObject) -> str:
    """Return the object whose key a field names: beside apiKeySecretKey stands apiKeySecret, beside key, name."""
    beside = {"apiKeySecretKey": "apiKeySecret", "caCertSecretKey": "caCertSecretRef"}
    return text(outer.get(beside.get(str(path[-1]), "name")))


def _name(obj: JsonObject) -> str:
    return text(mapping(obj.get("metadata")).get("name"))


def _key_words(obj: JsonObject) -> str:
    keys = sorted({*mapping(obj.get("data")), *mapping(obj.get("binaryData"))})
    return f"keys: {', '.join(keys)}" if keys else "no keys"


def _is_internal(obj: JsonObject) -> bool:
    """Tell whether a controller keeps it for itself: an agent's configuration, a token, tools written down."""
    owned = bool(items(mapping(obj.get("metadata")).get("ownerReferences")))
    kind = text(obj.get("type"))
    return (
        owned
        or kind in ("kubernetes.io/service-account-token", "helm.sh/release.v1")
        or _name(obj).startswith("kube-root-ca")
    )
