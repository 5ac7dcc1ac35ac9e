"""Where tool servers are and how to talk to them, read off their resources."""

from __future__ import annotations

import contextlib
from typing import Literal

from kagent_api.errors import InvalidSpec, ObjectRef
from kagent_operator.errors import MissingReference
from kagent_operator.reconcile.cache import View
from kagent_operator.reconcile.discovery import Target
from kagent_operator.reconcile.keys import Key
from kagent_operator.translate import durations
from kagent_operator.translate.fields import JsonObject, flag, mapping, quoted, secret_values, section, text
from kagent_operator.translate.headers import HeaderWriter
from kagent_operator.translate.mcpserver import mcp_server_url
from kagent_operator.translate.settings import Profile

__all__ = ["mcpserver_target", "remote_target"]


def remote_target(server: JsonObject, key: Key, view: View) -> Target:
    """Return where a RemoteMCPServer is, its headers resolved. Raises InvalidSpec for what cannot work as written."""
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


def mcpserver_target(server: JsonObject, profile: Profile, deployment: JsonObject | None) -> Target:
    """Return where an MCPServer is. Raises InvalidSpec for a port that is none."""
    timeout = 30.0
    if duration := text(server, "spec", "timeout"):
        try:
            timeout = durations.seconds(duration)
        except ValueError:
            # The agents that use the server say so; asking for its tools need not fail for it.
            timeout = 30.0
    # A new template means new Pods, whose tools may be others.
    template = text(deployment, "metadata", "annotations", "kagent-tui.dev/applied")
    return Target(url=mcp_server_url(server, profile), timeout=max(timeout, 0.1), generation=template)
