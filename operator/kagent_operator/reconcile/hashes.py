"""status.secretHash as it should be now, whether or not the status says so already.

Agents are translated with these, so that a new ModelConfig does not roll its agents out a second time once its status
is written, and a changed Secret reaches them without waiting for it. While a Secret is missing the last hash stays:
what runs with the old value would only be replaced by Pods that cannot start.
"""

from __future__ import annotations

from kagent_operator.translate.config_hash import secret_hash
from kagent_operator.translate.fields import (
    JsonObject,
    config_values,
    flag,
    mapping,
    namespace_of,
    secret_values,
    section,
    text,
)
from kagent_operator.translate.world import World

__all__ = ["WithCurrentHashes", "model_config_hash", "remote_server_hash"]


def model_config_hash(model_config: JsonObject, world: World) -> str:
    """Return the hash over the Secrets and the ConfigMap that a ModelConfig refers to."""
    spec, namespace = mapping(model_config, "spec"), namespace_of(model_config)
    sources = [("Secret", text(spec, "apiKeySecret")), ("Secret", text(spec, "tls", "caCertSecretRef"))]
    if source := section(spec, "foundry", "endpointFrom"):
        sources.append(("ConfigMap", text(source, "name")))
    referenced: dict[str, dict[str, bytes]] = {}
    missing = False
    for kind, name in sources:
        found = world.get(kind, namespace, name) if name else None
        if found is not None:
            referenced[f"{namespace}/{name}"] = (secret_values if kind == "Secret" else config_values)(found)
        elif name and not (kind == "ConfigMap" and flag(spec, "foundry", "endpointFrom", "optional")):
            missing = True
    return (missing and text(model_config, "status", "secretHash")) or secret_hash(referenced)


def remote_server_hash(server: JsonObject, world: World) -> str:
    """Return the hash of a RemoteMCPServer's CA Secret; empty when it uses none (upstream)."""
    namespace, name = namespace_of(server), text(server, "spec", "tls", "caCertSecretRef")
    if not name:
        return ""
    secret = world.get("Secret", namespace, name)
    if secret is None:
        return text(server, "status", "secretHash")
    return secret_hash({f"{namespace}/{name}": secret_values(secret)})


class WithCurrentHashes:
    """A world whose ModelConfigs and RemoteMCPServers carry their current hash in status."""

    def __init__(self, world: World) -> None:
        self._world = world

    def get(self, kind: str, namespace: str, name: str) -> JsonObject | None:
        found = self._world.get(kind, namespace, name)
        if found is None or kind not in {"ModelConfig", "RemoteMCPServer"}:
            return found
        current = (model_config_hash if kind == "ModelConfig" else remote_server_hash)(found, self._world)
        return {**found, "status": {**mapping(found, "status"), "secretHash": current}}

    def names(self, kind: str, namespace: str) -> list[str]:
        return self._world.names(kind, namespace)

    def namespace_exists(self, name: str) -> bool:
        return self._world.namespace_exists(name)

    def namespace_labels(self, name: str) -> dict[str, str] | None:
        return self._world.namespace_labels(name)
