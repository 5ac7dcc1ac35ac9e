"""Who is calling.

In mode none (upstream's default) the caller says it: query `user_id`, then header `X-User-Id`, then the shared
`admin@kagent.dev`. In mode trusted-proxy a proxy in front has checked the bearer token, whose claims are read here
without a signature check: the gateway must then be reachable through that proxy only.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

from starlette.requests import Request

from kagent_api.kube.resources import JsonObject
from kagent_operator.gateway.errors import Unauthorized
from kagent_operator.gateway.settings import GatewaySettings

__all__ = ["DEFAULT_USER", "Authenticator", "NoAuthentication", "Principal", "TrustedProxy", "authenticator"]

DEFAULT_USER: Final = "admin@kagent.dev"


@dataclass(frozen=True, slots=True)
class Principal:
    """``named`` is false when nobody was named and the shared user stands in; ``agent`` is an agent's id or ''."""

    user_id: str
    named: bool
    agent: str = ""
    claims: JsonObject | None = None


class Authenticator(Protocol):
    """Tells who a request is from; raises Unauthorized when it cannot."""

    def __call__(self, request: Request) -> Principal: ...


class NoAuthentication:
    """The caller is who it says."""

    def __call__(self, request: Request) -> Principal:
        user = _said_user(request)
        return Principal(user or DEFAULT_USER, bool(user), _agent(request))


class TrustedProxy:
    """The caller is who the bearer token's claims say; an agent may speak for a user."""

    def __init__(self, claim: str) -> None:
        self._claim = claim

    def __call__(self, request: Request) -> Principal:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        claims = _claims(token.strip()) if scheme.lower() == "bearer" else None
        if claims is None:
            raise Unauthorized("a bearer token is needed")
        subject = str(claims.get("sub") or "")
        agent = _agent(request)
        if agent:
            user = _said_user(request)
            return Principal(user or subject, bool(user), agent)
        user = str(claims.get(self._claim) or subject)
        if not user:
            raise Unauthorized(f"the bearer token has neither a claim {self._claim} nor sub")
        return Principal(user, True, "", claims)


def authenticator(settings: GatewaySettings) -> Authenticator:
    """Return the authenticator of the configured mode."""
    return TrustedProxy(settings.user_id_claim) if settings.auth_mode == "trusted-proxy" else NoAuthentication()


def _said_user(request: Request) -> str:
    return request.query_params.get("user_id") or request.headers.get("x-user-id") or ""


def _agent(request: Request) -> str:
    """Agents name themselves by id; hyphens are allowed, since people write the name."""
    return request.headers.get("x-agent-name", "").replace("/", "__NS__").replace("-", "_")


def _claims(token: str) -> JsonObject | None:
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        payload: Any = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, binascii.Error):
        return None
    return cast("JsonObject", payload) if isinstance(payload, dict) else None
