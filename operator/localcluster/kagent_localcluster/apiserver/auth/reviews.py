"""The review kinds: questions about users and rights that are answered and never stored."""

from __future__ import annotations

import datetime

from kagent_localcluster.apiserver.auth.authentication import Authenticator
from kagent_localcluster.apiserver.auth.rbac import Attributes, Authorizer
from kagent_localcluster.apiserver.auth.tokens import ISSUER, TokenIssuer
from kagent_localcluster.apiserver.auth.users import User
from kagent_localcluster.apiserver.jsonvalue import is_object, list_at, object_at
from kagent_localcluster.apiserver.kinds import Kind
from kagent_localcluster.apiserver.meta import now
from kagent_localcluster.apiserver.storage import Storage
from kagent_localcluster.errors import BadRequest, Invalid, MethodNotAllowed, NotFound
from kagent_localcluster.seams import JsonObject

__all__ = ["Reviewer"]

_DEFAULT_SECONDS = 3_600
_MIN_SECONDS = 600
# Kubernetes' upper limit for requested tokens.
_MAX_SECONDS = 1 << 32


class Reviewer:
    """Answers reviews and token requests."""

    def __init__(
        self, storage: Storage, authenticator: Authenticator, authorizer: Authorizer, tokens: TokenIssuer
    ) -> None:
        self._storage = storage
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._tokens = tokens

    def review(self, kind: Kind, user: User, namespace: str, body: JsonObject) -> JsonObject:
        """Return the body with its status filled in.

        Raises:
            Invalid: the review asks nothing.
            MethodNotAllowed: the kind is no review.
        """
        obj: JsonObject = {**body, "apiVersion": kind.api_version, "kind": kind.kind}
        metadata = object_at(obj, "metadata")
        obj["metadata"] = {**metadata, "creationTimestamp": metadata.get("creationTimestamp") or now()}
        spec = object_at(obj, "spec")
        match kind.kind:
            case "SelfSubjectReview":
                obj["status"] = {"userInfo": user.info()}
            case "TokenReview":
                obj["status"] = self._token_review(spec)
            case "SelfSubjectAccessReview":
                obj["status"] = self._access(user, spec)
            case "SubjectAccessReview" | "LocalSubjectAccessReview":
                obj["status"] = self._subject_access(spec, namespace)
            case "SelfSubjectRulesReview":
                obj["status"] = self._rules(user, spec.get("namespace", ""))
            case _:
                raise MethodNotAllowed(f"{kind.qualified} cannot be created")
        return obj

    def _token_review(self, spec: JsonObject) -> JsonObject:
        token = spec.get("token", "")
        if not token:
            raise Invalid("TokenReview: spec.token: Required value")
        audiences = tuple(list_at(spec, "audiences"))
        if not audiences and (user := self._authenticator.user_of(token)) is not None:
            return {"authenticated": True, "user": user.info(), "audiences": [ISSUER]}
        found = self._tokens.check(token, audiences) if audiences else None
        if found is None:
            return {"authenticated": False, "user": {}, "error": "the token is not good for the audiences asked for"}
        return {"authenticated": True, "user": found.user.info(), "audiences": list(found.audiences)}

    def _subject_access(self, spec: JsonObject, namespace: str) -> JsonObject:
        if not spec.get("user") and not spec.get("groups"):
            raise Invalid(
                'SubjectAccessReview: spec.user: Invalid value: "": at least one of user or group must be specified'
            )
        if namespace and object_at(spec, "resourceAttributes").get("namespace") != namespace:
            raise Invalid("LocalSubjectAccessReview: spec.resourceAttributes.namespace must match metadata.namespace")
        return self._access(User(spec.get("user", ""), tuple(list_at(spec, "groups"))), spec)

    def _access(self, user: User, spec: JsonObject) -> JsonObject:
        resource, other = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
        if is_object(resource):
            asked = Attributes(
                resource.get("verb", ""),
                resource.get("group", ""),
                resource.get("resource", ""),
                resource.get("subresource", ""),
                resource.get("namespace", ""),
                resource.get("name", ""),
            )
        elif is_object(other):
            asked = Attributes(other.get("verb", ""), path=other.get("path", ""))
        else:
            raise Invalid(
                "spec: Invalid value: exactly one of nonResourceAttributes or resourceAttributes must be specified"
            )
        if self._authorizer.allows(user, asked):
            return {"allowed": True, "reason": "RBAC: allowed by role" if not user.is_master else ""}
        return {"allowed": False, "reason": ""}

    def _rules(self, user: User, namespace: str) -> JsonObject:
        if user.is_master:
            rules = [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]
            return {
                "resourceRules": rules,
                "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
                "incomplete": False,
            }
        held = [rule.dump() for rule in self._authorizer.rules(user, namespace)]
        return {
            "resourceRules": [rule for rule in held if "resources" in rule],
            "nonResourceRules": [rule for rule in held if "nonResourceURLs" in rule],
            "incomplete": False,
        }

    def request_token(self, namespace: str, name: str, body: JsonObject) -> JsonObject:
        """Answer a TokenRequest for a ServiceAccount.

        Raises:
            NotFound: the ServiceAccount, or the Pod or Secret the token should be bound to.
            BadRequest, Invalid: the request makes no sense.
        """
        spec = object_at(body, "spec")
        seconds = spec.get("expirationSeconds") or _DEFAULT_SECONDS
        if not isinstance(seconds, int) or not _MIN_SECONDS <= seconds <= _MAX_SECONDS:
            raise Invalid(
                f"TokenRequest: spec.expirationSeconds: Invalid value: {seconds}: may not specify a duration less than "
                "10 minutes"
            )
        reference = spec.get("boundObjectRef")
        bound: tuple[str, str, str] | None = None
        if is_object(reference):
            kind, target = reference.get("kind", ""), reference.get("name", "")
            if kind not in ("Pod", "Secret"):
                raise BadRequest(f"cannot bind token to object of type {kind}")
            record = self._storage.get(f"/{kind.lower()}s", namespace, target)
            if record is None or reference.get("uid") not in (None, "", record.uid):
                raise NotFound(f'{kind.lower()}s "{target}" not found', kind=f"{kind.lower()}s", name=target)
            bound = (kind, target, record.uid)
        token, expires = self.mint(namespace, name, tuple(list_at(spec, "audiences")), seconds, bound)
        end = datetime.datetime.fromtimestamp(expires, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"name": name, "namespace": namespace, "creationTimestamp": now()},
            "spec": {**spec, "audiences": list(spec.get("audiences") or (ISSUER,)), "expirationSeconds": seconds},
            "status": {"token": token, "expirationTimestamp": end},
        }

    def mint(
        self, namespace: str, name: str, audiences: tuple[str, ...], seconds: int, bound: tuple[str, str, str] | None
    ) -> tuple[str, int]:
        """Return a token for the ServiceAccount and its end as a Unix time.

        Raises:
            NotFound: no such ServiceAccount.
        """
        record = self._storage.get("/serviceaccounts", namespace, name)
        if record is None:
            raise NotFound(f'serviceaccounts "{name}" not found', kind="serviceaccounts", name=name)
        issued = self._tokens.issue(namespace, name, record.uid, audiences=audiences, seconds=seconds, bound=bound)
        return issued.token, issued.expires
