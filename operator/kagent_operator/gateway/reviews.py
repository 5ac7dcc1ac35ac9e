"""Asks the API server who a token belongs to and what it may do, with that very token.

SelfSubjectReview and SelfSubjectAccessReview are open to everybody who is known, so the gateway needs no rights of its
own for them. Answers are kept for half a minute: a right or token that was taken away counts for that long. What is
kept is found by a digest of the token, never by the token.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar, cast

import httpx
from starlette.requests import Request

from kagent_api.errors import TransientError
from kagent_api.kube.resources import JsonObject
from kagent_operator.gateway.directory import field
from kagent_operator.gateway.errors import Unauthorized
from kagent_operator.gateway.principal import AgentTokens, Principal, bearer, named_agent, said_user
from kagent_operator.gateway.rights import Right

__all__ = ["TOKEN_HEADER", "KubernetesAuthentication", "Reviews"]

# The API server's proxy takes Authorization for itself and strips it.
TOKEN_HEADER: Final = "x-kagent-token"  # noqa: S105 - a header's name
_KEPT_SECONDS: Final = 30.0
_KEPT_ANSWERS: Final = 10_000
_TIMEOUT: Final = 10.0

T = TypeVar("T")


class _Kept(Generic[T]):
    """Answers for a while; the oldest go first when there are too many."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._held: OrderedDict[object, tuple[float, T]] = OrderedDict()

    def get(self, key: object) -> T | None:
        until, answer = self._held.get(key, (0.0, None))
        return answer if until > self._clock() else None

    def put(self, key: object, answer: T) -> T:
        self._held[key] = (self._clock() + _KEPT_SECONDS, answer)
        self._held.move_to_end(key)
        while len(self._held) > _KEPT_ANSWERS:
            self._held.popitem(last=False)
        return answer


@dataclass(frozen=True, slots=True)
class _Named:
    """Whom a token names; nobody is an answer too, so that a bad token is asked about once."""

    username: str
    info: JsonObject


class Reviews:
    """Self-reviews at one API server. ``http`` must carry no credentials of its own; ``server`` is its address."""

    def __init__(self, http: httpx.AsyncClient, server: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._http = http
        self._server = server.rstrip("/")
        self._users: _Kept[_Named] = _Kept(clock)
        self._rights: _Kept[bool] = _Kept(clock)

    async def who(self, token: str) -> JsonObject:
        """Return the API server's userInfo of a token; raise Unauthorized when it knows nobody by it."""
        key = _digest(token)
        named = self._users.get(key)
        if named is None:
            review = await self._review("authentication.k8s.io/v1/selfsubjectreviews", "SelfSubjectReview", {}, token)
            info: JsonObject = field(review, "status", "userInfo") or {} if review else {}
            named = self._users.put(key, _Named(str(info.get("username") or ""), info))
        if not named.username or named.username == "system:anonymous":
            raise Unauthorized("the API server knows nobody by this token")
        return named.info

    async def allow(self, principal: Principal, right: Right) -> bool:
        """Tell whether the caller's token has a right. Agents have none here: they reach their own sessions only."""
        if not principal.token:
            return False
        key = (_digest(principal.token), right)
        known = self._rights.get(key)
        if known is not None:
            return known
        asked = {"verb": right.verb, "group": right.group, "resource": right.plural, "namespace": right.namespace}
        asked |= {"name": right.name} if right.name else {}
        asked |= {"subresource": right.subresource} if right.subresource else {}
        review = await self._review(
            "authorization.k8s.io/v1/selfsubjectaccessreviews",
            "SelfSubjectAccessReview",
            {"spec": {"resourceAttributes": asked}},
            principal.token,
        )
        if review is None:
            raise Unauthorized("the API server knows nobody by this token")
        return self._rights.put(key, field(review, "status", "allowed") is True)

    async def _review(self, path: str, kind: str, content: JsonObject, token: str) -> JsonObject | None:
        """Return the answered review, None when the token is refused; raise TransientError when nobody answers."""
        body = {"apiVersion": path.rpartition("/")[0], "kind": kind} | content
        try:
            reply = await self._http.post(
                f"{self._server}/apis/{path}",
                json=body,
                headers={"authorization": f"Bearer {token}"},
                timeout=_TIMEOUT,
            )
        except httpx.TransportError as error:
            raise TransientError(
                f"the API server does not answer, so nobody can be known: {type(error).__name__}"
            ) from error
        if reply.status_code == 401:
            return None
        try:
            answer: Any = reply.json()
        except ValueError:
            answer = None
        if not reply.is_success or not isinstance(answer, dict):
            hint = "; it needs Kubernetes 1.28" if reply.status_code == 404 else ""
            raise TransientError(f"the API server answered HTTP {reply.status_code} to a {kind}{hint}")
        return cast("JsonObject", answer)


class KubernetesAuthentication:
    """The caller is who the API server knows by its token; an agent is known by the token of its Pod."""

    def __init__(self, reviews: Reviews, agent_tokens: AgentTokens) -> None:
        self._reviews = reviews
        self._agent_tokens = agent_tokens

    async def __call__(self, request: Request) -> Principal:
        token = request.headers.get(TOKEN_HEADER, "").strip() or bearer(request)
        if not token:
            raise Unauthorized(
                "a token is needed",
                remedy="send a bearer token of the cluster, in X-Kagent-Token through the API server's proxy; "
                "`kubectl create token` makes one",
            )
        if any(ord(letter) <= 32 or ord(letter) > 126 for letter in token):
            raise Unauthorized("the token holds characters that no token has")
        if agent := named_agent(request):
            await self._agent_tokens.check(token, agent)
            user = said_user(request)
            return Principal(user, bool(user), agent, proven=True)
        info = await self._reviews.who(token)
        groups: Any = info.get("groups")
        claims: JsonObject = {"sub": info["username"]} | ({"groups": groups} if groups else {})
        return Principal(str(info["username"]), True, claims=claims, proven=True, token=token)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
