"""The ASGI application: who asks, may they, what for, and the answer; errors become Status objects here.

Nothing that a request does may end the server: what is not an ``ApiError`` is logged and answered as 500.
"""

from __future__ import annotations

import asyncio
import logging
import platform
import sys
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version

import orjson

from kagent_localcluster.apiserver.auth.authentication import Authenticator
from kagent_localcluster.apiserver.auth.rbac import Attributes, Authorizer
from kagent_localcluster.apiserver.auth.reviews import Reviewer
from kagent_localcluster.apiserver.auth.tokens import ISSUER, TokenIssuer
from kagent_localcluster.apiserver.auth.users import User
from kagent_localcluster.apiserver.discovery import AGGREGATED, Discovery
from kagent_localcluster.apiserver.kinds import Kind, Registry
from kagent_localcluster.apiserver.openapi import OpenApi
from kagent_localcluster.apiserver.proxying.gate import ProxyGate
from kagent_localcluster.apiserver.selectors import selected_name
from kagent_localcluster.apiserver.web.messages import Message, Receive, Request, Scope, Send, send, send_json
from kagent_localcluster.apiserver.web.negotiation import decode_object
from kagent_localcluster.apiserver.web.options import write_options
from kagent_localcluster.apiserver.web.resources import ResourceHandler
from kagent_localcluster.apiserver.web.routing import RequestInfo, parse_request
from kagent_localcluster.errors import (
    ApiError,
    BadRequest,
    MethodNotAllowed,
    NoSuchPath,
    NotAcceptable,
    NotFound,
    ServiceUnavailable,
    Timeout,
)

__all__ = ["KUBERNETES_VERSION", "WebApp"]

logger = logging.getLogger(__name__)

# The release whose schemas and behaviour are served; clients choose features by it.
KUBERNETES_VERSION = (1, 36, 0)

_HEALTH = frozenset({"/healthz", "/livez", "/readyz", "/readyz/ping", "/livez/ping", "/healthz/ping"})
# Single checks, such as /readyz/etcd: whoever asks is answered as by a server whose checks all hold.
_CHECKS = ("/healthz/", "/livez/", "/readyz/")
_PROXIED = frozenset({"proxy", "log", "portforward"})


@dataclass(frozen=True)
class WebApp:
    """Serves the API."""

    registry: Registry
    authenticator: Authenticator
    authorizer: Authorizer
    reviewer: Reviewer
    tokens: TokenIssuer
    discovery: Discovery
    openapi: OpenApi
    resources: ResourceHandler
    proxies: ProxyGate
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Scope, receive: Receive, send_message: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send_message)
            return
        tracker = _StartTracker(send_message)
        request = Request(scope, receive, tracker, self.stopping)
        try:
            await self._answer(request)
        except ApiError as error:
            await _send_problem(request, tracker, error)
        except RecursionError:
            await _send_problem(request, tracker, BadRequest("the object is nested too deeply"))
        except Exception:
            logger.exception("%s %s failed", request.method, request.path)
            await _send_problem(
                request, tracker, _InternalError("Internal error occurred: see the local cluster's log")
            )

    async def _answer(self, request: Request) -> None:
        user = self.authenticator.authenticate(request.headers)
        raw_path = request.scope.get("raw_path", request.path.encode()).decode("latin-1").partition("?")[0]
        watching = request.query.flag("watch")
        info = parse_request(request.method, raw_path, watching=watching)
        self.authorizer.require(user, _attributes(info, request))
        if info.is_resource:
            await self._resource(request, info, user)
        elif request.scope["type"] == "websocket":
            raise NotFound("the server could not find the requested resource")
        else:
            await self._document(request, info.path.rstrip("/") or "/")

    async def _resource(self, request: Request, info: RequestInfo, user: User) -> None:
        kind = self.registry.find(info.group, info.version, info.resource)
        if kind is None and not self.registry.serves(info.group):
            raise NoSuchPath("the server could not find the requested resource")
        if kind is None or (info.subresource and info.subresource not in kind.subresources):
            raise NotFound("the server could not find the requested resource")
        if request.scope["type"] == "websocket" and info.subresource not in _PROXIED:
            raise BadRequest("this resource does not speak WebSocket")
        if kind.namespaced and not info.namespace and info.name:
            raise NotFound("the server could not find the requested resource")
        if request.method == "HEAD" or (
            kind.namespaced and not info.namespace and info.verb in ("create", "deletecollection")
        ):
            raise MethodNotAllowed("the server does not allow this method on the requested resource")
        if not kind.namespaced and info.namespace and info.resource != "namespaces":
            raise NotFound("the server could not find the requested resource")
        if kind.plural == "namespaces" and not kind.group:
            # A namespace's own requests carry its name twice: authorization sees it as the namespace too.
            info = RequestInfo(**{**info.__dict__, "namespace": ""})
        if not kind.stored:
            await self._review(request, info, kind, user)
        elif info.subresource == "token":
            await self._token(request, info)
        elif info.subresource in _PROXIED:
            await self.proxies.handle(request, info, kind)
        else:
            await self.resources.handle(request, info, kind, user)

    async def _review(self, request: Request, info: RequestInfo, kind: Kind, user: User) -> None:
        if info.verb != "create":
            raise MethodNotAllowed("the server does not allow this method on the requested resource")
        body = decode_object(request.content_type, await request.body())
        manager = write_options(request, info, user).manager
        await send_json(request, 201, self.reviewer.review(kind, user, info.namespace, body, manager))

    async def _token(self, request: Request, info: RequestInfo) -> None:
        if info.verb != "create":
            raise MethodNotAllowed("the server does not allow this method on the requested resource")
        body = decode_object(request.content_type, await request.body())
        await send_json(request, 201, self.reviewer.request_token(info.namespace, info.name, body))

    async def _document(self, request: Request, path: str) -> None:
        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowed("the server does not allow this method on the requested resource")
        if path in _HEALTH or path.startswith(_CHECKS):
            await send(request, 200, b"ok", "text/plain; charset=utf-8")
        elif path == "/version":
            await send_json(request, 200, _version())
        elif path == "/openid/v1/jwks":
            await send(request, 200, orjson.dumps(self.tokens.keys()), "application/jwk-set+json")
        elif path == "/.well-known/openid-configuration":
            await send_json(request, 200, {
                "issuer": ISSUER,
                "jwks_uri": f"{_origin(request)}/openid/v1/jwks",
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"],
            })  # fmt: skip
        elif path == "/openapi/v2":
            if "json" not in (accept := request.header("accept")) and "*/*" not in accept and accept:
                raise NotAcceptable("only the following media types are accepted: application/json")
            await send(request, 200, self.openapi.version_2(), "application/json")
        elif path.startswith("/openapi/v3"):
            await send(
                request, 200, self.openapi.version_3(path.removeprefix("/openapi/v3").strip("/")), "application/json"
            )
        else:
            await self._discover(request, path)

    async def _discover(self, request: Request, path: str) -> None:
        parts = path.strip("/").split("/")
        if path in ("/api", "/apis"):
            core = path == "/api"
            if _wants_aggregated(request.header("accept")):
                body = orjson.dumps(self.discovery.aggregated(core=core))
                await send(request, 200, body, AGGREGATED)
                return
            await send_json(request, 200, self.discovery.versions() if core else self.discovery.groups())
        elif parts[0] == "api" and len(parts) == 2:
            await send_json(request, 200, self.discovery.resources("", parts[1]))
        elif parts[0] == "apis" and len(parts) == 2:
            await send_json(request, 200, self.discovery.group(parts[1]))
        elif parts[0] == "apis" and len(parts) == 3:
            await send_json(request, 200, self.discovery.resources(parts[1], parts[2]))
        elif path == "/":
            paths = [
                "/api",
                "/api/v1",
                "/apis",
                "/healthz",
                "/livez",
                "/openapi/v2",
                "/openapi/v3",
                "/readyz",
                "/version",
            ]
            await send_json(request, 200, {"paths": paths})
        else:
            raise NoSuchPath("the server could not find the requested resource")


class _InternalError(ApiError):
    """A fault of this server; its own text stays in the log."""


class _StartTracker:
    """Remembers whether an answer has begun, since a second start would break the connection's framing."""

    def __init__(self, send_message: Send) -> None:
        self._send = send_message
        self.started = False

    async def __call__(self, message: Message) -> None:
        self.started = True
        await self._send(message)


async def _send_problem(request: Request, tracker: _StartTracker, error: ApiError) -> None:
    if request.scope["type"] == "websocket":
        if not tracker.started:
            await request.send({"type": "websocket.close", "code": 1008, "reason": error.message[:120]})
    elif tracker.started:
        # The head is out: ending the body early is all that can be said.
        logger.warning("%s %s failed after its answer began: %s", request.method, request.path, error.message)
    else:
        if isinstance(error, NoSuchPath):
            await send(request, 404, b"404 page not found\n", "text/plain; charset=utf-8")
            return
        headers = [(b"retry-after", b"1")] if isinstance(error, ServiceUnavailable | Timeout) else None
        await send_json(request, error.code, error.status(), headers)


def _attributes(info: RequestInfo, request: Request) -> Attributes:
    if not info.is_resource:
        return Attributes(info.verb, path=info.path)
    name = info.name or selected_name(request.query.get("fieldSelector"))
    if request.scope["type"] == "websocket":
        return Attributes("get", info.group, info.resource, info.subresource, info.namespace, name)
    return Attributes(info.verb, info.group, info.resource, info.subresource, info.namespace, name)


def _wants_aggregated(accept: str) -> bool:
    """Tell whether the first discovery a client takes is the aggregated one, in the version that is served."""
    return any(
        "as=APIGroupDiscoveryList" in part and "v=v2" in [piece.strip() for piece in part.split(";")]
        for part in accept.split(",")
    )


def _origin(request: Request) -> str:
    host = request.header("host") or "127.0.0.1"
    return f"{request.scope.get('scheme', 'https')}://{host}"


def _version() -> dict[str, str]:
    major, minor, patch = KUBERNETES_VERSION
    try:
        own = version("kagent-localcluster")
    except PackageNotFoundError:
        own = "0.0.0"
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return {
        "major": str(major),
        "minor": str(minor),
        "gitVersion": f"v{major}.{minor}.{patch}+kagent-local.{own}",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": f"python{sys.version_info.major}.{sys.version_info.minor}",
        "platform": f"{sys.platform}/{machine}",
    }


async def _lifespan(receive: Receive, send_message: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send_message({"type": "lifespan.startup.complete"})
        else:
            await send_message({"type": "lifespan.shutdown.complete"})
            return
