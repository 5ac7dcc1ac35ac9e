"""How a request proves who it is: nothing, a fixed value, or a token file that rotates; ``plugins`` has the rest.

Each source answers ``authorization()`` and forgets what it knows when the server has refused it (``forget()``).
"""

from __future__ import annotations

import base64
import ssl
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from kagent_api.kube.errors import KubeconfigError

__all__ = [
    "ClientCertificate", "Credentials", "NoCredentials", "StaticAuthorization", "TokenFile", "basic",
    "load_certificate",
]  # fmt: skip

# client-go re-reads a token file every minute; the kubelet replaces it when a fifth of its life is left.
_TOKEN_FILE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A client certificate and its key, PEM."""

    certificate: bytes
    key: bytes = field(repr=False)


class Credentials(Protocol):
    """What a request carries. ``certificate`` may appear after the first ``authorization()``."""

    async def authorization(self) -> str:
        """Return the Authorization header's value, "" for none.

        Raises:
            KubeconfigError: no credential can be had.
        """
        ...

    def certificate(self) -> ClientCertificate | None: ...

    def forget(self) -> None:
        """Drop what is cached; the server has refused it."""
        ...


class NoCredentials:
    """A client certificate in the TLS context, or nothing at all."""

    async def authorization(self) -> str:
        return ""

    def certificate(self) -> ClientCertificate | None:
        return None

    def forget(self) -> None:
        return None


class StaticAuthorization(NoCredentials):
    """A token or a name and password that stand in the kubeconfig."""

    def __init__(self, value: str) -> None:
        self._value = value

    async def authorization(self) -> str:
        return self._value


class TokenFile(NoCredentials):
    """A token in a file that somebody else renews."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._value = ""
        self._read_at = 0.0

    async def authorization(self) -> str:
        if not self._value or self._clock() - self._read_at > _TOKEN_FILE_SECONDS:
            try:
                token = self._path.read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise KubeconfigError(
                    f"{self._path}: the token file cannot be read: {error}", remedy="check tokenFile of the user entry"
                ) from error
            if not token:
                raise KubeconfigError(f"{self._path}: the token file is empty", remedy="wait for its owner to fill it")
            self._value = f"Bearer {token}"
            self._read_at = self._clock()
        return self._value

    def forget(self) -> None:
        self._value = ""


def load_certificate(context: ssl.SSLContext, certificate: ClientCertificate) -> None:
    """Put a client certificate into a TLS context.

    Python's ssl reads keys from files only: they lie in a directory of mode 0700 for the length of this call.

    Raises:
        ssl.SSLError: certificate and key are broken or do not belong together.
    """
    with tempfile.TemporaryDirectory(prefix="kagent-kube-") as directory:
        pair: list[Path] = []
        for name, content in (("tls.crt", certificate.certificate), ("tls.key", certificate.key)):
            path = Path(directory, name)
            path.touch(mode=0o600)
            path.write_bytes(content)
            pair.append(path)
        context.load_cert_chain(pair[0], pair[1])


def basic(username: str, password: str) -> str:
    """Return the Authorization value of a name and a password."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()
