"""Keeps each applied generation of an Agent as a ControllerRevision, so that people can compare and go back.

Which generation was applied last stands in an annotation of its Deployment: nothing is listed while nothing changes.
"""

from __future__ import annotations

import copy
import logging
from typing import Final, Protocol

from kagent_api.kube import AlreadyExists, NotFound, ObjectList, Resource
from kagent_api.kube.resources import CONTROLLERREVISIONS
from kagent_api.names import OWN_GROUP
from kagent_operator.translate.fields import JsonObject, integer, mapping, name_of, namespace_of, text
from kagent_operator.translate.metadata import object_meta

__all__ = ["AGENT_LABEL", "GENERATION", "Revisions"]

_log = logging.getLogger(__name__)
AGENT_LABEL: Final = f"{OWN_GROUP}/agent"
GENERATION: Final = f"{OWN_GROUP}/generation"
KEPT: Final = 20


class _Client(Protocol):
    async def create(self, resource: Resource, obj: JsonObject) -> JsonObject: ...

    async def delete(self, resource: Resource, name: str, namespace: str | None = None) -> JsonObject: ...

    async def list(
        self, resource: Resource, namespace: str | None = None, *, label_selector: str = ""
    ) -> ObjectList: ...


class Revisions:
    """The history of agents."""

    def __init__(self, client: _Client) -> None:
        self._client = client

    async def record(self, agent: JsonObject, deployment: JsonObject | None) -> None:
        """Keep an agent's spec unless its Deployment says that this generation was applied already."""
        generation = integer(agent, "metadata", "generation") or 0
        if text(deployment, "metadata", "annotations", GENERATION) == str(generation):
            return
        uid = text(agent, "metadata", "uid")
        # The uid keeps an agent apart from one of the same name that was deleted and whose history is still collected.
        name = f"{name_of(agent)[:220]}-{uid[:8].strip('-')}-{generation}".lower()
        meta = object_meta(agent, name=name, labels={AGENT_LABEL: _label(agent)})
        try:
            await self._client.create(
                CONTROLLERREVISIONS,
                {"metadata": meta, "revision": generation, "data": {"spec": copy.deepcopy(mapping(agent, "spec"))}},
            )
        except AlreadyExists:
            _log.debug("generation %d of Agent %s is kept already", generation, name_of(agent))
        if deployment is not None:
            await self._prune(agent)

    async def _prune(self, agent: JsonObject) -> None:
        found = await self._client.list(
            CONTROLLERREVISIONS, namespace_of(agent), label_selector=f"{AGENT_LABEL}={_label(agent)}"
        )
        oldest_first = sorted(found.items, key=lambda revision: integer(revision, "revision") or 0)
        for revision in oldest_first[:-KEPT]:
            try:
                await self._client.delete(CONTROLLERREVISIONS, name_of(revision), namespace_of(revision))
            except NotFound:
                continue


def _label(agent: JsonObject) -> str:
    # A label's value is at most 63 characters, a name may be 253.
    return name_of(agent)[:63].rstrip("-.")
