"""Workloads that upstream's controllers made keep the engine and the images they run on until somebody chooses others.

Taking over must not restart anybody's agents. The Deployment itself says that it was taken over, so that a later
operator knows too; the annotation ``kagent-tui.dev/engine`` on the resource ends it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from kagent_api.names import ENGINE_ANNOTATION, OWN_GROUP
from kagent_operator.reconcile.apply import APPLIED
from kagent_operator.translate.fields import JsonObject, mapping, rows, string_map, text
from kagent_operator.translate.settings import PROFILES, Profile, Settings, profile_of

__all__ = ["TAKEN_OVER", "Engine", "engine_of"]

# On the Deployment: the engine profile it was taken over with.
TAKEN_OVER: Final = f"{OWN_GROUP}/taken-over"
_UPSTREAM: Final[Profile] = "upstream"
_FULL: Final = "-full"


@dataclass(frozen=True)
class Engine:
    """How a resource is to be translated. ``taken_over`` is what its Deployment shall say, nothing when it is ours."""

    profile: Profile
    settings: Settings
    taken_over: str = ""

    def mark(self, objects: list[JsonObject]) -> None:
        """Note on the Deployment among the desired objects that it was taken over."""
        for obj in objects:
            if self.taken_over and obj["kind"] == "Deployment":
                obj["metadata"].setdefault("annotations", {})[TAKEN_OVER] = self.taken_over


def engine_of(owner: JsonObject, live: JsonObject | None, settings: Settings) -> Engine:
    """Return the engine profile of an Agent or MCPServer whose Deployment is ``live``, and the images to use."""
    profile = profile_of(owner, settings)
    before = string_map(live, "metadata", "annotations")
    uid = text(owner, "metadata", "uid")
    ours = any(text(reference, "uid") == uid for reference in rows(live, "metadata", "ownerReferences"))
    if live is None or not ours or profile == _UPSTREAM:
        return Engine(profile, settings)
    if text(owner, "metadata", "annotations", ENGINE_ANNOTATION) in PROFILES:
        return Engine(profile, settings, "no" if TAKEN_OVER in before else "")
    if before.get(TAKEN_OVER) == _UPSTREAM or APPLIED not in before:
        return Engine(_UPSTREAM, _running_images(owner, live, settings), _UPSTREAM)
    return Engine(profile, settings, before.get(TAKEN_OVER, ""))


def _running_images(owner: JsonObject, live: JsonObject, settings: Settings) -> Settings:
    pod = mapping(live, "spec", "template", "spec")
    if text(owner, "kind") == "MCPServer":
        adapter = next(iter(rows(pod, "initContainers")), None)
        return replace(settings, adapter_image=text(adapter, "image") or settings.adapter_image)
    image = next((text(each, "image") for each in rows(pod, "containers") if text(each, "name") == "kagent"), "")
    path, _, tag = image.rpartition(":")
    for repository in (settings.python_repository, settings.go_repository):
        if path.endswith(f"/{repository}") and "/" not in tag:
            registry = path.removesuffix(f"/{repository}")
            return replace(settings, image_registry=registry, image_tag=tag.removesuffix(_FULL))
    return settings
