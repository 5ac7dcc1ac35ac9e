"""The API server as one object: an ASGI application, ``seams.Objects`` in process, and what serving it needs.

    api = ApiServer(data_dir, server_url="https://127.0.0.1:6443")
    api.start()                       # inside the running loop; makes built-in objects, resumes deletions
    api.set_backend(backend)          # the runner, when there is one
    uvicorn.Config(api, ws="wsproto", ssl_certfile=api.material.certificate_path, ssl_keyfile=api.material.key_path)
    api.objects                       # seams.Objects
    api.service_account_token(...)    # what the runner mounts into Pods
    api.begin_shutdown()              # before the server stops waiting for connections: ends watches, logs and proxies
    api.close()                       # after it has stopped

The data directory then holds ``cluster.db``, ``pki/`` and ``kubeconfig`` (mode 0600, rewritten at each start since the
port may have changed). ``NewerDataDirectory`` and ``DataDirectoryInUse`` are raised before anything is touched.
"""

from __future__ import annotations

from pathlib import Path

from kagent_localcluster.apiserver.auth.authentication import Authenticator
from kagent_localcluster.apiserver.auth.pki import Material, kubeconfig_text, prepare_material, write_private
from kagent_localcluster.apiserver.auth.rbac import Authorizer
from kagent_localcluster.apiserver.auth.reviews import Reviewer
from kagent_localcluster.apiserver.auth.tokens import TokenIssuer
from kagent_localcluster.apiserver.bootstrap import Bootstrap
from kagent_localcluster.apiserver.deletion import Deleter
from kagent_localcluster.apiserver.discovery import Discovery
from kagent_localcluster.apiserver.kinds import Registry, builtin_kinds
from kagent_localcluster.apiserver.objects import LocalObjects
from kagent_localcluster.apiserver.openapi import OpenApi
from kagent_localcluster.apiserver.proxying.gate import ProxyGate
from kagent_localcluster.apiserver.reading import Reader
from kagent_localcluster.apiserver.records import Record
from kagent_localcluster.apiserver.schema.crd import kinds_of
from kagent_localcluster.apiserver.storage import Storage, StoredChange
from kagent_localcluster.apiserver.watchlog import WatchLog
from kagent_localcluster.apiserver.web.app import WebApp
from kagent_localcluster.apiserver.web.messages import Receive, Scope, Send
from kagent_localcluster.apiserver.web.resources import ResourceHandler
from kagent_localcluster.apiserver.writing import CRD_KEY, Writer
from kagent_localcluster.seams import JsonObject, Objects, PodBackend

__all__ = ["ApiServer"]


class ApiServer:
    """A Kubernetes API server on one data directory."""

    def __init__(
        self,
        data_dir: Path,
        *,
        server_url: str = "https://127.0.0.1:6443",
        extra_names: tuple[str, ...] = (),
        material: Material | None = None,
    ) -> None:
        """Open the data directory; ``extra_names`` are host names or addresses the certificate must also have.

        ``material`` is what ``prepare_material`` has made already.

        Raises:
            NewerDataDirectory: a newer version wrote it.
            DataDirectoryInUse: another server works on it.
        """
        self.data_dir = data_dir
        self.server_url = server_url
        self._storage = Storage(data_dir)
        self._log = WatchLog(self._storage.version)
        # First: whatever else follows a change, watchers see it in order.
        self._storage.listeners.append(self._log.append)
        self.material: Material = material or prepare_material(data_dir / "pki", extra_names)
        self._registry = Registry(builtin_kinds())
        for record in self._storage.list(CRD_KEY):
            self._install(record)
        self._storage.listeners.append(self._follow_definitions)
        authorizer = Authorizer(self._storage)
        self._deleter = Deleter(self._storage, self._registry)
        writer = Writer(self._storage, authorizer, self._deleter.finish)
        reader = Reader(self._storage, self._log)
        self._bootstrap = Bootstrap(self._storage, self._registry, writer, self.material.ca_pem)
        tokens = TokenIssuer(self.material, self._storage)
        authenticator = Authenticator(self.material.admin_token, tokens, authorizer)
        self._reviewer = Reviewer(self._storage, authenticator, authorizer, tokens)
        self._gate = ProxyGate(reader)
        self.objects: Objects = LocalObjects(self._registry, self._storage, reader, writer, self._deleter)
        self._app = WebApp(
            registry=self._registry,
            authenticator=authenticator,
            authorizer=authorizer,
            reviewer=self._reviewer,
            tokens=tokens,
            discovery=Discovery(self._registry),
            openapi=OpenApi(self._registry),
            resources=ResourceHandler(reader, writer, self._deleter),
            proxies=self._gate,
        )

    @property
    def kubeconfig(self) -> Path:
        return self.data_dir / "kubeconfig"

    def start(self) -> None:
        """Make the built-in objects and the kubeconfig, and take up unfinished deletions; needs the running loop."""
        self._bootstrap.run()
        text = kubeconfig_text(self.server_url, self.material.ca_pem, self.material.admin_token)
        write_private(self.kubeconfig, text.encode())
        self._deleter.resume()
        self._deleter.run_pending()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    def set_backend(self, backend: PodBackend) -> None:
        """Have logs, proxies and port-forward served by the runner."""
        self._gate.backend = backend

    def service_account_token(
        self,
        namespace: str,
        name: str,
        *,
        audiences: tuple[str, ...] = (),
        expiration_seconds: int = 3_600,
        pod: tuple[str, str] | None = None,
    ) -> str:
        """Return a token for a ServiceAccount; ``pod`` is (name, uid) of the Pod it must not outlive.

        Raises:
            NotFound: no such ServiceAccount.
        """
        bound = ("Pod", *pod) if pod else None
        return self._reviewer.mint(namespace, name, audiences, expiration_seconds, bound)[0]

    def begin_shutdown(self) -> None:
        """End every watch and stream, so that the web server need not wait for their clients."""
        self._log.close()
        self._app.stopping.set()

    def close(self) -> None:
        """Close the database; everything acknowledged is in it already."""
        self._log.close()
        self._storage.close()

    def _follow_definitions(self, change: StoredChange) -> None:
        if change.key == CRD_KEY and change.type != "DELETED":
            self._install(change.new)

    def _install(self, record: Record) -> None:
        crd = record.load()

        def load() -> JsonObject:
            return record.load()

        self._registry.replace_crd(record.name, kinds_of(crd, load))
