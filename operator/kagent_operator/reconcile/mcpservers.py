"""MCPServer: its Deployment, Service and ConfigMap, its four conditions, and its tools once it runs."""

from __future__ import annotations

from kagent_api.conditions import get_condition
from kagent_api.errors import InvalidSpec
from kagent_api.kube import Invalid
from kagent_api.kube.resources import MCPSERVERS
from kagent_operator.reconcile.adoption import engine_of
from kagent_operator.reconcile.cache import View
from kagent_operator.reconcile.context import Context
from kagent_operator.reconcile.discovery import Target
from kagent_operator.reconcile.inventory import inventory_key, inventory_object
from kagent_operator.reconcile.keys import Key, key_of
from kagent_operator.reconcile.rollout import judge
from kagent_operator.reconcile.status import StatusDraft
from kagent_operator.reconcile.targets import mcpserver_target
from kagent_operator.translate.fields import JsonObject, string_map, text
from kagent_operator.translate.mcpserver import SECRETS_HASH, missing_references, translate_mcpserver

__all__ = ["McpServerReconciler"]

_DISCOVERY_LABEL = "kagent.dev/discovery"


class McpServerReconciler:
    """Owns the server's workload and the tools' ConfigMap."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def reconcile(self, key: Key, view: View) -> None:
        server = view.get(*key)
        if server is None or text(server, "metadata", "deletionTimestamp"):
            self._context.discoveries.forget(key)
            return
        draft = StatusDraft(server, self._context.now)
        live = view.get("Deployment", key.namespace, key.name)
        engine = engine_of(server, live, self._context.settings)
        try:
            objects = translate_mcpserver(server, view, engine.settings, profile=engine.profile)
        except InvalidSpec as error:
            message = str(type(error)(error.message, field=error.field, remedy=error.remedy))
            draft.condition("Accepted", "False", "InvalidConfig", message)
            draft.condition("ResolvedRefs", "False", "ImageNotFound", message)
            draft.condition("Programmed", "False", "DeploymentFailed", message)
            draft.condition("Ready", "False", "PodsNotReady", "the configuration is invalid")
            await self._context.status.write(MCPSERVERS, server, draft)
            return
        draft.condition("Accepted", "True", "Accepted", "MCPServer configuration is valid")
        missing = missing_references(server, view)
        if missing:
            _keep_secrets_hash(objects, live)
            draft.condition("ResolvedRefs", "False", "ReferencesNotResolved", "; ".join(missing))
        else:
            draft.condition("ResolvedRefs", "True", "ResolvedRefs", "All references resolved")
        inventory = inventory_key("MCPServer", key.namespace, key.name)
        engine.mark(objects)
        try:
            await self._context.writer.ensure(server, objects, view)
            await self._context.writer.prune(server, {inventory, *map(key_of, objects)})
        except (InvalidSpec, Invalid) as error:
            draft.condition("Programmed", "False", "DeploymentFailed", str(error))
            draft.condition("Ready", "False", "PodsNotReady", "the workload could not be created")
            await self._context.status.write(MCPSERVERS, server, draft)
            return
        draft.condition("Programmed", "True", "Programmed", "All resources created")
        deployment = view.get("Deployment", key.namespace, key.name)
        rollout = judge(deployment, self._context.cache.pods(key))
        ready = rollout.status == "True"
        reason = "Available" if ready else "NotAvailable" if deployment is not None else "PodsNotReady"
        draft.condition("Ready", rollout.status, reason, rollout.message)
        target = mcpserver_target(server, engine.profile, deployment) if ready and deployment is not None else None
        await self._tools(server, key, view, draft, target)
        await self._context.status.write(MCPSERVERS, server, draft)

    async def _tools(self, server: JsonObject, key: Key, view: View, draft: StatusDraft, target: Target | None) -> None:
        labels = string_map(server, "metadata", "labels")
        if target is None or labels.get(_DISCOVERY_LABEL) == "disabled":
            # Not ready: what is known of its tools stays known, but nobody is asked.
            self._context.discoveries.forget(key)
            draft.without("ToolsDiscovered")
            return
        outcome = self._context.discoveries.request(key, target)
        if outcome is None:
            # What it said before, to us or to the operator that ran before us, stands until it has answered.
            if get_condition(draft.conditions, "ToolsDiscovered") is None:
                draft.condition("ToolsDiscovered", "Unknown", "Asking", "the server is being asked for its tools")
        elif outcome.found is None:
            draft.condition("ToolsDiscovered", "False", "DiscoveryFailed", f"cannot list tools: {outcome.error}")
        else:
            stored = inventory_key("MCPServer", key.namespace, key.name)
            known = view.get(*stored)
            wanted = inventory_object(server, outcome.found, known, self._context.now())
            await self._context.writer.ensure(server, [wanted], view, made_from=[known] if known else [])
            count = len(outcome.found)
            draft.condition("ToolsDiscovered", "True", "ToolsDiscovered", f"{count} tool{'s' if count != 1 else ''}")


def _keep_secrets_hash(objects: list[JsonObject], live: JsonObject | None) -> None:
    """Leave the template as it is while a Secret is missing: new Pods could not start, the old ones still run."""
    known = string_map(live, "spec", "template", "metadata", "annotations").get(SECRETS_HASH)
    for obj in objects:
        if known and obj["kind"] == "Deployment":
            obj["spec"]["template"]["metadata"]["annotations"][SECRETS_HASH] = known
