"""Puts the reconcilers together and runs them: reflectors, queue, discovery, one task group."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from kagent_api.kube import Delta, KubeClient, LinkState, Reflector, Resource
from kagent_api.kube.resources import (
    AGENTS,
    CONFIGMAPS,
    DEPLOYMENTS,
    MCPSERVERS,
    MODELCONFIGS,
    MODELPROVIDERCONFIGS,
    NAMESPACES,
    PODS,
    REMOTEMCPSERVERS,
    SANDBOXAGENTS,
    SECRETS,
    SERVICEACCOUNTS,
    SERVICES,
)
from kagent_operator.reconcile.agents import AgentReconciler
from kagent_operator.reconcile.apply import Writer
from kagent_operator.reconcile.cache import Cache
from kagent_operator.reconcile.context import Context
from kagent_operator.reconcile.controller import Controller
from kagent_operator.reconcile.discoveries import Discoveries
from kagent_operator.reconcile.discovery import Target, Tool, discover
from kagent_operator.reconcile.events import EventRecorder
from kagent_operator.reconcile.mcpservers import McpServerReconciler
from kagent_operator.reconcile.modelconfigs import ModelConfigReconciler
from kagent_operator.reconcile.modellists import Provider, list_models
from kagent_operator.reconcile.modelproviders import ModelProviderReconciler
from kagent_operator.reconcile.reconnect import Reconnect
from kagent_operator.reconcile.remoteservers import RemoteServerReconciler
from kagent_operator.reconcile.revisions import Revisions
from kagent_operator.reconcile.rivals import WITNESSES, Rivals
from kagent_operator.reconcile.sandboxagents import SandboxAgentReconciler
from kagent_operator.reconcile.services import ServiceReconciler
from kagent_operator.reconcile.status import Now, StatusWriter, utc_now
from kagent_operator.translate.settings import Settings

__all__ = ["WATCHED", "Operator"]

_log = logging.getLogger(__name__)
# Providers add models now and then; their lists are long and their limits count every question.
_MODELS_INTERVAL: Final = 3600.0
# Helm keeps each release in a Secret of up to a megabyte, which no resource of ours refers to.
_NO_RELEASES: Final = "type!=helm.sh/release.v1"

WATCHED: Final[tuple[Resource, ...]] = (
    AGENTS,
    MODELCONFIGS,
    MODELPROVIDERCONFIGS,
    REMOTEMCPSERVERS,
    MCPSERVERS,
    SANDBOXAGENTS,
    DEPLOYMENTS,
    PODS,
    SERVICES,
    SERVICEACCOUNTS,
    SECRETS,
    CONFIGMAPS,
)


class Operator:
    """All reconcilers over one client. ``namespaces`` empty means the whole cluster."""

    def __init__(
        self,
        client: KubeClient,
        settings: Settings,
        namespaces: Sequence[str],
        *,
        ask: Callable[[Target], Awaitable[list[Tool]]] = discover,
        ask_models: Callable[[Provider], Awaitable[list[str]]] = list_models,
        refresh_interval: float = 60.0,
        instance: str = "",
        now: Now = utc_now,
    ) -> None:
        self.controller = Controller()
        self.started = asyncio.Event()
        # A replica that waits for its turn is ready to serve the HTTP API.
        self.standing_by = False
        watched = WATCHED if namespaces else (*WATCHED, NAMESPACES)
        reconnect = Reconnect(self.controller.queue.retry_now)

        def make_reflector(
            resource: Resource,
            namespace: str | None,
            *,
            on_delta: Callable[[Delta], None],
            on_state: Callable[[LinkState], None],
        ) -> Reflector:
            unread = _NO_RELEASES if resource is SECRETS else ""
            seen = self._noticing_rivals(on_delta) if resource in WITNESSES else on_delta
            return Reflector(
                client,
                resource,
                namespace,
                field_selector=unread,
                on_delta=seen,
                on_state=reconnect.hearing(on_state),
                sleep=reconnect.sleep,
            )

        self.events = EventRecorder(client, now, instance=instance)
        self.rivals = Rivals(client, namespaces, now, home=settings.controller_namespace, tell=self.events.warn_now)
        self.cache = Cache(watched, namespaces, make_reflector, self.controller.on_change)
        self.discoveries = Discoveries(ask, self.controller.queue.add, interval=refresh_interval)
        self.model_lists = Discoveries(ask_models, self.controller.queue.add, interval=_MODELS_INTERVAL)
        self.context = Context(
            cache=self.cache,
            writer=Writer(client, self.cache),
            status=StatusWriter(client, self.cache, self.events),
            events=self.events,
            discoveries=self.discoveries,
            model_lists=self.model_lists,
            revisions=Revisions(client),
            settings=settings,
            namespaces=tuple(namespaces),
            now=now,
        )
        self.controller.use(
            {
                AGENTS.kind: AgentReconciler(self.context),
                MODELCONFIGS.kind: ModelConfigReconciler(self.context),
                MODELPROVIDERCONFIGS.kind: ModelProviderReconciler(self.context),
                REMOTEMCPSERVERS.kind: RemoteServerReconciler(self.context),
                MCPSERVERS.kind: McpServerReconciler(self.context),
                SANDBOXAGENTS.kind: SandboxAgentReconciler(self.context),
                SERVICES.kind: ServiceReconciler(self.context),
            }
        )

    def _noticing_rivals(self, on_delta: Callable[[Delta], None]) -> Callable[[Delta], None]:
        """Return a consumer that sees who wrote an object before the cache drops that part."""

        def seen(delta: Delta) -> None:
            self.rivals.saw(delta)
            on_delta(delta)

        return seen

    async def watch(self) -> None:
        """Keep the copies of the cluster until cancelled; replicas that do not lead run only this."""
        await self.cache.run()

    async def reconcile(self) -> None:
        """Reconcile until cancelled, once everything was listed."""
        await self.cache.wait_until_known()
        _log.info("reconciling: %d agents", len(self.cache.list(AGENTS.kind)))
        self.started.set()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.controller.run(self.context))
            group.create_task(self.discoveries.run())
            group.create_task(self.model_lists.run())
            group.create_task(self.events.run())
