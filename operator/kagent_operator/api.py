"""Opens the HTTP API over the reconcilers' copies: what the gateway may know of the cluster, and its store."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from kagent_operator.reconcile import Operator
from kagent_operator.reconcile.keys import Key
from kagent_operator.tool_servers import ToolServers
from kagent_operator.traffic import Traffic
from kagent_operator.translate.fields import JsonObject

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from kagent_api.kube import KubeClient
    from kagent_operator.run import Options

__all__ = ["Directory", "open_api", "state_directory"]


class Directory:
    """The watched resources as raw objects, for the gateway's routes."""

    def __init__(self, operator: Operator) -> None:
        self._cache = operator.cache

    def get(self, namespace: str, name: str) -> JsonObject | None:
        """Return an Agent."""
        return self._cache.get(Key("Agent", namespace, name))

    def list(self) -> list[JsonObject]:
        """Return all Agents."""
        return self._cache.list("Agent")

    def resources(self, kind: str) -> list[JsonObject]:
        """Return all objects of a watched kind."""
        return self._cache.list(kind)


def state_directory(options: Options) -> Path:
    """Return where the store lies: --data-dir, KAGENT_TUI_STATE, else the XDG state directory."""
    if options.data_dir is not None:
        return options.data_dir
    if state := os.environ.get("KAGENT_TUI_STATE"):
        return Path(state)
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home) / "kagent-tui"


@asynccontextmanager
async def open_api(
    options: Options, operator: Operator, client: KubeClient, namespaces: tuple[str, ...], traffic: Traffic
) -> AsyncGenerator[ASGIApp]:
    """Open the store and yield the app, its traffic counted; closes the store at the end. Raises KagentError."""
    from kagent_operator.gateway import GatewaySettings, KubeWriter, create_app, open_cluster_auth
    from kagent_operator.store import Store

    if options.database_url:
        address: str | Path = options.database_url
    else:
        folder = state_directory(options)
        folder.mkdir(parents=True, exist_ok=True)
        address = folder / "operator.db"
    async with await Store.open(address) as store:
        settings = GatewaySettings(
            namespace=options.settings.controller_namespace,
            watch_namespaces=namespaces,
            a2a_base_url=options.a2a_base_url,
            default_model_config=options.settings.default_model_config,
            auth_mode=options.auth_mode,
            user_id_claim=options.user_id_claim,
        )
        directory = Directory(operator)
        async with open_cluster_auth(client, directory) as auth:
            app = create_app(
                agents=directory,
                store=store,
                settings=settings,
                writer=KubeWriter(client),
                reviews=auth.reviews,
                agent_tokens=auth.agent_tokens,
                tool_servers=ToolServers(operator),
                on_event=traffic.event,
            )
            yield traffic.counting(app, [str(getattr(route, "path", "")) for route in app.routes])
