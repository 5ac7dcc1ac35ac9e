"""The status of a Pod, worked out from the states of its containers by the kubelet's rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kagent_localcluster.runner.fields import at, items, mapping, number, text
from kagent_localcluster.runner.metadata import now, set_condition
from kagent_localcluster.runner.pod_ports import all_containers
from kagent_localcluster.seams import JsonObject

__all__ = ["ContainerReport", "Phase", "PodReport", "closed_gates", "pod_status"]

Phase = Literal["Pending", "Running", "Succeeded", "Failed"]
ADDRESS = "127.0.0.1"


@dataclass(frozen=True)
class ContainerReport:
    """One container as its Pod's status shows it."""

    name: str
    image: str
    state: JsonObject
    last_state: JsonObject
    restarts: int
    ready: bool
    started: bool
    identity: str = ""

    def status(self) -> JsonObject:
        shown: JsonObject = {
            "name": self.name,
            "image": self.image,
            # The typed clients refuse a status without imageID.
            "imageID": f"process://{self.image}" if self.image else "",
            "ready": self.ready,
            "started": self.started,
            "restartCount": self.restarts,
            "state": self.state,
            "lastState": self.last_state,
        }
        if self.identity:
            shown["containerID"] = self.identity
        return shown


@dataclass(frozen=True)
class PodReport:
    """What the runner knows of a Pod now; ``failure`` is a reason and message that end it as a whole."""

    containers: tuple[ContainerReport, ...]
    init: tuple[ContainerReport, ...]
    initialized: bool
    stopping: bool
    failure: tuple[str, str] | None = None


def pod_status(pod: JsonObject, report: PodReport) -> JsonObject:
    """Return the status that the Pod should have now; condition times are carried over from its present one."""
    before = mapping(pod, "status")
    phase = _phase(pod, report)
    ready = all(one.ready for one in (*report.containers, *_sidecars(pod, report))) and phase == "Running"
    ready = ready and not report.stopping
    status: JsonObject = {
        "phase": phase,
        "conditions": _conditions(pod, report, phase, ready),
        "hostIP": ADDRESS,
        "hostIPs": [{"ip": ADDRESS}],
        "podIP": ADDRESS,
        "podIPs": [{"ip": ADDRESS}],
        "startTime": text(before, "startTime") or now(),
        "qosClass": text(before, "qosClass") or _quality(pod),
        "containerStatuses": [one.status() for one in report.containers],
    }
    if report.init:
        status["initContainerStatuses"] = [one.status() for one in report.init]
    generation = number(pod, "metadata", "generation")
    if generation:
        status["observedGeneration"] = generation
    if report.failure is not None:
        status["reason"], status["message"] = report.failure
    return status


def closed_gates(pod: JsonObject) -> list[str]:
    """Return what keeps the Pod's readiness gates closed: conditions that others set on its status."""
    present = {text(one, "type"): text(one, "status") for one in items(pod, "status", "conditions")}
    closed: list[str] = []
    for gate in items(pod, "spec", "readinessGates"):
        kind = text(gate, "conditionType")
        if kind not in present:
            closed.append(f'corresponding condition of pod readiness gate "{kind}" does not exist.')
        elif present[kind] != "True":
            closed.append(f'the status of pod readiness gate "{kind}" is not "True", but {present[kind]}')
    return closed


def _phase(pod: JsonObject, report: PodReport) -> Phase:
    if report.failure is not None:
        return "Failed"
    if not report.initialized:
        return "Failed" if _init_failed(pod, report) else "Pending"
    states = [one.state for one in report.containers]
    if any("waiting" in one.state and not one.last_state for one in report.containers):
        return "Pending"
    if any("terminated" not in state for state in states):
        return "Running"
    policy = text(pod, "spec", "restartPolicy", default="Always")
    codes = [number(state, "terminated", "exitCode") for state in states]
    if policy == "Always" and not report.stopping:
        return "Running"
    if policy == "OnFailure" and any(codes) and not report.stopping:
        return "Running"
    return "Failed" if any(codes) else "Succeeded"


def _init_failed(pod: JsonObject, report: PodReport) -> bool:
    if text(pod, "spec", "restartPolicy", default="Always") != "Never":
        return False
    return any(number(one.state, "terminated", "exitCode") for one in report.init)


def _sidecars(pod: JsonObject, report: PodReport) -> list[ContainerReport]:
    names = {
        text(spec, "name") for spec in items(pod, "spec", "initContainers") if spec.get("restartPolicy") == "Always"
    }
    return [one for one in report.init if one.name in names]


def _conditions(pod: JsonObject, report: PodReport, phase: Phase, ready: bool) -> list[JsonObject]:
    conditions = items(pod, "status", "conditions")
    generation = number(pod, "metadata", "generation")
    extra = {"observedGeneration": generation} if generation else None
    done = phase in ("Succeeded", "Failed")
    unready = [one.name for one in (*_sidecars(pod, report), *report.containers) if not one.ready]
    reason = "PodCompleted" if phase == "Succeeded" else "PodFailed" if phase == "Failed" else "ContainersNotReady"
    what = "" if done or not unready else f"containers with unready status: [{' '.join(unready)}]"
    sidecars = {one.name for one in _sidecars(pod, report)}
    incomplete = [one.name for one in report.init if not (one.started if one.name in sidecars else one.ready)]
    initialized = report.initialized or (phase == "Succeeded")
    closed = closed_gates(pod)
    if ready and closed:
        reason, what = "ReadinessGatesNotReady", ", ".join(closed)
    fit = ready and not closed
    complete = "PodCompleted" if phase == "Succeeded" else ""
    for kind, holds, why, message in (
        ("PodReadyToStartContainers", not done, "", ""),
        (
            "Initialized",
            initialized,
            complete if initialized else "ContainersNotInitialized",
            "" if initialized else f"containers with incomplete status: [{' '.join(incomplete)}]",
        ),
        ("Ready", fit, "" if fit else reason, "" if fit else what),
        ("ContainersReady", ready, "" if ready else reason, "" if ready else what),
        ("PodScheduled", True, "", ""),
    ):
        conditions = set_condition(conditions, kind, holds, reason=why, message=message, extra=extra)
    return conditions


def _quality(pod: JsonObject) -> str:
    resources = [mapping(spec, "resources") for spec in all_containers(pod)]
    if not any(mapping(one, "requests") or mapping(one, "limits") for one in resources):
        return "BestEffort"
    for one in resources:
        limits, requests = mapping(one, "limits"), mapping(one, "requests")
        if not {"cpu", "memory"} <= limits.keys():
            return "Burstable"
        if any(at(requests, name) not in (None, limits[name]) for name in ("cpu", "memory")):
            return "Burstable"
    return "Guaranteed"
