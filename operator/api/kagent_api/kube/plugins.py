"""Kubeconfig users that need another program: exec plugins and the deprecated auth providers.

A plugin never gets the terminal (a dashboard owns it), and its error text reaches the person. The `kubernetes` package
is imported only for auth providers, in a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from kagent_api.kube import wire
from kagent_api.kube.credentials import ClientCertificate, NoCredentials
from kagent_api.kube.errors import KubeconfigError

__all__ = ["AuthProvider", "ExecPlugin"]

# A plugin may open a browser; nobody waits longer than this for a login.
_PLUGIN_SECONDS = 120.0
# A credential is renewed this long before it expires, so that no request is sent with one about to lapse.
_EXPIRY_MARGIN = 30.0
# The package renews an OIDC token itself when it is asked after the expiry; asking is cheap enough once a minute.
_PROVIDER_SECONDS = 60.0


class ExecPlugin:
    """client-go's credential plugin protocol: a command that prints an ExecCredential.

    Run by ourselves rather than by the `kubernetes` package, whose runner hands the plugin the terminal, drops the
    plugin's error text and takes a token or a certificate, but not both.
    """

    def __init__(
        self, spec: Mapping[str, Any], *, where: str, directory: Path, cluster: Mapping[str, Any] | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:  # fmt: skip
        self._where = where
        self._directory = directory
        self._cluster = cluster if spec.get("provideClusterInfo") is True else None
        self._now = now
        self._hint = _text(spec.get("installHint")).strip()
        self._api_version = _text(spec.get("apiVersion"))
        self._command = _text(spec.get("command"))
        if not self._command:
            raise KubeconfigError(f"{where}: has no command", field=where, remedy="name the plugin to run")
        if self._api_version not in ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"):
            raise KubeconfigError(
                f"{where}: apiVersion {self._api_version or 'is missing'!r} is not supported",
                field=where, remedy="client.authentication.k8s.io/v1 and v1beta1 are; update the entry",
            )  # fmt: skip
        self._args = [str(argument) for argument in _list(spec.get("args"))]
        variables = [_mapping(item) for item in _list(spec.get("env"))]
        self._env = {_text(item.get("name")): _text(item.get("value")) for item in variables if item.get("name")}
        self._lock = asyncio.Lock()
        self._value: str | None = None
        self._certificate: ClientCertificate | None = None
        self._expires: datetime | None = None

    async def authorization(self) -> str:
        async with self._lock:
            if self._value is None or self._expired():
                await self._run()
            return self._value or ""

    def certificate(self) -> ClientCertificate | None:
        return self._certificate

    def forget(self) -> None:
        self._value = None

    def _expired(self) -> bool:
        return self._expires is not None and (self._expires - self._now()).total_seconds() < _EXPIRY_MARGIN

    async def _run(self) -> None:
        status = self._parse(await self._output())
        token = _text(status.get("token")).strip()
        certificate, key = _text(status.get("clientCertificateData")), _text(status.get("clientKeyData"))
        if not token and not (certificate and key):
            raise self._error("printed neither a token nor a certificate with its key", "log in with it by hand")
        self._value = f"Bearer {token}" if token else ""
        self._certificate = ClientCertificate(certificate.encode(), key.encode()) if certificate and key else None
        stamp = _text(status.get("expirationTimestamp"))
        try:
            self._expires = datetime.fromisoformat(stamp) if stamp else None
        except ValueError as error:
            raise self._error(f"printed expirationTimestamp {stamp!r}", "expected an RFC 3339 time") from error
        if self._expires is not None and self._expires.tzinfo is None:
            self._expires = self._expires.replace(tzinfo=UTC)

    async def _output(self) -> bytes:
        spec: dict[str, Any] = {"interactive": False}
        if self._cluster is not None:
            spec["cluster"] = dict(self._cluster)
        info = {"apiVersion": self._api_version, "kind": "ExecCredential", "spec": spec}
        command = self._command
        if os.sep in command and not Path(command).is_absolute():
            command = str(self._directory / command)
        try:
            process = await asyncio.create_subprocess_exec(
                command, *self._args, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={**os.environ, **self._env, "KUBERNETES_EXEC_INFO": wire.encode(info).decode()},
            )  # fmt: skip
        except OSError as error:
            raise self._error(
                f"cannot be started: {error.strerror or error}", self._hint or "install it, or correct the command"
            ) from error
        try:
            async with asyncio.timeout(_PLUGIN_SECONDS):
                out, err = await process.communicate()
        except TimeoutError as error:
            raise self._error(f"gave no answer within {_PLUGIN_SECONDS:.0f} s", "log in with it by hand") from error
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if process.returncode:
            last = err.decode(errors="replace").strip().splitlines()[-1:]
            detail = f": {last[0]}" if last else ""
            raise self._error(
                f"ended with code {process.returncode}{detail}", "run it by hand; it may need you to log in"
            )
        return out

    def _parse(self, output: bytes) -> dict[str, Any]:
        try:
            answer = _mapping(wire.decode(output))
        except ValueError as error:
            raise self._error("printed no JSON", "expected an ExecCredential object") from error
        if answer.get("apiVersion") != self._api_version:
            raise self._error(
                f"answered in apiVersion {answer.get('apiVersion')!r}", f"the kubeconfig asks for {self._api_version}"
            )
        return _mapping(answer.get("status"))

    def _error(self, message: str, remedy: str) -> KubeconfigError:
        return KubeconfigError(
            f"{self._where}: the credential plugin {self._command} {message}", field=self._where, remedy=remedy
        )


class AuthProvider(NoCredentials):
    """The auth-provider entries (oidc, gcp) that client-go has dropped, through the `kubernetes` package."""

    def __init__(
        self, *, files: tuple[Path, ...], context: str, where: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._files = files
        self._context = context
        self._where = where
        self._clock = clock
        self._lock = asyncio.Lock()
        self._value = ""
        self._loaded_at = 0.0

    async def authorization(self) -> str:
        async with self._lock:
            if not self._value or self._clock() - self._loaded_at > _PROVIDER_SECONDS:
                self._value = await asyncio.to_thread(self._load)
                self._loaded_at = self._clock()
            return self._value

    def forget(self) -> None:
        self._value = ""

    def _load(self) -> str:
        try:
            from kubernetes import client, config
        except ImportError as error:
            raise KubeconfigError(
                f"{self._where}: needs the Python package `kubernetes`", field=self._where,
                remedy="install kagent-api[kube]",
            ) from error  # fmt: skip
        configuration = client.Configuration()
        # The package writes a renewed refresh token back: one that is used twice would be refused.
        try:
            config.load_kube_config(  # pyright: ignore[reportUnknownMemberType] - untyped package
                os.pathsep.join(str(file) for file in self._files), context=self._context,
                client_configuration=configuration, persist_config=True,
            )  # fmt: skip
            value = configuration.get_api_key_with_prefix("BearerToken", "authorization")  # pyright: ignore[reportUnknownMemberType]
        except (config.ConfigException, KeyError, ValueError, TypeError, OSError) as error:
            raise KubeconfigError(
                f"{self._where}: the auth provider failed: {error}", field=self._where,
                remedy="log in again, or replace the entry by an exec plugin",
            ) from error  # fmt: skip
        if not value:
            raise KubeconfigError(
                f"{self._where}: the auth provider gave no token", field=self._where,
                remedy="log in again, or replace the entry by an exec plugin",
            )  # fmt: skip
        return value


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _mapping(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []
