"""The generations of an Agent that our operator keeps as ControllerRevisions. Beside upstream's there are none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from kagent_api.errors import ObjectRef
from kagent_api.names import OWN_GROUP
from kagent_tui.cluster.cluster import Cluster
from kagent_tui.cluster.kinds import JsonObject, ref_of
from kagent_tui.cluster.references import items, mapping, text
from kagent_tui.editing.document import editable
from kagent_tui.editing.owners import changed_paths
from kagent_tui.editing.source import dotted

__all__ = ["Revision", "as_it_was", "changes_to", "read_revisions", "revisions_of"]

_LABEL: Final = f"{OWN_GROUP}/agent"


class Revision(NamedTuple):
    """One generation: its number, when the operator took it up (RFC 3339), and the spec."""

    ref: ObjectRef
    number: int
    created: str
    spec: JsonObject


async def read_revisions(cluster: Cluster, agent: JsonObject) -> list[Revision]:
    """Return an agent's generations, the newest first. Raises KubeError."""
    from kagent_api.kube.resources import CONTROLLERREVISIONS

    ref = ref_of(agent)
    # A label holds 63 characters; the owner tells agents of the same beginning apart.
    selector = f"{_LABEL}={ref.name[:63].rstrip('-.')}"
    found = await cluster.client.list(CONTROLLERREVISIONS, ref.namespace, label_selector=selector)
    return revisions_of(found.items, text(mapping(agent.get("metadata")).get("uid")))


def revisions_of(found: Iterable[JsonObject], uid: str) -> list[Revision]:
    """Return those that belong to the agent with this uid, the newest first."""
    mine: list[Revision] = []
    for one in found:
        meta = mapping(one.get("metadata"))
        owners = [text(mapping(owner).get("uid")) for owner in items(meta.get("ownerReferences"))]
        number, spec = one.get("revision"), mapping(mapping(one.get("data")).get("spec"))
        if uid in owners and isinstance(number, int) and spec:
            ref = ref_of(one, "ControllerRevision")
            mine.append(Revision(ref, number, text(meta.get("creationTimestamp")), spec))
    return sorted(mine, key=lambda revision: -revision.number)


def as_it_was(agent: JsonObject, revision: Revision) -> JsonObject:
    """Return the agent as it is to be after going back: that spec, with the metadata it has now."""
    return {**editable(agent), "spec": revision.spec}


def changes_to(revision: Revision, before: Revision | None) -> list[str]:
    """Name the fields in which a generation differs from the one before it."""
    if before is None:
        return []
    return [dotted(path) for path in changed_paths(before.spec, revision.spec)]
