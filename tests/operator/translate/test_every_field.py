"""Every field of every CRD does something: changing it changes what is written, in both profiles.

The exceptions stand here with their reasons, and nothing else may join them. Fields are read off the CRDs' schemas, so
that a new one fails this test until it is used.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, cast

import pytest
import yaml

from kagent_api.crds import crds
from kagent_operator.translate import PROFILES, Profile, Settings, Snapshot, translate_agent, translate_mcpserver

JsonObject = dict[str, Any]
Path = tuple[str, ...]
# Blocks of Kubernetes' own that are passed on whole; one change anywhere in them stands for all.
_WHOLE = {
    "affinity", "env", "envFrom", "extraContainers", "sidecars", "podSecurityContext", "securityContext", "resources",
    "tolerations", "volumes", "volumeMounts", "imagePullSecrets", "gitAuthSecretRef", "additionalModelRequestFields",
}  # fmt: skip
_ADMISSION = "says who may refer to it, which is checked before anything is translated"

# Path below spec -> why nothing that is written depends on it. A trailing ``*`` means all below.
_UNUSED: dict[str, dict[str, str]] = {
    "Agent": {
        "allowedNamespaces.*": _ADMISSION,
        "declarative.promptTemplate.dataSources[].kind": "sources are always ConfigMaps (upstream)",
        "declarative.promptTemplate.dataSources[].apiGroup": "sources are always ConfigMaps (upstream)",
        "declarative.tools[].type": "the CRD's rules hold it to the block that is given",
        "byo.deployment.imageRegistry": "no field of a BYO agent",
    },
    "ModelConfig": {
        "geminiVertexAI.candidateCount": "an agent's answer is one text",
        "geminiVertexAI.responseMimeType": "an agent's answer is one text",
        "foundry.endpointFrom.optional": "counts only while the ConfigMap is not there",
    },
    "RemoteMCPServer": {"allowedNamespaces.*": _ADMISSION, "description": "for people who choose a server"},
    "MCPServer": {
        "httpTransport.tls.*": "kmcp ignores it too; a server behind TLS is a RemoteMCPServer",
        "stdioTransport": "an empty block",
    },
}
# The same where it depends on the case.
_UNUSED_THERE: dict[str, str] = {
    "AzureOpenAI model": "the deployment names it",
    "Ollama apiKeySecret": "Ollama takes no key",
    "Ollama apiKeySecretKey": "Ollama takes no key",
    "Bedrock apiKeySecretKey": "its keys have AWS' names",
    "SAPAICore apiKeySecretKey": "its keys have fixed names",
}
_UNUSED_IN_PROFILE: dict[str, dict[str, str]] = {
    "kagent-tui": {" declarative.runtime": "one engine for all"},
    "upstream": dict.fromkeys(
        [
            *(f"GeminiVertexAI geminiVertexAI.{name}" for name in ("temperature", "topP", "topK", "stopSequences")),
            *(f"AnthropicVertexAI anthropicVertexAI.{name}" for name in ("temperature", "topP", "topK")),
            *(f"AnthropicVertexAI anthropicVertexAI.{name}" for name in ("maxTokens", "stopSequences")),
        ],
        "upstream's controller leaves it out",
    ),
}
_OTHER = {"timeout": "77s", "sseReadTimeout": "77s", "protocol": "SSE"}

_OBJECTS = yaml.safe_load("""
- kind: Agent
  spec:
    type: Declarative
    description: d
    version: "1"
    iconUrl: http://i
    documentationUrl: http://d
    provider: {organization: o, url: http://o}
    sandbox: {network: {allowedDomains: [a.com]}}
    skills:
      refs: [r/a:1]
      insecureSkipVerify: true
      gitRefs: [{url: "ssh://git@h/b.git", ref: r, path: p, name: g}]
      gitAuthSecretRef: {name: s}
      s3Refs: [{uri: "s3://b/c", name: n, region: eu}]
      imagePullSecrets: [{name: s}]
      initContainer: {env: [{name: A, value: b}], resources: {limits: {cpu: 1}}}
    declarative: &declarative
      runtime: go
      systemMessage: '{{include "al/k"}} {{range .ToolNames}}{{.}}{{end}}'
      promptTemplate: {dataSources: [{name: p, alias: al}]}
      modelConfig: m
      stream: true
      shareTools: true
      executeCodeBlocks: true
      memory: {modelConfig: other, ttlDays: 3}
      context:
        compaction:
          compactionInterval: 5
          overlapSize: 2
          tokenThreshold: 10
          eventRetentionSize: 3
          summarizer: {modelConfig: other, promptTemplate: t}
      a2aConfig:
        skills: [{id: i, name: n, description: d, tags: [t], examples: [e], inputModes: [x], outputModes: [y]}]
      deployment: &deployment
        replicas: 1
        env: [{name: A, value: b}]
        envFrom: [{secretRef: {name: s}}]
        volumes: [{name: v, emptyDir: {}}]
        volumeMounts: [{name: v, mountPath: /v}]
        labels: {a: b}
        annotations: {a: b}
        deploymentAnnotations: {a: b}
        nodeSelector: {a: b}
        affinity: {nodeAffinity: {}}
        tolerations: [{key: k}]
        resources: {limits: {cpu: 1}}
        securityContext: {runAsUser: 7}
        podSecurityContext: {fsGroup: 7}
        serviceAccountConfig: {labels: {a: b}, annotations: {a: b}}
        imagePullPolicy: Always
        imagePullSecrets: [{name: s}]
        imageRegistry: reg.example
        extraContainers: [{name: c, image: i}]
      tools:
        - type: McpServer
          mcpServer:
            {kind: RemoteMCPServer, apiGroup: kagent.dev, name: r, namespace: ns, toolNames: [x], requireApproval: [x],
             allowedHeaders: [h]}
          headersFrom: [{name: H, valueFrom: {type: Secret, name: s, key: k}}, {name: V, value: v}]
        - type: Agent
          agent: {name: b, kind: Agent, apiGroup: kagent.dev, namespace: ns}
          isolateSessions: true
- kind: Agent
  spec:
    type: Declarative
    declarative:
      systemMessageFrom: {type: ConfigMap, name: p, key: k}
      modelConfig: m
      deployment: {serviceAccountName: acc}
- kind: Agent
  spec:
    type: BYO
    byo:
      deployment:
        <<: *deployment
        image: i
        cmd: c
        args: [a]
        workingDir: /w
- kind: Agent
  spec: {type: BYO, byo: {deployment: {image: i, serviceAccountName: acc}}}
""")
_SETTINGS: JsonObject = yaml.safe_load("""
OpenAI:
  openAI:
    {apiFormat: responses, baseUrl: u, frequencyPenalty: "0.1", maxTokens: 3, n: 2, organization: o,
     presencePenalty: "0.2", reasoningEffort: low, seed: 4, temperature: "0.3", timeout: 5, topP: "0.4"}
OpenAI 2: {openAI: {maxCompletionTokens: 3}}
OpenAI 3: {openAI: {tokenExchange: {type: GDCHServiceAccount, gdchServiceAccount: {audience: a}}}}
Anthropic: {anthropic: {baseUrl: u, maxTokens: 3, temperature: "0.1", topK: 4, topP: "0.2"}}
AzureOpenAI:
  azureOpenAI:
    {apiVersion: v, azureAdToken: t, azureDeployment: d, azureEndpoint: e, maxTokens: 3, temperature: "0.1",
     topP: "0.2"}
Ollama: {ollama: {host: h, options: {a: b}}}
Gemini: {gemini: {maxOutputTokens: 3}}
GeminiVertexAI:
  geminiVertexAI:
    {projectID: p, location: l, maxOutputTokens: 3, temperature: "0.1", topP: "0.2", topK: "3", candidateCount: 2,
     responseMimeType: m, stopSequences: [s]}
AnthropicVertexAI:
  anthropicVertexAI:
    {projectID: p, location: l, maxTokens: 3, temperature: "0.1", topP: "0.2", topK: "3", stopSequences: [s]}
Bedrock:
  bedrock:
    {region: r, cacheTTL: 1h, connectTimeout: 3, readTimeout: 4, promptCaching: true,
     guardrail: {identifier: i, version: v, trace: enabled}, additionalModelRequestFields: {a: b}}
SAPAICore: {sapAICore: {baseUrl: u, authUrl: a, resourceGroup: g}}
Foundry: {foundry: {endpoint: e, deployment: d, apiVersion: v}}
Foundry 2: {foundry: {endpointFrom: {name: p, key: k, optional: true}, deployment: d}}
""")
_REMOTE = yaml.safe_load("""
url: https://h/mcp
description: d
protocol: STREAMABLE_HTTP
timeout: 30s
sseReadTimeout: 5m
terminateOnClose: true
headersFrom: [{name: H, valueFrom: {type: Secret, name: s, key: k}}, {name: V, value: v}]
tls: {caCertSecretRef: s, caCertSecretKey: k, disableSystemCAs: true, disableVerify: true}
allowedNamespaces: {from: All}
""")
_MCP = yaml.safe_load("""
- transportType: stdio
  stdioTransport: {}
  timeout: 5s
  deployment: &mcp
    {cmd: uvx, args: [x], port: 3001, env: {A: b}, image: i, imagePullPolicy: Always, imagePullSecrets: [{name: s}],
     replicas: 2, labels: {a: b}, annotations: {a: b}, nodeSelector: {a: b}, affinity: {nodeAffinity: {}},
     tolerations: [{key: k}], resources: {limits: {cpu: 1}}, securityContext: {runAsUser: 7},
     podSecurityContext: {fsGroup: 7}, secretRefs: [{name: s}], configMapRefs: [{name: p}],
     serviceAccount: {labels: {a: b}, annotations: {a: b}}, sidecars: [{name: c, image: i}],
     volumes: [{name: v, emptyDir: {}}], volumeMounts: [{name: v, mountPath: /v}],
     initContainer: {image: i, imagePullPolicy: Always, resources: {limits: {cpu: 1}}, securityContext: {runAsUser: 8}}}
- transportType: http
  httpTransport: {path: /p, targetPort: 8000, tls: {secretRef: s, insecureSkipVerify: true}}
  deployment: {cmd: c, image: i, serviceAccountName: acc}
""")


def _object(kind: str, name: str, spec: JsonObject | None = None, **more: Any) -> JsonObject:
    version = "v1" if spec is None else "kagent.dev/v1alpha1" if kind == "MCPServer" else "kagent.dev/v1alpha2"
    body = more if spec is None else {"spec": spec}
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": "ns"}, **body}


def _world(*objects: JsonObject) -> Snapshot:
    model: JsonObject = {"provider": "OpenAI", "model": "g", "openAI": {}}
    there = {(obj["kind"], obj["metadata"]["name"]) for obj in objects}
    others = [
        *(_object("ModelConfig", name, {**model, "model": name}) for name in ("m", "other")),
        _object("Agent", "b", {"description": "b", "declarative": {}}),
        _object("RemoteMCPServer", "r", {"url": "http://h/mcp"}),
        _object("Secret", "s", data={"k": "eA=="}),
        _object("ConfigMap", "p", data={"k": "v"}),
    ]
    return Snapshot([*objects, *(obj for obj in others if (obj["kind"], obj["metadata"]["name"]) not in there)])


def _written(kind: str, spec: JsonObject, profile: Profile) -> object:
    """Return what comes of a resource: by itself, or of an agent that uses it. A fault counts as such."""
    use: JsonObject = {"type": "Declarative", "declarative": {"systemMessage": "h", "modelConfig": "m"}}
    use["declarative"]["runtime"] = "go"
    match kind:
        case "Agent":
            agent, world = _object("Agent", "a", spec), _world()
        case "MCPServer":
            # Its timeout and address are its users'; the rest is its own.
            server = _object("MCPServer", "srv", spec)
            use["declarative"]["tools"] = [{"mcpServer": {"name": "srv", "kind": "MCPServer"}}]
            made = translate_mcpserver(server, _world(server), Settings(), profile=profile)
            used = translate_agent(_object("Agent", "a", use), _world(server), Settings(), profile=profile)
            return [made, used.objects]
        case _:
            target = _object(kind, "m" if kind == "ModelConfig" else "r", spec)
            use["declarative"]["memory"] = {"modelConfig": "m"}
            use["declarative"]["tools"] = [{"mcpServer": {"name": "r", "kind": "RemoteMCPServer"}}]
            agent, world = _object("Agent", "a", use), _world(target)
    return translate_agent(agent, world, Settings(), profile=profile).objects


def _cases() -> list[tuple[str, JsonObject]]:
    cases = [("Agent", cast(JsonObject, obj["spec"])) for obj in _OBJECTS]
    common = {"model": "x", "apiKeySecret": "s", "apiKeySecretKey": "k", "defaultHeaders": {"a": "b"}}
    common["tls"] = _REMOTE["tls"]
    for provider, block in _SETTINGS.items():
        cases.append(("ModelConfig", {"provider": provider.split()[0], **common, **block}))
    passing = {"provider": "OpenAI", "model": "x", "apiKeyPassthrough": True}
    cases += [("ModelConfig", passing), ("RemoteMCPServer", _REMOTE)]
    return cases + [("MCPServer", spec) for spec in _MCP]


def _leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, tuple[Any, ...]]]:
    """Yield (path as in a schema, steps to the value) of every leaf of an object."""
    yield from _walk(value, path, ())


def _walk(value: Any, path: Path, steps: tuple[Any, ...]) -> Iterator[tuple[Path, tuple[Any, ...]]]:
    if isinstance(value, dict) and value and not (path and path[-1] in _WHOLE):
        for key, entry in cast(JsonObject, value).items():
            yield from _walk(entry, (*path, key), (*steps, key))
    elif isinstance(value, list) and value and isinstance(value[0], dict) and path[-1] not in _WHOLE:
        for number, entry in enumerate(cast(list[Any], value)):
            yield from _walk(entry, (*path[:-1], path[-1] + "[]"), (*steps, number))
    else:
        yield path, steps


def _without(spec: JsonObject, steps: tuple[Any, ...]) -> JsonObject:
    changed = copy.deepcopy(spec)
    target: Any = changed
    for step in steps[:-1]:
        target = target[step]
    value = target[steps[-1]]
    if isinstance(value, str) and value:
        number = value.replace(".", "").isdigit()
        target[steps[-1]] = _OTHER.get(steps[-1]) or (
            "9" if number else value[:-1] + ("y" if value[-1] != "y" else "z")
        )
    else:
        del target[steps[-1]]
    return changed


def _unused(kind: str, path: Path) -> bool:
    name = ".".join(path)
    return any(name == each or (each.endswith(".*") and name.startswith(each[:-1])) for each in _UNUSED[kind])


@pytest.mark.parametrize("profile", PROFILES)
def test_changing_a_field_changes_what_is_written(profile: Profile) -> None:
    idle: list[str] = []
    for kind, spec in _cases():
        before = _written(kind, spec, profile)
        for path, steps in _leaves(spec):
            if _unused(kind, path):
                continue
            try:
                after = _written(kind, _without(spec, steps), profile)
            except Exception as error:
                after = error
            if after == before:
                idle.append(f"{spec['provider'] if kind == 'ModelConfig' else ''} {'.'.join(path)}")
    assert sorted(idle) == sorted([*_UNUSED_THERE, *_UNUSED_IN_PROFILE[profile]])


def _schema_leaves(schema: JsonObject, path: Path = ()) -> Iterator[Path]:
    properties = cast(JsonObject, schema.get("properties") or {})
    items = schema.get("items")
    if path and path[-1].removesuffix("[]") in _WHOLE:
        yield path
    elif properties:
        for key, entry in properties.items():
            yield from _schema_leaves(entry, (*path, key))
    elif isinstance(items, dict) and cast(JsonObject, items).get("properties"):
        yield from _schema_leaves(cast(JsonObject, items), (*path[:-1], path[-1] + "[]"))
    else:
        yield path


@pytest.mark.parametrize("kind", ["Agent", "ModelConfig", "RemoteMCPServer", "MCPServer"])
def test_the_examples_hold_every_field_of_the_crd(kind: str) -> None:
    crd = next(each for each in crds() if each["spec"]["names"]["kind"] == kind)
    version = next(each for each in crd["spec"]["versions"] if each["storage"])
    schema = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    wanted = {path for path in _schema_leaves(schema) if not _unused(kind, path)}
    shown = {path for each, spec in _cases() if each == kind for path, _ in _leaves(spec)}
    covered = {path for path in wanted if any(one[: len(path)] == path for one in shown)}
    assert sorted(".".join(path) for path in wanted - covered) == []
