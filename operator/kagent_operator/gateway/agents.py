"""Agents and models as upstream's clients read them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kagent_api.conditions import get_condition
from kagent_api.kube.resources import AGENTS, MODELCONFIGS, JsonObject
from kagent_api.names import GROUP, agent_id
from kagent_operator.gateway.context import Gateway, allowed, gateway_of, person
from kagent_operator.gateway.directory import field, meta, ref_of
from kagent_operator.gateway.errors import BadRequest, Missing
from kagent_operator.gateway.replies import ok
from kagent_operator.gateway.rights import Right, visible

__all__ = ["ROUTES", "agent_response", "model_config_response", "shown"]

_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


async def list_agents(request: Request) -> Response:
    gateway = gateway_of(request)
    principal = await person(request)
    namespace = request.query_params.get("namespace", "")
    if namespace and not _NAMESPACE.fullmatch(namespace):
        raise BadRequest(f"{namespace!r} is no name of a namespace")
    agents = [agent for agent in gateway.agents.list() if namespace in ("", meta(agent).get("namespace"))]
    agents += [
        agent for agent in gateway.agents.resources("SandboxAgent") if namespace in ("", meta(agent).get("namespace"))
    ]
    agents = await visible(gateway.rights, principal, AGENTS, agents)
    models = {ref_of(config): config for config in gateway.agents.resources("ModelConfig")}
    listed = [agent_response(gateway, agent, models) for agent in sorted(agents, key=ref_of)]
    return ok(listed, "Successfully listed agents")


async def get_agent(request: Request) -> Response:
    gateway = gateway_of(request)
    namespace, name = request.path_params["namespace"], request.path_params["name"]
    await allowed(request, Right.to("get", AGENTS, namespace, name))
    agent = gateway.agents.get(namespace, name)
    if agent is None:
        raise Missing(f"Agent {namespace}/{name} not found")
    models = {ref_of(config): config for config in gateway.agents.resources("ModelConfig")}
    return ok(agent_response(gateway, agent, models), "Successfully retrieved agent")


async def list_model_configs(request: Request) -> Response:
    gateway = gateway_of(request)
    principal = await person(request)
    configs = sorted(gateway.agents.resources("ModelConfig"), key=ref_of)
    configs = await visible(gateway.rights, principal, MODELCONFIGS, configs)
    return ok([model_config_response(config) for config in configs], "Successfully listed ModelConfigs")


async def get_model_config(request: Request) -> Response:
    gateway = gateway_of(request)
    await allowed(request, Right.to("get", MODELCONFIGS, **request.path_params))
    ref = f"{request.path_params['namespace']}/{request.path_params['name']}"
    config = _model_config(gateway, ref)
    if config is None:
        raise Missing(f"ModelConfig {ref} not found")
    return ok(model_config_response(config), "Successfully retrieved ModelConfig")


def agent_response(gateway: Gateway, agent: JsonObject, models: Mapping[str, JsonObject]) -> JsonObject:
    """Return the view of an agent; a missing ModelConfig leaves the model's fields empty (upstream answers 500)."""
    namespace, name = str(meta(agent).get("namespace", "")), str(meta(agent).get("name", ""))
    declarative = field(agent, "spec", "declarative")
    model_ref = ""
    model: JsonObject | None = None
    if declarative is not None and field(agent, "spec", "type") != "BYO":
        wanted = field(agent, "spec", "declarative", "modelConfig") or gateway.settings.default_model_config
        model_ref = f"{namespace}/{wanted}"
        model = models.get(model_ref)
    ready = _condition(agent, "Ready")
    return {
        "id": agent_id(namespace, name),
        "agent": shown(agent),
        "modelProvider": (field(model, "spec", "provider") or "OpenAI") if model else "",
        "model": (field(model, "spec", "model") or "") if model else "",
        "modelConfigRef": model_ref,
        "memoryRefs": None,
        "tools": field(agent, "spec", "declarative", "tools") or [],
        "deploymentReady": ready,
        "accepted": _condition(agent, "Accepted"),
        "workloadMode": "sandbox" if agent.get("kind") == "SandboxAgent" else "deployment",
    }


def model_config_response(config: JsonObject) -> JsonObject:
    return {"ref": ref_of(config), "spec": config.get("spec", {}), "status": config.get("status", {})}


def shown(obj: JsonObject) -> JsonObject:
    """Return a resource as clients see it: without the bookkeeping of server-side apply."""
    metadata = {key: value for key, value in meta(obj).items() if key != "managedFields"}
    return {
        "apiVersion": obj.get("apiVersion") or f"{GROUP}/v1alpha2",
        "kind": obj.get("kind") or "Agent",
        "metadata": metadata,
        "spec": obj.get("spec", {}),
        "status": obj.get("status", {}),
    }


def _condition(obj: JsonObject, name: str) -> bool:
    condition = get_condition(field(obj, "status", "conditions"), name)
    return condition is not None and condition.get("status") == "True"


def _model_config(gateway: Gateway, ref: str) -> JsonObject | None:
    return next((config for config in gateway.agents.resources("ModelConfig") if ref_of(config) == ref), None)


ROUTES = (
    Route("/api/agents", list_agents, methods=["GET"]),
    Route("/api/agents/{namespace}/{name}", get_agent, methods=["GET"]),
    Route("/api/modelconfigs", list_model_configs, methods=["GET"]),
    Route("/api/modelconfigs/{namespace}/{name}", get_model_config, methods=["GET"]),
)
