"""Runs the process of one agent: listens at once, loads the rest behind the card, stops when told to.

The card and the health checks need nothing of the SDKs, whose imports take longer than everything else together; so
they are answered first, and a request that comes meanwhile waits for the rest instead of failing.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path
from typing import TYPE_CHECKING, Final

import uvicorn

from kagent_engine.errors import ConfigError, KagentError
from kagent_engine.front import Front
from kagent_engine.settings import Settings

if TYPE_CHECKING:
    from types import FrameType

    from kagent_engine.server.app import App

__all__ = ["run"]

logger = logging.getLogger(__name__)

_QUIET: Final = ("/health", "/healthz", "/readyz", "/metrics", "/.well-known/")
# Connections that are still open when the process ends are cut after this; turns are drained by the app itself.
_CLOSE_SECONDS: Final = 3
# Longer than clients and proxies keep a connection: whoever closes first must not be the one that is asked.
_KEEP_ALIVE_SECONDS: Final = 75
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class _Server(uvicorn.Server):
    """uvicorn, but turns end before their streams are cut, a stop that was asked for is no death by signal, and an idle
    process sleeps: uvicorn wakes ten times a second to look whether it should stop and what time it is.
    """

    def __init__(self, config: uvicorn.Config, front: Front) -> None:
        super().__init__(config)
        self._front = front
        self._draining: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        self.should_exit = True
        self._stopping.set()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self._stopping.wait()

    def tell_time(self) -> None:
        """Bring the Date header up to date, in the list that the request at hand has already been given."""
        self.server_state.default_headers[:] = [(b"date", formatdate(usegmt=True).encode())]

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen no more, drain, then do what uvicorn does."""
        for listening in (*self.servers, *(sockets or ())):
            listening.close()
        self._draining = asyncio.create_task(self._front.drain())
        await asyncio.wait([self._draining])
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop; who asks a second time does not want to wait for turns."""
        if self._draining is not None:
            self._draining.cancel()
        super().handle_exit(sig, frame)
        self._stopping.set()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        # The loop's own handlers wake it; those of the signal module would wait for its next event.
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)


def run(directory: Path, settings: Settings, *, host: str, port: int) -> int:
    """Serve the agent of a configuration directory; return the exit code.

    Raises:
        ConfigError: the configuration, or the address to listen on, cannot be used.
    """
    listener = _listen(host, port)
    shown = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104 - compared, not bound
    url = f"http://{shown}:{port}"
    folder = settings.paths.resolve(str(directory))
    front = Front(folder / "agent-card.json", url, lambda: _load(directory, settings, url))
    logging.getLogger("uvicorn.access").addFilter(_not_a_probe)
    server = _Server(
        uvicorn.Config(
            front,
            http="httptools",
            ws="none",
            loop="asyncio",
            log_config=None,
            timeout_graceful_shutdown=_CLOSE_SECONDS,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            date_header=False,
            server_header=False,
            lifespan="on",
        ),
        front,
    )
    failures: list[KagentError] = []

    def give_up(error: KagentError) -> None:
        failures.append(error)
        server.stop()

    front.on_failure = give_up
    front.on_request = server.tell_time
    logger.info("agent %s listens on %s", settings.agent_id, url)
    asyncio.run(server.serve(sockets=[listener]))
    if failures:
        raise failures[0]
    return 0 if server.started else 1


def _load(directory: Path, settings: Settings, url: str) -> Callable[[], App]:
    """Import everything and read the configuration, outside the event loop; return what builds the app inside it."""
    from kagent_engine.compose import compose
    from kagent_engine.config import load
    from kagent_engine.server.app import create_app

    configuration = load(directory, settings)
    return lambda: create_app(compose(configuration, settings, url=url))


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        # The protocol is named because asyncio turns Nagle's delay off, 40 ms a turn, for such sockets only.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
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
