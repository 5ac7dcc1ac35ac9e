"""A cluster in memory: a KubeClient without a wire, so that the dashboard is measured and no server beside it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from kagent_api.kube import Access, KubeClient, ObjectList, WatchEvent
from kagent_api.kube.resources import Resource

__all__ = ["FIRST_EVENT", "VISIBLE", "Memory"]

# Rows that are on the screen from the first frame on.
VISIBLE = 40
# Events are numbered from here, so that every number is written in five digits and no column grows.
FIRST_EVENT = 10_000


class Memory(KubeClient):
    """Agents in a list; a watch changes the condition of one of them at a rate.

    A silent one answers nothing, as a server that is away. ``log`` is given the number and the monotonic time of every
    event that is sent.
    """

    def __init__(self, agents: int, updates: float, *, silent: bool = False, log: Path | None = None) -> None:
        self.access = Access("https://memory.invalid", namespace="bench", context="bench")
        self._agents = [] if silent else [_agent(number) for number in range(agents)]
        self._updates = updates
        self._silent = silent
        self._log = log

    async def aclose(self) -> None:
        return None

    async def list(
        self, resource: Resource, namespace: str | None = None, *, label_selector: str = "", field_selector: str = "",
        limit: int = 500,
    ) -> ObjectList:  # fmt: skip
        if self._silent:
            await asyncio.Event().wait()
        return ObjectList(list(self._agents) if resource.kind == "Agent" else [], "1")

    async def create(
        self, resource: Resource, obj: dict[str, Any], *, dry_run: bool = False, field_validation: str = "Strict"
    ) -> dict[str, Any]:
        return {**obj, "status": {"allowed": True}}  # what a SelfSubjectAccessReview is answered

    async def watch(
        self, resource: Resource, namespace: str | None = None, *, resource_version: str = "",
        label_selector: str = "", field_selector: str = "", timeout_seconds: int = 300,
        on_open: Callable[[], None] | None = None,
    ) -> AsyncIterator[WatchEvent]:  # fmt: skip
        if on_open is not None:
            on_open()
        picks = random.Random(1)
        number = 0
        while resource.kind == "Agent" and self._updates:
            await asyncio.sleep(1 / self._updates)
            number += 1
            if self._log is not None:
                with self._log.open("a", encoding="ascii") as file:
                    file.write(f"{FIRST_EVENT + number} {time.monotonic()}\n")
            yield WatchEvent("MODIFIED", _agent(picks.randrange(VISIBLE), number))
        await asyncio.Event().wait()


def _agent(number: int, ready: int = 0) -> dict[str, Any]:
    message = f"Deployment is not ready, {FIRST_EVENT + ready}/90000 pods are ready"
    return {
        "apiVersion": "kagent.dev/v1alpha2", "kind": "Agent",
        "metadata": {"name": f"agent-{number:05}", "namespace": "bench", "resourceVersion": str(ready + 1),
                     "generation": 1, "uid": f"u{number}",
                     "creationTimestamp": "2026-01-01T00:00:00Z", "labels": {"app": "bench"}},
        "spec": {"type": "Declarative", "declarative": {"modelConfig": "m", "systemMessage": "You help.\n"}},
        "status": {"conditions": [
            {"type": "Accepted", "status": "True", "reason": "Reconciled", "observedGeneration": 1},
            {"type": "Ready", "status": "False", "reason": "DeploymentNotReady", "message": message,
             "observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:00Z"},
        ]},
    }  # fmt: skip
