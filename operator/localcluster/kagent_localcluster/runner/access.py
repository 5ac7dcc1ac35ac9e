"""A Pod's way to the API server: its ServiceAccount's token, the CA, and a kubeconfig that names both.

The fixed path of in-cluster configuration cannot be served without root, so every program gets KUBECONFIG instead. The
kubeconfig names the token's file, so that clients see a renewed token.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import orjson

from kagent_localcluster.errors import NotFound
from kagent_localcluster.runner.fields import at, name_of, text, uid_of
from kagent_localcluster.runner.resources import SERVICEACCOUNTS
from kagent_localcluster.seams import JsonObject, Objects

__all__ = ["ACCOUNT_PATH", "ApiAccess", "PodAccess", "TokenIssuer", "mounts_token", "write_private"]

ACCOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
# Programs that read their token once would stop after an hour; real clusters stretch the default token to a year too.
TOKEN_SECONDS = 365 * 24 * 3600
RENEW_AFTER = 24 * 3600.0


class TokenIssuer(Protocol):
    """What signs ServiceAccount tokens."""

    def service_account_token(
        self,
        namespace: str,
        name: str,
        *,
        audiences: tuple[str, ...] = (),
        expiration_seconds: int = 3_600,
        pod: tuple[str, str] | None = None,
    ) -> str:
        """Return a token bound to a Pod (its name and uid); no audiences means the API server's own.

        Raises:
            NotFound: no such ServiceAccount.
        """
        ...


@dataclass(frozen=True)
class ApiAccess:
    """Where the API server is, how to trust it, and who signs tokens for it."""

    server: str
    ca_pem: bytes
    issuer: TokenIssuer


def mounts_token(objects: Objects, pod: JsonObject) -> bool:
    """Tell whether this Pod gets an API token: the Pod's word counts first, then its ServiceAccount's, default yes."""
    own = at(pod, "spec", "automountServiceAccountToken")
    if isinstance(own, bool):
        return own
    name = text(pod, "spec", "serviceAccountName", default="default")
    try:
        account = objects.get(SERVICEACCOUNTS, text(pod, "metadata", "namespace"), name)
    except NotFound:
        return True  # issuing the token will tell what is missing
    return account.get("automountServiceAccountToken") is not False


class PodAccess:
    """The files of one Pod."""

    def __init__(self, api: ApiAccess, pod: JsonObject, directory: Path) -> None:
        self._api = api
        self._pod = pod
        self._renew_at = 0.0
        self.directory = directory
        self.kubeconfig = directory / "kubeconfig"

    def write(self) -> None:
        """Write token, CA, namespace and kubeconfig; a token that is young enough stays.

        Raises:
            NotFound: the ServiceAccount does not exist.
        """
        if time.monotonic() < self._renew_at:
            return
        namespace = text(self._pod, "metadata", "namespace")
        account = text(self._pod, "spec", "serviceAccountName", default="default")
        token = self._api.issuer.service_account_token(
            namespace,
            account,
            expiration_seconds=TOKEN_SECONDS,
            pod=(name_of(self._pod), uid_of(self._pod)),
        )
        self.directory.mkdir(parents=True, exist_ok=True)
        write_private(self.directory / "token", token.encode())
        write_private(self.directory / "ca.crt", self._api.ca_pem)
        write_private(self.directory / "namespace", namespace.encode())
        write_private(self.kubeconfig, orjson.dumps(self._document(namespace, account), option=orjson.OPT_INDENT_2))
        self._renew_at = time.monotonic() + RENEW_AFTER

    def variables(self) -> dict[str, str]:
        """Return the variables that lead a program to the API server."""
        server = urlsplit(self._api.server)
        return {
            "KUBECONFIG": str(self.kubeconfig),
            "KUBERNETES_SERVICE_HOST": server.hostname or "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(server.port or 443),
            "KUBERNETES_SERVICE_PORT_HTTPS": str(server.port or 443),
        }

    def _document(self, namespace: str, account: str) -> JsonObject:
        cluster = {"server": self._api.server, "certificate-authority": str(self.directory / "ca.crt")}
        context = {"cluster": "local", "user": account, "namespace": namespace}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "pod",
            "clusters": [{"name": "local", "cluster": cluster}],
            "users": [{"name": account, "user": {"tokenFile": str(self.directory / "token")}}],
            "contexts": [{"name": "pod", "context": context}],
        }


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only this user can read, replacing it at once."""
    swap = path.with_name(f".{path.name}.new")
    swap.unlink(missing_ok=True)
    handle = os.open(swap, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    swap.replace(path)
