"""Which addresses go through the proxy (``--proxy-url``), and how an address is rewritten for it."""

from __future__ import annotations

from urllib.parse import urlsplit

from kagent_operator.translate.settings import Settings
from kagent_operator.translate.world import World

__all__ = ["HOST_HEADER", "is_internal", "plain_egress", "through_proxy"]

# Upstream's proxy routes by this header, which holds the host that was meant.
HOST_HEADER = "x-kagent-host"


def through_proxy(url: str, headers: dict[str, str], settings: Settings) -> tuple[str, dict[str, str]]:
    """Return address and headers for a target inside the cluster; unchanged when no proxy is set."""
    if not settings.proxy_url:
        return url, headers
    target, proxy = urlsplit(url), urlsplit(settings.proxy_url)
    return f"{proxy.scheme}://{proxy.netloc}{target.path}", {**headers, HOST_HEADER: target.hostname or ""}


def is_internal(url: str, world: World) -> bool:
    """Tell whether an address is inside the cluster: ``*.svc.cluster.local``, or ``name.namespace`` of one there is."""
    host = urlsplit(url).hostname or ""
    if host.endswith(".svc.cluster.local"):
        return True
    parts = host.split(".")
    return len(parts) == 2 and all(parts) and world.namespace_exists(parts[1])


def plain_egress(url: str) -> str:
    """Return an https address as http with its port spelled out, for meshes that add TLS themselves."""
    parts = urlsplit(url)
    if parts.scheme != "https":
        return url
    host = parts.netloc if parts.port else f"{parts.netloc}:443"
    return parts._replace(scheme="http", netloc=host).geturl()
