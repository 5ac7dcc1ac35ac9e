"""The httpx client to one API server: TLS, credentials, the environment's proxy rules, dead peers noticed.

Credentials go to the API server's own origin and nowhere else, whatever URL a caller asks for.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
import urllib.request
from collections.abc import AsyncGenerator, Mapping
from http import HTTPStatus
from urllib.parse import urlsplit

import httpx

from kagent_api.kube.access import Access
from kagent_api.kube.credentials import ClientCertificate, load_certificate
from kagent_api.kube.errors import KubeconfigError

__all__ = ["environment_proxy", "http_client"]

# A watch may be silent for minutes. The kernel's probes tell a silent peer from a dead one (a laptop that slept).
_KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPALIVE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
_TIMEOUT = httpx.Timeout(connect=10.0, read=60.0, write=60.0, pool=None)
_GATEWAY = re.compile(r".*/api/v1/namespaces/[^/]+/services/(?:https?:)?kagent-controller:[^/]+/proxy/")
_GATEWAY_TOKEN = "X-Kagent-Token"  # noqa: S105 - a header's name


def http_client(access: Access, *, user_agent: str, env: Mapping[str, str] | None = None) -> httpx.AsyncClient:
    """Return a client that is allowed to talk to the API server of ``access``.

    Raises:
        KubeconfigError: certificates or proxy cannot be used.
    """
    context = access.ssl_context()
    proxy = access.proxy_url or environment_proxy(access.server, env)
    try:
        transport = httpx.AsyncHTTPTransport(
            verify=context,
            trust_env=False,
            # Every watch holds a connection; a limit would let watches starve each other and everything else.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=100, keepalive_expiry=60.0),
            proxy=proxy or None,
            socket_options=_socket_options(),
        )
    except (ImportError, ValueError) as error:
        raise KubeconfigError(
            f"{access.source}: clusters[{access.cluster}].proxy-url: {error}", field="proxy-url",
            remedy="use an http(s) proxy, or install httpx[socks] for socks5",
        ) from error  # fmt: skip
    return httpx.AsyncClient(
        transport=transport,
        auth=_ServerAuth(access, context),
        headers={"User-Agent": user_agent, "Accept": "application/json"},
        timeout=_TIMEOUT,
        trust_env=False,
    )


class _ServerAuth(httpx.Auth):
    """Adds the credential, and asks its source for a fresh one when the server refuses it.

    A controller's gateway behind the API server's proxy sees no Authorization. One that asks for a token, as ours does
    where the cluster's Roles decide, gets it in a header of its own; no other Service and no silent gateway ever does.
    """

    def __init__(self, access: Access, context: ssl.SSLContext) -> None:
        self._access = access
        self._context = context
        self._origin = _origin(httpx.URL(access.server))
        self._loaded: ClientCertificate | None = None
        self._asking: set[str] = set()

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        if _origin(request.url) != self._origin:
            yield request
            return
        if self._access.tls.server_name:
            request.extensions = {**request.extensions, "sni_hostname": self._access.tls.server_name}
        value = await self._credential(request)
        gateway = _GATEWAY.match(request.url.raw_path.decode("ascii", "replace"))
        if gateway and gateway[0] in self._asking:
            request.headers[_GATEWAY_TOKEN] = value.removeprefix("Bearer ")
        response = yield request
        if gateway and value.startswith("Bearer ") and _asks_for_a_token(response, request):
            self._asking.add(gateway[0])
            request.headers[_GATEWAY_TOKEN] = value.removeprefix("Bearer ")
            response = yield request
        if response.status_code != HTTPStatus.UNAUTHORIZED or not isinstance(request.stream, httpx.ByteStream):
            return
        self._access.credentials.forget()
        if (fresh := await self._credential(request)) != value:
            if _GATEWAY_TOKEN in request.headers:
                request.headers[_GATEWAY_TOKEN] = fresh.removeprefix("Bearer ")
            yield request

    async def _credential(self, request: httpx.Request) -> str:
        value = await self._access.credentials.authorization()
        certificate = self._access.credentials.certificate()
        if certificate is not None and certificate != self._loaded:
            try:
                load_certificate(self._context, certificate)
            except (ssl.SSLError, ValueError) as error:
                raise KubeconfigError(
                    f"{self._access.source}: users[{self._access.user}].exec: the plugin's certificate cannot be "
                    f"used: {error}", field=f"users[{self._access.user}].exec", remedy="update the plugin",
                ) from error  # fmt: skip
            self._loaded = certificate
        if any(ord(letter) < 32 for letter in value):
            # h11 would refuse it too, with the whole credential in its message.
            raise KubeconfigError(
                f"{self._access.source}: users[{self._access.user}]: the credential holds a control character",
                field=f"users[{self._access.user}]", remedy="write it on one line",
            )  # fmt: skip
        if value:
            request.headers["Authorization"] = value
        return value


def _asks_for_a_token(response: httpx.Response, request: httpx.Request) -> bool:
    return (
        response.status_code == HTTPStatus.UNAUTHORIZED
        and 'realm="kagent"' in response.headers.get("www-authenticate", "")
        and _GATEWAY_TOKEN not in request.headers
        and isinstance(request.stream, httpx.ByteStream)
    )


def environment_proxy(server: str, env: Mapping[str, str] | None = None) -> str:
    """Return the proxy that the environment names for ``server``, "" for none.

    NO_PROXY is read as Go does (domains and their subdomains, addresses, CIDR ranges, ``*``), since kubectl's users
    wrote it for kubectl. Loopback is never proxied.
    """
    variables = urllib.request.getproxies() if env is None else _proxy_variables(env)
    parts = urlsplit(server)
    host, proxy = parts.hostname or "", variables.get(parts.scheme, "")
    if not proxy or _bypassed(host, parts.port, variables.get("no", "")):
        return ""
    return proxy if "://" in proxy else f"http://{proxy}"


def _proxy_variables(env: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for scheme in ("http", "https", "no"):
        value = env.get(f"{scheme}_proxy") or env.get(f"{scheme.upper()}_PROXY")
        if value:
            found[scheme] = value
    return found


def _bypassed(host: str, port: int | None, no_proxy: str) -> bool:
    address = _address(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    return any(_matches(entry.strip().lower(), host, port, address) for entry in no_proxy.split(",") if entry.strip())


def _matches(
    entry: str, host: str, port: int | None, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None
) -> bool:
    if entry == "*":
        return True
    if "/" in entry:
        try:
            return address is not None and address in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
    if entry.count(":") == 1:
        entry, _, wanted = entry.partition(":")
        if wanted != str(port):
            return False
    if address is not None:
        return _address(entry) == address
    name = entry.removeprefix("*").removeprefix(".")
    return host.endswith("." + name) or (host == name and not entry.startswith((".", "*.")))


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or {"https": 443, "http": 80}.get(url.scheme)


def _socket_options() -> list[tuple[int, int, int]]:
    options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1), (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
    for name, seconds in _KEEPALIVE.items():
        option = getattr(socket, name, None)
        if isinstance(option, int):
            options.append((socket.IPPROTO_TCP, option, seconds))
    return options
