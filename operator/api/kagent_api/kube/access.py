"""From a kubeconfig context (or a Pod's ServiceAccount) to everything a client needs to know about one API server.

Reading never contacts the cluster and never starts a plugin; a faulty entry is an error here, not at the first request.
"""

from __future__ import annotations

import base64
import binascii
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from kagent_api.kube.credentials import (
    ClientCertificate,
    Credentials,
    NoCredentials,
    StaticAuthorization,
    TokenFile,
    basic,
    load_certificate,
)
from kagent_api.kube.errors import KubeconfigError, NoKubeconfig
from kagent_api.kube.kubeconfig import ContextInfo, Entry, Kubeconfig, kubeconfig_files, read_kubeconfig
from kagent_api.kube.plugins import AuthProvider, ExecPlugin

__all__ = ["Access", "Tls", "in_cluster", "list_contexts", "load_access"]

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class Tls:
    """What to trust and what to show; an empty ``authority`` means the system's own certificates."""

    authority: bytes = b""
    certificate: ClientCertificate | None = None
    insecure: bool = False
    server_name: str = ""


@dataclass(frozen=True, slots=True)
class Access:
    """One API server as one user. ``source`` names the files it was read from, for messages."""

    server: str
    namespace: str = "default"
    context: str = ""
    cluster: str = ""
    user: str = ""
    credentials: Credentials = field(default_factory=NoCredentials, repr=False)
    tls: Tls = field(default_factory=Tls, repr=False)
    proxy_url: str = ""
    source: str = ""

    def ssl_context(self) -> ssl.SSLContext:
        """Return a TLS context with the authority and client certificate of this access.

        Raises:
            KubeconfigError: a certificate or key is broken.
        """
        context = _trust(self)
        # Many private authorities predate RFC 5280's demands that Python 3.13 began to check; client-go does not.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if self.tls.certificate is not None:
            try:
                load_certificate(context, self.tls.certificate)
            except (ssl.SSLError, ValueError) as error:
                raise KubeconfigError(
                    f"{self.source}: users[{self.user}]: the client certificate and key cannot be used: {error}",
                    field=f"users[{self.user}]", remedy="both must be PEM and belong together",
                ) from error  # fmt: skip
        return context


def _trust(access: Access) -> ssl.SSLContext:
    if not access.tls.insecure and not access.tls.authority:
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if access.tls.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    try:
        context.load_verify_locations(cadata=access.tls.authority.decode("ascii"))
    except (ssl.SSLError, ValueError) as error:
        where = f"clusters[{access.cluster}]"
        raise KubeconfigError(
            f"{access.source}: {where}: the certificate authority cannot be used: {error}",
            field=where, remedy="certificate-authority-data must be PEM in base64, certificate-authority a PEM file",
        ) from error  # fmt: skip
    return context


def load_access(
    kubeconfig: str | None = None, context: str | None = None, *, env: Mapping[str, str] | None = None
) -> Access:
    """Return the access of a context: an explicit file, else $KUBECONFIG, else ~/.kube/config, else in-cluster.

    Raises:
        NoKubeconfig: there is none of them.
        KubeconfigError: a file or an entry cannot work as written.
    """
    env = os.environ if env is None else env
    files = kubeconfig_files(kubeconfig, env)
    if files:
        config = read_kubeconfig(files)
        return _from_context(config, config.context(context))
    if env.get("KUBERNETES_SERVICE_HOST"):
        return in_cluster(env)
    raise NoKubeconfig(
        "no kubeconfig: KUBECONFIG is not set and ~/.kube/config does not exist",
        remedy="set KUBECONFIG or pass --kubeconfig",
    )


def list_contexts(kubeconfig: str | None = None, *, env: Mapping[str, str] | None = None) -> list[ContextInfo]:
    """Return the contexts of the kubeconfig that ``load_access`` would read; none when there is no file.

    Raises:
        KubeconfigError: a file cannot be read or is broken.
    """
    files = kubeconfig_files(kubeconfig, os.environ if env is None else env)
    return read_kubeconfig(files).list_contexts() if files else []


def _from_context(config: Kubeconfig, entry: Entry) -> Access:
    cluster = _referenced(entry, "cluster", config.clusters)
    if cluster is None:
        raise entry.error("cluster", "names no cluster", f"clusters there: {_names(config.clusters)}")
    user = _referenced(entry, "user", config.users)
    server = cluster.text("server").rstrip("/")
    parts = urlsplit(server)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise cluster.error("server", f"{server!r} is no http(s) address", "expected https://HOST:PORT")
    return Access(
        server=server,
        namespace=entry.text("namespace") or "default",
        context=entry.name,
        cluster=cluster.name,
        user=user.name if user else "",
        credentials=_credentials(config, entry, cluster, user) if user else NoCredentials(),
        tls=Tls(
            authority=_content(cluster, "certificate-authority-data", "certificate-authority"),
            certificate=_client_certificate(user) if user else None,
            insecure=cluster.data.get("insecure-skip-tls-verify") is True,
            server_name=cluster.text("tls-server-name"),
        ),
        proxy_url=_proxy(cluster),
        source=str(cluster.file),
    )


def _referenced(entry: Entry, field_name: str, among: Mapping[str, Entry]) -> Entry | None:
    name = entry.text(field_name)
    if not name:
        return None
    if name not in among:
        raise entry.error(field_name, f"there is no {field_name} named {name!r}", f"there are: {_names(among)}")
    return among[name]


def _names(entries: Mapping[str, Entry]) -> str:
    return ", ".join(sorted(entries)) or "none"


def _proxy(cluster: Entry) -> str:
    proxy = cluster.text("proxy-url")
    if proxy and urlsplit(proxy).scheme not in ("http", "https", "socks5"):
        raise cluster.error("proxy-url", f"{proxy!r} is no http, https or socks5 address", "correct or remove it")
    return proxy


def _credentials(config: Kubeconfig, entry: Entry, cluster: Entry, user: Entry) -> Credentials:
    """Return the source client-go would take: token file, token, plugin, provider, then name and password."""
    where = f"{user.file}: users[{user.name}]"
    if (path := user.path("tokenFile")) is not None:
        return TokenFile(path)
    if token := user.text("token").strip():
        return StaticAuthorization(f"Bearer {token}")
    if (plugin := user.data.get("exec")) is not None:
        return ExecPlugin(
            _mapping(user, "exec", plugin), where=f"{where}.exec", directory=user.file.parent, cluster=cluster.data
        )
    if user.data.get("auth-provider") is not None:
        return AuthProvider(files=config.files, context=entry.name, where=f"{where}.auth-provider")
    if (name := user.text("username")) and (password := user.text("password")):
        return StaticAuthorization(basic(name, password))
    return NoCredentials()


def _mapping(entry: Entry, field_name: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise entry.error(field_name, "is no mapping", "see `kubectl config view`")
    return cast("dict[str, Any]", value)


def _client_certificate(user: Entry) -> ClientCertificate | None:
    certificate = _content(user, "client-certificate-data", "client-certificate")
    key = _content(user, "client-key-data", "client-key")
    if not certificate and not key:
        return None
    if not certificate or not key:
        missing = "client-key" if certificate else "client-certificate"
        raise user.error(missing, "is missing", "a client certificate needs both client-certificate and client-key")
    return ClientCertificate(certificate, key)


def _content(entry: Entry, data_field: str, file_field: str) -> bytes:
    """Return inline base64 data, else a file's content, else nothing (client-go's order)."""
    if data := entry.text(data_field):
        try:
            return base64.b64decode("".join(data.split()), validate=True)
        except binascii.Error as error:
            raise entry.error(data_field, f"is no base64: {error}", "correct the entry") from error
    path = entry.path(file_field)
    if path is None:
        return b""
    try:
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise entry.error(file_field, f"{path} cannot be read: {reason}", "correct the path or permissions") from error


def in_cluster(env: Mapping[str, str], directory: Path = _SERVICE_ACCOUNT) -> Access:
    """Return the access of the Pod's own ServiceAccount.

    Raises:
        KubeconfigError: the Pod mounts no API token.
    """
    host, port = env["KUBERNETES_SERVICE_HOST"], env.get("KUBERNETES_SERVICE_PORT", "443")
    authority, token = directory / "ca.crt", directory / "token"
    try:
        ca = authority.read_bytes()
    except OSError as error:
        raise KubeconfigError(
            f"in-cluster: {authority} cannot be read: {error.strerror or error}",
            remedy="the Pod mounts no API token: set automountServiceAccountToken, or give it a KUBECONFIG",
        ) from error
    try:
        namespace = (directory / "namespace").read_text(encoding="utf-8").strip()
    except OSError:
        namespace = ""
    return Access(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        namespace=namespace or "default", context="in-cluster", cluster="in-cluster", user="serviceaccount",
        credentials=TokenFile(token), tls=Tls(authority=ca), source=str(directory),
    )  # fmt: skip
