"""What the API server's answers mean: an object, an event, or an error that names what was asked and what helps."""

from __future__ import annotations

import os
import socket
import ssl
from http import HTTPStatus
from typing import Any, Literal, NamedTuple, cast

import httpx

from kagent_api.errors import ObjectRef
from kagent_api.kube import wire
from kagent_api.kube.access import Access
from kagent_api.kube.errors import (
    KubeconfigError,
    KubeError,
    Unauthorized,
    Unreachable,
    error_from_status,
    parse_retry_after,
)
from kagent_api.kube.resources import JsonObject, Resource

__all__ = ["Asked", "WatchEvent", "event_of", "no_credential", "object_of", "refusal", "unreachable"]


class Asked(NamedTuple):
    """One request in the words of RBAC; ``name`` is empty for a collection."""

    verb: str
    resource: Resource | None = None
    namespace: str = ""
    name: str = ""

    @property
    def ref(self) -> ObjectRef | None:
        """The object, where one was asked for; a collection's error speaks for itself."""
        return ObjectRef(self.resource.kind, self.namespace, self.name) if self.resource and self.name else None


class WatchEvent(NamedTuple):
    """One event; of a BOOKMARK only ``metadata.resourceVersion`` means anything."""

    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    object: JsonObject


def object_of(content: bytes, asked: Asked, access: Access) -> JsonObject:
    """Return the object of a successful answer.

    Raises:
        KubeError: it is none; something else than an API server answered.
    """
    try:
        found: object = wire.decode(content)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise KubeError(
            f"{access.server} answered with something that is no Kubernetes object", ref=asked.ref,
            remedy="check the server address and any proxy between",
        )  # fmt: skip
    return cast("JsonObject", found)


def event_of(line: bytes, asked: Asked) -> WatchEvent:
    """Return the event of one line of a watch.

    Raises:
        Gone, KubeError: the event is an ERROR.
        Unreachable: the line is cut off.
    """
    try:
        raw: object = wire.decode(line)
    except ValueError as error:
        raise Unreachable(f"{_watch(asked)} was cut off in the middle of an event") from error
    event: dict[str, Any] = cast("dict[str, Any]", raw) if isinstance(raw, dict) else {}
    kind, obj = event.get("type"), event.get("object")
    if kind in ("ADDED", "MODIFIED", "DELETED", "BOOKMARK") and isinstance(obj, dict):
        return WatchEvent(kind, cast("JsonObject", obj))
    if kind == "ERROR" and isinstance(obj, dict):
        status = cast("JsonObject", obj)
        code = status.get("code")
        raise error_from_status(code if isinstance(code, int) else 500, status)
    raise KubeError(f"{_watch(asked)} sent an unknown event {kind!r}")


def refusal(response: httpx.Response, content: bytes, asked: Asked, access: Access) -> KubeError:
    """Return the error of an answer with an error status."""
    try:
        body: object = wire.decode(content)
    except ValueError:
        body = content.decode(errors="replace")
    return error_from_status(
        response.status_code, body, ref=asked.ref, remedy=_remedy(response.status_code, asked, access),
        retry_after=parse_retry_after(response.headers.get("Retry-After")),
    )  # fmt: skip


def unreachable(error: httpx.RequestError, asked: Asked, access: Access) -> Unreachable:
    """Return the error of a request that got no whole answer, with the operating system's own words."""
    server, ref = access.server, asked.ref
    causes = _causes(error)
    untrusted = next((cause for cause in causes if isinstance(cause, ssl.SSLCertVerificationError)), None)
    if untrusted is not None:
        return Unreachable(
            f"{server}: its certificate is not trusted: {untrusted.verify_message}", reason="BadCertificate", ref=ref,
            remedy=f"check certificate-authority and tls-server-name of cluster {access.cluster!r}",
        )  # fmt: skip
    if isinstance(error, httpx.ProxyError):
        return Unreachable(f"{server}: the proxy refused: {error}", ref=ref, remedy="check proxy-url or HTTPS_PROXY")
    said = next((words for cause in causes if (words := _system_words(cause))), "") or str(error) or "no answer"
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return Unreachable(f"cannot connect to {server}: {said}", ref=ref, remedy="is the cluster running?")
    return Unreachable(f"the connection to {server} broke: {said}", ref=ref)


def no_credential(error: KubeconfigError, asked: Asked) -> Unauthorized:
    """Return the error of a request for which no credential could be had (a plugin failed, a token file is gone)."""
    return Unauthorized(error.message, reason="NoCredential", ref=asked.ref, remedy=error.remedy)


def _system_words(error: BaseException) -> str:
    """Return the operating system's words; asyncio puts its own into an error's text."""
    if isinstance(error, socket.gaierror):
        return error.strerror or ""
    return os.strerror(error.errno) if isinstance(error, OSError) and error.errno else ""


def _causes(error: BaseException) -> list[BaseException]:
    """Return the errors under ``error``, those inside groups (one for each address tried) included."""
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or one in found:
            continue
        found.append(one)
        waiting += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            waiting += cast("BaseExceptionGroup[BaseException]", one).exceptions
    return found


def _remedy(status: int, asked: Asked, access: Access) -> str:
    if status == HTTPStatus.UNAUTHORIZED:
        who = f"user {access.user!r} of context {access.context!r}" if access.context else "this user"
        return f"the credentials of {who} were refused; log in again or renew the token"
    if status == HTTPStatus.FORBIDDEN and asked.resource is not None:
        where = f" in namespace {asked.namespace}" if asked.namespace else ""
        return f"needs a Role or ClusterRole that allows {asked.verb} on {asked.resource.qualified}{where}"
    return ""


def _watch(asked: Asked) -> str:
    return f"the watch of {asked.resource.qualified}" if asked.resource else "the watch"
