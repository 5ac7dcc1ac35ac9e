"""Checks the tokens that agents' Pods carry: signed by the cluster, for audience ``kagent``, of the agent named.

The issuer's public keys are readable to every ServiceAccount (Kubernetes binds system:service-account-issuer-discovery
to all of them), so nothing cluster-wide is asked for. Which agent a Pod is, its labels say in the operator's copies:
agents that share a ServiceAccount are told apart that way.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from kagent_api.errors import TransientError
from kagent_api.kube.resources import JsonObject
from kagent_api.names import TOKEN_AUDIENCE
from kagent_operator.gateway.directory import AgentDirectory, agent_by_id, field, meta
from kagent_operator.gateway.errors import Unauthorized

if TYPE_CHECKING:
    import jwt

__all__ = ["IssuerKeys", "KeySource", "PodTokens"]

# What Kubernetes issuers sign with; none and the symmetric ones would let anybody sign.
_ALGORITHMS: Final = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512")
_KEYS_SECONDS: Final = 300.0
_RETRY_SECONDS: Final = 5.0
_LEEWAY_SECONDS: Final = 30
_SUBJECT: Final = "system:serviceaccount:"


class KeySource(Protocol):
    """Reads a public document of the API server by path; raises TransientError."""

    async def __call__(self, path: str) -> JsonObject: ...


class IssuerKeys:
    """The issuer's name and public keys, read when they are first needed and again for an unknown key."""

    def __init__(self, read: KeySource) -> None:
        self._read = read
        self._issuer = ""
        self._keys: dict[str, jwt.PyJWK] = {}
        self._read_at = float("-inf")
        self._lock = asyncio.Lock()

    async def key(self, kid: str) -> tuple[str, jwt.PyJWK | None]:
        """Return the issuer's name, and the key of an id if it has one."""
        async with self._lock:
            age = time.monotonic() - self._read_at
            if age > _KEYS_SECONDS or (kid not in self._keys and age > _RETRY_SECONDS):
                await self._refresh()
        return self._issuer, self._keys.get(kid)

    async def _refresh(self) -> None:
        import jwt

        about = await self._read("/.well-known/openid-configuration")
        listed = await self._read("/openid/v1/jwks")
        self._issuer = str(about.get("issuer") or "")
        try:
            keys = jwt.PyJWKSet.from_dict(listed).keys
        except jwt.PyJWTError as error:
            raise TransientError(f"the cluster's token keys cannot be read: {error}") from error
        self._keys = {str(key.key_id): key for key in keys if key.key_id}
        self._read_at = time.monotonic()


class PodTokens:
    """Checks agents' tokens against the issuer's keys and the operator's copies of Agents and Pods."""

    def __init__(self, keys: IssuerKeys, agents: AgentDirectory) -> None:
        self._keys = keys
        self._agents = agents

    async def check(self, token: str, agent: str) -> None:
        """Raise Unauthorized unless the token is the named agent's."""
        claims = await self._claims(token)
        found = agent_by_id(self._agents, agent)
        if found is None:
            raise Unauthorized(f"there is no agent {agent}")
        namespace, name = str(meta(found).get("namespace", "")), str(meta(found).get("name", ""))
        bound: Any = claims.get("kubernetes.io")
        pod = str(field(cast("JsonObject", bound), "pod", "name") or "") if isinstance(bound, dict) else ""
        account_namespace, _, account = str(claims.get("sub", "")).removeprefix(_SUBJECT).partition(":")
        if account_namespace != namespace or not self._is_of(found, namespace, name, pod, account):
            raise Unauthorized(f"the token is not one of agent {namespace}/{name}")

    async def _claims(self, token: str) -> JsonObject:
        import jwt

        try:
            kid = str(jwt.get_unverified_header(token).get("kid") or "")
            issuer, key = await self._keys.key(kid)
            if key is None:
                raise Unauthorized("the token was not signed by this cluster")
            return jwt.decode(
                token,
                key=key,
                algorithms=[*_ALGORITHMS],
                audience=TOKEN_AUDIENCE,
                issuer=issuer,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "sub", "aud", "iss"]},
            )
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise Unauthorized(f"the token is no agent's: {type(error).__name__}") from error

    def _is_of(self, agent: JsonObject, namespace: str, name: str, pod: str, account: str) -> bool:
        for known in self._agents.resources("Pod") if pod else ():
            about = meta(known)
            if about.get("name") == pod and about.get("namespace") == namespace:
                return field(about, "labels", "app") == "kagent" and field(about, "labels", "kagent") == name
        # The Pod is not in our copies yet, or the token is not a Pod's: then the account must be the agent's own.
        named = [field(agent, "spec", part, "deployment", "serviceAccountName") for part in ("declarative", "byo")]
        return account in ([str(each) for each in named if each] or [name])
