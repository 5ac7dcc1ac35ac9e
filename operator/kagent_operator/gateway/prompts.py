"""Prompt libraries: ConfigMaps whose keys are fragments that agents' system messages include.

Only ConfigMaps that carry the library's label are shown, changed or deleted here.
"""

from __future__ import annotations

from typing import Any, Final, cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kagent_api.kube.resources import CONFIGMAPS, JsonObject
from kagent_operator.gateway.context import (
    Gateway,
    allowed,
    gateway_of,
    json_body,
    person,
    text_field,
    writer_of,
)
from kagent_operator.gateway.directory import field, meta, ref_of
from kagent_operator.gateway.errors import BadRequest, Missing
from kagent_operator.gateway.replies import ok
from kagent_operator.gateway.rights import Right, visible

__all__ = ["ROUTES"]

_LABEL: Final = "kagent.dev/prompt-library"  # upstream's


async def list_libraries(request: Request) -> Response:
    gateway = gateway_of(request)
    principal = await person(request)
    namespace = request.query_params.get("namespace", "*")
    wanted = [library for library in _libraries(gateway) if namespace in ("*", "", meta(library).get("namespace"))]
    libraries = await visible(gateway.rights, principal, CONFIGMAPS, wanted)
    return ok([_summary(library) for library in libraries], "Successfully listed prompt templates")


async def get_library(request: Request) -> Response:
    await allowed(request, Right.to("get", CONFIGMAPS, **request.path_params))
    return ok(_whole(_wanted(request)), "Successfully retrieved prompt template")


async def create_library(request: Request) -> Response:
    writer = await writer_of(request)
    body = await json_body(request)
    metadata = {
        "name": text_field(body, "name", required=True),
        "namespace": text_field(body, "namespace") or gateway_of(request).settings.namespace,
        "labels": {_LABEL: "true"},
    }
    made = await writer.create("ConfigMap", {"metadata": metadata, "data": _data(body)})
    return ok(_whole(made), "Successfully created prompt template", status=201)


async def replace_library(request: Request) -> Response:
    writer = await writer_of(request)
    about = meta(_wanted(request))
    data = _data(await json_body(request))
    changed = await writer.replace("ConfigMap", about["namespace"], about["name"], "data", data)
    return ok(_whole(changed), "Successfully updated prompt template")


async def delete_library(request: Request) -> Response:
    writer = await writer_of(request)
    about = meta(_wanted(request))
    await writer.delete("ConfigMap", about["namespace"], about["name"])
    return ok({}, "Successfully deleted prompt template")


def _libraries(gateway: Gateway) -> list[JsonObject]:
    found = [obj for obj in gateway.agents.resources("ConfigMap") if field(obj, "metadata", "labels", _LABEL) == "true"]
    return sorted(found, key=ref_of)


def _wanted(request: Request) -> JsonObject:
    ref = f"{request.path_params['namespace']}/{request.path_params['name']}"
    for library in _libraries(gateway_of(request)):
        if ref_of(library) == ref:
            return library
    raise Missing(f"prompt template {ref} not found", remedy=f"it is a ConfigMap with the label {_LABEL}: 'true'")


def _data(body: JsonObject) -> dict[str, str]:
    data: Any = body.get("data")
    if not isinstance(data, dict) or not all(isinstance(value, str) for value in cast("JsonObject", data).values()):
        raise BadRequest("data must be an object whose values are strings")
    return cast("dict[str, str]", data)


def _summary(library: JsonObject) -> JsonObject:
    keys = sorted(cast("JsonObject", library.get("data") or {}))
    about = meta(library)
    return {
        "namespace": about.get("namespace", ""),
        "name": about.get("name", ""),
        "keyCount": len(keys),
        "keys": keys,
    }


def _whole(library: JsonObject) -> JsonObject:
    about = meta(library)
    return {
        "namespace": about.get("namespace", ""),
        "name": about.get("name", ""),
        "data": library.get("data") or {},
    }


_PATH = "/api/prompttemplates"
ROUTES = (
    Route(_PATH, list_libraries, methods=["GET"]),
    Route(_PATH, create_library, methods=["POST"]),
    Route(_PATH + "/{namespace}/{name}", get_library, methods=["GET"]),
    Route(_PATH + "/{namespace}/{name}", replace_library, methods=["PUT"]),
    Route(_PATH + "/{namespace}/{name}", delete_library, methods=["DELETE"]),
)
