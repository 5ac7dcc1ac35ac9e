"""Composes one agent from its configuration and serves it until it is told to stop.

The card is served before anything slow happens: MCP servers are connected afterwards, in the background.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from pathlib import Path
from typing import Final

import uvicorn

from kagent_engine.agent import Agent
from kagent_engine.config import Configuration, load
from kagent_engine.errors import ConfigError
from kagent_engine.loop import Limits
from kagent_engine.models.factory import build_model
from kagent_engine.server.app import Serving, create_app
from kagent_engine.sessions import Store, open_store
from kagent_engine.settings import Settings
from kagent_engine.tools.ask_user import AskUser
from kagent_engine.tools.sources import build_sources

__all__ = ["compose", "run"]

logger = logging.getLogger(__name__)

_QUIET: Final = ("/health", "/healthz", "/readyz", "/metrics", "/.well-known/")
# Connections that are still open when the process ends are cut after this; turns are drained by the app itself.
_CLOSE_SECONDS: Final = 3


def compose(configuration: Configuration, settings: Settings, *, url: str) -> Serving:
    """Build the agent and everything it is served with.

    Raises:
        ConfigError: the configuration asks for something that cannot be.
    """
    config = configuration.config
    if config.model is None:
        raise ConfigError("config.json", "there is no model", field="model")
    sources = build_sources(config, settings)
    store: Store = open_store(settings, database=config.session_db_url or "")
    servers = (*config.http_tools, *config.sse_tools)
    agent = Agent(
        name=settings.name.replace("-", "_"),
        instruction=config.instruction,
        model=build_model(config.model, paths=settings.paths),
        store=store,
        sources=sources.all,
        own_tools=[AskUser()],
        require_approval=frozenset(name for server in servers for name in server.require_approval),
        limits=Limits(tool_rounds=settings.tool_rounds),
    )
    return Serving(
        agent,
        store,
        configuration.card,
        app_name=settings.agent_id,
        url=url,
        key_passthrough=bool(config.model.api_key_passthrough),
        largest_request=settings.largest_request,
        unready=sources.unready,
        started=sources.start,
    )


def run(directory: Path, settings: Settings, *, host: str, port: int) -> int:
    """Serve the agent of a configuration directory; return the exit code.

    Raises:
        ConfigError: the configuration, or the address to listen on, cannot be used.
    """
    listener = _listen(host, port)
    shown = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104 - compared, not bound
    serving = compose(load(directory, settings), settings, url=f"http://{shown}:{port}")
    logging.getLogger("uvicorn.access").addFilter(_not_a_probe)
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(serving),
            http="httptools",
            ws="none",
            loop="asyncio",
            log_config=None,
            timeout_graceful_shutdown=_CLOSE_SECONDS,
            lifespan="on",
        )
    )
    logger.info("agent %s listens on http://%s:%d", settings.agent_id, shown, port)
    asyncio.run(server.serve(sockets=[listener]))
    return 0 if server.started else 1


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise ConfigError(
            "--port", f"cannot listen on {host}:{port}: {error.strerror}", remedy="choose another port or host"
        ) from error
    listener.set_inheritable(False)
    return listener


def _not_a_probe(record: logging.LogRecord) -> bool:
    """Keep health checks out of the access log."""
    arguments = record.args
    path = str(arguments[2]) if isinstance(arguments, tuple) and len(arguments) > 2 else ""
    return not path.startswith(_QUIET)
