"""The one word that ``kubectl get pods`` has for a Pod: what holds it up, if anything does."""

from __future__ import annotations

from typing import Any, NamedTuple

from kagent_localcluster.apiserver.builtin.durations import age
from kagent_localcluster.apiserver.jsonvalue import dig, object_at, objects_at
from kagent_localcluster.seams import JsonObject

__all__ = ["PodSummary", "pod_summary"]


class PodSummary(NamedTuple):
    """The cells of a Pod's row."""

    ready: str
    status: str
    restarts: str


def pod_summary(pod: JsonObject) -> PodSummary:
    """Return how Kubernetes' printer sums the Pod up."""
    status: JsonObject = object_at(pod, "status")
    init: list[JsonObject] = dig(pod, "spec", "initContainers") or []
    sidecars = {container.get("name") for container in init if container.get("restartPolicy") == "Always"}
    init_states: list[JsonObject] = status.get("initContainerStatuses") or []
    states: list[JsonObject] = status.get("containerStatuses") or []
    total = len(objects_at(pod, "spec", "containers")) + len(sidecars)
    ready = sum(bool(state.get("ready")) for state in init_states if state.get("name") in sidecars)
    reason = str(status.get("reason") or status.get("phase") or "Unknown")
    counted = init_states
    held = _initializing(init_states, sidecars, len(init))
    if held:
        reason = held
    else:
        reason = _containers_reason(states, reason, ready_condition=_is_ready(status))
        ready += sum(bool(state.get("ready") and dig(state, "state", "running") is not None) for state in states)
        counted = [*states, *(state for state in init_states if state.get("name") in sidecars)]
    if pod["metadata"].get("deletionTimestamp") and status.get("phase") not in ("Succeeded", "Failed"):
        reason = "Terminating"
    return PodSummary(f"{ready}/{total}", reason, _restarts(counted))


def _initializing(states: list[JsonObject], sidecars: set[Any], total: int) -> str:
    """Return the word for a Pod whose init containers are not through, "" when they are."""
    for index, state in enumerate(states):
        ended, waiting = dig(state, "state", "terminated"), dig(state, "state", "waiting")
        if ended is not None and ended.get("exitCode") == 0:
            continue
        if state.get("name") in sidecars and state.get("started"):
            continue
        if ended is not None:
            return f"Init:{ended.get('reason') or _exit_word(ended)}"
        if waiting is not None and waiting.get("reason") not in (None, "", "PodInitializing"):
            return f"Init:{waiting['reason']}"
        return f"Init:{index}/{total}"
    return ""


def _exit_word(ended: JsonObject) -> str:
    return f"Signal:{ended['signal']}" if ended.get("signal") else f"ExitCode:{ended.get('exitCode', 0)}"


def _containers_reason(states: list[JsonObject], reason: str, *, ready_condition: bool) -> str:
    failed, running = "", False
    for state in reversed(states):
        ended, waiting = dig(state, "state", "terminated"), dig(state, "state", "waiting")
        if waiting is not None and waiting.get("reason"):
            reason = waiting["reason"]
        elif ended is not None:
            reason = ended.get("reason") or _exit_word(ended)
            if ended.get("exitCode"):
                failed = reason
        elif state.get("ready") and dig(state, "state", "running") is not None:
            running = True
    if reason != "Completed":
        return reason
    if running and ready_condition:
        return "Running"
    return failed or ("NotReady" if running else reason)


def _is_ready(status: JsonObject) -> bool:
    return any(
        item.get("type") == "Ready" and item.get("status") == "True" for item in objects_at(status, "conditions")
    )


def _restarts(states: list[JsonObject]) -> str:
    count = sum(int(state.get("restartCount") or 0) for state in states)
    ends = [end for state in states if (end := dig(state, "lastState", "terminated", "finishedAt"))]
    return f"{count} ({age(max(ends))} ago)" if count and ends else str(count)
