"""``kagent-operator run``: reconcilers, HTTP API and health on one event loop, until SIGTERM.

Stops in order: no new work, open requests get a moment to end, then the connections to the API server go. The HTTP API
is imported beside the reconcilers' first lists, so that agents start first.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import os
import signal
import socket
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from kagent_api.errors import InvalidSpec
from kagent_api.kube import Access, KubeClient, load_access
from kagent_api.names import VERSION
from kagent_operator.reconcile import Operator
from kagent_operator.reconcile.leader import Leader
from kagent_operator.reconcile.rivals import OtherController, find_other_controller
from kagent_operator.reconcile.status import utc_now
from kagent_operator.traffic import Traffic
from kagent_operator.translate.settings import Settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp

__all__ = ["Options", "parse_address", "run"]

_log = logging.getLogger(__name__)
# Requests that stream an answer may end by themselves within this; the Pod's grace period is longer.
_DRAIN_SECONDS: Final = 10


@dataclass(frozen=True, kw_only=True)
class Options:
    """The command line of ``run``."""

    settings: Settings
    watch_namespaces: Sequence[str] | None = None  # None: its own; empty: all
    kubeconfig: str = ""
    context: str = ""
    http_address: tuple[str, int] = ("0.0.0.0", 8083)  # noqa: S104 - a Pod's address
    health_address: tuple[str, int] = ("0.0.0.0", 8082)  # noqa: S104 - a Pod's address
    refresh_interval: float = 60.0
    auth_mode: Literal["none", "trusted-proxy", "kubernetes"] = "none"
    user_id_claim: str = "sub"
    a2a_base_url: str = ""
    database_url: str = ""
    data_dir: Path | None = None
    leader_elect: bool = False
    take_over: bool = False
    instance: str = field(default_factory=lambda: os.environ.get("POD_NAME", "") or os.uname().nodename)


def parse_address(text: str) -> tuple[str, int]:
    """Read ``HOST:PORT`` or ``:PORT``. Raises ValueError."""
    host, _, port = text.rpartition(":")
    if not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{text!r} is no address such as 0.0.0.0:8083")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 - what an empty host means


def find_namespaces(options: Options, access: Access) -> tuple[str, ...]:
    """Return the namespaces to look after; empty means all."""
    if options.watch_namespaces is not None:
        return tuple(dict.fromkeys(options.watch_namespaces))
    return (os.environ.get("KAGENT_NAMESPACE") or access.namespace or "default",)


async def run(options: Options) -> None:
    """Run until a signal. Raises KagentError when it cannot start, OSError when a port is taken."""
    access = load_access(options.kubeconfig or None, options.context or None)
    namespaces = find_namespaces(options, access)
    _log.info(
        "kagent-operator %s on %s, engine profile %s, namespaces: %s",
        VERSION,
        access.server,
        options.settings.profile,
        ", ".join(namespaces) or "all",
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with KubeClient(access, user_agent=f"kagent-operator/{VERSION}") as client:
        operator = Operator(
            client,
            options.settings,
            namespaces,
            refresh_interval=options.refresh_interval,
            instance=options.instance,
        )
        async with asyncio.TaskGroup() as group:
            work = [
                group.create_task(operator.watch()),
                group.create_task(_lead(options, operator, client, namespaces)),
            ]
            group.create_task(_serve(options, operator, client, namespaces, stop))
            await stop.wait()
            _log.info("stopping")
            for task in work:
                task.cancel()


async def _lead(options: Options, operator: Operator, client: KubeClient, namespaces: tuple[str, ...]) -> None:
    """Reconcile, as the only one who does."""
    await _refuse_beside_another(options, client, namespaces)
    if not options.leader_elect:
        await _reconcile(options, operator)
        return
    leader = Leader(client, options.settings.controller_namespace, options.instance)
    operator.standing_by = True
    await leader.acquire()
    operator.standing_by = False
    try:
        # It may have begun while this replica waited for its turn.
        await _refuse_beside_another(options, client, namespaces)
        async with asyncio.TaskGroup() as group:
            group.create_task(leader.hold())
            group.create_task(_reconcile(options, operator))
    finally:
        # Shielded: a cancelled replica still lets the next one begin at once.
        await asyncio.shield(leader.release())


async def _refuse_beside_another(options: Options, client: KubeClient, namespaces: tuple[str, ...]) -> None:
    home = options.settings.controller_namespace
    if not options.take_over and (other := await find_other_controller(client, namespaces, utc_now, home=home)):
        raise OtherController(other)


async def _reconcile(options: Options, operator: Operator) -> None:
    """Reconcile until another controller begins; one that was told to take over goes on, with a warning."""
    async with asyncio.TaskGroup() as group:
        group.create_task(operator.reconcile())
        group.create_task(operator.rivals.watch(refuse=not options.take_over))


async def _imported(*names: str) -> None:
    """Import modules in a thread: a second of work that the reconcilers need not wait for."""
    for name in names:
        await asyncio.to_thread(importlib.import_module, name)


async def _serve(
    options: Options, operator: Operator, client: KubeClient, namespaces: tuple[str, ...], stop: asyncio.Event
) -> None:
    """Serve health at once, and the HTTP API when it is imported."""
    await _imported("uvicorn", "kagent_operator.health")
    from kagent_operator.health import create_health_app

    api_serves = asyncio.Event()

    def ready() -> str:
        if not operator.started.is_set() and not operator.standing_by:
            return "; ".join(operator.cache.problems()) or "the cluster's objects are being listed"
        return "" if api_serves.is_set() else "the HTTP API is starting"

    traffic = Traffic()

    def metrics() -> str:
        from kagent_operator.metrics import render_metrics

        return render_metrics(operator, traffic)

    health = create_health_app(ready=ready, metrics=metrics)
    async with asyncio.TaskGroup() as group:
        group.create_task(_serve_app(health, options.health_address, stop))
        await _imported("kagent_operator.store", "kagent_operator.gateway")
        from kagent_operator.api import open_api

        async with open_api(options, operator, client, namespaces, traffic) as app:
            await _serve_app(app, options.http_address, stop, started=api_serves)


async def _serve_app(
    app: ASGIApp, address: tuple[str, int], stop: asyncio.Event, *, started: asyncio.Event | None = None
) -> None:
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            _log.info("serving on %s:%d", host, port)
            if started is not None:
                started.set()

        @contextlib.contextmanager
        def capture_signals(self) -> Generator[None, None, None]:
            # Uvicorn raises a captured signal again when it ends, which would cut our own shutdown short.
            yield

    host, port = address
    server = Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            lifespan="on",
            http="httptools",
            timeout_graceful_shutdown=_DRAIN_SECONDS,
        )
    )
    _check_port(host, port)

    async def end() -> None:
        await stop.wait()
        server.should_exit = True

    async with asyncio.TaskGroup() as group:
        watcher = group.create_task(end())
        await server.serve()
        watcher.cancel()


def _check_port(host: str, port: int) -> None:
    """Raise InvalidSpec for a port that is taken: uvicorn would end the whole process with an exit of its own."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise InvalidSpec(
                f"cannot serve on {host}:{port}: {error.strerror}", remedy="choose another address by flag"
            ) from error
