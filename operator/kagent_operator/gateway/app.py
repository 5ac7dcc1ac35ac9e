"""The HTTP API in one ASGI application."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import httpx
from starlette.applications import Starlette
from starlette.routing import Route

from kagent_operator.gateway import (
    a2a,
    changes,
    feedback,
    frameworks,
    info,
    mcp_apps,
    memories,
    prompts,
    providers,
    sessions,
    shares,
    tasks,
    toolservers,
    unserved,
    waiting,
)
from kagent_operator.gateway import agents as agent_routes
from kagent_operator.gateway.cards import CardReader
from kagent_operator.gateway.context import Gateway
from kagent_operator.gateway.dialect_memory import DialectMemory
from kagent_operator.gateway.directory import AgentDirectory
from kagent_operator.gateway.mcp_apps import ToolServerAccess
from kagent_operator.gateway.mcp_front import McpFront
from kagent_operator.gateway.principal import AgentTokens, Authenticator, NoAuthentication, TrustedProxy
from kagent_operator.gateway.replies import EXCEPTION_HANDLERS
from kagent_operator.gateway.reviews import KubernetesAuthentication, Reviews
from kagent_operator.gateway.rights import AllowAll
from kagent_operator.gateway.settings import GatewaySettings
from kagent_operator.gateway.writer import ResourceWriter
from kagent_operator.store import Store

__all__ = ["create_app"]

_ROUTES = (
    *info.ROUTES,
    *agent_routes.ROUTES,
    *toolservers.ROUTES,
    *sessions.ROUTES,
    *shares.ROUTES,
    *tasks.ROUTES,
    *feedback.ROUTES,
    *memories.ROUTES,
    *frameworks.ROUTES,
    *mcp_apps.ROUTES,
    *prompts.ROUTES,
    *providers.ROUTES,
    *changes.ROUTES,
    *waiting.ROUTES,
    *unserved.ROUTES,
    *a2a.ROUTES,
)


def create_app(
    *,
    agents: AgentDirectory,
    store: Store,
    settings: GatewaySettings | None = None,
    http: httpx.AsyncClient | None = None,
    writer: ResourceWriter | None = None,
    on_event: Callable[[str, str, str], None] | None = None,
    reviews: Reviews | None = None,
    agent_tokens: AgentTokens | None = None,
    tool_servers: ToolServerAccess | None = None,
) -> Starlette:
    """Return the gateway. It uses the store and does not close it; a client of its own it closes at shutdown.

    The client to agents honours HTTP_PROXY and NO_PROXY: in the local cluster cluster names resolve through it.
    Without a writer resources are read-only here, without ``tool_servers`` MCP Apps are not served. Mode kubernetes
    needs ``reviews`` and ``agent_tokens``; trusted-proxy without ``agent_tokens`` believes agents as upstream does.
    """
    settings = settings or GatewaySettings()
    client = http or httpx.AsyncClient(
        timeout=httpx.Timeout(None, connect=settings.connect_timeout),
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=100),
    )

    gateway = Gateway(
        agents=agents,
        store=store,
        settings=settings,
        authenticate=_authenticator(settings, reviews, agent_tokens),
        http=client,
        cards=CardReader(client),
        dialects=DialectMemory(),
        writer=writer,
        on_event=on_event,
        rights=reviews if reviews is not None and settings.auth_mode == "kubernetes" else AllowAll(),
        tool_servers=tool_servers,
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            await mcp.aclose()
            if http is None:
                await client.aclose()

    mcp = McpFront(gateway)
    app = Starlette(
        routes=(*_ROUTES, Route("/mcp", endpoint=mcp)), exception_handlers=dict(EXCEPTION_HANDLERS), lifespan=lifespan
    )
    app.state.gateway = gateway
    return app


def _authenticator(
    settings: GatewaySettings, reviews: Reviews | None, agent_tokens: AgentTokens | None
) -> Authenticator:
    match settings.auth_mode:
        case "none":
            return NoAuthentication()
        case "trusted-proxy":
            return TrustedProxy(settings.user_id_claim, agent_tokens)
        case "kubernetes":
            if reviews is None or agent_tokens is None:
                raise ValueError("mode kubernetes needs an API server to ask")
            return KubernetesAuthentication(reviews, agent_tokens)
