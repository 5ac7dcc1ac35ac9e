"""What the arguments of commands may be completed to: namespaces seen, contexts of the kubeconfig, columns,
templates."""

from __future__ import annotations

from collections.abc import Iterable

from kagent_tui.cluster.kinds import VIEWS
from kagent_tui.cluster.workspace import Workspace
from kagent_tui.commands.registry import Completer
from kagent_tui.editing.templates import SERIES, TEMPLATES
from kagent_tui.render.tables import TABLES

__all__ = ["completers", "known_namespaces"]


def known_namespaces(workspace: Workspace) -> list[str]:
    """Return the namespaces that objects were seen in, and those chosen."""
    cluster = workspace.cluster
    found = set(workspace.namespaces)
    if cluster is not None:
        for view in VIEWS.values():
            for kind in view.kinds:
                found.update(ref.namespace for ref in cluster.store.objects(kind))
        found.add(cluster.client.access.namespace)
    return sorted(found)


def completers(workspace: Workspace) -> dict[str, Completer]:
    """Return how to complete arguments, by command id."""

    def starting(values: Iterable[str]) -> Completer:
        return lambda typed: [value for value in values if value.startswith(typed)]

    columns = {column.id for spec in TABLES.values() for column in spec.columns}
    return {
        "app.ns": starting(["all", *known_namespaces(workspace)]),
        "app.ctx": starting(workspace.context_names()),
        "app.fleet": starting(workspace.context_names()),
        "app.readonly": starting(["on", "off"]),
        "browse.sort": starting(sorted(columns)),
        "browse.new": starting([*TEMPLATES, *SERIES, "wizard"]),
    }
