"""Names, labels, annotations and owner references of what an agent or tool server becomes."""

from __future__ import annotations

from typing import Final

from kagent_api.names import OWN_GROUP
from kagent_operator.translate.fields import JsonObject, name_of, namespace_of, string_map, text
from kagent_operator.translate.settings import Profile, Settings

__all__ = ["agent_labels", "agent_selector", "inherited_annotations", "object_meta", "owner_reference"]

_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"


def agent_selector(agent: JsonObject) -> dict[str, str]:
    """Return the two labels by which Deployment and Service find an agent's Pods; they never change."""
    return {"app": "kagent", "kagent": name_of(agent)}


def agent_labels(agent: JsonObject, settings: Settings, deployment: JsonObject) -> dict[str, str]:
    """Return the labels of an agent's objects and Pods."""
    return {
        **agent_selector(agent),
        "app.kubernetes.io/managed-by": "kagent",
        "app.kubernetes.io/part-of": "kagent",
        "app.kubernetes.io/name": name_of(agent),
        **settings.default_pod_labels,
        **string_map(deployment, "labels"),
    }


def inherited_annotations(agent: JsonObject, profile: Profile) -> dict[str, str]:
    """Return the annotations an agent hands down.

    Upstream hands down all of them. Ours leaves out kubectl's record of the agent, which on another object would make
    ``kubectl apply`` of that object remove fields, and what only the operator reads.
    """
    annotations = string_map(agent, "metadata", "annotations")
    if profile == "upstream":
        return annotations
    return {
        key: value for key, value in annotations.items() if key != _LAST_APPLIED and not key.startswith(f"{OWN_GROUP}/")
    }


def owner_reference(owner: JsonObject, *, controller: bool = True) -> JsonObject:
    """Return the reference that ties an object to its owner; kmcp's are plain ones (controller=False)."""
    reference: JsonObject = {
        "apiVersion": text(owner, "apiVersion"),
        "kind": text(owner, "kind"),
        "name": name_of(owner),
        "uid": text(owner, "metadata", "uid"),
    }
    return {**reference, "controller": True, "blockOwnerDeletion": True} if controller else reference


def object_meta(
    owner: JsonObject,
    *,
    name: str = "",
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    controller: bool = True,
) -> JsonObject:
    """Return the metadata of an owned object; empty labels and annotations are left out."""
    meta: JsonObject = {"name": name or name_of(owner), "namespace": namespace_of(owner)}
    if labels:
        meta["labels"] = dict(labels)
    if annotations:
        meta["annotations"] = dict(annotations)
    meta["ownerReferences"] = [owner_reference(owner, controller=controller)]
    return meta
