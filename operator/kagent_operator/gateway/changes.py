"""Agents, models and tool servers made, changed and removed over the API, as upstream's web UI does it.

What is written is a resource like any other: the API server checks it, the reconcilers find it by watch. Secret values
given with a request go into Secrets that the new resource owns, and nowhere else.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kagent_api.kube import AlreadyExists, KubeError, NotFound
from kagent_api.kube.resources import JsonObject
from kagent_operator.gateway.agents import model_config_response, shown
from kagent_operator.gateway.context import gateway_of, json_body, text_field, writer_of
from kagent_operator.gateway.directory import meta, rows
from kagent_operator.gateway.errors import BadRequest, Missing
from kagent_operator.gateway.replies import ok
from kagent_operator.gateway.writer import ResourceWriter

__all__ = ["ROUTES"]

_log = logging.getLogger(__name__)


async def create_agent(request: Request) -> Response:
    writer = await writer_of(request)
    agent = _resource(request, await json_body(request), "Agent")
    return ok(shown(await writer.create("Agent", agent)), "Successfully created agent", status=201)


async def replace_agent(request: Request) -> Response:
    writer = await writer_of(request)
    agent = _resource(request, await json_body(request), "Agent")
    changed = await writer.replace("Agent", meta(agent)["namespace"], meta(agent)["name"], "spec", agent["spec"])
    return ok(shown(changed), "Successfully updated agent")


async def delete_agent(request: Request) -> Response:
    writer = await writer_of(request)
    await writer.delete("Agent", request.path_params["namespace"], request.path_params["name"])
    return ok({}, "Successfully deleted agent")


async def create_model_config(request: Request) -> Response:
    """Create a ModelConfig and the Secrets given with it; a Secret that cannot be made takes the ModelConfig back."""
    writer = await writer_of(request)
    body = await json_body(request)
    namespace, name = _ref(request, text_field(body, "ref", required=True))
    spec = _spec(body)
    secrets = _secrets(body)
    key = text_field(body, "apiKey")
    if key:
        spec |= {"apiKeySecret": name, "apiKeySecretKey": _key_name(spec)}
        secrets.setdefault(name, {})[_key_name(spec)] = key
    made = await writer.create("ModelConfig", {"metadata": {"name": name, "namespace": namespace}, "spec": spec})
    await _create_secrets(writer, made, secrets)
    return ok(model_config_response(made), "Successfully created ModelConfig", status=201)


async def replace_model_config(request: Request) -> Response:
    writer = await writer_of(request)
    namespace, name = request.path_params["namespace"], request.path_params["name"]
    body = await json_body(request)
    spec = _spec(body)
    secrets = _secrets(body)
    key = text_field(body, "apiKey")
    if key:
        secret = text_field(spec, "apiKeySecret") or name
        entry = text_field(spec, "apiKeySecretKey") or _key_name(spec)
        spec |= {"apiKeySecret": secret, "apiKeySecretKey": entry}
        secrets.setdefault(secret, {})[entry] = key
    changed = await writer.replace("ModelConfig", namespace, name, "spec", spec)
    for secret, values in secrets.items():
        await _put_secret(writer, changed, secret, values)
    return ok(model_config_response(changed), "Successfully updated ModelConfig")


async def delete_model_config(request: Request) -> Response:
    writer = await writer_of(request)
    await writer.delete("ModelConfig", request.path_params["namespace"], request.path_params["name"])
    return ok({}, "Successfully deleted ModelConfig")


async def create_tool_server(request: Request) -> Response:
    writer = await writer_of(request)
    body = await json_body(request)
    kind = text_field(body, "type", required=True)
    field = {"RemoteMCPServer": "remoteMCPServer", "MCPServer": "mcpServer"}.get(kind)
    if field is None:
        raise BadRequest(f"type must be RemoteMCPServer or MCPServer, not {kind!r}")
    given = body.get(field)
    if not isinstance(given, dict):
        raise BadRequest(f"{field} is required for type {kind}")
    made = await writer.create(kind, _resource(request, cast("JsonObject", given), kind))
    await _create_secrets(writer, made, _secrets(body))
    return ok(shown(made), "Successfully created tool server", status=201)


async def delete_tool_server(request: Request) -> Response:
    """Delete a RemoteMCPServer or MCPServer. A Service is somebody's program and is never deleted from here."""
    writer = await writer_of(request)
    namespace, name = request.path_params["namespace"], request.path_params["name"]
    for kind in ("RemoteMCPServer", "MCPServer"):
        try:
            await writer.delete(kind, namespace, name)
        except NotFound:
            continue
        return ok({}, "Successfully deleted tool server")
    raise Missing(f"tool server {namespace}/{name} not found", remedy="a Service is deleted with kubectl")


def _resource(request: Request, body: JsonObject, kind: str) -> JsonObject:
    """Return what of a given object may be written: its name, labels, annotations and spec."""
    if body.get("kind", kind) != kind:
        raise BadRequest(f"kind must be {kind}, not {body['kind']!r}")
    about = body.get("metadata")
    if not isinstance(about, dict):
        raise BadRequest("metadata is required")
    given = cast("JsonObject", about)
    name = text_field(given, "name", required=True)
    namespace = text_field(given, "namespace") or gateway_of(request).settings.namespace
    kept = {key: given[key] for key in ("labels", "annotations") if given.get(key)}
    return {"metadata": {"name": name, "namespace": namespace, **kept}, "spec": _spec(body)}


def _spec(body: JsonObject) -> JsonObject:
    spec = body.get("spec")
    if not isinstance(spec, dict):
        raise BadRequest("spec is required")
    return dict(cast("JsonObject", spec))


def _ref(request: Request, ref: str) -> tuple[str, str]:
    namespace, slash, name = ref.partition("/")
    return (namespace, name) if slash else (gateway_of(request).settings.namespace, ref)


def _key_name(spec: JsonObject) -> str:
    return f"{str(spec.get('provider') or 'OpenAI').upper()}_API_KEY"


def _secrets(body: JsonObject) -> dict[str, dict[str, str]]:
    """Return the values to keep by Secret and key."""
    found: dict[str, dict[str, str]] = {}
    for entry in rows(body, "secrets"):
        name, key = text_field(entry, "name", required=True), text_field(entry, "key", required=True)
        found.setdefault(name, {})[key] = text_field(entry, "value", required=True)
    return found


async def _create_secrets(writer: ResourceWriter, owner: JsonObject, secrets: dict[str, dict[str, str]]) -> None:
    try:
        for name, values in secrets.items():
            await writer.create("Secret", _secret(owner, name, values))
    except (KubeError, asyncio.CancelledError):
        _log.warning("%s %s is taken back: a Secret for it cannot be made", owner.get("kind"), meta(owner).get("name"))
        with suppress(KubeError):
            await writer.delete(str(owner["kind"]), meta(owner)["namespace"], meta(owner)["name"])
        raise


async def _put_secret(writer: ResourceWriter, owner: JsonObject, name: str, values: dict[str, str]) -> None:
    try:
        await writer.create("Secret", _secret(owner, name, values))
    except AlreadyExists:
        await writer.replace("Secret", meta(owner)["namespace"], name, "stringData", values)


def _secret(owner: JsonObject, name: str, values: dict[str, str]) -> JsonObject:
    about = meta(owner)
    reference: dict[str, Any] = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": about["name"],
        "uid": about["uid"],
    }
    metadata = {"name": name, "namespace": about["namespace"], "ownerReferences": [reference]}
    return {"metadata": metadata, "type": "Opaque", "stringData": values}


_NAMED = "/{namespace}/{name}"
ROUTES = (
    Route("/api/agents", create_agent, methods=["POST"]),
    Route("/api/agents", replace_agent, methods=["PUT"]),
    Route("/api/agents" + _NAMED, delete_agent, methods=["DELETE"]),
    Route("/api/modelconfigs", create_model_config, methods=["POST"]),
    Route("/api/modelconfigs" + _NAMED, replace_model_config, methods=["PUT"]),
    Route("/api/modelconfigs" + _NAMED, delete_model_config, methods=["DELETE"]),
    Route("/api/toolservers", create_tool_server, methods=["POST"]),
    Route("/api/toolservers" + _NAMED, delete_tool_server, methods=["DELETE"]),
)
