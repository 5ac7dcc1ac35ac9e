"""One local cluster as a process: start it, wait until it serves, stop it, find a running one.

The supervisor of ``kagent_localcluster`` owns everything below it. A cluster that is tied to this program ends with it,
also after a ``kill -9``: the supervisor watches a pipe that only we hold.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Literal, cast

from kagent_api.errors import KagentError
from kagent_tui.local.images import write_image_map

__all__ = [
    "ClusterProcess",
    "LocalClusterError",
    "Running",
    "default_data_dir",
    "find_running",
    "free_port",
    "stop_running",
]

DEFAULT_PORT: Final = 16443
# Generous against a machine under load; an ordinary start takes well under a second (make bench).
_START_SECONDS: Final = 60.0
# Longer than the Pods' grace period of 30 s plus the supervisor's own clean-up.
_STOP_SECONDS: Final = 45.0

Node = Literal["process", "hollow"]


class LocalClusterError(KagentError):
    """The local cluster could not start, stop or be found."""


@dataclass(frozen=True)
class Running:
    """A cluster that answers for a data directory."""

    pid: int
    server: str
    data_dir: Path
    started: float

    @property
    def kubeconfig(self) -> Path:
        return self.data_dir / "kubeconfig"

    @property
    def log(self) -> Path:
        return self.data_dir / "server.log"


def default_data_dir() -> Path:
    """Return where ``kagent-tui local`` keeps its cluster: ``XDG_DATA_HOME/kagent-tui/local``."""
    base = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    return Path(base) / "kagent-tui" / "local"


def free_port() -> int:
    """Return a loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return cast("int", probe.getsockname()[1])


class ClusterProcess:
    """A local cluster this program started."""

    def __init__(self, process: subprocess.Popen[bytes], lifeline: int | None, running: Running) -> None:
        self._process = process
        self._lifeline = lifeline
        self.running = running

    @classmethod
    def start(cls, data_dir: Path, *, port: int, node: Node = "process", tied: bool = True) -> ClusterProcess:
        """Start a cluster on ``data_dir`` and return once its API server serves.

        ``tied``: the cluster ends when this program ends, however it ends.

        Raises:
            LocalClusterError: with the server's own reason: port taken, directory in use or of a newer version.
        """
        make_private(data_dir)
        images = write_image_map(data_dir / "images.json")
        serve = [
            *(sys.executable, "-m", "kagent_localcluster", "serve", "--data-dir", str(data_dir)),
            *("--port", str(port), "--image-map", str(images), "--node", node),
        ]
        supervisor = [
            sys.executable,
            "-S",
            "-E",
            "-I",
            _supervisor_path(),
            "--state",
            str(data_dir / "supervisor.json"),
        ]
        reader, writer = os.pipe() if tied else (None, None)
        lifeline = ["--lifeline", str(reader)] if reader is not None else []
        try:
            with _open_log(data_dir / "server.log") as log:
                process = subprocess.Popen(
                    [*supervisor, *lifeline, "--", *serve],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    pass_fds=[reader] if reader is not None else [],
                    start_new_session=True,  # a Ctrl-C in the terminal is ours to answer, in order
                )
        finally:
            if reader is not None:
                os.close(reader)
        try:
            server = _wait_until_serving(process, data_dir)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            process.wait()
            if writer is not None:
                os.close(writer)
            raise
        return cls(process, writer, Running(process.pid, server, data_dir, time.time()))

    def wait(self) -> int:
        """Block until the cluster has ended by itself or by a signal to its supervisor."""
        return self._process.wait()

    def ended(self) -> bool:
        return self._process.poll() is not None

    def stop(self) -> None:
        """End the cluster and everything in it; return when the last process is gone."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None


def make_private(data_dir: Path) -> None:
    """Create the data directory for its owner only: it holds keys and tokens."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        data_dir.chmod(0o700)
    except OSError as error:
        raise LocalClusterError(
            f"data directory {data_dir}: {error.strerror}", remedy="choose another with --data-dir"
        ) from error


def find_running(data_dir: Path) -> Running | None:
    """Return the cluster that runs on a data directory, or None."""
    try:
        state = cast("dict[str, Any]", json.loads((data_dir / "supervisor.json").read_text(encoding="utf-8")))
        pid = int(state["pid"])
        os.kill(pid, 0)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not _is_supervisor(pid):
        return None
    return Running(pid, f"https://127.0.0.1:{state.get('port', 0)}", data_dir, float(state.get("started", 0)))


def stop_running(running: Running, *, progress: Callable[[], None] = lambda: None) -> None:
    """Ask a detached cluster to end and return when its supervisor is gone.

    Raises:
        LocalClusterError: it does not end.
    """
    with contextlib.suppress(ProcessLookupError):
        os.kill(running.pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    while time.monotonic() < deadline:
        try:
            os.kill(running.pid, 0)
        except ProcessLookupError:
            return
        if not _is_supervisor(running.pid):
            return
        progress()
        time.sleep(0.05)
    raise LocalClusterError(
        f"the cluster on {running.data_dir} did not end within {_STOP_SECONDS:.0f} s",
        remedy=f"look at {running.log}, then end process {running.pid}",
    )


def _is_supervisor(pid: int) -> bool:
    """Tell a supervisor from a stranger that got its process number."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace")
    except OSError:
        listing = subprocess.run(["ps", "-p", str(pid), "-o", "command="], capture_output=True, text=True, check=False)
        command = listing.stdout
    return "supervisor.py" in command


def _supervisor_path() -> str:
    """Return the file of the supervisor, which is run by path so that its process imports nothing else."""
    spec = importlib.util.find_spec("kagent_localcluster")
    if spec is None or spec.origin is None:
        raise LocalClusterError(
            "the local cluster is not installed", remedy="pip install 'kagent-tui[local]', or: make demo"
        )
    return str(Path(spec.origin).parent / "supervisor.py")


def _open_log(path: Path) -> IO[bytes]:
    with contextlib.suppress(FileNotFoundError):
        os.replace(path, path.with_suffix(".previous.log"))
    return open(path, "ab")


def _wait_until_serving(process: subprocess.Popen[bytes], data_dir: Path) -> str:
    """Return the server's address from its one line of JSON."""
    assert process.stdout is not None
    line = _read_line(process, process.stdout)
    if line:
        try:
            event = cast("dict[str, Any]", json.loads(line))
        except ValueError:
            event = {"error": line.decode("utf-8", "replace").strip()}
        if event.get("event") == "serving":
            return str(event["server"])
        raise LocalClusterError(f"the local cluster did not start: {event.get('error', 'no reason given')}")
    raise LocalClusterError(f"the local cluster ended before it served: {_last_words(data_dir / 'server.log')}")


def _last_words(log: Path) -> str:
    """Return the last line of a log: a demo's directory is gone by the time its error is read."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError as error:
        return f"its log cannot be read ({error.strerror})"
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


def _read_line(process: subprocess.Popen[bytes], stream: IO[bytes]) -> bytes:
    """Return the first line, or b"" when the stream closed first.

    Raises:
        LocalClusterError: nothing came in time.
    """
    deadline = time.monotonic() + _START_SECONDS
    received = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while b"\n" not in received:
            left = deadline - time.monotonic()
            if left <= 0:
                raise LocalClusterError(f"the local cluster did not serve within {_START_SECONDS:.0f} s")
            if not selector.select(left):
                continue
            chunk = os.read(stream.fileno(), 65536)
            if not chunk:
                process.wait()
                return b""
            received += chunk
    return bytes(received).split(b"\n", 1)[0]
