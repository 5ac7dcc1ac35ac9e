"""core/v1 objects inside our resources, as types: plain JSON objects, handed on untouched.

Their fields stand in `core_table`; only the CRD generator reads it. A translator copies such a value as it came, so
that nothing a newer Kubernetes knows is lost on the way.
"""

from __future__ import annotations

from typing import Annotated

from kagent_api.schema import Core, JsonObject

__all__ = [
    "Affinity", "Container", "EnvFromSource", "EnvVar", "LocalObjectReference", "PodSecurityContext",
    "ResourceRequirements", "SecurityContext", "Toleration", "Volume", "VolumeMount",
]  # fmt: skip

Affinity = Annotated[JsonObject, Core("Affinity")]
Container = Annotated[JsonObject, Core("Container")]
EnvFromSource = Annotated[JsonObject, Core("EnvFromSource")]
EnvVar = Annotated[JsonObject, Core("EnvVar")]
LocalObjectReference = Annotated[JsonObject, Core("LocalObjectReference")]
PodSecurityContext = Annotated[JsonObject, Core("PodSecurityContext")]
ResourceRequirements = Annotated[JsonObject, Core("ResourceRequirements")]
SecurityContext = Annotated[JsonObject, Core("SecurityContext")]
Toleration = Annotated[JsonObject, Core("Toleration")]
Volume = Annotated[JsonObject, Core("Volume")]
VolumeMount = Annotated[JsonObject, Core("VolumeMount")]
