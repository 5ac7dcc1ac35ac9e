"""What runs for an agent or a server: its Deployment, its Pods, and why a Pod does not run.

Pods are found by their Deployment's own selector, which is right for any controller. Reading only; a refusal is an
answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from kagent_api.errors import KagentError, ObjectRef
from kagent_tui.cluster.cluster import Cluster
from kagent_tui.cluster.kinds import DEPLOYMENT, POD, JsonObject, ref_of
from kagent_tui.cluster.references import items, mapping, text

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

__all__ = ["PodState", "Workload", "containers_of", "newest_first", "pod_selector", "pod_state", "workload_of"]

LOG_LINES = 12


@dataclass(frozen=True, slots=True)
class PodState:
    """One Pod in words; raw texts. ``well``: every container is ready; ``failed``: one cannot start or ended."""

    ref: ObjectRef
    well: bool
    reason: str
    message: str = ""
    restarts: int = 0
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment's Pods, newest first, their warnings, and the last words of the first one that is not well."""

    deployment: JsonObject | None
    pods: tuple[PodState, ...] = ()
    warnings: tuple[JsonObject, ...] = ()
    log: tuple[str, ...] = ()
    trouble: str = ""
    log_of: str = ""


async def pod_selector(cluster: Cluster, ref: ObjectRef) -> str:
    """Return the label selector of the Pods of the Deployment named like an object. Raises KubeError."""
    deployment = await cluster.read(ObjectRef(DEPLOYMENT, ref.namespace, ref.name))
    labels = mapping(mapping(mapping(deployment.get("spec")).get("selector")).get("matchLabels"))
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


async def workload_of(cluster: Cluster, ref: ObjectRef) -> Workload:
    """Look at everything that runs for an object."""
    from kagent_api.kube import NotFound
    from kagent_api.kube.resources import EVENTS, PODS

    try:
        deployment = await cluster.read(ObjectRef(DEPLOYMENT, ref.namespace, ref.name))
    except NotFound:
        return Workload(None, trouble="there is no Deployment: the operator has not made it")
    except KagentError as error:
        return Workload(None, trouble=f"its Deployment is not known: {error.message}")
    try:
        selector = await pod_selector(cluster, ref)
        found = await cluster.client.list(PODS, ref.namespace, label_selector=selector)
        pods = tuple(pod_state(pod) for pod in newest_first(found.items))
        sick = next((pod for pod in pods if not pod.well), None)
        warnings: tuple[JsonObject, ...] = ()
        if sick is not None:
            listed = await cluster.client.list(
                EVENTS, ref.namespace, field_selector=f"involvedObject.name={sick.ref.name}"
            )
            warnings = tuple(one for one in listed.items if text(one.get("type")) == "Warning")[-5:]
    except KagentError as error:
        return Workload(deployment, trouble=f"its Pods are not known: {error.message}")
    log = await _last_words(cluster, sick) if sick is not None else ()
    return Workload(deployment, pods, warnings, log, log_of=sick.ref.name if sick else "")


async def _last_words(cluster: Cluster, pod: PodState) -> tuple[str, ...]:
    for previous in (False, True) if pod.restarts else (False,):
        logs = cluster.client.logs(pod.ref.name, pod.ref.namespace, tail_lines=LOG_LINES, previous=previous)
        try:
            async with aclosing(cast("AsyncGenerator[str]", logs)) as stream:
                lines = [line async for line in stream]
        except KagentError:
            # A container that never started has no log; its reason says why.
            continue
        if lines:
            return tuple(lines[-LOG_LINES:])
    return ()


def newest_first(pods: Sequence[JsonObject]) -> list[JsonObject]:
    """Return Pods by age, the youngest first."""
    return sorted(
        pods,
        key=lambda pod: (text(mapping(pod.get("metadata")).get("creationTimestamp")), ref_of(pod).name),
        reverse=True,
    )


def containers_of(pod: JsonObject) -> list[str]:
    """Return the names of a Pod's containers, the main one first, init containers last."""
    spec = mapping(pod.get("spec"))
    entries = [*items(spec.get("containers")), *items(spec.get("initContainers"))]
    return [text(mapping(entry).get("name")) for entry in entries]


def pod_state(pod: JsonObject) -> PodState:
    """Say how a Pod is: the most telling reason of its containers, else its phase."""
    status = mapping(pod.get("status"))
    ref = ref_of(pod, POD)
    statuses = [
        mapping(one) for field in ("initContainerStatuses", "containerStatuses") for one in items(status.get(field))
    ]
    restarts = sum(one["restartCount"] for one in statuses if isinstance(one.get("restartCount"), int))
    for one in statuses:
        state = mapping(one.get("state"))
        waiting, ended = mapping(state.get("waiting")), mapping(state.get("terminated"))
        if waiting and text(waiting.get("reason")) not in ("", "PodInitializing"):
            last = mapping(mapping(one.get("lastState")).get("terminated"))
            message = text(waiting.get("message")) or text(last.get("message"))
            reason = text(waiting.get("reason"))
            return PodState(ref, False, reason, message, restarts, reason != "ContainerCreating")
        if ended and ended.get("exitCode") not in (0, None):
            reason = text(ended.get("reason")) or "Error"
            return PodState(
                ref, False, f"{reason} (exit code {ended['exitCode']})", text(ended.get("message")), restarts, True
            )
    phase = text(status.get("phase")) or "Unknown"
    ready = any(
        text(mapping(one).get("type")) == "Ready" and text(mapping(one).get("status")) == "True"
        for one in items(status.get("conditions"))
    )
    if ready or phase == "Succeeded":
        return PodState(ref, True, phase, "", restarts)
    failing = [mapping(one) for one in items(status.get("conditions")) if text(mapping(one).get("status")) == "False"]
    unscheduled: JsonObject = failing[0] if failing else {}
    reason = text(unscheduled.get("reason")) if phase == "Pending" else "not ready yet"
    words = f"{phase}: {reason}" if reason else phase
    return PodState(
        ref, False, words, text(unscheduled.get("message")), restarts, phase == "Failed" or reason == "Unschedulable"
    )
