"""One door for the requests that only the runner can serve; without a runner they answer 503."""

from __future__ import annotations

import random
from urllib.parse import unquote

from kagent_localcluster.apiserver.kinds import Kind
from kagent_localcluster.apiserver.proxying.forwarding import Target, forward
from kagent_localcluster.apiserver.proxying.logs import NO_NODE, serve_log
from kagent_localcluster.apiserver.reading import Reader
from kagent_localcluster.apiserver.web.messages import Request
from kagent_localcluster.apiserver.web.routing import RequestInfo
from kagent_localcluster.errors import BadRequest, ServiceUnavailable
from kagent_localcluster.seams import Address, PodBackend

__all__ = ["ProxyGate"]

# /api/v1/namespaces/NS/pods/NAME/proxy/REST
_REST_SEGMENT = 8


class ProxyGate:
    """Dispatches logs, proxies and port-forward to the runner's ``PodBackend``."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.backend: PodBackend | None = None

    async def handle(self, request: Request, info: RequestInfo, kind: Kind) -> None:
        """Answer the request.

        Raises:
            ServiceUnavailable: no runner is there, or nothing listens.
            NotFound: no such Pod, Service or port.
            BadRequest: the request makes no sense for the subresource.
        """
        name = info.name if info.subresource != "proxy" else _parse_name(info.name)[1]
        obj = self._reader.get(kind, info.namespace, name).load()
        backend = self.backend
        if info.subresource == "log":
            await serve_log(request, backend, obj)
        elif backend is None:
            raise ServiceUnavailable(NO_NODE)
        elif info.subresource == "portforward":
            from kagent_localcluster.apiserver.proxying.portforward import serve_portforward

            await serve_portforward(request, backend, obj)
        elif request.scope["type"] == "websocket":
            raise BadRequest("WebSockets do not pass through this proxy: use kubectl port-forward")
        else:
            await self._proxy(request, info, backend)

    async def _proxy(self, request: Request, info: RequestInfo, backend: PodBackend) -> None:
        raw_path = request.scope.get("raw_path", request.path.encode()).decode("latin-1").partition("?")[0]
        parts = raw_path.split("/", _REST_SEGMENT)
        prefix = "/".join(parts[:_REST_SEGMENT])
        path = "/" + (parts[_REST_SEGMENT] if len(parts) > _REST_SEGMENT else "")
        scheme, name, port = _parse_name(info.name)
        if info.resource == "services":
            address = _choose(backend.service_addresses(info.namespace, name, port), name)
        else:
            address = backend.pod_address(info.namespace, name, port)
        await forward(request, Target(address, path, prefix, tls=scheme == "https"))


def _parse_name(text: str) -> tuple[str, str, str]:
    """Split ``[SCHEME:]NAME[:PORT]``."""
    parts = unquote(text).split(":")
    if len(parts) == 3 and parts[0] in ("http", "https", ""):
        return parts[0], parts[1], parts[2]
    if len(parts) <= 2:
        return "", parts[0], parts[1] if len(parts) == 2 else ""
    raise BadRequest(f'invalid service request "{text}"')


def _choose(addresses: list[Address], service: str) -> Address:
    if not addresses:
        raise ServiceUnavailable(f'no endpoints available for service "{service}"')
    return random.choice(addresses)  # noqa: S311 any will do
