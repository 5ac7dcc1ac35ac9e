"""Who a Pod is to the forward proxy: a random token per Pod, valid as long as the Pod runs."""

from __future__ import annotations

import secrets
from typing import NamedTuple
from urllib.parse import quote

__all__ = ["Identities", "PodIdentity"]


class PodIdentity(NamedTuple):
    """The Pod behind a request."""

    namespace: str
    pod: str
    uid: str


class Identities:
    """Tokens and the Pods that hold them; kept in memory only."""

    def __init__(self) -> None:
        self._by_token: dict[str, PodIdentity] = {}
        self._tokens: dict[str, str] = {}

    def issue(self, identity: PodIdentity) -> str:
        """Return the Pod's token, made at the first call."""
        token = self._tokens.get(identity.uid)
        if token is None:
            token = self._tokens[identity.uid] = secrets.token_urlsafe(24)
            self._by_token[token] = identity
        return token

    def revoke(self, uid: str) -> None:
        token = self._tokens.pop(uid, None)
        if token is not None:
            del self._by_token[token]

    def who(self, token: str) -> PodIdentity | None:
        return self._by_token.get(token)

    def proxy_url(self, identity: PodIdentity, port: int) -> str:
        """Return the value of HTTP_PROXY for this Pod."""
        user = quote(f"{identity.namespace}/{identity.pod}", safe="")
        return f"http://{user}:{self.issue(identity)}@127.0.0.1:{port}"
