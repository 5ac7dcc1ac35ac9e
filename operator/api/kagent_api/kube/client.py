"""The one client to Kubernetes: list, watch and write any kind over raw REST.

Objects are plain dicts as the server sent them; nothing is dropped, so what was read can be written back. Only requests
that the server cannot have acted on are repeated (429, and 503 with Retry-After; a GET whose connection broke).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self, cast

import httpx

from kagent_api.errors import ObjectRef
from kagent_api.kube import wire
from kagent_api.kube.access import Access
from kagent_api.kube.errors import Gone, KubeError, ServerBusy, Unreachable, error_from_status, parse_retry_after
from kagent_api.kube.resources import PODS, JsonObject, Resource
from kagent_api.kube.transport import http_client

__all__ = ["KubeClient", "ObjectList", "WatchEvent"]

PatchKind = Literal["merge", "json", "strategic"]

_PATCH_TYPES: dict[PatchKind, str] = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}
_APPLY_TYPE = "application/apply-patch+yaml"
# client-go tries ten times; a person waits for us, so fewer, and never longer than this for one of them.
_BUSY_TRIES = 4
_BUSY_SECONDS = 10.0
# How much longer than it asked for a watch may stay silent before the server counts as gone.
_WATCH_GRACE = 30.0


class ObjectList(NamedTuple):
    """All pages of a list and the version to watch from."""

    items: list[JsonObject]
    resource_version: str


class WatchEvent(NamedTuple):
    """One event; of a BOOKMARK only ``metadata.resourceVersion`` means anything."""

    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    object: JsonObject


class KubeClient:
    """One API server as one user. Errors are those of ``kagent_api.kube.errors``; close it or use ``async with``."""

    def __init__(
        self, access: Access, *, user_agent: str = "kagent-tui", env: Mapping[str, str] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:  # fmt: skip
        self.access = access
        self._http = http_client(access, user_agent=user_agent, env=env)
        self._sleep = sleep

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._http.aclose()

    def http(self) -> httpx.AsyncClient:
        """Return the authenticated client, for ``service_url``; credentials stay with the API server's origin."""
        return self._http

    def service_url(self, namespace: str, service: str, port: int | str, path: str = "/") -> str:
        """Return the absolute URL of a Service's path through the API server's proxy."""
        return f"{self.access.server}/api/v1/namespaces/{namespace}/services/{service}:{port}/proxy/{path.lstrip('/')}"

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> JsonObject:
        """Return one object. Raises NotFound among others."""
        where = self._where(resource, namespace)
        return await self._call("GET", resource.path(where, name), verb="get", resource=resource, ref=(where, name))

    async def list(
        self, resource: Resource, namespace: str | None = None, *, label_selector: str = "",
        field_selector: str = "", limit: int = 500,
    ) -> ObjectList:  # fmt: skip
        """Return every object, of all namespaces when none is named; pages are followed.

        A continue token that expires meanwhile is answered by one unpaged list, as client-go does.
        """
        params = _selectors(label_selector, field_selector)
        try:
            return await self._pages(resource, namespace, params, limit)
        except Gone:
            return await self._pages(resource, namespace, params, 0)

    async def _pages(self, resource: Resource, namespace: str | None, params: dict[str, str], limit: int) -> ObjectList:
        items: list[JsonObject] = []
        query = {**params, "limit": str(limit)} if limit else dict(params)
        while True:
            page = await self._call(
                "GET", resource.path(namespace), verb="list", resource=resource, ref=(namespace or "", ""), params=query
            )
            for item in cast("list[JsonObject]", page.get("items") or []):
                # Items of a list carry neither; whatever is stored or written back needs both.
                item.setdefault("apiVersion", resource.api_version)
                item.setdefault("kind", resource.kind)
                items.append(item)
            metadata = cast("dict[str, Any]", page.get("metadata") or {})
            token = metadata.get("continue")
            if not token:
                return ObjectList(items, str(metadata.get("resourceVersion") or ""))
            query["continue"] = str(token)

    async def watch(
        self, resource: Resource, namespace: str | None = None, *, resource_version: str = "",
        label_selector: str = "", field_selector: str = "", timeout_seconds: int = 300,
        on_open: Callable[[], None] | None = None,
    ) -> AsyncIterator[WatchEvent]:  # fmt: skip
        """Yield changes after ``resource_version`` until the server ends the watch; bookmarks are asked for.

        ``on_open`` is called when the server has accepted the watch, which may be long before the first event.

        Raises:
            Gone: the version is too old (as a status or as an ERROR event); list again.
            Unreachable: the connection broke, or an event was cut off.
        """
        params = _selectors(label_selector, field_selector)
        params |= {"watch": "1", "allowWatchBookmarks": "true", "timeoutSeconds": str(timeout_seconds)}
        if resource_version:
            params["resourceVersion"] = resource_version
        ref = ObjectRef(resource.kind, namespace or "", "")
        timeout = httpx.Timeout(connect=10.0, read=timeout_seconds + _WATCH_GRACE, write=30.0, pool=None)
        async with self._stream(resource.path(namespace), params, "watch", resource, ref, timeout) as response:
            if on_open is not None:
                on_open()
            # Not the decoded stream: a watch is asked for without compression, which would hold events back.
            async for line in wire.lines(response.aiter_raw()):
                yield _event(line, ref)

    async def create(
        self, resource: Resource, obj: JsonObject, *, dry_run: bool = False, field_validation: str = "Strict"
    ) -> JsonObject:
        where, name = self._target(resource, obj)
        return await self._call(
            "POST", resource.path(where), verb="create", resource=resource, ref=(where, name),
            params=_write(dry_run, field_validation), body=_complete(resource, obj),
        )  # fmt: skip

    async def update(
        self, resource: Resource, obj: JsonObject, *, subresource: str = "", dry_run: bool = False,
        field_validation: str = "",
    ) -> JsonObject:  # fmt: skip
        """Replace an object (or its subresource). Raises Conflict when its resourceVersion is not the newest."""
        where, name = self._target(resource, obj)
        return await self._call(
            "PUT", resource.path(where, name, subresource), verb="update", resource=resource, ref=(where, name),
            params=_write(dry_run, field_validation), body=_complete(resource, obj),
        )  # fmt: skip

    async def patch(
        self, resource: Resource, name: str, body: JsonObject | list[JsonObject], namespace: str | None = None, *,
        kind: PatchKind = "merge", subresource: str = "", dry_run: bool = False,
    ) -> JsonObject:  # fmt: skip
        where = self._where(resource, namespace)
        return await self._call(
            "PATCH", resource.path(where, name, subresource), verb="patch", resource=resource, ref=(where, name),
            params=_write(dry_run), body=body, content_type=_PATCH_TYPES[kind],
        )  # fmt: skip

    async def apply(
        self, resource: Resource, obj: JsonObject, *, field_manager: str, force: bool = False, dry_run: bool = False,
        field_validation: str = "Strict", subresource: str = "",
    ) -> JsonObject:  # fmt: skip
        """Apply server-side. Raises Conflict with one cause per field that another manager owns."""
        where, name = self._target(resource, obj)
        params = _write(dry_run, field_validation) | {"fieldManager": field_manager}
        if force:
            params["force"] = "true"
        body = _complete(resource, obj)
        if "managedFields" in body.get("metadata", {}):
            # The server refuses an apply that carries them, and an object that was read does.
            body["metadata"] = {key: value for key, value in body["metadata"].items() if key != "managedFields"}
        return await self._call(
            "PATCH", resource.path(where, name, subresource), verb="patch", resource=resource, ref=(where, name),
            params=params, body=body, content_type=_APPLY_TYPE,
        )  # fmt: skip

    async def delete(
        self, resource: Resource, name: str, namespace: str | None = None, *, uid: str = "",
        propagation: str = "Background",
    ) -> JsonObject:  # fmt: skip
        """Delete an object; with ``uid`` only that very one (else Conflict). Returns a Status or the object."""
        where = self._where(resource, namespace)
        options: JsonObject = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation}
        if uid:
            options["preconditions"] = {"uid": uid}
        return await self._call(
            "DELETE", resource.path(where, name), verb="delete", resource=resource, ref=(where, name), body=options
        )

    async def logs(
        self, pod: str, namespace: str, *, container: str = "", follow: bool = False, tail_lines: int | None = None,
        since_seconds: int | None = None, previous: bool = False,
    ) -> AsyncIterator[str]:  # fmt: skip
        """Yield log lines; with ``follow`` until the container ends or the consumer stops."""
        params = {"container": container} if container else {}
        params |= {name: "true" for name, wanted in (("follow", follow), ("previous", previous)) if wanted}
        numbers = {"tailLines": tail_lines, "sinceSeconds": since_seconds}
        params |= {name: str(number) for name, number in numbers.items() if number is not None}
        ref = ObjectRef("Pod", namespace, pod)
        timeout = httpx.Timeout(connect=10.0, read=None if follow else 60.0, write=30.0, pool=None)
        path = PODS.path(namespace, pod, "log")
        async with self._stream(path, params, "get", PODS, ref, timeout, accept="*/*") as response:
            async for line in wire.lines(response.aiter_bytes(), keep_empty=True):
                yield line.decode(errors="replace")

    async def version(self) -> JsonObject:
        return await self._call("GET", "/version", verb="get")

    async def resources(self, group_version: str) -> set[str]:
        """Return the plurals served under ``v1`` or ``group/version``; empty when nothing is."""
        prefix = "/api/" if "/" not in group_version else "/apis/"
        try:
            found = await self._call("GET", prefix + group_version, verb="get")
        except KubeError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return set()
            raise
        entries = cast("list[JsonObject]", found.get("resources") or [])
        return {name for entry in entries if "/" not in (name := str(entry.get("name") or "/"))}

    def _where(self, resource: Resource, namespace: str | None) -> str:
        return (namespace or self.access.namespace) if resource.namespaced else ""

    def _target(self, resource: Resource, obj: JsonObject) -> tuple[str, str]:
        metadata = cast("dict[str, Any]", obj.get("metadata") or {})
        name = str(metadata.get("name") or metadata.get("generateName") or "")
        return self._where(resource, cast("str | None", metadata.get("namespace"))), name

    async def _call(
        self, method: str, path: str, *, verb: str, resource: Resource | None = None, ref: tuple[str, str] = ("", ""),
        params: Mapping[str, str] | None = None, body: object = None, content_type: str = "application/json",
    ) -> JsonObject:  # fmt: skip
        named = ObjectRef(resource.kind, *ref) if resource else None
        tries = 0
        while True:
            tries += 1
            try:
                return await self._once(method, path, verb, resource, named, params, body, content_type)
            except ServerBusy as error:
                wait = error.retry_after
                if tries >= _BUSY_TRIES or (wait is None and error.status != HTTPStatus.TOO_MANY_REQUESTS):
                    raise
                await self._sleep(min(1.0 if wait is None else wait, _BUSY_SECONDS))
            except Unreachable as error:
                # A kept connection that the server has closed meanwhile; reading twice harms nobody.
                if method != "GET" or tries > 1 or not isinstance(error.__cause__, httpx.RemoteProtocolError):
                    raise

    async def _once(
        self, method: str, path: str, verb: str, resource: Resource | None, ref: ObjectRef | None,
        params: Mapping[str, str] | None, body: object, content_type: str,
    ) -> JsonObject:  # fmt: skip
        headers = {"Content-Type": content_type} if body is not None else {}
        content = wire.encode(body) if body is not None else None
        try:
            response = await self._http.request(
                method, self.access.server + path, params=dict(params or {}), content=content, headers=headers
            )
        except httpx.TransportError as error:
            raise self._unreachable(error, ref) from error
        if response.is_success:
            return self._object(response.content, ref)
        raise self._refused(response, response.content, verb, resource, ref)

    @asynccontextmanager
    async def _stream(
        self, path: str, params: dict[str, str], verb: str, resource: Resource, ref: ObjectRef,
        timeout: httpx.Timeout, accept: str = "application/json",
    ) -> AsyncGenerator[httpx.Response]:  # fmt: skip
        headers = {"Accept": accept, "Accept-Encoding": "identity"}
        url = self.access.server + path
        try:
            async with self._http.stream("GET", url, params=params, headers=headers, timeout=timeout) as response:
                if not response.is_success:
                    raise self._refused(response, await response.aread(), verb, resource, ref)
                yield response
        except httpx.TransportError as error:
            raise self._unreachable(error, ref) from error

    def _object(self, content: bytes, ref: ObjectRef | None) -> JsonObject:
        try:
            found: object = wire.decode(content)
        except ValueError as error:
            raise self._no_api(ref) from error
        if not isinstance(found, dict):
            raise self._no_api(ref)
        return cast("JsonObject", found)

    def _no_api(self, ref: ObjectRef | None) -> KubeError:
        return KubeError(
            f"{self.access.server} answered with something that is no Kubernetes object", ref=ref,
            remedy="check the server address and any proxy between",
        )  # fmt: skip

    def _refused(
        self, response: httpx.Response, content: bytes, verb: str, resource: Resource | None, ref: ObjectRef | None
    ) -> KubeError:
        try:
            body: object = wire.decode(content)
        except ValueError:
            body = content.decode(errors="replace")
        status = response.status_code
        return error_from_status(
            status, body, ref=ref, remedy=self._remedy(status, verb, resource, ref),
            retry_after=parse_retry_after(response.headers.get("Retry-After")),
        )  # fmt: skip

    def _remedy(self, status: int, verb: str, resource: Resource | None, ref: ObjectRef | None) -> str:
        if status == HTTPStatus.UNAUTHORIZED:
            who = (
                f"user {self.access.user!r} of context {self.access.context!r}" if self.access.context else "this user"
            )
            return f"the credentials of {who} were refused; log in again or renew the token"
        if status == HTTPStatus.FORBIDDEN and resource is not None:
            where = f" in namespace {ref.namespace}" if ref and ref.namespace else ""
            return f"needs a Role or ClusterRole that allows {verb} on {resource.qualified}{where}"
        return ""

    def _unreachable(self, error: httpx.TransportError, ref: ObjectRef | None) -> Unreachable:
        server = self.access.server
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, ssl.SSLError):
            cause = cause.__cause__ or cause.__context__
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Unreachable(
                f"{server}: its certificate is not trusted: {cause.verify_message}", reason="BadCertificate", ref=ref,
                remedy=f"check certificate-authority and tls-server-name of cluster {self.access.cluster!r}",
            )  # fmt: skip
        if isinstance(error, httpx.ProxyError):
            return Unreachable(
                f"{server}: the proxy refused: {error}", ref=ref, remedy="check proxy-url or HTTPS_PROXY"
            )
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            detail = str(error) or "no answer"
            return Unreachable(f"cannot connect to {server}: {detail}", ref=ref, remedy="is the cluster running?")
        detail = str(error) or type(error).__name__
        return Unreachable(f"the connection to {server} broke: {detail}", ref=ref)


def _selectors(label_selector: str, field_selector: str) -> dict[str, str]:
    chosen = {"labelSelector": label_selector, "fieldSelector": field_selector}
    return {key: value for key, value in chosen.items() if value}


def _write(dry_run: bool, field_validation: str = "") -> dict[str, str]:
    params = {"dryRun": "All"} if dry_run else {}
    return params | ({"fieldValidation": field_validation} if field_validation else {})


def _complete(resource: Resource, obj: JsonObject) -> JsonObject:
    return {"apiVersion": resource.api_version, "kind": resource.kind, **obj}


def _event(line: bytes, ref: ObjectRef) -> WatchEvent:
    try:
        raw: object = wire.decode(line)
    except ValueError as error:
        raise Unreachable("the watch was cut off in the middle of an event", ref=ref) from error
    event: dict[str, Any] = cast("dict[str, Any]", raw) if isinstance(raw, dict) else {}
    kind, obj = event.get("type"), event.get("object")
    if kind in ("ADDED", "MODIFIED", "DELETED", "BOOKMARK") and isinstance(obj, dict):
        return WatchEvent(kind, cast("JsonObject", obj))
    if kind == "ERROR" and isinstance(obj, dict):
        status = cast("JsonObject", obj)
        code = status.get("code")
        raise error_from_status(code if isinstance(code, int) else 500, status, ref=ref)
    raise KubeError(f"the watch sent an unknown event {kind!r}", ref=ref)
