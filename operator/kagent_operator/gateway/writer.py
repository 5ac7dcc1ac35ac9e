"""How the gateway changes resources: through one seam, with the operator's own rights or with the caller's.

The API server validates; nothing is written around it. A gateway without a writer answers 501 and says what to use.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Protocol

from kagent_api.kube import Access, KubeClient, Resource
from kagent_api.kube.credentials import StaticAuthorization
from kagent_api.kube.resources import (
    AGENTS,
    CONFIGMAPS,
    MCPSERVERS,
    MODELCONFIGS,
    REMOTEMCPSERVERS,
    SECRETS,
    JsonObject,
)
from kagent_api.names import VERSION

__all__ = ["KubeWriter", "ResourceWriter"]

_AGENT: Final = f"kagent-operator/{VERSION} (for a caller)"
_RESOURCES: dict[str, Resource] = {
    resource.kind: resource for resource in (AGENTS, MODELCONFIGS, REMOTEMCPSERVERS, MCPSERVERS, CONFIGMAPS, SECRETS)
}


class ResourceWriter(Protocol):
    """Creates, replaces one part of, and deletes objects by kind; raises KubeError."""

    def acting_as(self, token: str) -> ResourceWriter:
        """Return a writer with the rights of whoever has this token."""
        ...

    async def create(self, kind: str, obj: JsonObject) -> JsonObject: ...

    async def replace(self, kind: str, namespace: str, name: str, part: str, value: object) -> JsonObject:
        """Replace one top-level field (``spec``, ``data``) of an object whatever its version, and return it."""
        ...

    async def delete(self, kind: str, namespace: str, name: str) -> None: ...


class KubeWriter:
    """Writes to the API server."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client

    def acting_as(self, token: str) -> ResourceWriter:
        return _AsCaller(self._client.access, token)

    async def create(self, kind: str, obj: JsonObject) -> JsonObject:
        resource = _RESOURCES[kind]
        # Clients of other versions send fields we may not know; upstream's server drops them too.
        whole = obj | {"apiVersion": resource.api_version, "kind": kind}
        return await self._client.create(resource, whole, field_validation="Warn")

    async def replace(self, kind: str, namespace: str, name: str, part: str, value: object) -> JsonObject:
        # "add" replaces a member that is there and makes one that is not (RFC 6902, 4.1).
        change = [{"op": "add", "path": f"/{part}", "value": value}]
        return await self._client.patch(_RESOURCES[kind], name, change, namespace, kind="json")

    async def delete(self, kind: str, namespace: str, name: str) -> None:
        await self._client.delete(_RESOURCES[kind], name, namespace)


class _AsCaller:
    """Writes to the API server with a caller's token, by a connection of its own for each change."""

    def __init__(self, access: Access, token: str) -> None:
        tls = replace(access.tls, certificate=None)
        self._access = replace(access, credentials=StaticAuthorization(f"Bearer {token}"), tls=tls)

    def acting_as(self, token: str) -> ResourceWriter:
        return _AsCaller(self._access, token)

    async def create(self, kind: str, obj: JsonObject) -> JsonObject:
        async with KubeClient(self._access, user_agent=_AGENT) as client:
            return await KubeWriter(client).create(kind, obj)

    async def replace(self, kind: str, namespace: str, name: str, part: str, value: object) -> JsonObject:
        async with KubeClient(self._access, user_agent=_AGENT) as client:
            return await KubeWriter(client).replace(kind, namespace, name, part, value)

    async def delete(self, kind: str, namespace: str, name: str) -> None:
        async with KubeClient(self._access, user_agent=_AGENT) as client:
            await KubeWriter(client).delete(kind, namespace, name)
