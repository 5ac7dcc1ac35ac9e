"""Sessions with the cluster's tool servers, opened for the gateway as the reconcilers know them."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from kagent_operator.reconcile import Operator
from kagent_operator.reconcile.adoption import engine_of
from kagent_operator.reconcile.cache import Index, View
from kagent_operator.reconcile.discovery import ToolServerSession, connected
from kagent_operator.reconcile.keys import Key
from kagent_operator.reconcile.targets import mcpserver_target, remote_target

__all__ = ["ToolServers"]


class ToolServers:
    """Opens sessions; what is read on the way is nobody's reason to reconcile."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator

    def open(self, kind: str, namespace: str, name: str) -> AbstractAsyncContextManager[ToolServerSession]:
        """Open a session with a server that is there. Raises InvalidSpec, MissingReference for one that cannot work."""
        key = Key(kind, namespace, name)
        cache = self._operator.cache
        view = View(key, cache, Index(), self._operator.context.namespaces)
        server = cache.get(key) or {}
        if kind == "RemoteMCPServer":
            target = remote_target(server, key, view)
        else:
            deployment = cache.get(Key("Deployment", namespace, name))
            engine = engine_of(server, deployment, self._operator.context.settings)
            target = mcpserver_target(server, engine.profile, deployment)
        return connected(target, apps=True)
