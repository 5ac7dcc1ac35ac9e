"""RemoteMCPServer: ask it for its tools again and again, and say in its status what it answered."""

from __future__ import annotations

from kagent_api.errors import InvalidSpec
from kagent_api.kube.resources import REMOTEMCPSERVERS
from kagent_operator.reconcile.cache import View
from kagent_operator.reconcile.context import Context
from kagent_operator.reconcile.discovery import Tool
from kagent_operator.reconcile.hashes import remote_server_hash
from kagent_operator.reconcile.inventory import inventory_key, inventory_object
from kagent_operator.reconcile.keys import Key
from kagent_operator.reconcile.status import StatusDraft
from kagent_operator.reconcile.targets import remote_target
from kagent_operator.translate.fields import JsonObject, text

__all__ = ["RemoteServerReconciler"]


class RemoteServerReconciler:
    """Writes status and the tools' ConfigMap."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def reconcile(self, key: Key, view: View) -> None:
        server = view.get(*key)
        if server is None:
            self._context.discoveries.forget(key)
            return
        draft = StatusDraft(server, self._context.now)
        draft.fields["secretHash"] = remote_server_hash(server, view)
        try:
            target = remote_target(server, key, view)
        except InvalidSpec as error:
            self._context.discoveries.forget(key)
            message = str(type(error)(error.message, field=error.field, remedy=error.remedy))
            draft.condition("Accepted", "False", "ReconcileFailed", message)
            await self._context.status.write(REMOTEMCPSERVERS, server, draft)
            return
        outcome = self._context.discoveries.request(key, target)
        if outcome is None:
            # Asked now; this is called again with the answer. What was known before stays as it is.
            return
        if outcome.found is None:
            draft.condition("Accepted", "False", "ReconcileFailed", f"cannot list tools: {outcome.error}")
        else:
            await self._store(server, outcome.found, view)
            draft.fields["discoveredTools"] = [
                {"name": tool.name, "description": tool.description} for tool in outcome.found
            ]
            draft.condition("Accepted", "True", "Reconciled", "Remote MCP server configuration accepted")
        await self._context.status.write(REMOTEMCPSERVERS, server, draft)

    async def _store(self, server: JsonObject, tools: tuple[Tool, ...], view: View) -> None:
        key = inventory_key("RemoteMCPServer", text(server, "metadata", "namespace"), text(server, "metadata", "name"))
        known = view.get(*key)
        wanted = inventory_object(server, tools, known, self._context.now())
        await self._context.writer.ensure(server, [wanted], view, made_from=[known] if known else [])
