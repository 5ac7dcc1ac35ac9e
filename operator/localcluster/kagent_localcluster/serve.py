"""One local cluster in one process: the API server, and the runner beside it, on one loop.

It serves only when the data directory is this process's alone, the port is free and nothing of a crashed run is left;
and it ends only when every process that it started has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import logging
import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import uvicorn

from kagent_localcluster.apiserver.server import ApiServer
from kagent_localcluster.data_dir import MARK, DataDir
from kagent_localcluster.errors import LocalClusterError
from kagent_localcluster.memory import prepare_in_child, return_large_blocks, trim_when_used
from kagent_localcluster.runner import ApiAccess, ImageMap, Outside, Runner, RunnerSettings

__all__ = ["PortTaken", "ServeOptions", "Serving", "serve"]

logger = logging.getLogger(__name__)

LIFELINE = "LOCALCLUSTER_LIFELINE"
SUPERVISOR_MARK = "LOCALCLUSTER_SUPERVISOR"
HOST = "127.0.0.1"
CONNECTION_PATIENCE = 2
BACKLOG = 512


class PortTaken(LocalClusterError):
    """The port is another program's."""

    def __init__(self, port: int, reason: str) -> None:
        self.port = port
        super().__init__(
            f"port {port} on {HOST} cannot be used: {reason}; stop what listens there, or choose another with --port"
        )


@dataclass(frozen=True)
class ServeOptions:
    """What to serve; port 0 lets the system choose."""

    data_dir: Path
    port: int
    image_map: Path
    node: Literal["process", "hollow"] = "process"


@dataclass(frozen=True)
class Serving:
    """Told once, when the first request would be answered."""

    server: str
    kubeconfig: Path
    seconds: float


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: it raises a caught signal anew when it ends, before Pods are ended."""

    def __init__(self, config: uvicorn.Config, on_serving: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_serving = on_serving

    @contextlib.contextmanager
    def capture_signals(self):  # pyright: ignore[reportIncompatibleMethodOverride] - typed as a generator there
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_serving()


async def serve(options: ServeOptions, on_serving: Callable[[Serving], None]) -> None:
    """Serve until SIGTERM, SIGINT, or the end of whoever supervises this process.

    Raises:
        PortTaken, DataDirInUse, NewerDataDirectory, InvalidImageMap: it cannot serve; the message says what to do.
        OSError: the data directory cannot be used.
    """
    begun = time.monotonic()
    return_large_blocks()
    lifeline = _own_lifeline()
    data_dir = DataDir(options.data_dir.absolute())
    await data_dir.acquire()
    try:
        images = ImageMap(options.image_map)
        with _bind(options.port) as listener:
            if left := await data_dir.reclaim():
                logger.warning("ended %d processes that an earlier run of this local cluster left", left)
            await _serve_on(listener, options, data_dir, images, lifeline, begun, on_serving)
    finally:
        data_dir.release()


async def _serve_on(
    listener: socket.socket,
    options: ServeOptions,
    data_dir: DataDir,
    images: ImageMap,
    lifeline: int,
    begun: float,
    on_serving: Callable[[Serving], None],
) -> None:
    address = f"https://{HOST}:{listener.getsockname()[1]}"
    api = ApiServer(data_dir.path, server_url=address, material=prepare_in_child(data_dir.path))
    try:
        api.start()
        runner = Runner(
            api.objects,
            ApiAccess(address, api.material.ca_pem.encode(), api),
            images,
            RunnerSettings(data_dir.path, os.environ, node=options.node, marks=_marks(data_dir)),
            Outside.of_machine(),
        )
        api.set_backend(runner)
        try:
            await runner.start()

            def started() -> None:
                gc.collect()
                gc.freeze()  # what was loaded by now stays: no later collection needs to walk it
                on_serving(Serving(address, api.kubeconfig, time.monotonic() - begun))

            server = _Server(_config(api), started)
            _end_on_signals(server, api, data_dir, lifeline)
            trimming = asyncio.create_task(trim_when_used(), name="memory trimmer")
            await server.serve(sockets=[listener])
            trimming.cancel()
        finally:
            data_dir.note_ending()
            await runner.stop()
    finally:
        api.close()


def _config(api: ApiServer) -> uvicorn.Config:
    return uvicorn.Config(
        api,
        ws="wsproto",  # accepts kubectl's subprotocol name, which is no RFC token
        http="httptools",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        ssl_certfile=str(api.material.certificate_path),
        ssl_keyfile=str(api.material.key_path),
        timeout_graceful_shutdown=CONNECTION_PATIENCE,
    )


def _end_on_signals(server: uvicorn.Server, api: ApiServer, data_dir: DataDir, lifeline: int) -> None:
    loop = asyncio.get_running_loop()

    def end() -> None:
        data_dir.note_ending()
        api.begin_shutdown()
        server.should_exit = True

    def supervisor_gone() -> None:
        loop.remove_reader(lifeline)
        logger.warning("the supervisor of this local cluster has gone; ending")
        end()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    if lifeline >= 0:
        loop.add_reader(lifeline, supervisor_gone)


def _bind(port: int) -> socket.socket:
    """Take the port before anything is touched, so that two starts cannot both go on."""
    # With the protocol named, asyncio turns Nagle's algorithm off, which would hold answers back for 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        reason = "another program uses it" if error.errno == errno.EADDRINUSE else str(error.strerror)
        raise PortTaken(port, reason) from error
    return listener


def _own_lifeline() -> int:
    """Return the pipe whose closing means that our supervisor has gone, -1 for none; Pods must not inherit it."""
    value = os.environ.pop(LIFELINE, "")
    if not value.isdigit():
        return -1
    os.set_inheritable(int(value), False)
    return int(value)


def _marks(data_dir: DataDir) -> dict[str, str]:
    marks = {MARK: data_dir.mark}
    if supervisor := os.environ.get(SUPERVISOR_MARK):
        marks[SUPERVISOR_MARK] = supervisor
    return marks
