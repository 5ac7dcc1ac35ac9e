"""Requests for stored objects: from query and body to the read and write paths, and back in the wanted form."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import orjson

from kagent_localcluster.apiserver import views
from kagent_localcluster.apiserver.auth.users import User
from kagent_localcluster.apiserver.deletion import PROPAGATIONS, DeleteOptions, Deleter
from kagent_localcluster.apiserver.jsonvalue import is_object
from kagent_localcluster.apiserver.kinds import Kind
from kagent_localcluster.apiserver.patching.patches import json_patch, merge_patch
from kagent_localcluster.apiserver.patching.strategic import strategic_merge
from kagent_localcluster.apiserver.reading import ListOptions, Reader, Seen, WatchOptions
from kagent_localcluster.apiserver.scaling import read_scale, write_scale
from kagent_localcluster.apiserver.selectors import field_selector, label_selector
from kagent_localcluster.apiserver.tables import TableWriter
from kagent_localcluster.apiserver.web.messages import Headers, Request, send, send_json, send_stream
from kagent_localcluster.apiserver.web.negotiation import Format, choose_format, decode_object, encode, read_yaml
from kagent_localcluster.apiserver.web.routing import RequestInfo
from kagent_localcluster.apiserver.writing import WriteOptions, Writer, Written
from kagent_localcluster.errors import BadRequest, MethodNotAllowed, UnsupportedMediaType
from kagent_localcluster.seams import JsonObject

__all__ = ["ResourceHandler"]

_PATCHES = "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"


@dataclass(frozen=True)
class ResourceHandler:
    """Answers requests for stored kinds."""

    reader: Reader
    writer: Writer
    deleter: Deleter

    async def handle(self, request: Request, info: RequestInfo, kind: Kind, user: User) -> None:
        """Answer one request, whose right to be answered is already settled."""
        if not _is_allowed(info):
            raise MethodNotAllowed("the server does not allow this method on the requested resource")
        if info.subresource == "scale":
            await self._scale(request, info, kind, user)
            return
        match info.verb:
            case "get":
                form = choose_format(request.header("accept"))
                record = self.reader.get(kind, info.namespace, info.name)
                await self._send_object(request, kind, form, views.body_of(kind, record))
            case "list":
                await self._list(request, info, kind)
            case "watch":
                await self._watch(request, info, kind)
            case "create":
                body = decode_object(request.content_type, await request.body())
                written = self.writer.create(kind, info.namespace, body, _write_options(request, info, user))
                await self._send_written(request, kind, written)
            case "update":
                body = decode_object(request.content_type, await request.body())
                options = _write_options(request, info, user)
                await self._send_written(
                    request, kind, self.writer.update(kind, info.namespace, info.name, body, options)
                )
            case "patch":
                await self._send_written(request, kind, await self._patch(request, info, kind, user))
            case "delete":
                await self._delete(request, info, kind)
            case "deletecollection":
                await self._delete_all(request, info, kind)
            case _:
                raise MethodNotAllowed("the server does not allow this method on the requested resource")

    async def _patch(self, request: Request, info: RequestInfo, kind: Kind, user: User) -> Written:
        body = await request.body()
        options = _write_options(request, info, user)
        media = request.content_type
        if media == "application/apply-patch+yaml":
            if not request.query.get("fieldManager"):
                raise BadRequest(
                    'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch'
                )
            config = read_yaml(body)
            if not is_object(config):
                raise BadRequest("error decoding YAML: the body holds no object")
            force = request.query.flag("force")
            return self.writer.apply(kind, info.namespace, info.name, config, options, force=force)
        if request.query.get("force"):
            raise BadRequest(
                'PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch'
            )
        patch = _read_json(body)
        if media == "application/json-patch+json":
            return self.writer.patch(kind, info.namespace, info.name, lambda old: json_patch(old, patch), options)
        if media == "application/strategic-merge-patch+json" and not kind.crd:
            checked = _patch_object(patch)
            return self.writer.patch(
                kind, info.namespace, info.name, lambda old: strategic_merge(kind.schema, old, checked), options
            )
        if media == "application/merge-patch+json":
            checked = _patch_object(patch)
            return self.writer.patch(kind, info.namespace, info.name, lambda old: merge_patch(old, checked), options)
        accepted = _PATCHES if kind.crd else f"{_PATCHES}, application/strategic-merge-patch+json"
        raise UnsupportedMediaType(
            f"the body of the request was in an unknown format - accepted media types include: {accepted}"
        )

    async def _scale(self, request: Request, info: RequestInfo, kind: Kind, user: User) -> None:
        live = views.load(kind, self.reader.get(kind, info.namespace, info.name))
        if info.verb == "get":
            await send_json(request, 200, read_scale(kind, live))
            return
        body = await request.body()
        if info.verb == "patch":
            patch, present = _read_json(body), read_scale(kind, live)
            is_json_patch = request.content_type == "application/json-patch+json"
            wanted = json_patch(present, patch) if is_json_patch else merge_patch(present, _patch_object(patch))
        else:
            wanted = decode_object(request.content_type, body)
        options = _write_options(request, info, user)
        main = replace(options, subresource="")
        written = self.writer.patch(kind, info.namespace, info.name, lambda old: write_scale(kind, old, wanted), main)
        await send_json(request, 200, read_scale(kind, written.obj))

    async def _list(self, request: Request, info: RequestInfo, kind: Kind) -> None:
        form = choose_format(request.header("accept"))
        listing = self.reader.list(kind, info.namespace, _list_options(request, info, kind))
        if form.shape == "Table":
            table = TableWriter(kind, request.query.get("includeObject"))
            await send(request, 200, encode(form, table.table(listing.bodies, listing.metadata)), form.content_type)
            return
        if form.shape:
            items = [_partial(orjson.loads(body)) for body in listing.bodies]
            value = {
                "kind": "PartialObjectMetadataList",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": listing.metadata,
                "items": items,
            }
            await send(request, 200, encode(form, value), form.content_type)
            return
        head = {"kind": kind.list_kind, "apiVersion": kind.api_version, "metadata": listing.metadata}
        if form.media == "yaml":
            value = {**head, "items": [orjson.loads(body) for body in listing.bodies]}
            await send(request, 200, encode(form, value), form.content_type)
            return
        # Joined as they are stored: parsing a thousand objects to print them again would be most of the cost.
        joined = orjson.dumps(head)[:-1] + b',"items":[' + b",".join(listing.bodies) + b"]}\n"
        await send(request, 200, joined, form.content_type)

    async def _watch(self, request: Request, info: RequestInfo, kind: Kind) -> None:
        form = choose_format(request.header("accept"))
        query = request.query
        initial = query.flag("sendInitialEvents") if query.get("sendInitialEvents") else None
        if initial is not None and query.get("resourceVersionMatch") != "NotOlderThan":
            raise BadRequest("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
        options = _list_options(request, info, kind)
        timeout = query.number("timeoutSeconds")
        watch = WatchOptions(query.flag("allowWatchBookmarks"), initial, float(timeout) if timeout else None)
        batches = self.reader.watch(kind, info.namespace, options, watch)
        table = TableWriter(kind, query.get("includeObject")) if form.shape == "Table" else None
        await send_stream(request, _lines(batches, form, table), "application/json")

    async def _delete(self, request: Request, info: RequestInfo, kind: Kind) -> None:
        deleted = self.deleter.delete(kind, info.namespace, info.name, await _delete_options(request))
        if not deleted.gone or kind.storage_key in ("/pods", "/services"):
            await self._send_object(request, kind, choose_format(request.header("accept")), orjson.dumps(deleted.obj))
            return
        details = {"name": info.name, "group": kind.group, "kind": kind.plural, "uid": deleted.obj["metadata"]["uid"]}
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
        await send_json(request, 200, status)

    async def _delete_all(self, request: Request, info: RequestInfo, kind: Kind) -> None:
        options = await _delete_options(request)
        listing = self.reader.list(kind, info.namespace, _list_options(request, info, kind))
        deleted: list[JsonObject] = []
        for body in listing.bodies:
            metadata = orjson.loads(body)["metadata"]
            deleted.append(self.deleter.delete(kind, metadata.get("namespace", ""), metadata["name"], options).obj)
        metadata = {"resourceVersion": listing.metadata["resourceVersion"]}
        await send_json(
            request,
            200,
            {"kind": kind.list_kind, "apiVersion": kind.api_version, "metadata": metadata, "items": deleted},
        )

    async def _send_written(self, request: Request, kind: Kind, written: Written) -> None:
        form = choose_format(request.header("accept"))
        warnings: Headers = [
            (b"warning", b'299 - "' + text.replace("\\", "\\\\").replace('"', '\\"').encode() + b'"')
            for text in written.warnings
        ]
        await self._send_object(
            request, kind, form, orjson.dumps(written.obj), 201 if written.created else 200, warnings
        )

    async def _send_object(
        self, request: Request, kind: Kind, form: Format, body: bytes, code: int = 200, headers: Headers | None = None
    ) -> None:
        if form == Format():
            await send(request, code, body, form.content_type, headers)
            return
        obj: JsonObject = orjson.loads(body)
        if form.shape == "Table":
            version = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
            value = TableWriter(kind, request.query.get("includeObject")).table([body], version)
        else:
            value = _partial(obj) if form.shape else obj
        await send(request, code, encode(form, value), form.content_type, headers)


def _is_allowed(info: RequestInfo) -> bool:
    """Tell whether the verb fits what the URL names: subresources are read and changed, collections never changed."""
    if info.subresource:
        return info.verb in ("get", "update", "patch")
    if info.verb in ("update", "patch"):
        return bool(info.name)
    return info.verb != "create" or not info.name


def _read_json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"error decoding patch: {error}") from error


def _patch_object(patch: Any) -> dict[str, Any]:
    if not is_object(patch):
        raise BadRequest("error decoding patch: json: cannot unmarshal into Go value of type map[string]interface {}")
    return patch


def _partial(obj: JsonObject) -> JsonObject:
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}


def _list_options(request: Request, info: RequestInfo, kind: Kind) -> ListOptions:
    query = request.query
    return ListOptions(
        labels=label_selector(query.get("labelSelector")),
        fields=field_selector(query.get("fieldSelector"), kind),
        limit=query.number("limit") or 0,
        continuation=query.get("continue"),
        resource_version=query.get("resourceVersion"),
        version_match="" if info.verb == "watch" else query.get("resourceVersionMatch"),
    )


def _write_options(request: Request, info: RequestInfo, user: User) -> WriteOptions:
    query = request.query
    validation = query.get("fieldValidation") or "Warn"
    if validation not in ("Ignore", "Warn", "Strict"):
        raise BadRequest(
            f'fieldValidation: Unsupported value: "{validation}": supported values: "Ignore", "Strict", "Warn"'
        )
    manager = query.get("fieldManager") or request.header("user-agent").partition("/")[0] or "unknown"
    return WriteOptions(manager[:128], _dry_run(query.all("dryRun")), validation, info.subresource, user)


def _dry_run(values: list[str]) -> bool:
    if any(value != "All" for value in values):
        raise BadRequest(f'dryRun: Unsupported value: {orjson.dumps(values).decode()}: supported values: "All"')
    return bool(values)


async def _delete_options(request: Request) -> DeleteOptions:
    body = await request.body()
    sent: JsonObject = decode_object(request.content_type, body) if body else {}
    query = request.query
    grace = sent.get("gracePeriodSeconds", query.number("gracePeriodSeconds"))
    propagation = str(sent.get("propagationPolicy") or query.get("propagationPolicy"))
    orphan = sent.get("orphanDependents", query.flag("orphanDependents") if query.get("orphanDependents") else None)
    if not propagation and orphan is not None:
        propagation = "Orphan" if orphan else "Background"
    if propagation not in PROPAGATIONS:
        raise BadRequest(
            f'propagationPolicy: Unsupported value: "{propagation}": supported values: "Background", "Foreground", '
            '"Orphan"'
        )
    if grace is not None and not isinstance(grace, int):
        raise BadRequest("gracePeriodSeconds must be a whole number")
    preconditions: JsonObject = sent.get("preconditions") or {}
    return DeleteOptions(
        propagation=PROPAGATIONS[propagation],
        uid=preconditions.get("uid") or "",
        resource_version=preconditions.get("resourceVersion") or "",
        grace_seconds=grace,
        dry_run=_dry_run(sent.get("dryRun") or query.all("dryRun")),
    )


async def _lines(batches: AsyncIterator[list[Seen]], form: Format, table: TableWriter | None) -> AsyncIterator[bytes]:
    """Encode watch events, a whole batch at a time."""
    async for batch in batches:
        parts: list[bytes] = []
        for seen in batch:
            body = seen.body
            if table is not None and seen.type != "ERROR":
                body = orjson.dumps(table.event(seen))
            elif form.shape and seen.type != "ERROR":
                body = orjson.dumps(_partial(orjson.loads(body)))
            parts.append(b'{"type":"' + seen.type.encode() + b'","object":' + body + b"}\n")
        yield b"".join(parts)
