"""meta/v1 shapes that every resource of ours carries."""

from __future__ import annotations

from typing import Annotated, Literal

from kagent_api.schema import Core, JsonObject, Shape, crd, required

__all__ = ["Condition", "LabelSelector", "ObjectMeta", "OwnerReference", "Resource", "Status"]

# Limits of metav1.Condition (k8s.io/apimachinery).
_REASON = r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"
_CONDITION_TYPE = (
    r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$"
)

LabelSelector = Annotated[JsonObject, Core("LabelSelector")]


class OwnerReference(Shape):
    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class ObjectMeta(Shape):
    name: str = ""
    namespace: str = ""
    uid: str | None = None
    resource_version: str | None = None
    generation: int | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[OwnerReference] | None = None
    finalizers: list[str] | None = None
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None


class Condition(Shape):
    last_transition_time: Annotated[str, required(format="date-time")] = ""
    message: Annotated[str, required(maxLength=32768)] = ""
    observed_generation: Annotated[int | None, crd(format="int64", minimum=0)] = None
    reason: Annotated[str, required(maxLength=1024, minLength=1, pattern=_REASON)] = ""
    status: Annotated[Literal["True", "False", "Unknown"], required()] = "Unknown"
    type: Annotated[str, required(maxLength=316, pattern=_CONDITION_TYPE)] = ""


class Status(Shape):
    """What every status of ours has."""

    conditions: list[Condition] | None = None
    observed_generation: Annotated[int | None, crd(format="int64")] = None


class Resource(Shape):
    """A whole object. Subclasses add ``spec`` and ``status``."""

    api_version: str = ""
    kind: str = ""
    metadata: ObjectMeta = ObjectMeta()
