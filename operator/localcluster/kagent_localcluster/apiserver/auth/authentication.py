"""From request headers to a user: bearer tokens, then impersonation."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from kagent_localcluster.apiserver.auth.rbac import Attributes, Authorizer
from kagent_localcluster.apiserver.auth.tokens import TokenIssuer
from kagent_localcluster.apiserver.auth.users import ANONYMOUS, MASTERS, User
from kagent_localcluster.errors import Unauthorized

__all__ = ["Authenticator"]

_ADMIN = User("kubernetes-admin", (MASTERS, "system:authenticated"))
_WEBSOCKET_TOKEN = "base64url.bearer.authorization.k8s.io."  # noqa: S105 a protocol name's beginning


class Authenticator:
    """Knows the admin's token and the ServiceAccounts' tokens."""

    def __init__(self, admin_token: str, tokens: TokenIssuer, authorizer: Authorizer) -> None:
        self._admin_token = admin_token.encode()
        self._tokens = tokens
        self._authorizer = authorizer

    def authenticate(self, headers: Mapping[str, str]) -> User:
        """Return the user a request acts as; without credentials the anonymous one.

        Raises:
            Unauthorized: a token is given and is not good.
            Forbidden: the user may not impersonate whom the headers name.
        """
        user = self._bearer(headers)
        if not headers.get("impersonate-user"):
            return user
        return self._impersonate(user, headers)

    def _bearer(self, headers: Mapping[str, str]) -> User:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if not scheme:
            token = _websocket_token(headers.get("sec-websocket-protocol", ""))
            if not token:
                return ANONYMOUS
        elif scheme.lower() != "bearer":
            raise Unauthorized("Unauthorized")
        user = self.user_of(token.strip())
        if user is None:
            raise Unauthorized("Unauthorized")
        return user

    def user_of(self, token: str) -> User | None:
        """Return the user of a token for this API server, None when it is not good."""
        if hmac.compare_digest(token.encode(), self._admin_token):
            return _ADMIN
        found = self._tokens.check(token)
        return found.user if found else None

    def _impersonate(self, user: User, headers: Mapping[str, str]) -> User:
        name = headers["impersonate-user"]
        groups = tuple(part.strip() for part in headers.get("impersonate-group", "").split(",") if part.strip())
        if name.startswith("system:serviceaccount:") and name.count(":") == 3:
            _, _, namespace, account = name.split(":")
            self._authorizer.require(user, Attributes("impersonate", "", "serviceaccounts", "", namespace, account))
            groups = groups or ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
        else:
            self._authorizer.require(user, Attributes("impersonate", "", "users", name=name))
        for group in groups:
            if not group.startswith("system:serviceaccounts"):
                self._authorizer.require(user, Attributes("impersonate", "", "groups", name=group))
        if name != ANONYMOUS.name and "system:authenticated" not in groups:
            groups = (*groups, "system:authenticated")
        return User(name, groups)


def _websocket_token(protocols: str) -> str:
    import base64

    for protocol in protocols.split(","):
        if (value := protocol.strip()).startswith(_WEBSOCKET_TOKEN):
            encoded = value.removeprefix(_WEBSOCKET_TOKEN)
            try:
                return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
            except ValueError:
                return ""
    return ""
