"""What an object of kagent.dev refers to: agent -> model -> Secret, tools -> servers, sub-agents.

Pure and tolerant: it reads raw objects, also half-written ones, and must never raise on their shape. Rules: upstream
0.10 (reference kagent-v1alpha2, 1.1-1.3 and 3.1): models, Secrets and ConfigMaps are always of the same namespace;
tools may name another one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, cast

from kagent_api.errors import ObjectRef
from kagent_api.names import DEFAULT_MODEL_CONFIG
from kagent_tui.cluster.kinds import (
    AGENT,
    CONFIGMAP,
    MCP_SERVER,
    MODEL_CONFIG,
    SECRET,
    JsonObject,
    ref_of,
)

__all__ = ["Reference", "items", "mapping", "references", "text"]


class Reference(NamedTuple):
    """One reference: where it stands in the object, what it names, which key of it, which tools of it."""

    path: str
    target: ObjectRef
    key: str = ""
    tools: tuple[str, ...] = ()


def mapping(value: object) -> JsonObject:
    """Return a JSON object, or an empty one where something else stands."""
    return cast("JsonObject", value) if isinstance(value, dict) else {}


def items(value: object) -> list[Any]:
    """Return a JSON array, or an empty one where something else stands."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def text(value: object) -> str:
    """Return a JSON string, or "" where something else stands."""
    return value if isinstance(value, str) else ""


def references(obj: JsonObject) -> list[Reference]:
    """List what an object refers to, in the order of its spec, without duplicates of the same place."""
    ref = ref_of(obj)
    spec = mapping(obj.get("spec"))
    match ref.kind:
        case "Agent":
            return list(_agent(spec, ref.namespace))
        case "ModelConfig":
            return list(_model(spec, ref.namespace))
        case "RemoteMCPServer":
            return list(_headers(spec, "spec", ref.namespace))
        case "MCPServer":
            return list(_mcp_server(spec, ref.namespace))
        case "ModelProviderConfig":
            name = text(mapping(spec.get("secretRef")).get("name"))
            return [Reference("spec.secretRef", ObjectRef(SECRET, ref.namespace, name))] if name else []
        case _:
            return []


def _agent(spec: JsonObject, namespace: str) -> Iterator[Reference]:
    for place in ("byo", "declarative"):
        block = mapping(mapping(spec.get(place)).get("deployment"))
        yield from _environment(block, f"spec.{place}.deployment", namespace)
    if text(spec.get("type")) == "BYO":
        return
    declarative = mapping(spec.get("declarative"))
    model = text(declarative.get("modelConfig")) or DEFAULT_MODEL_CONFIG
    yield Reference("spec.declarative.modelConfig", ObjectRef(MODEL_CONFIG, namespace, model))
    source = mapping(declarative.get("systemMessageFrom"))
    if source:
        yield _value_from(source, "spec.declarative.systemMessageFrom", namespace)
    for field in ("memory", "context"):
        block = mapping(declarative.get(field))
        other = text(block.get("modelConfig")) or text(
            mapping(mapping(block.get("compaction")).get("summarizer")).get("modelConfig")
        )
        if other:
            yield Reference(f"spec.declarative.{field}", ObjectRef(MODEL_CONFIG, namespace, other))
    for index, entry in enumerate(items(mapping(declarative.get("promptTemplate")).get("dataSources"))):
        name = text(mapping(entry).get("name"))
        if name:
            path = f"spec.declarative.promptTemplate.dataSources[{index}]"
            yield Reference(path, ObjectRef(CONFIGMAP, namespace, name))
    for index, entry in enumerate(items(declarative.get("tools"))):
        yield from _tool(mapping(entry), f"spec.declarative.tools[{index}]", namespace)


def _environment(deployment: JsonObject, path: str, namespace: str) -> Iterator[Reference]:
    for index, entry in enumerate(items(deployment.get("env"))):
        source = mapping(mapping(entry).get("valueFrom"))
        for field, kind in (("secretKeyRef", SECRET), ("configMapKeyRef", CONFIGMAP)):
            named = mapping(source.get(field))
            # An optional one that is missing breaks nothing.
            if text(named.get("name")) and named.get("optional") is not True:
                target = ObjectRef(kind, namespace, text(named.get("name")))
                yield Reference(f"{path}.env[{index}].valueFrom.{field}", target, key=text(named.get("key")))


def _tool(tool: JsonObject, path: str, namespace: str) -> Iterator[Reference]:
    server, agent = mapping(tool.get("mcpServer")), mapping(tool.get("agent"))
    if text(server.get("name")):
        # Upstream: an empty kind means MCPServer; a group may be left out.
        kind = text(server.get("kind")) or MCP_SERVER
        target = ObjectRef(kind, text(server.get("namespace")) or namespace, text(server.get("name")))
        names = tuple(name for name in items(server.get("toolNames")) if isinstance(name, str))
        yield Reference(f"{path}.mcpServer", target, tools=names)
    if text(agent.get("name")):
        target = ObjectRef(
            text(agent.get("kind")) or AGENT, text(agent.get("namespace")) or namespace, text(agent.get("name"))
        )
        yield Reference(f"{path}.agent", target)
    yield from _headers(tool, path, namespace)


def _model(spec: JsonObject, namespace: str) -> Iterator[Reference]:
    secret = text(spec.get("apiKeySecret"))
    if secret:
        yield Reference(
            "spec.apiKeySecret", ObjectRef(SECRET, namespace, secret), key=text(spec.get("apiKeySecretKey"))
        )
    tls = mapping(spec.get("tls"))
    if text(tls.get("caCertSecretRef")):
        target = ObjectRef(SECRET, namespace, text(tls.get("caCertSecretRef")))
        yield Reference("spec.tls.caCertSecretRef", target, key=text(tls.get("caCertSecretKey")))


def _headers(block: JsonObject, path: str, namespace: str) -> Iterator[Reference]:
    for index, entry in enumerate(items(block.get("headersFrom"))):
        source = mapping(mapping(entry).get("valueFrom"))
        if text(source.get("name")):
            yield _value_from(source, f"{path}.headersFrom[{index}].valueFrom", namespace)


def _mcp_server(spec: JsonObject, namespace: str) -> Iterator[Reference]:
    deployment = mapping(spec.get("deployment"))
    for field, kind in (("secretRefs", SECRET), ("configMapRefs", CONFIGMAP)):
        for index, entry in enumerate(items(deployment.get(field))):
            name = text(mapping(entry).get("name"))
            if name:
                yield Reference(f"spec.deployment.{field}[{index}]", ObjectRef(kind, namespace, name))


def _value_from(source: JsonObject, path: str, namespace: str) -> Reference:
    kind = SECRET if text(source.get("type")) == SECRET else CONFIGMAP
    return Reference(path, ObjectRef(kind, namespace, text(source.get("name"))), key=text(source.get("key")))
