"""The review kinds: questions about users and rights that are answered and never stored."""

from __future__ import annotations

import datetime
import json

from kagent_localcluster.apiserver.auth.authentication import Authenticator
from kagent_localcluster.apiserver.auth.rbac import Attributes, Authorizer
from kagent_localcluster.apiserver.auth.tokens import ISSUER, TokenIssuer
from kagent_localcluster.apiserver.auth.users import User
from kagent_localcluster.apiserver.jsonvalue import is_object, list_at, object_at
from kagent_localcluster.apiserver.kinds import Kind
from kagent_localcluster.apiserver.meta import now
from kagent_localcluster.apiserver.patching.managed import Manager, track_update
from kagent_localcluster.apiserver.storage import Storage
from kagent_localcluster.apiserver.validating import empty_object
from kagent_localcluster.errors import BadRequest, Cause, Invalid, MethodNotAllowed, NotFound
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

    def review(self, kind: Kind, user: User, namespace: str, body: JsonObject, manager: str) -> JsonObject:
        """Return the body with its status filled in; ``manager`` is who asks, as managedFields name it.

        Raises:
            Invalid: the review asks nothing, or two things.
            MethodNotAllowed: the kind is no review.
        """
        obj: JsonObject = {**body, "apiVersion": kind.api_version, "kind": kind.kind}
        obj["metadata"] = {**object_at(obj, "metadata"), **({"namespace": namespace} if namespace else {})}
        obj.pop("status", None)
        spec = object_at(obj, "spec")
        if managed := track_update(kind.schema, obj, empty_object(kind), [], Manager(manager, "Update")):
            obj["metadata"]["managedFields"] = managed
        match kind.kind:
            case "SelfSubjectReview":
                obj["metadata"]["creationTimestamp"] = now()
                obj["status"] = {"userInfo": user.info()}
            case "TokenReview":
                obj["status"] = self._token_review(spec)
            case "SelfSubjectAccessReview":
                obj["status"] = self._access(kind, user, spec)
            case "SubjectAccessReview" | "LocalSubjectAccessReview":
                obj["status"] = self._subject_access(kind, spec, namespace)
            case "SelfSubjectRulesReview":
                if not spec.get("namespace"):
                    raise BadRequest("no namespace on request")
                obj["status"] = self._rules(user, spec["namespace"])
            case _:
                raise MethodNotAllowed(f"{kind.qualified} cannot be created")
        return obj

    def _token_review(self, spec: JsonObject) -> JsonObject:
        token = spec.get("token", "")
        if not token:
            raise BadRequest("token is required for TokenReview in authentication")
        audiences = tuple(list_at(spec, "audiences"))
        if not audiences and (user := self._authenticator.user_of(token)) is not None:
            return {"authenticated": True, "user": user.info(), "audiences": [ISSUER]}
        found = self._tokens.check(token, audiences) if audiences else None
        if found is None:
            return {"authenticated": False, "user": {}, "error": "the token is not good for the audiences asked for"}
        return {"authenticated": True, "user": found.user.info(), "audiences": list(found.audiences)}

    def _subject_access(self, kind: Kind, spec: JsonObject, namespace: str) -> JsonObject:
        if not spec.get("user") and not spec.get("groups"):
            raise _refusal(kind, "spec.user", 'Invalid value: "": at least one of user or group must be specified')
        if namespace:
            asked = object_at(spec, "resourceAttributes").get("namespace", "")
            if is_object(spec.get("nonResourceAttributes")):
                message = f"Invalid value: {_shown(spec)}: disallowed on this kind of request"
                raise _refusal(kind, "spec.nonResourceAttributes", message)
            if asked != namespace:
                message = f'Invalid value: "{asked}": must match metadata.namespace'
                raise _refusal(kind, "spec.resourceAttributes.namespace", message)
        return self._access(kind, User(spec.get("user", ""), tuple(list_at(spec, "groups"))), spec)

    def _access(self, kind: Kind, user: User, spec: JsonObject) -> JsonObject:
        resource, other = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
        if is_object(resource) and is_object(other):
            message = f"Invalid value: {_shown(spec)}: cannot be specified in combination with resourceAttributes"
            raise _refusal(kind, "spec.nonResourceAttributes", message)
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
            message = (
                "Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified"
            )
            raise _refusal(kind, "spec.resourceAttributes", message)
        reason = self._authorizer.reason(user, asked)
        return {"allowed": reason is not None, **({"reason": reason} if reason else {})}

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
        if not isinstance(seconds, int):
            raise BadRequest("spec.expirationSeconds must be a whole number")
        if not _MIN_SECONDS <= seconds <= _MAX_SECONDS:
            limit = "less than 10 minutes" if seconds < _MIN_SECONDS else "larger than 2^32 seconds"
            message = f"Invalid value: {seconds}: may not specify a duration {limit}"
            raise _token_refusal("", "spec.expirationSeconds", message)
        given = object_at(body, "metadata").get("name", "")
        if given not in ("", name):
            message = f'Invalid value: "{given}": must match the service account name if specified'
            raise _token_refusal(name, "metadata.name", message)
        reference = spec.get("boundObjectRef")
        bound: tuple[str, str, str] | None = None
        if is_object(reference):
            kind, target = reference.get("kind", ""), reference.get("name", "")
            if kind not in ("Pod", "Secret"):
                group, _, version = str(reference.get("apiVersion", "")).rpartition("/")
                raise BadRequest(f"cannot bind token to object of type {group}/{version}, Kind={kind}")
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


def _shown(spec: JsonObject) -> str:
    """Write what is asked of a path as Go shows its struct."""
    other = object_at(spec, "nonResourceAttributes")
    return json.dumps({"Path": other.get("path", ""), "Verb": other.get("verb", "")}, separators=(",", ":"))


def _refusal(kind: Kind, field: str, message: str) -> Invalid:
    """Return the 422 of a review; a real server leaves its kind out."""
    cause = Cause(field, message)
    text = f'.{kind.group} "" is invalid: {field}: {message}'
    return Invalid(text, group=kind.group, causes=(cause,))


def _token_refusal(name: str, field: str, message: str) -> Invalid:
    group = "authentication.k8s.io"
    text = f'TokenRequest.{group} "{name}" is invalid: {field}: {message}'
    return Invalid(text, kind="TokenRequest", name=name, group=group, causes=(Cause(field, message),))
