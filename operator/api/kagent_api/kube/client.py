"""The one client to Kubernetes: list, watch and write any kind over raw REST.

Objects are plain dicts as the server sent them; nothing is dropped, so what was read can be written back. Only requests
that the server cannot have acted on are repeated (429, and 503 with Retry-After; a GET whose connection broke).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self, cast

import httpx

from kagent_api.kube import wire
from kagent_api.kube.access import Access
from kagent_api.kube.answers import Asked, WatchEvent, event_of, no_credential, object_of, refusal, unreachable
from kagent_api.kube.errors import Gone, KubeconfigError, KubeError, ServerBusy, Unreachable
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
        return await self._call("GET", resource.path(where, name), Asked("get", resource, where, name))

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
                "GET", resource.path(namespace), Asked("list", resource, namespace or ""), params=query
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
        asked = Asked("watch", resource, namespace or "")
        timeout = httpx.Timeout(connect=10.0, read=timeout_seconds + _WATCH_GRACE, write=30.0, pool=None)
        async with self._stream(resource.path(namespace), params, asked, timeout) as response:
            if on_open is not None:
                on_open()
            # Not the decoded stream: a watch is asked for without compression, which would hold events back.
            async for line in wire.lines(response.aiter_raw()):
                yield event_of(line, asked)

    async def create(
        self, resource: Resource, obj: JsonObject, *, dry_run: bool = False, field_validation: str = "Strict"
    ) -> JsonObject:
        where, name = self._target(resource, obj)
        return await self._call(
            "POST", resource.path(where), Asked("create", resource, where, name),
            params=_write(dry_run, field_validation), body=_complete(resource, obj),
        )  # fmt: skip

    async def update(
        self, resource: Resource, obj: JsonObject, *, subresource: str = "", dry_run: bool = False,
        field_validation: str = "",
    ) -> JsonObject:  # fmt: skip
        """Replace an object (or its subresource). Raises Conflict when its resourceVersion is not the newest."""
        where, name = self._target(resource, obj)
        return await self._call(
            "PUT", resource.path(where, name, subresource), Asked("update", resource, where, name),
            params=_write(dry_run, field_validation), body=_complete(resource, obj),
        )  # fmt: skip

    async def patch(
        self, resource: Resource, name: str, body: JsonObject | list[JsonObject], namespace: str | None = None, *,
        kind: PatchKind = "merge", subresource: str = "", dry_run: bool = False,
    ) -> JsonObject:  # fmt: skip
        where = self._where(resource, namespace)
        return await self._call(
            "PATCH", resource.path(where, name, subresource), Asked("patch", resource, where, name),
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
            "PATCH", resource.path(where, name, subresource), Asked("patch", resource, where, name),
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
            "DELETE", resource.path(where, name), Asked("delete", resource, where, name), body=options
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
        timeout = httpx.Timeout(connect=10.0, read=None if follow else 60.0, write=30.0, pool=None)
        path = PODS.path(namespace, pod, "log")
        async with self._stream(path, params, Asked("get", PODS, namespace, pod), timeout, accept="*/*") as response:
            async for line in wire.lines(response.aiter_bytes(), keep_empty=True):
                yield line.decode(errors="replace")

    async def version(self) -> JsonObject:
        return await self._call("GET", "/version", Asked("get"))

    async def resources(self, group_version: str) -> set[str]:
        """Return the plurals served under ``v1`` or ``group/version``; empty when nothing is."""
        prefix = "/api/" if "/" not in group_version else "/apis/"
        try:
            found = await self._call("GET", prefix + group_version, Asked("get"))
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
        self, method: str, path: str, asked: Asked, *, params: Mapping[str, str] | None = None, body: object = None,
        content_type: str = "application/json",
    ) -> JsonObject:  # fmt: skip
        tries = 0
        while True:
            tries += 1
            try:
                return await self._once(method, path, asked, params, body, content_type)
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
        self, method: str, path: str, asked: Asked, params: Mapping[str, str] | None, body: object, content_type: str
    ) -> JsonObject:
        headers = {"Content-Type": content_type} if body is not None else {}
        content = wire.encode(body) if body is not None else None
        try:
            response = await self._http.request(
                method, self.access.server + path, params=dict(params or {}), content=content, headers=headers
            )
        except httpx.RequestError as error:
            raise unreachable(error, asked, self.access) from error
        except KubeconfigError as error:
            raise no_credential(error, asked) from error
        if response.is_success:
            return object_of(response.content, asked, self.access)
        raise refusal(response, response.content, asked, self.access)

    @asynccontextmanager
    async def _stream(
        self, path: str, params: dict[str, str], asked: Asked, timeout: httpx.Timeout, accept: str = "application/json"
    ) -> AsyncGenerator[httpx.Response]:
        headers = {"Accept": accept, "Accept-Encoding": "identity"}
        url = self.access.server + path
        try:
            async with self._http.stream("GET", url, params=params, headers=headers, timeout=timeout) as response:
                if not response.is_success:
                    raise refusal(response, await response.aread(), asked, self.access)
                yield response
        except httpx.RequestError as error:
            raise unreachable(error, asked, self.access) from error
        except KubeconfigError as error:
            raise no_credential(error, asked) from error


def _selectors(label_selector: str, field_selector: str) -> dict[str, str]:
    chosen = {"labelSelector": label_selector, "fieldSelector": field_selector}
    return {key: value for key, value in chosen.items() if value}


def _write(dry_run: bool, field_validation: str = "") -> dict[str, str]:
    params = {"dryRun": "All"} if dry_run else {}
    return params | ({"fieldValidation": field_validation} if field_validation else {})


def _complete(resource: Resource, obj: JsonObject) -> JsonObject:
    return {"apiVersion": resource.api_version, "kind": resource.kind, **obj}
