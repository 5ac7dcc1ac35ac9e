"""Whatever stands in a resource, translation answers with objects or with an error for its author; it never crashes."""

from __future__ import annotations

import contextlib
import copy
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from kagent_api.errors import KagentError
from kagent_operator.offline import read_manifests
from kagent_operator.translate import PROFILES, Settings, Snapshot, translate_agent, translate_mcpserver
from kagent_operator.translate.references import check_cross_namespace

JsonObject = dict[str, Any]
_VALID = Path(__file__).parents[4] / "shared" / "fixtures" / "manifests" / "valid"
_ODD: list[Any] = [None, -1, 1.5, "", "../..", [None], {"a": None}, "\u202e\x00"]

_EVERYTHING = yaml.safe_load("""
- apiVersion: kagent.dev/v1alpha2
  kind: Agent
  metadata: {name: a, namespace: ns, uid: u, annotations: {x: y}}
  spec:
    type: Declarative
    description: d
    skills: {refs: [r/a:1], gitRefs: [{url: "https://h/b.git", path: p}], s3Refs: [{uri: "s3://b/c"}]}
    sandbox: {network: {allowedDomains: [a.com]}}
    declarative:
      systemMessage: '{{include "p/k"}} {{range .ToolNames}}{{.}}{{end}}'
      promptTemplate: {dataSources: [{name: p}]}
      modelConfig: m
      memory: {modelConfig: m, ttlDays: 1}
      context: {compaction: {summarizer: {promptTemplate: t}}}
      a2aConfig: {skills: [{id: i, name: n, tags: [t]}]}
      deployment: {replicas: 1, env: [{name: A, value: b}], volumes: [{name: v, emptyDir: {}}], labels: {a: b}}
      tools:
        - mcpServer: {kind: RemoteMCPServer, name: r, toolNames: [x]}
          headersFrom: [{name: H, valueFrom: {type: Secret, name: s, key: k}}]
        - mcpServer: {kind: MCPServer, name: k}
        - mcpServer: {kind: Service, name: svc}
        - agent: {name: b}
- {apiVersion: kagent.dev/v1alpha2, kind: Agent, metadata: {name: b, namespace: ns}, spec: {declarative: {tools: []}}}
- apiVersion: kagent.dev/v1alpha2
  kind: ModelConfig
  metadata: {name: m, namespace: ns}
  spec:
    provider: OpenAI
    model: g
    apiKeySecret: s
    apiKeySecretKey: k
    openAI: {temperature: "0.5", maxTokens: 3}
    tls: {caCertSecretRef: s, caCertSecretKey: k}
- apiVersion: kagent.dev/v1alpha2
  kind: RemoteMCPServer
  metadata: {name: r, namespace: ns}
  spec: {url: "https://h/mcp", timeout: 30s, tls: {disableVerify: true}}
- apiVersion: kagent.dev/v1alpha1
  kind: MCPServer
  metadata: {name: k, namespace: ns}
  spec:
    transportType: stdio
    timeout: 5s
    deployment: {cmd: uvx, args: [x], port: 3000, env: {A: b}, secretRefs: [{name: s}], configMapRefs: [{name: p}]}
- {apiVersion: v1, kind: Service, metadata: {name: svc, namespace: ns}, spec: {ports: [{port: 1, appProtocol: mcp}]}}
- {apiVersion: v1, kind: Secret, metadata: {name: s, namespace: ns}, data: {k: eA==}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: p, namespace: ns}, data: {k: v}}
""")


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = list(cast(JsonObject, value).items())
    elif isinstance(value, list):
        items = list(enumerate(cast(list[Any], value)))
    for key, item in items:
        # Who an object is comes from the API server and is what it says.
        if key not in {"apiVersion", "kind"} and not (path[-1:] == ("metadata",) and key in {"name", "namespace"}):
            yield (*path, key)
        yield from _places(item, (*path, key))


def _translate_all(objects: list[JsonObject]) -> None:
    world = Snapshot(objects)
    for number, obj in enumerate(objects):
        # Both profiles, in turns: they share nearly all of the way.
        profile = PROFILES[number % 2]
        with contextlib.suppress(KagentError):
            if obj["kind"] == "Agent":
                check_cross_namespace(obj, world, ["ns"])
                translate_agent(obj, world, Settings(proxy_url="http://p:1"), profile=profile)
            elif obj["kind"] == "MCPServer":
                translate_mcpserver(obj, world, Settings(), profile=profile)


def test_the_whole_example_translates() -> None:
    world = Snapshot(_EVERYTHING)
    for profile in PROFILES:
        assert translate_agent(_EVERYTHING[0], world, Settings(), profile=profile).objects
        assert translate_mcpserver(_EVERYTHING[4], world, Settings(), profile=profile)


@pytest.mark.parametrize("odd", _ODD, ids=repr)
def test_odd_values_anywhere_are_survived(odd: Any) -> None:
    for path in list(_places(_EVERYTHING)):
        changed = copy.deepcopy(_EVERYTHING)
        target = changed
        for step in path[:-1]:
            target = target[step]
        if path[-1:] == ("metadata",) or not isinstance(target, dict | list) or len(path) == 1:
            continue
        target[path[-1]] = copy.deepcopy(odd)
        _translate_all(changed)


def test_many_odd_values_at_once_are_survived() -> None:
    chance = random.Random(7)
    for _ in range(60):
        changed = copy.deepcopy(_EVERYTHING)
        for path in chance.sample(list(_places(changed)), 8):
            target: Any = changed
            for step in path[:-1]:
                if isinstance(target, dict | list):
                    try:
                        target = cast(Any, target)[step]
                    except (KeyError, IndexError, TypeError):
                        break
            else:
                if isinstance(target, dict) and len(path) > 2 and path[-1] != "metadata":
                    cast(JsonObject, target)[path[-1]] = copy.deepcopy(chance.choice(_ODD))
        _translate_all(changed)


@pytest.mark.skipif(not _VALID.is_dir(), reason="upstream's manifests (../shared/fixtures) are not here")
def test_every_published_manifest_translates_or_says_what_is_missing() -> None:
    objects = [obj for path in sorted(_VALID.glob("*.yaml")) for obj in read_manifests(str(path), "ns")]
    assert len(objects) >= 48
    _translate_all(objects)
