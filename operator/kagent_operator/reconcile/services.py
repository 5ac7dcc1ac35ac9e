"""Services that people labelled as tool servers: ask for their tools, as for any other tool server.

A Service has no status of ours. Its tools, and why they cannot be had, lie in its tools ConfigMap, where the agents
that use it look; nothing else of a Service is ever written.
"""

from __future__ import annotations

from typing import Final

from kagent_api.errors import InvalidSpec
from kagent_operator.reconcile.cache import View
from kagent_operator.reconcile.context import Context
from kagent_operator.reconcile.discovery import Target
from kagent_operator.reconcile.inventory import inventory_key, inventory_object, inventory_with_error
from kagent_operator.reconcile.keys import Key
from kagent_operator.translate.fields import JsonObject, string_map, text
from kagent_operator.translate.tools import service_address

__all__ = ["SERVICE_LABEL", "ServiceReconciler"]

SERVICE_LABEL: Final = "kagent.dev/mcp-service"
_TIMEOUT: Final = 30.0


class ServiceReconciler:
    """Owns the tools' ConfigMap of a labelled Service."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def reconcile(self, key: Key, view: View) -> None:
        service = view.get(*key)
        wanted = service is not None and string_map(service, "metadata", "labels").get(SERVICE_LABEL) == "true"
        if service is None or not wanted or text(service, "metadata", "deletionTimestamp"):
            self._context.discoveries.forget(key)
            return
        existing = view.get(*inventory_key("Service", key.namespace, key.name))
        try:
            url, sse = service_address(service)
        except InvalidSpec as error:
            self._context.discoveries.forget(key)
            message = str(InvalidSpec(error.message, field=error.field, remedy=error.remedy))
            await self._store(service, inventory_with_error(service, existing, message), existing, view)
            return
        target = Target(url=url, transport="sse" if sse else "http", timeout=_TIMEOUT)
        outcome = self._context.discoveries.request(key, target)
        if outcome is None:
            # Asked now; this is called again with the answer.
            return
        if outcome.found is None:
            message = f"cannot list tools: {outcome.error}"
            wanted = inventory_with_error(service, existing, message)
        else:
            wanted = inventory_object(service, outcome.found, existing, self._context.now())
        await self._store(service, wanted, existing, view)

    async def _store(self, service: JsonObject, wanted: JsonObject, known: JsonObject | None, view: View) -> None:
        await self._context.writer.ensure(service, [wanted], view, made_from=[known] if known else [])
