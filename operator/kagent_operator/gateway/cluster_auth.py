"""What the modes of authentication ask of the API server, opened over the operator's connection."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, NamedTuple, cast

import httpx

from kagent_api.errors import TransientError
from kagent_api.kube import KubeClient
from kagent_api.kube.credentials import NoCredentials
from kagent_api.kube.resources import JsonObject
from kagent_operator.gateway.agent_tokens import IssuerKeys, PodTokens
from kagent_operator.gateway.directory import AgentDirectory
from kagent_operator.gateway.reviews import Reviews

__all__ = ["ClusterAuth", "open_cluster_auth"]


class ClusterAuth(NamedTuple):
    """What ``create_app`` needs for the modes kubernetes and trusted-proxy."""

    reviews: Reviews
    agent_tokens: PodTokens


@asynccontextmanager
async def open_cluster_auth(client: KubeClient, agents: AgentDirectory) -> AsyncGenerator[ClusterAuth]:
    """Yield both; the reviews go over a connection that shows no credentials of the operator's."""
    tls = replace(client.access.tls, certificate=None)
    nobody = KubeClient(
        replace(client.access, credentials=NoCredentials(), tls=tls), user_agent="kagent-operator (for a caller)"
    )

    async def read(path: str) -> JsonObject:
        try:
            reply = await client.http().get(client.access.server + path)
            document: Any = reply.json() if reply.is_success else None
        except (httpx.HTTPError, ValueError) as error:
            raise TransientError(f"the API server's {path} cannot be read: {type(error).__name__}") from error
        if not isinstance(document, dict):
            raise TransientError(
                f"the API server answered HTTP {reply.status_code} to {path}, so agents' tokens cannot be checked",
                remedy="bind ClusterRole system:service-account-issuer-discovery to the operator, as Kubernetes does",
            )
        return cast("JsonObject", document)

    async with nobody:
        yield ClusterAuth(Reviews(nobody.http(), client.access.server), PodTokens(IssuerKeys(read), agents))
