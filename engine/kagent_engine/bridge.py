"""``kagent-engine mcp-bridge``: a stdio MCP server behind ``/mcp`` (streamable HTTP) and ``/sse``.

Requests of any number of HTTP sessions, of both protocol eras, go to the one server as they are; progress and
cancellation pass through, and to the caller whose call it is: sampling, elicitation and log messages of the older
protocol. ``/health`` is true only while the server is there. Not bridged: roots and list-changed notifications.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import signal
import socket
import sys
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from kagent_engine.bridge_command import BridgeCommand, installed_first, read_adapter_file
from kagent_engine.errors import ConfigError, KagentError
from kagent_engine.settings import Settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from kagent_engine.bridge_child import Child

__all__ = ["run_bridge", "serve_bridge"]

# Shorter than what is left of a Pod's grace period after its server has been asked to end.
_CALLS_PATIENCE_SECONDS = 3.0
_TERMINATION_LOG = "/dev/termination-log"


def run_bridge(
    *, file: Path | None = None, host: str = "127.0.0.1", port: int | None = None, command: Sequence[str] = (),
    installed_first: bool = False, env: Mapping[str, str] | None = None,
) -> int:  # fmt: skip
    """Serve until SIGTERM; return the exit code, 1 (and one line of reason) when the server cannot be started."""
    env = os.environ if env is None else env
    try:
        wanted = _command(file, command, env, use_installed=installed_first)
        listener = _bind(host, _port(wanted, port, env))
        return asyncio.run(_run(wanted, listener, host))
    except KagentError as error:
        print(f"mcp-bridge: {error}", file=sys.stderr)  # noqa: T201 - a command's message
        _leave_message(str(error), env)
        return 1


async def _run(command: BridgeCommand, listener: socket.socket, host: str) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve_bridge(command, listener, stop, host=host)
    return 0


async def serve_bridge(
    command: BridgeCommand, listener: socket.socket, stop: asyncio.Event, *, host: str = "127.0.0.1",
    ready: asyncio.Event | None = None,
) -> None:  # fmt: skip
    """Start the server, then serve on ``listener`` (bound, not listening: early callers are refused) until ``stop``.

    Raises:
        ChildFailed: the server cannot be started.
    """
    from kagent_engine.bridge_child import Child

    child = Child(command)
    owner = asyncio.create_task(child.run())
    stopped = asyncio.create_task(stop.wait())
    first = asyncio.create_task(child.ready.wait())
    try:
        # The HTTP side is imported while the server starts; both take about as long.
        await asyncio.to_thread(importlib.import_module, "kagent_engine.bridge_server")
        await asyncio.wait((owner, stopped, first), return_when=asyncio.FIRST_COMPLETED)
        if owner.done():
            await owner
        if not stop.is_set():
            await _serve(child, listener, stopped, host, ready)
    finally:
        first.cancel()
        stopped.cancel()
        child.stop()
        if not child.ready.is_set():
            # A server that has not answered yet would be waited for; cancelling ends it all the same.
            owner.cancel()
        await asyncio.gather(owner, return_exceptions=True)
        listener.close()


async def _serve(
    child: Child, listener: socket.socket, stopped: asyncio.Task[bool], host: str, ready: asyncio.Event | None
) -> None:
    from kagent_engine.bridge_server import create_app

    calls = _Calls(create_app(child, host=host))
    server = _Server(
        uvicorn.Config(
            calls, http="httptools", ws="none", loop="asyncio", lifespan="on",
            log_level="critical", access_log=False, timeout_graceful_shutdown=0,
        )
    )  # fmt: skip

    async def end() -> None:
        """Let calls finish, then end: clients keep their listening streams open for ever."""
        await stopped
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CALLS_PATIENCE_SECONDS):
                await calls.idle.wait()
        server.should_exit = True

    ending = asyncio.create_task(end())
    port = listener.getsockname()[1]
    print(f"mcp-bridge: {child.command.name}: serving http://{host}:{port}/mcp", file=sys.stderr)  # noqa: T201
    if ready is not None:
        ready.set()
    try:
        await server.serve(sockets=[listener])
    finally:
        ending.cancel()


class _Calls:
    """The app, and whether requests that carry a message are being answered; ``idle`` is set while none is."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._running = 0
        self.idle = asyncio.Event()
        self.idle.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        self._running += 1
        self.idle.clear()
        try:
            await self._app(scope, receive, send)
        finally:
            self._running -= 1
            if not self._running:
                self.idle.set()


class _Server(uvicorn.Server):
    """uvicorn's server without its signal handling: it would end the process before the MCP server was."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def _command(file: Path | None, argv: Sequence[str], env: Mapping[str, str], *, use_installed: bool) -> BridgeCommand:
    words = list(argv[1:] if argv[:1] == ["--"] else argv)
    if file is not None:
        command = read_adapter_file(Settings.from_environ(env).paths.resolve(str(file)))
    elif words:
        command = BridgeCommand(tuple(words), name=Path(words[0]).name)
    else:
        raise ConfigError("mcp-bridge", "no server to run", remedy="give -f FILE, or a command after --")
    if not use_installed:
        return command
    return BridgeCommand(installed_first(command.argv), command.env, command.name, command.port)


def _port(command: BridgeCommand, given: int | None, env: Mapping[str, str]) -> int:
    """Return the port: --port, else PORT (the local cluster's translation), else the file's."""
    if given is not None:
        return given
    if text := env.get("PORT"):
        if not text.isdigit():
            raise ConfigError("environment", f"{text!r} is no port", field="PORT")
        return int(text)
    if command.port is None:
        raise ConfigError("mcp-bridge", "no port to listen on", remedy="give --port, or set PORT")
    return command.port


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio turns Nagle's algorithm off, which would hold answers back for 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigError(
            "mcp-bridge", f"cannot listen on {host}:{port}: {error.strerror}", remedy="choose another port or host"
        ) from error
    listener.setblocking(False)
    return listener


def _leave_message(text: str, env: Mapping[str, str]) -> None:
    """Write the Pod's termination message where there is one to write; a container's log says the same."""
    with contextlib.suppress(OSError, KagentError):
        path = Settings.from_environ(env).paths.resolve(_TERMINATION_LOG)
        if str(path) != _TERMINATION_LOG or path.exists():
            path.write_text(text)
