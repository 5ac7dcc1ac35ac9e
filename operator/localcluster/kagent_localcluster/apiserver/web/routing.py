"""What a URL asks for, as Kubernetes' RequestInfo: authorization and dispatch read the same answer."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

__all__ = ["RequestInfo", "parse_request"]

_VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}

# These follow a namespace's own name: /api/v1/namespaces/NAME/status is not a resource in that namespace.
_NAMESPACE_SUBRESOURCES = frozenset({"status", "finalize"})


@dataclass(frozen=True)
class RequestInfo:
    """A resource request, or with ``resource`` empty any other path; ``verb`` is the authorizer's word."""

    path: str
    verb: str
    group: str = ""
    version: str = ""
    namespace: str = ""
    resource: str = ""
    name: str = ""
    subresource: str = ""
    only: str = ""  # the one name that an old-style watch is about

    @property
    def is_resource(self) -> bool:
        return bool(self.resource)


def parse_request(method: str, raw_path: str, *, watching: bool = False) -> RequestInfo:
    """Return what the request asks for; ``raw_path`` is still percent-encoded, since proxied paths stay as they are."""
    lower = _VERBS.get(method, method.lower())
    parts = raw_path.strip("/").split("/")
    if parts[0] == "api" and len(parts) >= 3:
        group, version, segments = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) >= 4:
        group, version, segments = parts[1], parts[2], parts[3:]
    else:
        return RequestInfo(path=unquote(raw_path), verb=lower)
    namespace, old_watch = "", False
    if segments[0] == "watch" and len(segments) > 1:
        # The way to watch before ?watch=true; still served.
        old_watch, segments = True, segments[1:]
    if segments[0] == "namespaces" and len(segments) >= 2:
        if len(segments) >= 3 and segments[2] not in _NAMESPACE_SUBRESOURCES:
            namespace, segments = unquote(segments[1]), segments[2:]
        else:
            namespace = unquote(segments[1])
    resource = unquote(segments[0])
    name = unquote(segments[1]) if len(segments) > 1 else ""
    subresource = unquote(segments[2]) if len(segments) > 2 else ""
    verb = lower
    if old_watch:
        verb = "watch" if lower == "get" else lower
        # One object is watched as a list of it.
        if name and not subresource:
            return RequestInfo(unquote(raw_path), verb, group, version, namespace, resource, only=name)
    elif not name:
        if lower == "get":
            verb = "watch" if watching else "list"
        elif lower == "delete":
            verb = "deletecollection"
    return RequestInfo(
        path=unquote(raw_path),
        verb=verb,
        group=group,
        version=version,
        namespace=namespace,
        resource=resource,
        name=name,
        subresource=subresource,
    )
