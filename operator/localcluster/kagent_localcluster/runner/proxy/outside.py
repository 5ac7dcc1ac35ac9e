"""The way to hosts outside the cluster: straight, or by the proxy that the person has."""

from __future__ import annotations

import base64
import contextlib
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies

__all__ = ["Outside", "UserProxy"]

LOOPBACK = "localhost,127.0.0.1,::1"


class UserProxy(NamedTuple):
    """A proxy that the person uses for one scheme."""

    host: str
    port: int
    authorization: str


@dataclass(frozen=True)
class Outside:
    """The person's proxy settings, taken once at start."""

    http: UserProxy | None
    https: UserProxy | None
    https_url: str
    no_proxy: str

    @classmethod
    def of_machine(cls) -> Outside:
        """Read the environment, and on macOS the system's settings, before any Pod's HTTP_PROXY hides them."""
        return cls.from_settings(getproxies())

    @classmethod
    def from_settings(cls, settings: Mapping[str, str]) -> Outside:
        """Read ``{"http": URL, "https": URL, "no": LIST}`` as urllib gives it."""
        anything = settings.get("all", "")
        https_url = settings.get("https", anything)
        return cls(
            http=_parse(settings.get("http", anything)),
            https=_parse(https_url),
            https_url=https_url if _parse(https_url) else "",
            no_proxy=settings.get("no", ""),
        )

    def proxy_for(self, scheme: str, host: str, port: int) -> UserProxy | None:
        """Return the proxy to use for a host, None to go straight."""
        proxy = self.https if scheme == "https" else self.http
        if proxy is None or self._bypasses(host, port):
            return None
        return proxy

    def pod_variables(self, own_proxy: str) -> dict[str, str]:
        """Return a Pod's proxy variables: cluster and plain http through ours, https as the person does it."""
        no_proxy = ",".join([LOOPBACK, *self._kept_exceptions()])
        variables = {"HTTP_PROXY": own_proxy, "http_proxy": own_proxy, "NO_PROXY": no_proxy, "no_proxy": no_proxy}
        variables["ws_proxy"] = own_proxy  # aiohttp asks for a WebSocket's proxy by its own scheme
        variables["NODE_USE_ENV_PROXY"] = "1"  # Node looks at the others from 22.21 and 24 on, when this is set
        if self.https_url:
            variables |= {"HTTPS_PROXY": self.https_url, "https_proxy": self.https_url}
        return variables

    def _bypasses(self, host: str, port: int) -> bool:
        if host in LOOPBACK.split(","):
            return True
        return any(_excepts(entry.strip().lower(), host.lower(), port) for entry in self.no_proxy.split(","))

    def _kept_exceptions(self) -> list[str]:
        """Return the person's exceptions that cannot catch a cluster name: those with a dot inside, and addresses."""
        entries = [entry.strip() for entry in self.no_proxy.split(",")]
        names = {entry: entry.lower().lstrip("*").strip(".") for entry in entries if entry}
        return [
            entry
            for entry, name in names.items()
            if "." in name and not name.endswith(("cluster.local", "svc")) and entry not in LOOPBACK.split(",")
        ]


def _excepts(entry: str, host: str, port: int) -> bool:
    """Tell whether one entry of NO_PROXY means this host: a name and what is below it, a network, or all."""
    if not entry:
        return False
    if entry == "*":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    name, _, wanted_port = entry.rpartition(":") if entry.count(":") == 1 else (entry, "", "")
    name = name.lstrip("*").lstrip(".")
    return (not wanted_port or wanted_port == str(port)) and (host == name or host.endswith(f".{name}"))


def _parse(url: str) -> UserProxy | None:
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if not url or not parts.hostname or parts.scheme not in ("http", ""):
        return None  # socks and https proxies are the program's own business
    authorization = ""
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = "Basic " + base64.b64encode(pair.encode()).decode()
    return UserProxy(parts.hostname, parts.port or 80, authorization)
