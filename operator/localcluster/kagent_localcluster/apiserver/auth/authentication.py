"""From request headers to a user: bearer tokens, then impersonation."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from urllib.parse import unquote

from kagent_localcluster.apiserver.auth.rbac import Attributes, Authorizer
from kagent_localcluster.apiserver.auth.tokens import TokenIssuer
from kagent_localcluster.apiserver.auth.users import ANONYMOUS, MASTERS, User
from kagent_localcluster.errors import BadRequest, Unauthorized

__all__ = ["Authenticator"]

_ADMIN = User("kubernetes-admin", (MASTERS, "system:authenticated"))
_EXTRA = "impersonate-extra-"
_AUTHENTICATION = "authentication.k8s.io"
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
            BadRequest: the headers name groups, a UID or extra values, and nobody.
        """
        user = self._bearer(headers)
        extra = _extra(headers)
        groups = tuple(part.strip() for part in headers.get("impersonate-group", "").split(",") if part.strip())
        uid = headers.get("impersonate-uid", "")
        if headers.get("impersonate-user"):
            return self._impersonate(user, User(headers["impersonate-user"], groups, uid, extra))
        if groups or uid or extra:
            raise BadRequest("requested a group, UID or extra to impersonate without impersonating a user name")
        return user

    def _bearer(self, headers: Mapping[str, str]) -> User:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if not scheme:
            token = _websocket_token(headers.get("sec-websocket-protocol", ""))
            if not token:
                return ANONYMOUS
        elif scheme.lower() != "bearer":
            # No other way to say who one is exists here; a real server passes over it too.
            return ANONYMOUS
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

    def _impersonate(self, user: User, wanted: User) -> User:
        """Return who is meant, with the groups that everybody of the kind has.

        Raises:
            Forbidden: the user may not be one of name, group, UID or extra value.
        """
        name, groups = wanted.name, wanted.groups
        if name.startswith("system:serviceaccount:") and name.count(":") == 3:
            _, _, namespace, account = name.split(":")
            self._authorizer.require(user, Attributes("impersonate", "", "serviceaccounts", "", namespace, account))
            groups = groups or ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
        else:
            self._authorizer.require(user, Attributes("impersonate", "", "users", name=name))
        for group in groups:
            if not group.startswith("system:serviceaccounts"):
                self._authorizer.require(user, Attributes("impersonate", "", "groups", name=group))
        if wanted.uid:
            self._authorizer.require(user, Attributes("impersonate", _AUTHENTICATION, "uids", name=wanted.uid))
        for key, values in wanted.extra:
            for value in values:
                asked = Attributes("impersonate", _AUTHENTICATION, "userextras", key, name=value)
                self._authorizer.require(user, asked)
        if name != ANONYMOUS.name and "system:authenticated" not in groups:
            groups = (*groups, "system:authenticated")
        return User(name, groups, wanted.uid, wanted.extra)


def _extra(headers: Mapping[str, str]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    found = {
        unquote(name.removeprefix(_EXTRA)): tuple(part.strip() for part in value.split(","))
        for name, value in headers.items()
        if name.startswith(_EXTRA)
    }
    return tuple(sorted(found.items()))


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
