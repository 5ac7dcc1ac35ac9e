"""Which Kubernetes object a tool call is about, as far as its name and arguments tell: for links from cards and for
dry runs. Pure; it guesses only from words that tools of Kubernetes servers share, and says nothing otherwise."""

from __future__ import annotations

import re
from typing import Final

from kagent_api.errors import ObjectRef
from kagent_tui.chat.jsonvalue import JsonObject, object_of, text_of

__all__ = ["KIND_WORDS", "kind_word", "target_of"]

# Kinds as tools call them: singular, plural and kubectl's short names.
KIND_WORDS: Final = {
    "Agent": ("agent", "agents"),
    "ModelConfig": ("modelconfig", "modelconfigs"),
    "RemoteMCPServer": ("remotemcpserver", "remotemcpservers"),
    "MCPServer": ("mcpserver", "mcpservers"),
    "Pod": ("pod", "pods", "po"),
    "Deployment": ("deployment", "deployments", "deploy"),
    "Service": ("service", "services", "svc"),
    "ConfigMap": ("configmap", "configmaps", "cm"),
    "Secret": ("secret", "secrets"),
    "ReplicaSet": ("replicaset", "replicasets", "rs"),
    "ServiceAccount": ("serviceaccount", "serviceaccounts", "sa"),
    "Namespace": ("namespace", "namespaces", "ns"),
}
_KINDS: Final = {word: kind for kind, words in KIND_WORDS.items() for word in words}
_KIND_FIELDS: Final = ("resource_type", "resourceType", "kind", "resource_kind", "resource")
_NAME_FIELDS: Final = ("resource_name", "resourceName", "name")
_SPACE_FIELDS: Final = ("namespace", "resource_namespace", "ns")


def kind_word(word: str) -> str:
    """Return the kind a word means, with or without its group (``deployments.apps``); "" if it means none."""
    return _KINDS.get(word.casefold().partition(".")[0].partition("/")[0], "")


def target_of(tool: str, arguments: JsonObject, *, namespace: str = "default") -> ObjectRef | None:
    """Return the one object that a call is about; ``namespace`` where the call names none."""
    space = next((text_of(arguments[field]) for field in _SPACE_FIELDS if text_of(arguments.get(field))), namespace)
    for value in arguments.values():
        manifest = object_of(value)
        about = object_of(manifest.get("metadata"))
        if text_of(manifest.get("kind")) and text_of(about.get("name")):
            place = text_of(about.get("namespace")) or space
            return ObjectRef(text_of(manifest["kind"]), place, text_of(about["name"]))
    name = next((text_of(arguments[field]) for field in _NAME_FIELDS if text_of(arguments.get(field))), "")
    kind = next((found for field in _KIND_FIELDS if (found := kind_word(text_of(arguments.get(field))))), "")
    if "/" in name and not kind:
        word, _, name = name.partition("/")
        kind = kind_word(word)
    if not kind:
        # ``get_pod(pod_name=...)`` and ``restart_deployment(deployment=...)`` name the kind in their own words.
        for field, value in arguments.items():
            word = field.removesuffix("_name").removesuffix("Name")
            if (found := kind_word(word)) and found != "Namespace" and text_of(value):
                kind, name = found, text_of(value)
                break
        else:
            words = re.split(r"[^A-Za-z]+|(?<=[a-z])(?=[A-Z])", tool)
            kind = next((found for word in words if (found := kind_word(word)) and found != "Namespace"), "")
    return ObjectRef(kind, space, name) if kind and name else None
