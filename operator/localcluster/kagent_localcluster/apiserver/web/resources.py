"""Requests for stored objects: from query and body to the read and write paths, and back in the wanted form."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import orjson

from kagent_localcluster.apiserver import views
from kagent_localcluster.apiserver.auth.users import User
from kagent_localcluster.apiserver.deletion import Deleter
from kagent_localcluster.apiserver.jsonvalue import is_object
from kagent_localcluster.apiserver.kinds import Kind
from kagent_localcluster.apiserver.patching.patches import json_patch, merge_patch
from kagent_localcluster.apiserver.patching.strategic import strategic_merge
from kagent_localcluster.apiserver.reading import Reader, Seen, parse_version
from kagent_localcluster.apiserver.scaling import read_scale, write_scale
from kagent_localcluster.apiserver.tables import TableWriter
from kagent_localcluster.apiserver.web.messages import Request, send, send_json, send_stream
from kagent_localcluster.apiserver.web.negotiation import Format, choose_format, decode_object, encode, read_yaml
from kagent_localcluster.apiserver.web.options import delete_options, list_options, watch_options, write_options
from kagent_localcluster.apiserver.web.routing import RequestInfo
from kagent_localcluster.apiserver.writing import Writer, Written
from kagent_localcluster.errors import BadRequest, MethodNotAllowed, NotAcceptable, UnsupportedMediaType
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
        if kind.deprecation:
            request.warn(kind.deprecation)
        if not _is_allowed(info):
            raise MethodNotAllowed("the server does not allow this method on the requested resource")
        if info.subresource == "scale":
            await self._scale(request, info, kind, user)
            return
        match info.verb:
            case "get":
                form = choose_format(request.header("accept"))
                self.reader.refuse_future(parse_version(request.query.get("resourceVersion")))
                record = self.reader.get(kind, info.namespace, info.name)
                await self._send_object(request, kind, form, views.body_of(kind, record))
            case "list":
                await self._list(request, info, kind)
            case "watch":
                await self._watch(request, info, kind)
            case "create":
                raw = await request.body()
                options = write_options(request, info, user, raw)
                body = _typed(kind, decode_object(request.content_type, raw))
                written = self.writer.create(kind, info.namespace, body, options)
                await self._send_written(request, kind, written)
            case "update":
                raw = await request.body()
                options = write_options(request, info, user, raw)
                body = _typed(kind, decode_object(request.content_type, raw))
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
        options = write_options(request, info, user)
        media = request.content_type
        if media == "application/apply-patch+yaml":
            config = read_yaml(body)
            if not is_object(config):
                raise BadRequest("error decoding YAML: the body holds no object")
            force = request.query.flag("force")
            return self.writer.apply(kind, info.namespace, info.name, config, options, force=force)
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
        options = write_options(request, info, user)
        main = replace(options, subresource="", through="scale")
        written = self.writer.patch(kind, info.namespace, info.name, lambda old: write_scale(kind, old, wanted), main)
        await send_json(request, 200, read_scale(kind, written.obj))

    async def _list(self, request: Request, info: RequestInfo, kind: Kind) -> None:
        form = choose_format(request.header("accept"), collection=kind.list_kind)
        listing = self.reader.list(kind, info.namespace, list_options(request, info, kind))
        if form.shape == "Table":
            table = TableWriter(kind, request.query.get("includeObject"))
            value = {**table.table(listing.bodies, listing.metadata), "apiVersion": form.api_version}
            await send(request, 200, encode(form, value), form.content_type)
            return
        if form.shape:
            items = [_partial(orjson.loads(body), form) for body in listing.bodies]
            value = {
                "kind": "PartialObjectMetadataList",
                "apiVersion": form.api_version,
                "metadata": listing.metadata,
                "items": items,
            }
            await send(request, 200, encode(form, value), form.content_type)
            return
        # Lists of custom resources always say where they go on.
        metadata = {"continue": "", **listing.metadata} if kind.crd else listing.metadata
        head = {"kind": kind.list_kind, "apiVersion": kind.api_version, "metadata": metadata}
        if form.media == "yaml":
            bodies = listing.bodies if kind.crd else [views.without_type(kind, body) for body in listing.bodies]
            value = {**head, "items": [orjson.loads(body) for body in bodies]}
            await send(request, 200, encode(form, value), form.content_type)
            return
        # Joined as they are stored: parsing a thousand objects to print them again would be most of the cost.
        items = listing.bodies if kind.crd else [views.without_type(kind, body) for body in listing.bodies]
        joined = orjson.dumps(head)[:-1] + b',"items":[' + b",".join(items) + b"]}\n"
        await send(request, 200, joined, form.content_type)

    async def _watch(self, request: Request, info: RequestInfo, kind: Kind) -> None:
        form = choose_format(request.header("accept"))
        if form.media == "yaml":
            raise NotAcceptable("only the following media types are accepted: application/json;stream=watch")
        query = request.query
        options, watch = list_options(request, info, kind), watch_options(query)
        parse_version(options.resource_version)  # refused before the stream begins
        batches = self.reader.watch(kind, info.namespace, options, watch)
        table = TableWriter(kind, query.get("includeObject")) if form.shape == "Table" else None
        await send_stream(request, _lines(batches, form, table), "application/json")

    async def _delete(self, request: Request, info: RequestInfo, kind: Kind) -> None:
        deleted = self.deleter.delete(kind, info.namespace, info.name, await delete_options(request))
        if not deleted.gone or kind.storage_key in ("/pods", "/services"):
            await self._send_object(request, kind, choose_format(request.header("accept")), orjson.dumps(deleted.obj))
            return
        details = {"name": info.name, "kind": kind.plural, "uid": deleted.obj["metadata"]["uid"]}
        if kind.group:
            details["group"] = kind.group
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
        await send_json(request, 200, status)

    async def _delete_all(self, request: Request, info: RequestInfo, kind: Kind) -> None:
        options = await delete_options(request)
        listing = self.reader.list(kind, info.namespace, list_options(request, info, kind))
        deleted: list[JsonObject] = []
        for body in listing.bodies:
            metadata = orjson.loads(body)["metadata"]
            last = self.deleter.delete(kind, metadata.get("namespace", ""), metadata["name"], options).obj
            typed = ("apiVersion", "kind") if not kind.crd else ()
            deleted.append({key: value for key, value in last.items() if key not in typed})
        metadata = {"resourceVersion": listing.metadata["resourceVersion"]}
        await send_json(
            request,
            200,
            {"kind": kind.list_kind, "apiVersion": kind.api_version, "metadata": metadata, "items": deleted},
        )

    async def _send_written(self, request: Request, kind: Kind, written: Written) -> None:
        form = choose_format(request.header("accept"))
        for text in written.warnings:
            request.warn(text)
        await self._send_object(request, kind, form, orjson.dumps(written.obj), 201 if written.created else 200)

    async def _send_object(self, request: Request, kind: Kind, form: Format, body: bytes, code: int = 200) -> None:
        if form == Format():
            await send(request, code, body, form.content_type)
            return
        obj: JsonObject = orjson.loads(body)
        if form.shape == "Table":
            version = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
            value = TableWriter(kind, request.query.get("includeObject")).table([body], version)
            value["apiVersion"] = form.api_version
        elif form.shape == "PartialObjectMetadataList":
            raise NotAcceptable(f"you requested {form.shape}, but the requested object is not a list ({kind.kind})")
        else:
            value = _partial(obj, form) if form.shape else obj
        await send(request, code, encode(form, value), form.content_type)


def _is_allowed(info: RequestInfo) -> bool:
    """Tell whether the verb fits what the URL names: subresources are read and changed, collections never changed."""
    if info.subresource:
        return info.verb in ("get", "update", "patch")
    if info.verb in ("update", "patch"):
        return bool(info.name)
    return info.verb != "create" or not info.name


def _typed(kind: Kind, body: JsonObject) -> JsonObject:
    """Return the body; of a custom resource only if it says what it is, as nothing else would."""
    for field, name in (("kind", "Kind"), ("apiVersion", "apiVersion")):
        if kind.crd and not body.get(field):
            said = f"Object '{name}' is missing"
            raise BadRequest(f"the object provided is unrecognized (must be of type {kind.kind}): {said}")
    return body


def _read_json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"error decoding patch: {error}") from error


def _patch_object(patch: Any) -> dict[str, Any]:
    if not is_object(patch):
        raise BadRequest("error decoding patch: json: cannot unmarshal into Go value of type map[string]interface {}")
    return patch


def _partial(obj: JsonObject, form: Format) -> JsonObject:
    return {"kind": "PartialObjectMetadata", "apiVersion": form.api_version, "metadata": obj["metadata"]}


async def _lines(batches: AsyncIterator[list[Seen]], form: Format, table: TableWriter | None) -> AsyncIterator[bytes]:
    """Encode watch events, a whole batch at a time, and hold none of it while waiting for the next."""
    async for batch in batches:
        lines = b"".join(_line(seen, form, table) for seen in batch)
        del batch
        yield lines
        del lines


def _line(seen: Seen, form: Format, table: TableWriter | None) -> bytes:
    body = seen.body
    if table is not None and seen.type != "ERROR":
        body = orjson.dumps(table.event(seen))
    elif form.shape and seen.type != "ERROR":
        body = orjson.dumps(_partial(orjson.loads(body), form))
    return b'{"type":"' + seen.type.encode() + b'","object":' + body + b"}\n"
