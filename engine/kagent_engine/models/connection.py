"""One kept aiohttp session per model: posts a request and hands out its stream in frames. It knows no provider.

A TLS handshake costs 30 ms and a hundredfold of a token's handling, so the session lives as long as the model. The
environment's proxies are honoured: in the local cluster other services resolve only through one.

Tokens and the like are fetched through the same session (``fetch``), so proxies and TLS options hold for them too.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import getproxies

import aiohttp
import orjson
from multidict import CIMultiDict
from yarl import URL

from kagent_api.errors import InvalidSpec
from kagent_engine.models.base import ModelError
from kagent_engine.models.endpoint import Endpoint
from kagent_engine.models.failures import from_network, from_response
from kagent_engine.shapes import JsonObject, is_object

__all__ = ["Connection", "Signer", "TlsOptions", "json_lines", "parsed", "server_sent"]

# Takes address and body of a request and returns the headers that sign it.
Signer = Callable[[str, bytes], Mapping[str, str]]

_CONNECT_SECONDS = 15.0
# A large model may think for minutes before its first token; OpenAI's own client waits ten.
_SILENCE_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """What to trust: nothing checked, or an authority besides (or instead of) the system's."""

    verify: bool = True
    authority: Path | None = None
    system_authorities: bool = True

    def context(self) -> ssl.SSLContext | bool:
        """Return what aiohttp takes: True is its default.

        Raises:
            InvalidSpec: the authority cannot be read.
        """
        if not self.verify:
            return False
        if self.authority is None and self.system_authorities:
            return True
        context = ssl.create_default_context() if self.system_authorities else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.authority is not None:
            try:
                context.load_verify_locations(cafile=self.authority)
            except (OSError, ssl.SSLError) as error:
                raise InvalidSpec(
                    f"the certificate authority {self.authority} cannot be used: {error}",
                    field="model.tls_ca_cert_path", remedy="it must be a PEM file: check tls.caCertSecretRef",
                ) from error  # fmt: skip
        return context


class Connection:
    """Posts JSON to one endpoint. The session opens with the first request, on the loop that makes it."""

    def __init__(
        self, endpoint: Endpoint, *, tls: TlsOptions | None = None, timeout: float | None = None,
        connect_timeout: float | None = None,
    ) -> None:  # fmt: skip
        self.endpoint = endpoint
        self._tls = (tls or TlsOptions()).context()
        self._timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=connect_timeout or _CONNECT_SECONDS, sock_read=timeout or _SILENCE_SECONDS
        )
        self._session: aiohttp.ClientSession | None = None

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def callers(self, key: str) -> str:
        """Return a caller's own key where this model takes one, else nothing."""
        return key if self.endpoint.callers_key else ""

    def key(self, own: str) -> str:
        """Return the key of a call: the caller's own where the config passes it through, else the model's.

        Raises:
            ModelError: there is none and the provider answers nobody without one.
        """
        key = self.callers(own) or self.endpoint.api_key
        if not key and self.endpoint.key_required:
            raise ModelError(
                f"{self.endpoint.provider} model {self.endpoint.model!r}: there is no API key", code="no_key",
                status=401,
                remedy=f"give the ModelConfig an apiKeySecret ({self.endpoint.key_variable})",
            )  # fmt: skip
        return key

    @asynccontextmanager
    async def post(
        self, body: JsonObject, key: str, *, url: str = "", signer: Signer | None = None
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        """Post ``body`` (to ``url``, the endpoint's own by default) and yield the answer, its status checked.

        Raises:
            ModelError: whatever goes wrong, also while the body of the ``async with`` reads the stream.
        """
        data = orjson.dumps(body)
        url = url or self.endpoint.url
        # Twice in one request it breaks a signature, so its spelling must not matter.
        headers = CIMultiDict({"Content-Type": "application/json"})
        headers.update(self.endpoint.headers_with("" if signer else key))
        if signer is not None:
            headers.update(signer(url, data))
        try:
            # A signature holds for the address as it was written. A key must not follow to wherever a server points.
            async with self._open().post(
                URL(url, encoded=True) if signer else url, data=data, headers=headers, allow_redirects=False
            ) as response:
                if response.status >= 300:
                    raise from_response(response.status, response.headers, await response.read(), self.endpoint, key)
                yield response
        except (aiohttp.ClientError, TimeoutError) as error:
            raise from_network(error, self.endpoint) from error

    async def fetch(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None, secret: str = "",
    ) -> bytes:  # fmt: skip
        """Return what ``url`` answers to a small request beside the model's own, such as for a token.

        ``secret`` is masked where the answer repeats it.

        Raises:
            ModelError: whatever goes wrong; the model cannot be asked then.
        """
        place = self.endpoint.beside(url)
        try:
            async with self._open().request(
                method, url, headers=headers, data=form, allow_redirects=False, skip_auto_headers=("Content-Type",)
            ) as response:
                answer = await response.read()
                if response.status >= 300:
                    raise from_response(response.status, response.headers, answer, place, secret)
                return answer
        except (aiohttp.ClientError, TimeoutError) as error:
            raise from_network(error, place) from error

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._tls, limit=0, keepalive_timeout=60),
                # Compressed event streams are held back by some gateways until a block is full.
                headers={"Accept-Encoding": "identity"},
                # It reads the whole environment at every request, so it is left off where there is no proxy.
                timeout=self._timeout, trust_env=bool(getproxies()), read_bufsize=2**18,
            )  # fmt: skip
        return self._session


async def server_sent(chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Yield the data of server-sent events; names, ids and comments are left out."""
    data: list[bytes] = []
    async for line in _lines(chunks):
        if not line:
            if data:
                yield b"\n".join(data)
                data.clear()
        elif line.startswith(b"data:"):
            data.append(line[5:].removeprefix(b" "))
    if data:
        yield b"\n".join(data)


async def json_lines(chunks: AsyncIterable[bytes]) -> AsyncIterator[JsonObject]:
    """Yield the objects of a stream of one JSON object a line; a line that is none is left out."""
    async for line in _lines(chunks):
        if (found := parsed(line)) is not None:
            yield found


def parsed(data: bytes) -> JsonObject | None:
    """Return the JSON object in ``data``, None if it holds none."""
    try:
        found: object = orjson.loads(data)
    except ValueError:
        return None
    return found if is_object(found) else None


async def _lines(chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    pending = b""
    async for chunk in chunks:
        *complete, pending = (pending + chunk).split(b"\n")
        for line in complete:
            yield line.removesuffix(b"\r")
    if pending:
        yield pending.removesuffix(b"\r")
