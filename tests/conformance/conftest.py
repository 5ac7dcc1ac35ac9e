"""A real control plane for a test session: etcd and kube-apiserver from KUBEBUILDER_ASSETS, on loopback."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import pytest
import uvicorn
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from kagent_localcluster.apiserver import ApiServer

_START_SECONDS = 120.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs the control plane; without one each test says so."""
    reason = "needs a real kube-apiserver: make conformance"
    for item in items:
        if "conformance" in item.path.parts:
            item.add_marker(pytest.mark.conformance)
            if not os.environ.get("KUBEBUILDER_ASSETS"):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def real_kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A server for the whole session; an administrator's kubeconfig."""
    with _control_plane(tmp_path_factory.mktemp("controlplane")) as kubeconfig:
        yield kubeconfig


@pytest.fixture(scope="module")
def other_kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A second server, for a module that installs CRDs of its own making."""
    with _control_plane(tmp_path_factory.mktemp("controlplane")) as kubeconfig:
        yield kubeconfig


@contextmanager
def _control_plane(folder: Path) -> Generator[Path]:
    """Run etcd and kube-apiserver; give an administrator's kubeconfig."""
    assets = Path(os.environ["KUBEBUILDER_ASSETS"])
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    (folder / "sa.key").write_bytes(private)
    (folder / "tokens.csv").write_text('admin-token,admin,admin,"system:masters"\n')
    client, peer, secure = _ports(3)
    etcd = [
        *(str(assets / "etcd"), "--data-dir", str(folder / "etcd"), "--unsafe-no-fsync"),
        *(f"--listen-client-urls=http://127.0.0.1:{client}", f"--advertise-client-urls=http://127.0.0.1:{client}"),
        f"--listen-peer-urls=http://127.0.0.1:{peer}",
    ]
    apiserver = [
        *(str(assets / "kube-apiserver"), f"--etcd-servers=http://127.0.0.1:{client}", f"--secure-port={secure}"),
        *("--bind-address=127.0.0.1", f"--cert-dir={folder / 'certs'}", "--authorization-mode=RBAC"),
        *(f"--token-auth-file={folder / 'tokens.csv'}", "--service-cluster-ip-range=10.0.0.0/24"),
        *("--service-account-issuer=https://kubernetes.default.svc", f"--service-account-key-file={folder / 'sa.key'}"),
        *(f"--service-account-signing-key-file={folder / 'sa.key'}", "--allow-privileged=true"),
        "--disable-admission-plugins=ServiceAccount",  # no controller-manager makes the default accounts here
        "--enable-admission-plugins=OwnerReferencesPermissionEnforcement",  # as OpenShift has it
    ]
    with _running(etcd, folder / "etcd.log"), _running(apiserver, folder / "apiserver.log") as server:
        _wait_ready(secure, server, folder / "apiserver.log")
        yield _kubeconfig(folder / "kubeconfig", secure)


@pytest.fixture(scope="session")
def local_kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Serve ours over TLS from a thread of its own, without a runner: the real one has no controllers either."""
    folder = tmp_path_factory.mktemp("localcluster")
    (port,) = _ports(1)
    thread = _LocalServer(folder, port)
    thread.start()
    assert thread.serving.wait(60), "the local API server does not serve"
    yield folder / "kubeconfig"
    thread.end()
    thread.join(30)


class _LocalServer(threading.Thread):
    """An API server on its own event loop."""

    def __init__(self, folder: Path, port: int) -> None:
        super().__init__(name="local API server", daemon=True)
        self.serving = threading.Event()
        self._folder = folder
        self._port = port
        self._end: Callable[[], None] = lambda: None

    def run(self) -> None:
        asyncio.run(self._serve())

    def end(self) -> None:
        self._end()

    async def _serve(self) -> None:
        api = ApiServer(self._folder, server_url=f"https://127.0.0.1:{self._port}")
        api.start()
        config = uvicorn.Config(
            api, port=self._port, ws="wsproto", http="httptools", lifespan="off", log_level="error",
            timeout_graceful_shutdown=2, ssl_certfile=api.material.certificate_path, ssl_keyfile=api.material.key_path,
        )  # fmt: skip
        server = uvicorn.Server(config)
        loop = asyncio.get_running_loop()

        def end() -> None:
            api.begin_shutdown()
            server.should_exit = True

        def from_outside() -> None:
            loop.call_soon_threadsafe(end)

        self._end = from_outside
        loop.call_later(0.5, self.serving.set)
        await server.serve()
        api.close()


def _ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(each.getsockname()[1]) for each in held]
    for each in held:
        each.close()
    return ports


@contextmanager
def _running(argv: list[str], log: Path) -> Generator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(argv, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def _wait_ready(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    trust_all = ssl._create_unverified_context()  # pyright: ignore[reportPrivateUsage]  # its certificate is made at start
    request = urllib.request.Request(
        f"https://127.0.0.1:{port}/readyz", headers={"Authorization": "Bearer admin-token"}
    )
    deadline = monotonic() + _START_SECONDS
    while monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(request, timeout=2, context=trust_all):
                return
        except OSError:
            sleep(0.1)  # a foreign program's start can only be polled
    raise AssertionError(f"kube-apiserver is not ready:\n{log.read_text()[-2000:]}")


def _kubeconfig(path: Path, port: int) -> Path:
    cluster = {"server": f"https://127.0.0.1:{port}", "insecure-skip-tls-verify": True}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "real",
        "contexts": [{"name": "real", "context": {"cluster": "real", "user": "admin", "namespace": "default"}}],
        "clusters": [{"name": "real", "cluster": cluster}],
        "users": [{"name": "admin", "user": {"token": "admin-token"}}],
    }
    path.write_text(yaml.safe_dump(config))
    path.chmod(0o600)
    return path
