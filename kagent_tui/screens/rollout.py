"""Tells how a written object comes along until it is ready, or why it does not get there; from watches alone."""

from __future__ import annotations

from collections.abc import Callable

from kagent_tui.cluster.cluster import Cluster, Follow
from kagent_tui.cluster.kinds import AGENT, DEPLOYMENT, MCP_SERVER, POD, JsonObject, ref_of, view_of
from kagent_tui.cluster.references import mapping
from kagent_tui.cluster.rollout import Progress, progress
from kagent_tui.cluster.workloads import newest_first, pod_state
from kagent_tui.render.text import Tone

__all__ = ["Rollout", "Say"]

Say = Callable[[str, Tone, bool], None]


class Rollout:
    """Follows one written object; closes itself once that has arrived, failed for good, or was written again."""

    def __init__(self, cluster: Cluster, stored: JsonObject, say: Say) -> None:
        self._cluster = cluster
        self._ref = ref_of(stored)
        generation = mapping(stored.get("metadata")).get("generation")
        self._generation = generation if isinstance(generation, int) else 0
        self._say = say
        self._last = ""
        self._closed = False
        self._follows: list[Follow] = []
        self._pods: Follow | None = None

    def start(self) -> None:
        if view_of(self._ref.kind) is None:
            self._say(f"{self._ref} applied", Tone.OK, False)
            return
        field = f"metadata.name={self._ref.name}"
        if self._ref.kind in (AGENT, MCP_SERVER):
            self._follows.append(
                self._cluster.follow(DEPLOYMENT, self._ref.namespace, self._look, field_selector=field)
            )
        self._unsubscribe = self._cluster.store.subscribe(lambda changes: self._look())
        self._look()

    def close(self) -> None:
        """Stop following: something newer is followed now."""
        if not self._closed and view_of(self._ref.kind) is not None:
            self._closed = True
            for follow in self._follows:
                follow.close()
            self._unsubscribe()

    def _look(self) -> None:
        if self._closed:
            return
        deployment = next(iter(self._follows[0].objects), None) if self._follows else None
        if deployment is not None and self._pods is None:
            self._follow_pods(deployment)
        now = progress(self._cluster.store.find(self._ref), deployment, self._generation)
        if now.state == "going":
            now = self._stuck() or now
        if now.text != self._last:
            self._last = now.text
            tone = {"going": Tone.DIM, "done": Tone.OK, "failed": Tone.BAD}[now.state]
            self._say(now.text, tone, now.state != "done")
        if now.state == "done" or self._cluster.store.find(self._ref) is None:
            self.close()

    def _follow_pods(self, deployment: JsonObject) -> None:
        labels = mapping(mapping(mapping(deployment.get("spec")).get("selector")).get("matchLabels"))
        if labels:
            selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
            self._pods = self._cluster.follow(POD, self._ref.namespace, self._look, label_selector=selector)
            self._follows.append(self._pods)

    def _stuck(self) -> Progress | None:
        """Say why the youngest Pod cannot start; it is the one of this change."""
        pods = newest_first(self._pods.objects) if self._pods is not None else []
        state = pod_state(pods[0]) if pods else None
        if state is None or not state.failed:
            return None
        why = f"{state.reason}: {state.message}" if state.message else state.reason
        return Progress("failed", f"{self._ref}: its Pod does not start: {why} (x shows the whole chain)")
