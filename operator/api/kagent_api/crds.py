"""The CustomResourceDefinitions that everything here relies on, written from the resource types.

Kinds, versions, short names, categories and printer columns are upstream's 0.10 (a kubectl user must not notice which
of the two installed them). No conversion webhook and no admission webhook exists.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import yaml

from kagent_api.agents import Agent
from kagent_api.crd_schema import resource_schema
from kagent_api.inert import AgentHarness, AgentV1Alpha1, Memory, ModelConfigV1Alpha1, SandboxAgent, ToolServer
from kagent_api.mcpservers import MCPServer, RemoteMCPServer
from kagent_api.meta import Resource
from kagent_api.modelconfigs import ModelConfig, ModelProviderConfig
from kagent_api.names import GROUP
from kagent_api.schema import JsonObject

__all__ = ["crd_schema", "crds", "crds_yaml"]


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    path: str
    type: Literal["string", "integer", "date"] = "string"


@dataclass(frozen=True, slots=True)
class Version:
    """One served version; of several the last is the stored one."""

    name: str
    shape: type[Resource]
    columns: tuple[Column, ...] = ()


@dataclass(frozen=True, slots=True)
class Kind:
    kind: str
    plural: str
    versions: tuple[Version, ...]
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ("kagent",)


def _condition(name: str) -> Column:
    return Column(name, f".status.conditions[?(@.type=='{name}')].status")


_READY, _ACCEPTED = _condition("Ready"), _condition("Accepted")
_AGE = Column("Age", ".metadata.creationTimestamp", "date")
_MODEL = (Column("Provider", ".spec.provider"), Column("Model", ".spec.model"))

_KINDS = (
    Kind(
        "Agent",
        "agents",
        (
            Version("v1alpha1", AgentV1Alpha1, (Column("ModelConfig", ".spec.modelConfig"), _READY, _ACCEPTED)),
            Version(
                "v1alpha2",
                Agent,
                (Column("Type", ".spec.type"), Column("Runtime", ".spec.declarative.runtime"), _READY, _ACCEPTED),
            ),
        ),
    ),
    Kind(
        "ModelConfig",
        "modelconfigs",
        (Version("v1alpha1", ModelConfigV1Alpha1, _MODEL), Version("v1alpha2", ModelConfig, _MODEL)),
        ("mc",),
    ),
    Kind(
        "RemoteMCPServer",
        "remotemcpservers",
        (
            Version(
                "v1alpha2",
                RemoteMCPServer,
                (Column("Protocol", ".spec.protocol"), Column("URL", ".spec.url"), _ACCEPTED),
            ),
        ),
        ("rmcps",),
    ),
    Kind("MCPServer", "mcpservers", (Version("v1alpha1", MCPServer, (_READY, _AGE)),)),
    Kind(
        "ModelProviderConfig",
        "modelproviderconfigs",
        (
            Version(
                "v1alpha2",
                ModelProviderConfig,
                (
                    Column("Type", ".spec.type"),
                    Column("Endpoint", ".spec.endpoint"),
                    Column("Models", ".status.modelCount", "integer"),
                    _READY,
                    _AGE,
                ),
            ),
        ),
        ("mprov",),
    ),
    Kind("SandboxAgent", "sandboxagents", (Version("v1alpha2", SandboxAgent, (_READY, _ACCEPTED)),), categories=()),
    Kind(
        "AgentHarness",
        "agentharnesses",
        (
            Version(
                "v1alpha2",
                AgentHarness,
                (Column("Backend", ".spec.backend"), _READY, Column("ID", ".status.backendRef.id"), _AGE),
            ),
        ),
        ("ahr",),
    ),
    Kind("Memory", "memories", (Version("v1alpha1", Memory, (Column("Provider", ".spec.provider"),)),)),
    Kind("ToolServer", "toolservers", (Version("v1alpha1", ToolServer),), ("ts",)),
)


def crds() -> list[JsonObject]:
    """Return every CustomResourceDefinition, ready to apply."""
    return [_definition(kind) for kind in _KINDS]


def crds_yaml() -> str:
    """Return them as one YAML stream."""
    return yaml.dump_all(crds(), Dumper=_PlainDumper, sort_keys=False, explicit_start=True, width=1000)


def crd_schema(kind: str, version: str = "") -> JsonObject:
    """Return the OpenAPI schema of a kind; no version means the stored one. Raise KeyError for an unknown one."""
    found = next((entry for entry in _KINDS if entry.kind == kind), None)
    if found is None:
        raise KeyError(f"{GROUP} has no kind {kind}")
    for entry in reversed(found.versions):
        if version in ("", entry.name):
            return resource_schema(entry.shape)
    raise KeyError(f"{kind} has no version {version}")


def _definition(kind: Kind) -> JsonObject:
    names: JsonObject = {
        "kind": kind.kind,
        "listKind": f"{kind.kind}List",
        "plural": kind.plural,
        "singular": kind.kind.lower(),
    }
    if kind.short_names:
        names["shortNames"] = list(kind.short_names)
    if kind.categories:
        names["categories"] = list(kind.categories)
    stored = kind.versions[-1]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": names,
            "scope": "Namespaced",
            "versions": [_version(version, stored=version is stored) for version in kind.versions],
        },
    }


def _version(version: Version, *, stored: bool) -> JsonObject:
    written: JsonObject = {"name": version.name, "served": True, "storage": stored}
    if version.columns:
        written["additionalPrinterColumns"] = [
            {"name": column.name, "type": column.type, "jsonPath": column.path} for column in version.columns
        ]
    written["schema"] = {"openAPIV3Schema": resource_schema(version.shape)}
    written["subresources"] = {"status": {}}
    return written


def _ignore_aliases(_: object, data: object) -> bool:
    return True


# Writes shared parts out in full: kubectl refuses no alias, but people reading the file would. libyaml's emitter, where
# PyYAML was built with it, writes the same four times as fast.
_PlainDumper = type(
    "_PlainDumper", (getattr(yaml, "CSafeDumper", yaml.SafeDumper),), {"ignore_aliases": _ignore_aliases}
)
