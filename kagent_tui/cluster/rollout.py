"""How far a change has come: written, taken up by the controller, new Pods running, ready - or why not. Pure."""

from __future__ import annotations

from typing import Literal, NamedTuple

from kagent_tui.cluster.kinds import AGENT, MCP_SERVER, JsonObject, ref_of
from kagent_tui.cluster.references import items, mapping, text

__all__ = ["Progress", "progress"]

State = Literal["going", "done", "failed"]


class Progress(NamedTuple):
    """One line about a rollout; the text is raw."""

    state: State
    text: str


def progress(obj: JsonObject | None, deployment: JsonObject | None, generation: int) -> Progress:
    """Say how far ``generation`` of an object has come. ``deployment`` is the one of the same name, if there is one."""
    if obj is None:
        return Progress("failed", "it was deleted meanwhile")
    ref = ref_of(obj)
    found = {
        text(mapping(one).get("type")): mapping(one) for one in items(mapping(obj.get("status")).get("conditions"))
    }
    accepted = found.get("Accepted")
    if accepted is None or _observed(accepted) < generation:
        return Progress("going", f"{ref}: generation {generation} written, waiting for the operator")
    if text(accepted.get("status")) != "True":
        return Progress(
            "failed", f"{ref}: not accepted: {text(accepted.get('message')) or text(accepted.get('reason'))}"
        )
    if ref.kind not in (AGENT, MCP_SERVER):
        return Progress("done", f"{ref}: accepted")
    rolling = _rolling(deployment)
    if rolling:
        return Progress("going", f"{ref}: {rolling}")
    ready = found.get("Ready")
    if ready is not None and text(ready.get("status")) == "True":
        return Progress("done", f"{ref}: ready")
    why = text((ready or {}).get("message")) or "waiting for its Pods"
    return Progress("going", f"{ref}: {why}")


def _observed(condition: JsonObject) -> int:
    found = condition.get("observedGeneration")
    return found if isinstance(found, int) else 0


def _rolling(deployment: JsonObject | None) -> str:
    """Say what a Deployment is still doing; "" when it has finished, or is not known."""
    if deployment is None:
        return ""
    status, spec = mapping(deployment.get("status")), mapping(deployment.get("spec"))
    generation = mapping(deployment.get("metadata")).get("generation")
    if isinstance(generation, int) and _observed(status) < generation:
        return "rollout begins"
    wanted = _number(spec, "replicas", 1)
    updated, available, present = (
        _number(status, name, 0) for name in ("updatedReplicas", "availableReplicas", "replicas")
    )
    if updated < wanted:
        return f"{updated} of {wanted} new Pods started"
    if present > updated:
        return f"{present - updated} old Pods still running"
    if available < wanted:
        return f"{available} of {wanted} new Pods ready"
    return ""


def _number(obj: JsonObject, name: str, otherwise: int) -> int:
    found = obj.get(name)
    return found if isinstance(found, int) else otherwise
