"""How to reach an agent: through the gateway behind the API server's service proxy, its own Service there, or a URL.

With a kubeconfig nothing else is needed: no port-forward, no ingress. Credentials stay in the HTTP client.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import quote, urlsplit

import httpx

from kagent_api.errors import ObjectRef
from kagent_api.names import AGENT_PORT, CONTROLLER_NAME, CONTROLLER_NAMESPACE, CONTROLLER_PORT
from kagent_tui.chat.card import CARD_PATHS
from kagent_tui.chat.errors import AgentUnreachable, ChatError
from kagent_tui.chat.jsonvalue import JsonObject, object_of, objects_in, text_of

if TYPE_CHECKING:
    from kagent_api.kube import KubeClient

__all__ = ["DEFAULT_USER", "ChatTarget", "gateway_root", "gateway_target", "root_target", "url_target"]

# Upstream files everything under this user unless an authenticating proxy says otherwise.
DEFAULT_USER: Final = "admin@kagent.dev"
_COMPONENT_LABEL: Final = "app.kubernetes.io/component=controller"
_PROBE_TIMEOUT: Final = httpx.Timeout(5.0)


@dataclass(frozen=True, slots=True)
class ChatTarget:
    """One agent's address. ``rest_url`` is the gateway's root (sessions and tasks), empty where there is none."""

    ref: ObjectRef
    url: str
    http: httpx.AsyncClient = field(repr=False)
    via: Literal["gateway", "service", "url"]
    rest_url: str = ""
    user: str = DEFAULT_USER
    owns_http: bool = False

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers that tell the server who is talking."""
        return {"X-User-Id": self.user}

    async def aclose(self) -> None:
        """Close the HTTP client, if it was made for this target."""
        if self.owns_http:
            await self.http.aclose()


async def gateway_target(client: KubeClient, namespace: str, name: str, *, user: str = DEFAULT_USER) -> ChatTarget:
    """Return the way to an agent through its controller; without a controller, through the agent's own Service.

    The controller is looked for by label in the agent's namespace, then in ``kagent``.
    """
    ref = ObjectRef("Agent", namespace, name)
    found = await _controller(client, namespace)
    if found is None:
        return ChatTarget(ref, client.service_url(namespace, name, AGENT_PORT), client.http(), "service", user=user)
    where, service, port = found
    root = client.service_url(where, service, port)
    return root_target(client.http(), root, namespace, name, user=user)


async def gateway_root(client: KubeClient, namespace: str) -> str:
    """Return the root of the controller's HTTP API through the API server's proxy, empty where there is none."""
    found = await _controller(client, namespace)
    return client.service_url(*found) if found is not None else ""


async def url_target(url: str, namespace: str, name: str, *, user: str = DEFAULT_USER) -> ChatTarget:
    """Return the way to an agent at ``url``: the agent itself if a card is there, else a gateway that knows it.

    Raises AgentUnreachable if nothing answers.
    """
    base = url.rstrip("/") + "/"
    ref = ObjectRef("Agent", namespace, name)
    if urlsplit(base).scheme not in ("http", "https"):
        raise ChatError(f"{url} is no http or https address", ref=ref, remedy="give --url http://HOST:PORT")
    http = httpx.AsyncClient()
    try:
        itself = "/api/a2a/" in base or await _has_card(http, base)
    except (httpx.RequestError, httpx.InvalidURL) as error:
        await http.aclose()
        reason = str(error) or type(error).__name__
        raise AgentUnreachable(f"nothing answers at {url} ({reason})", ref=ref, remedy="is it running?") from error
    if itself:
        return ChatTarget(ref, base, http, "url", user=user, owns_http=True)
    return ChatTarget(ref, _agent_url(base, namespace, name), http, "gateway", base, user, owns_http=True)


def root_target(
    http: httpx.AsyncClient, root: str, namespace: str, name: str, *, user: str = DEFAULT_USER
) -> ChatTarget:
    """Return the way to an agent through a controller whose root is known; ``http`` stays the caller's."""
    ref = ObjectRef("Agent", namespace, name)
    return ChatTarget(ref, _agent_url(root, namespace, name), http, "gateway", root, user)


def _agent_url(root: str, namespace: str, name: str) -> str:
    return f"{root}api/a2a/{quote(namespace, safe='')}/{quote(name, safe='')}/"


async def _has_card(http: httpx.AsyncClient, base: str) -> bool:
    for path in CARD_PATHS:
        response = await http.get(base + path, timeout=_PROBE_TIMEOUT)
        if response.status_code == 200:
            return True
    return False


async def _controller(client: KubeClient, namespace: str) -> tuple[str, str, int] | None:
    from kagent_api.kube import Forbidden
    from kagent_api.kube.resources import SERVICES

    refused = False
    for where in dict.fromkeys([namespace, CONTROLLER_NAMESPACE]):
        try:
            listed = await client.list(SERVICES, where, label_selector=_COMPONENT_LABEL)
        except Forbidden:
            refused = True
            continue
        for service in listed.items:
            port = _port(service)
            if port:
                return where, text_of(object_of(service.get("metadata")).get("name")), port
    # Who may use the proxy need not be allowed to list Services.
    return (CONTROLLER_NAMESPACE, CONTROLLER_NAME, CONTROLLER_PORT) if refused else None


def _port(service: JsonObject) -> int:
    """Return the port of kagent's HTTP API; other software labels its controllers the same way."""
    ports = [port.get("port") for port in objects_in(object_of(service.get("spec")).get("ports"))]
    return CONTROLLER_PORT if CONTROLLER_PORT in ports else 0
