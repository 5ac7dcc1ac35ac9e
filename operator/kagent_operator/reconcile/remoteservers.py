"""RemoteMCPServer: ask it for its tools again and again, and say in its status what it answered."""

from __future__ import annotations

import contextlib
from typing import Literal

from kagent_api.errors import InvalidSpec, ObjectRef
from kagent_api.kube.resources import REMOTEMCPSERVERS
from kagent_operator.errors import MissingReference
from kagent_operator.reconcile.cache import View
from kagent_operator.reconcile.context import Context
from kagent_operator.reconcile.discovery import Target, Tool
from kagent_operator.reconcile.hashes import remote_server_hash
from kagent_operator.reconcile.inventory import inventory_key, inventory_object
from kagent_operator.reconcile.keys import Key
from kagent_operator.reconcile.status import StatusDraft
from kagent_operator.translate import durations
from kagent_operator.translate.fields import JsonObject, flag, mapping, quoted, secret_values, section, text
from kagent_operator.translate.headers import HeaderWriter

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
            target = _target(server, key, view)
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


def _target(server: JsonObject, key: Key, view: View) -> Target:
    spec = mapping(server, "spec")
    ref = ObjectRef(*key)
    url = text(spec, "url")
    if not url.startswith(("http://", "https://")):
        raise InvalidSpec(f"{url!r} is no http:// or https:// address", ref=ref, field="spec.url")
    timeout = 30.0
    if text(spec, "timeout"):
        try:
            timeout = durations.seconds(text(spec, "timeout"))
        except ValueError as error:
            raise InvalidSpec(str(error), ref=ref, field="spec.timeout") from error
    # Plain values: this is our own request, nothing is written down.
    headers = HeaderWriter(view, "upstream").resolve(spec, key.namespace, owner=ref, server=key.name)
    transport: Literal["http", "sse"] = "sse" if text(spec, "protocol") == "SSE" else "http"
    tls = section(spec, "tls")
    return Target(
        url=url,
        transport=transport,
        headers=headers,
        timeout=max(timeout, 0.1),
        verify=not flag(tls, "disableVerify"),
        system_cas=not flag(tls, "disableSystemCAs"),
        ca=_ca(tls, key, view),
    )


def _ca(tls: JsonObject | None, key: Key, view: View) -> str:
    name, entry = text(tls, "caCertSecretRef"), text(tls, "caCertSecretKey")
    if not name or not entry:
        return ""
    secret = view.get("Secret", key.namespace, name)
    if secret is None:
        raise MissingReference(
            f"Secret '{name}' not found in namespace '{key.namespace}'", field="spec.tls.caCertSecretRef"
        )
    values = secret_values(secret)
    if entry not in values:
        raise MissingReference(
            f"Secret '{name}' has no key '{entry}' (it has: {quoted(sorted(values))})", field="spec.tls.caCertSecretKey"
        )
    with contextlib.suppress(UnicodeDecodeError):
        return values[entry].decode()
    raise InvalidSpec(f"key '{entry}' of Secret '{name}' is no PEM text", field="spec.tls.caCertSecretKey")
