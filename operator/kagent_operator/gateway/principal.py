"""Who is calling.

In mode none (upstream's default) the caller says it: query `user_id`, then header `X-User-Id`, then the shared
`admin@kagent.dev`. In mode trusted-proxy a proxy in front has checked the bearer token, whose claims are read here
without a signature check: the gateway must then be reachable through that proxy and by agents only. Agents come past
that proxy, so their tokens are checked here; unlike with upstream, naming an agent is not enough to speak for anybody.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, cast

from starlette.requests import Request

from kagent_api.kube.resources import JsonObject
from kagent_operator.gateway.errors import Unauthorized

__all__ = [
    "DEFAULT_USER", "AgentTokens", "Authenticator", "NoAuthentication", "Principal", "TrustedProxy", "bearer",
    "named_agent", "said_user",
]  # fmt: skip

DEFAULT_USER: Final = "admin@kagent.dev"


@dataclass(frozen=True, slots=True)
class Principal:
    """``named`` is false when nobody was named and the shared user stands in; ``agent`` is an agent's id or ''.

    ``proven`` is true where who it is was checked, not just said. ``token`` is what the API server knows the caller by.
    """

    user_id: str
    named: bool
    agent: str = ""
    claims: JsonObject | None = None
    proven: bool = False
    token: str = field(default="", repr=False)


class Authenticator(Protocol):
    """Tells who a request is from; raises Unauthorized when it cannot."""

    async def __call__(self, request: Request) -> Principal: ...


class AgentTokens(Protocol):
    """Checks the tokens of agents' Pods; raises Unauthorized for one that is not the named agent's."""

    async def check(self, token: str, agent: str) -> None: ...


class NoAuthentication:
    """The caller is who it says."""

    async def __call__(self, request: Request) -> Principal:
        user = said_user(request)
        return Principal(user or DEFAULT_USER, bool(user), named_agent(request))


class TrustedProxy:
    """The caller is who the bearer token's claims say; an agent, by its own token, may speak for a user."""

    def __init__(self, claim: str, agent_tokens: AgentTokens | None = None) -> None:
        self._claim = claim
        self._agent_tokens = agent_tokens

    async def __call__(self, request: Request) -> Principal:
        token = bearer(request)
        claims = _claims(token)
        if claims is None:
            raise Unauthorized("a bearer token is needed")
        subject = str(claims.get("sub") or "")
        agent = named_agent(request)
        if agent:
            if self._agent_tokens is not None:
                await self._agent_tokens.check(token, agent)
            user = said_user(request)
            return Principal(user or subject, bool(user), agent, proven=self._agent_tokens is not None)
        user = str(claims.get(self._claim) or subject)
        if not user:
            raise Unauthorized(f"the bearer token has neither a claim {self._claim} nor sub")
        return Principal(user, True, "", claims, proven=True)


def bearer(request: Request) -> str:
    """Return the bearer token of a request, '' for none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def said_user(request: Request) -> str:
    """Return the user a request names, '' for none."""
    return request.query_params.get("user_id") or request.headers.get("x-user-id") or ""


def named_agent(request: Request) -> str:
    """Agents name themselves by id; hyphens are allowed, since people write the name."""
    return request.headers.get("x-agent-name", "").replace("/", "__NS__").replace("-", "_")


def _claims(token: str) -> JsonObject | None:
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        payload: Any = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return None
    return cast("JsonObject", payload) if isinstance(payload, dict) else None
