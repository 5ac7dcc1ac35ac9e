"""Access tokens for Google Cloud, by google-auth: service accounts, workload identity, whatever it finds by default.

Imported with the first call of a model on Vertex AI only; the library is synchronous, so it works in a thread.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import urllib.error
import urllib.request
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kagent_engine.errors import ConfigError
from kagent_engine.models.base import ModelError

__all__ = ["GoogleCredentials"]

_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
_SECONDS = 30


class GoogleCredentials:
    """The credentials of ``file`` (the variable GOOGLE_APPLICATION_CREDENTIALS), else those of the place it runs in.

    Raises:
        ConfigError: google-auth is not installed.
    """

    def __init__(self, provider: str, file: Path | None) -> None:
        if importlib.util.find_spec("google.auth") is None:
            raise ConfigError(
                "config.json", f"{provider} needs google-auth, which is not installed", field="model.type",
                remedy="pip install 'kagent-engine[providers]'",
            )  # fmt: skip
        self._provider = provider
        self._file = file
        self._credentials: Any = None  # google-auth's classes share no typed base
        self._lock = asyncio.Lock()

    async def token(self) -> str:
        """Return an access token that holds for some minutes yet.

        Raises:
            ModelError: there are no credentials, or Google does not accept them.
        """
        async with self._lock:
            if self._credentials is None or not self._credentials.valid:
                await asyncio.to_thread(self._refresh)
            return str(getattr(self._credentials, "token", ""))

    def _refresh(self) -> None:
        from google.auth import exceptions

        try:
            if self._credentials is None:
                self._credentials = self._load()
            self._credentials.refresh(_request)
        except exceptions.TransportError as error:
            raise self._error(error, "unreachable", retryable=True) from error
        except (exceptions.GoogleAuthError, ValueError, OSError) as error:
            raise self._error(error, "credentials", status=401) from error

    def _load(self) -> Any:
        # google-auth is typed in parts only.
        auth: Any = importlib.import_module("google.auth")
        if self._file is None:
            return auth.default(scopes=_SCOPES, request=_request)[0]
        with warnings.catch_warnings():
            # It warns of files from strangers; this one comes from the agent's own Secret.
            warnings.simplefilter("ignore", DeprecationWarning)
            return auth.load_credentials_from_file(str(self._file), scopes=_SCOPES, request=_request)[0]

    def _error(self, error: Exception, code: str, *, status: int = 0, retryable: bool = False) -> ModelError:
        where = f" of {self._file}" if self._file else ""
        return ModelError(
            f"{self._provider}: the credentials{where} give no access token: {str(error)[:300]}", code=code,
            status=status, retryable=retryable,
            remedy="check the service account file in the ModelConfig's apiKeySecret (GOOGLE_APPLICATION_CREDENTIALS)",
        )  # fmt: skip


class _Response:
    """What google-auth reads of an answer."""

    def __init__(self, status: int, headers: Mapping[str, str], data: bytes) -> None:
        self.status = status
        self.headers = headers
        self.data = data


def _request(
    url: str, method: str = "GET", body: bytes | str | None = None, headers: Mapping[str, str] | None = None,
    timeout: float | None = None, **_: object,
) -> _Response:  # fmt: skip
    """Send one request of google-auth's; its own transports would bring another HTTP client along."""
    from google.auth import exceptions

    if not url.startswith(("https://", "http://")):
        raise exceptions.TransportError(f"{url} is no web address")
    data = body.encode() if isinstance(body, str) else body
    request = urllib.request.Request(url, data=data, headers=dict(headers or {}), method=method)  # noqa: S310 - checked
    try:
        with urllib.request.urlopen(request, timeout=timeout or _SECONDS) as answer:  # noqa: S310 - checked above
            return _Response(answer.status, dict(answer.headers), answer.read())
    except urllib.error.HTTPError as error:
        return _Response(error.code, dict(error.headers), error.read())
    except OSError as error:
        raise exceptions.TransportError(str(error)) from error
